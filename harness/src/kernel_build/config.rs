//! The configuration of a kernel that is built: ukci's own options or a file, and changes to it.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::str::FromStr;

use ukci_schema::cell::Arch;

use super::{Error, Request};

const BPF: &str = include_str!("../../../kernels/config/bpf.config");
const KASAN: &str = include_str!("../../../kernels/config/kasan.config");
const LOCKDEP: &str = include_str!("../../../kernels/config/lockdep.config");

/// The options of ukci's own configuration without which a kernel is of no use: without the first it
/// loads nothing, and the others are what [`Base::Bpf`] is for. They are checked after make's tool has
/// made the configuration of them.
const REQUIRED: [&str; 6] = [
    "CONFIG_BPF_SYSCALL",
    "CONFIG_BLK_DEV_INITRD",
    "CONFIG_SHMEM",
    "CONFIG_VIRTIO_PCI",
    "CONFIG_VIRTIO_CONSOLE",
    "CONFIG_DEBUG_INFO_BTF",
];

/// What the configuration is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Base {
    /// `kernels/config/bpf.config`: all that eBPF has, and little else.
    Bpf,
    /// A whole configuration. Options that it does not have take the kernel's defaults.
    File(PathBuf),
}

/// What a kernel checks of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Debug {
    /// KASAN: reads and writes outside of an object.
    Kasan,
    /// lockdep: the order of locks.
    Lockdep,
}

impl Debug {
    fn text(self) -> &'static str {
        match self {
            Self::Kasan => KASAN,
            Self::Lockdep => LOCKDEP,
        }
    }

    /// What it needs to be otherwise. The entry by PVH writes to the memory that KASAN watches before
    /// that memory is mapped (`xen_prepare_pvh`, seen in 6.1), so the kernel boots as a `bzImage`.
    fn implies(self, arch: Arch) -> Option<Setting> {
        (self == Self::Kasan && arch == Arch::X86_64).then(|| Setting {
            option: "CONFIG_PVH".to_owned(),
            value: "n".to_owned(),
        })
    }

    /// The option without which it checks nothing.
    fn option(self) -> &'static str {
        match self {
            Self::Kasan => "CONFIG_KASAN",
            Self::Lockdep => "CONFIG_PROVE_LOCKING",
        }
    }
}

impl fmt::Display for Debug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kasan => "kasan",
            Self::Lockdep => "lockdep",
        })
    }
}

/// One option and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The option with its prefix: `CONFIG_SHMEM`.
    pub option: String,
    /// `y`, `n`, `m`, a number, or a string in quotes.
    pub value: String,
}

impl FromStr for Setting {
    type Err = String;

    /// `OPTION=VALUE`, with or without `CONFIG_`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (option, value) = text.split_once('=').ok_or("expected OPTION=VALUE")?;
        let option = option.strip_prefix("CONFIG_").unwrap_or(option);
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if option.is_empty() || !option.chars().all(is_name) {
            return Err("an option has letters, digits and `_`, such as `KASAN=y`".into());
        }
        if value.is_empty() || value.contains('\n') {
            return Err("expected a value: y, n, m, a number, or a string in quotes".into());
        }
        Ok(Self {
            option: format!("CONFIG_{option}"),
            value: value.to_owned(),
        })
    }
}

/// The text that make's configuration tool is given.
pub(super) fn text(request: &Request) -> Result<String, Error> {
    let mut text = match &request.base {
        Base::Bpf => format!("{BPF}{}", of_arch(request.arch)),
        Base::File(path) => fs::read_to_string(path).map_err(Error::on("read", path))?,
    };
    if !text.ends_with('\n') {
        text.push('\n');
    }
    for debug in &request.debug {
        text.push_str(debug.text());
    }
    let implied = request
        .debug
        .iter()
        .filter_map(|debug| debug.implies(request.arch));
    // The last value of an option counts, but the tool warns of the others.
    for Setting { option, value } in implied.chain(request.settings.iter().cloned()) {
        let (option, value) = (&option, &value);
        let is_other = |line: &&str| option_of(line) != Some(option.as_str());
        let lines: Vec<&str> = text.lines().filter(is_other).collect();
        text = lines.join("\n");
        text.push_str(&match value.as_str() {
            "n" => format!("\n# {option} is not set\n"),
            value => format!("\n{option}={value}\n"),
        });
    }
    Ok(text)
}

fn of_arch(arch: Arch) -> &'static str {
    match arch {
        Arch::X86_64 => include_str!("../../../kernels/config/x86_64.config"),
        Arch::Aarch64 => include_str!("../../../kernels/config/aarch64.config"),
        Arch::Riscv64 => include_str!("../../../kernels/config/riscv64.config"),
    }
}

/// The option that a line of a configuration is about.
fn option_of(line: &str) -> Option<&str> {
    let off = || line.strip_prefix("# ")?.strip_suffix(" is not set");
    let option = off().or_else(|| Some(line.split_once('=')?.0))?;
    option.starts_with("CONFIG_").then_some(option)
}

/// The options of a configuration that have a value.
fn values(config: &str) -> BTreeMap<&str, &str> {
    let lines = config.lines().filter(|line| line.starts_with("CONFIG_"));
    lines.filter_map(|line| line.split_once('=')).collect()
}

/// Whether a configuration has this option built in.
pub(super) fn has(config: &str, option: &str) -> bool {
    values(config).get(option) == Some(&"y")
}

/// Compares what was asked for with what the kernel's tool has made of it. What a person asked for must
/// be there. Returns the other options that are not.
pub(super) fn check(request: &Request, asked: &str, made: &str) -> Result<Vec<String>, Error> {
    let made = values(made);
    let value = |option: &str| made.get(option).copied().unwrap_or("n");
    let compare = |option: &str, wanted: &str| {
        let found = value(option);
        if found == wanted {
            return Ok(());
        }
        Err(Error::Setting {
            option: option.to_owned(),
            wanted: wanted.to_owned(),
            found: found.to_owned(),
        })
    };
    for Setting { option, value } in &request.settings {
        compare(option, value)?;
    }
    for debug in &request.debug {
        compare(debug.option(), "y")?;
    }
    if request.base != Base::Bpf {
        return Ok(Vec::new());
    }
    let asked = values(asked);
    for option in REQUIRED {
        if let Some(wanted) = asked.get(option) {
            compare(option, wanted)?;
        }
    }
    let missing = asked.keys().filter(|option| !made.contains_key(*option));
    Ok(missing.map(ToString::to_string).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(settings: &[&str], debug: &[Debug]) -> Request {
        Request {
            source: String::new(),
            arch: Arch::X86_64,
            base: Base::Bpf,
            debug: debug.to_vec(),
            settings: settings.iter().map(|text| text.parse().unwrap()).collect(),
            jobs: 1,
            cache: PathBuf::new(),
        }
    }

    #[test]
    fn settings_replace_what_the_configuration_has() {
        let text = text(&request(&["SHMEM=n", "CONFIG_NR_CPUS=4"], &[Debug::Kasan])).unwrap();
        let of = |option: &str| -> Vec<&str> {
            let lines = text.lines();
            lines
                .filter(|line| option_of(line) == Some(option))
                .collect()
        };
        assert_eq!(of("CONFIG_SHMEM"), ["# CONFIG_SHMEM is not set"]);
        assert_eq!(of("CONFIG_NR_CPUS"), ["CONFIG_NR_CPUS=4"]);
        assert_eq!(of("CONFIG_KASAN"), ["CONFIG_KASAN=y"]);
        assert_eq!(of("CONFIG_PVH"), ["# CONFIG_PVH is not set"]);
        for wrong in ["SHMEM", "=y", "SHMEM=", "A B=y"] {
            wrong.parse::<Setting>().unwrap_err();
        }
    }

    #[test]
    fn no_option_is_listed_twice() {
        for arch in Arch::ALL {
            let mut request = request(&[], &[Debug::Kasan, Debug::Lockdep]);
            request.arch = arch;
            let text = text(&request).unwrap();
            let mut options: Vec<&str> = text.lines().filter_map(option_of).collect();
            options.sort_unstable();
            let twice = options.windows(2).find(|pair| pair[0] == pair[1]);
            assert_eq!(twice, None, "{arch}");
        }
    }

    #[test]
    fn what_was_asked_for_and_is_not_there_is_named() {
        let asked = request(&["SHMEM=n"], &[Debug::Kasan]);
        let text = text(&asked).unwrap();
        let lines = text.lines().filter(|line| line.starts_with("CONFIG_"));
        let all = lines.flat_map(|line| [line, "\n"]).collect::<String>();
        assert_eq!(check(&asked, &text, &all).unwrap(), Vec::<String>::new());
        // A kernel before sched_ext.
        let older = all.replace("CONFIG_SCHED_CLASS_EXT=y\n", "");
        assert_eq!(
            check(&asked, &text, &older).unwrap(),
            ["CONFIG_SCHED_CLASS_EXT"]
        );
        for (removed, added, said) in [
            (
                "CONFIG_KASAN=y\n",
                "",
                "the configuration has CONFIG_KASAN=n, and CONFIG_KASAN=y was requested",
            ),
            (
                "",
                "CONFIG_SHMEM=y\n",
                "the configuration has CONFIG_SHMEM=y, and CONFIG_SHMEM=n was requested",
            ),
            (
                "CONFIG_DEBUG_INFO_BTF=y\n",
                "",
                "the configuration has CONFIG_DEBUG_INFO_BTF=n, and CONFIG_DEBUG_INFO_BTF=y was requested",
            ),
        ] {
            let made = all.replace(removed, "") + added;
            let error = check(&asked, &text, &made).unwrap_err();
            assert_eq!(error.to_string(), said);
            assert!(error.hint().is_some());
        }
    }
}
