//! Makes the place in which a person's shell runs: the initramfs with busybox, or a root file system
//! of their own. The files that were sent for them go there, and so does the agent.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use rustix::mount::mount_bind;
use ukci_schema::shell::{BUSYBOX, CELL, HOST_ROOT, ROOT, SENT};

use crate::command::{root, surroundings};

/// What programs are looked up in.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Where the agent's modules are.
const MODULES: &str = "/lib/ukci";

/// What of the initramfs a person needs in another root. `/run` moves there.
const KEPT: &str = "/run/ukci";

/// Where the shell runs, and how it is started.
pub(super) struct Place {
    pub(super) busybox: String,
    /// The shell's program, and what makes it one.
    pub(super) shell: Vec<String>,
    pub(super) path: String,
    pub(super) home: &'static str,
}

impl Place {
    /// Makes it, and makes it the root of this process.
    pub(super) fn enter() -> Result<Self, String> {
        let sent = Path::new(SENT);
        let is_hosts = Path::new(HOST_ROOT).exists();
        if !is_hosts && !Path::new(ROOT).exists() {
            let mut install = Command::new(BUSYBOX);
            let installed = install.args(["--install", "-s", "/bin"]).status();
            installed.map_err(|error| format!("run {BUSYBOX}: {error}"))?;
            symlink("/init", "/bin/ukci-guest")
                .map_err(|error| format!("link the agent: {error}"))?;
            put(sent, Path::new("/"))?;
            return Ok(Self {
                busybox: BUSYBOX.to_owned(),
                shell: vec![BUSYBOX.to_owned(), "sh".to_owned()],
                path: PATH.to_owned(),
                home: "/",
            });
        }
        let kept =
            [CELL, MODULES, SENT, BUSYBOX, "/init"].map(|path| (path, format!("{KEPT}{path}")));
        for (path, to) in &kept {
            keep(path, to).map_err(|error| format!("keep {path}: {error}"))?;
        }
        if is_hosts {
            root::enter_hosts()?;
        } else {
            root::enter()?;
        }
        surroundings::below_dev();
        for (path, from) in &kept[..2] {
            let bound = fs::create_dir_all(path).and_then(|()| Ok(mount_bind(from, *path)?));
            bound.map_err(|error| format!("put {path} into the root file system: {error}"))?;
        }
        put(Path::new(&format!("{KEPT}{SENT}")), Path::new("/"))?;
        let busybox = format!("{KEPT}{BUSYBOX}");
        let agent = format!("{KEPT}/bin/ukci-guest");
        symlink(format!("{KEPT}/init"), agent)
            .map_err(|error| format!("link the agent: {error}"))?;
        let shell = if Path::new("/bin/sh").exists() {
            vec!["/bin/sh".to_owned()]
        } else {
            vec![busybox.clone(), "sh".to_owned()]
        };
        Ok(Self {
            busybox,
            shell,
            path: format!("{PATH}:{KEPT}/bin"),
            home: "/root",
        })
    }
}

/// Binds what is at `path` to another place, if anything is.
fn keep(path: &str, to: &str) -> io::Result<()> {
    let Ok(there) = fs::metadata(path) else {
        return Ok(());
    };
    if there.is_dir() {
        fs::create_dir_all(to)?;
    } else {
        if let Some(dir) = Path::new(to).parent() {
            fs::create_dir_all(dir)?;
        }
        fs::File::create(to)?;
    }
    Ok(mount_bind(path, to)?)
}

/// Copies all files below `from` to the same places below `to`, and replaces what is there.
fn put(from: &Path, to: &Path) -> Result<(), String> {
    let Ok(entries) = fs::read_dir(from) else {
        // Nothing was sent.
        return Ok(());
    };
    let failed = |error: io::Error| format!("write {}: {error}", to.display());
    // Through links, which directories like `/lib` may be.
    fs::create_dir_all(to).map_err(failed)?;
    for entry in entries.flatten() {
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            put(&source, &target)?;
            continue;
        }
        let _ = fs::remove_file(&target);
        match fs::read_link(&source) {
            Ok(leads) => symlink(leads, &target),
            Err(_) => fs::copy(&source, &target).map(drop),
        }
        .map_err(|error| format!("write {}: {error}", target.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::put;

    #[test]
    fn files_go_through_the_links_that_directories_are() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        fs::create_dir_all(from.join("lib/deep")).unwrap();
        fs::write(from.join("lib/deep/x.so"), "new").unwrap();
        symlink("x.so", from.join("lib/deep/x.so.1")).unwrap();
        fs::create_dir_all(to.join("usr/lib/deep")).unwrap();
        fs::write(to.join("usr/lib/deep/x.so"), "old").unwrap();
        symlink("usr/lib", to.join("lib")).unwrap();
        put(&from, &to).unwrap();
        for name in ["x.so", "x.so.1"] {
            assert_eq!(
                fs::read_to_string(to.join("usr/lib/deep").join(name)).unwrap(),
                "new"
            );
        }
        assert!(to.join("lib").is_symlink());
        put(&dir.path().join("none"), &to).unwrap();
    }
}
