//! Options that describe a command and what it finds in the guest, which `exec` and `runner` share.

use clap::Args;
use ukci_schema::command::User;

use super::userland::Userland;

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Command options")]
pub(crate) struct Program {
    /// Environment variable for the command. Can be repeated
    ///
    /// With only a name, the variable has the value that it has here. Such a value is not written
    /// to the report.
    #[arg(short, long, value_name = "NAME[=VALUE]", value_parser = variable)]
    pub(crate) env: Vec<(String, Option<String>)>,

    /// Directory in which the command starts [default: the current one]
    ///
    /// It is created in the guest. Only the files that are sent are in it.
    #[arg(long, value_name = "DIR", value_parser = absolute)]
    pub(crate) workdir: Option<String>,

    /// User that runs the command [default: root]
    ///
    /// `root`, `nobody`, or the numbers of a user and a group.
    #[arg(long, value_name = "USER|UID[:GID]", value_parser = user)]
    pub(crate) user: Option<User>,

    /// Kernel module to load before the command starts. Can be repeated
    ///
    /// The modules that it depends on are loaded first. The guest has no other modules.
    #[arg(long, value_name = "NAME")]
    pub(crate) module: Vec<String>,

    /// Memory of the guest in MiB [default: 512, or more if the files need it]
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u32).range(64..=65536))]
    pub(crate) memory: Option<u32>,

    /// Number of the guest's CPUs [default: 1, or with a matrix, what it says]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(crate) cpus: Option<u32>,

    #[command(flatten)]
    pub(crate) userland: Userland,
}

impl Program {
    /// The options that have a value, as a command line has them.
    pub(super) fn options(&self) -> Vec<(&'static str, String)> {
        let mut options = self.userland.options();
        for (name, value) in &self.env {
            let value = value
                .as_ref()
                .map_or(String::new(), |value| format!("={value}"));
            options.push(("--env", format!("{name}{value}")));
        }
        let modules = self.module.iter();
        options.extend(modules.map(|module| ("--module", module.clone())));
        let user = self.user.map(|User { uid, gid }| format!("{uid}:{gid}"));
        let others = [
            ("--workdir", self.workdir.clone()),
            ("--user", user),
            ("--memory", self.memory.map(|mib| mib.to_string())),
            ("--cpus", self.cpus.map(|cpus| cpus.to_string())),
        ];
        let others = others.into_iter();
        options.extend(others.filter_map(|(option, value)| Some((option, value?))));
        options
    }
}

fn variable(text: &str) -> Result<(String, Option<String>), String> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (text, None),
    };
    if name.is_empty() {
        return Err("the name is empty".into());
    }
    Ok((name.to_owned(), value))
}

fn absolute(text: &str) -> Result<String, String> {
    if text.starts_with('/') && !text.split('/').any(|part| part == "..") {
        Ok(text.to_owned())
    } else {
        Err("expected a path of the guest, which begins with `/`".into())
    }
}

fn user(text: &str) -> Result<User, String> {
    const NOBODY: u32 = 65534;
    let both = |id| User { uid: id, gid: id };
    let number = |text: &str| {
        text.parse::<u32>()
            .map_err(|_| "expected `root`, `nobody`, UID or UID:GID".to_owned())
    };
    match text {
        "root" => Ok(both(0)),
        "nobody" => Ok(both(NOBODY)),
        numbers => match numbers.split_once(':') {
            Some((uid, gid)) => Ok(User {
                uid: number(uid)?,
                gid: number(gid)?,
            }),
            None => Ok(both(number(numbers)?)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::{absolute, user, variable};

    #[test]
    fn values_are_read_as_their_help_says() {
        assert_eq!(variable("A=b=c").unwrap(), ("A".into(), Some("b=c".into())));
        assert_eq!(variable("A").unwrap(), ("A".into(), None));
        assert!(variable("=b").is_err());
        assert!(absolute("/a").is_ok() && absolute("a").is_err() && absolute("/a/../b").is_err());
        assert_eq!(user("7:8").map(|user| (user.uid, user.gid)), Ok((7, 8)));
        assert_eq!(user("nobody").map(|user| user.gid), Ok(65534));
        assert!(user("me").is_err());
    }
}
