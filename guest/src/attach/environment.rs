//! Creates what programs are attached in: a private network namespace with its loopback up, a
//! scratch cgroup, and the kernel modules that hooks need.
//!
//! Each of these is created when it is first needed. If one cannot be created, the program is not
//! attempted. It never counts as refused.

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::fd::{AsRawFd, RawFd};
use std::path::PathBuf;

use ukci_schema::evidence::Module;

use super::calls::unshare_network;
use super::netlink::{self, LOOPBACK};
use crate::modules;

/// See the module.
#[derive(Debug)]
pub(super) struct Environment<'a> {
    /// The kernel's configuration, as far as it is known.
    config: &'a BTreeMap<String, String>,
    network: OnceCell<Result<File, String>>,
    cgroup: OnceCell<Result<Cgroup, String>>,
    /// Modules that were loaded for hooks.
    pub(super) modules: RefCell<Vec<Module>>,
}

impl<'a> Environment<'a> {
    pub(super) fn new(config: &'a BTreeMap<String, String>) -> Self {
        Self {
            config,
            network: OnceCell::new(),
            cgroup: OnceCell::new(),
            modules: RefCell::default(),
        }
    }

    /// Moves the process into a network namespace of its own, for good, and brings its loopback
    /// up. Returns the namespace's descriptor.
    pub(super) fn network(&self) -> Result<RawFd, String> {
        let made = self.network.get_or_init(|| {
            unshare_network().map_err(|errno| format!("no network namespace: errno {errno}"))?;
            netlink::bring_up(LOOPBACK)
                .map_err(|errno| format!("the loopback stays down: errno {errno}"))?;
            File::open("/proc/self/ns/net")
                .map_err(|error| format!("open /proc/self/ns/net: {error}"))
        });
        made.as_ref().map(AsRawFd::as_raw_fd).map_err(Clone::clone)
    }

    /// The scratch cgroup.
    pub(super) fn cgroup(&self) -> Result<&Cgroup, String> {
        self.cgroup
            .get_or_init(Cgroup::new)
            .as_ref()
            .map_err(Clone::clone)
    }

    /// The scratch cgroup, if a program needed one.
    pub(super) fn made_cgroup(&self) -> Option<&Cgroup> {
        self.cgroup.get()?.as_ref().ok()
    }

    /// Makes sure that the module of a configuration option is loaded. An error only where the
    /// kernel has it as a module and the guest does not: that says nothing of the kernel.
    pub(super) fn need(&self, module: &str, option: &str) -> Result<(), String> {
        if self.config.get(option).is_some_and(|value| value != "m") || modules::is_there(module) {
            return Ok(());
        }
        let found = modules::load(module);
        let there = found
            .iter()
            .any(|one| one.name == module && one.error.is_none());
        self.modules.borrow_mut().extend(found);
        if there || !self.config.contains_key(option) {
            return Ok(());
        }
        Err(format!(
            "this kernel has {option} as the module {module}, which the guest lacks"
        ))
    }

    /// A sentence for a refusal that the configuration explains.
    pub(super) fn blame(&self, option: &str) -> Option<String> {
        let off = self.config.get(option).is_some_and(|value| value == "n");
        off.then(|| format!("CONFIG_{option} is off"))
    }
}

/// A cgroup of the unified hierarchy, made for one probe.
#[derive(Debug)]
pub(super) struct Cgroup {
    path: PathBuf,
    home: PathBuf,
    dir: File,
}

const ROOT: &str = "/sys/fs/cgroup";

impl Cgroup {
    fn new() -> Result<Self, String> {
        let path = PathBuf::from(format!("{ROOT}/ukci-{}", std::process::id()));
        if !fs::exists(format!("{ROOT}/cgroup.procs")).unwrap_or(false) {
            return Err(format!("no unified cgroup hierarchy at {ROOT}"));
        }
        fs::create_dir(&path).map_err(|error| format!("create {}: {error}", path.display()))?;
        let dir = File::open(&path).map_err(|error| format!("open {}: {error}", path.display()))?;
        let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let own = own
            .lines()
            .find_map(|line| line.strip_prefix("0::/"))
            .unwrap_or_default();
        Ok(Self {
            path,
            home: PathBuf::from(ROOT).join(own),
            dir,
        })
    }

    /// Its descriptor.
    pub(super) fn fd(&self) -> RawFd {
        self.dir.as_raw_fd()
    }

    /// The file by which a process becomes its member.
    pub(super) fn members(&self) -> PathBuf {
        self.path.join("cgroup.procs")
    }

    /// Does something as its member.
    pub(super) fn as_member(&self, act: impl FnOnce()) {
        let join = |cgroup: &PathBuf| fs::write(cgroup.join("cgroup.procs"), b"0");
        if join(&self.path).is_ok() {
            act();
            let _ = join(&self.home);
        }
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.path);
    }
}
