//! The kinds of things in the cache, and how their last use is known.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::catalogue::checked_file;
use crate::kernel_build;
use crate::rootfs;

/// A kind of entry of the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Packages of distributions, as they were downloaded.
    Packages,
    /// What was made of packages to boot kernels: images, modules, configurations.
    BootFiles,
    /// The images of root file systems of commands.
    RootImages,
    /// Agent and modules, as a kernel boots them.
    Initramfs,
    /// What C sources were compiled to, and the headers for it.
    Objects,
    /// The agents that the executable carries, and the shell of guests.
    Agents,
    /// The eBPF features of kernels, and what is known of this host.
    Answers,
    /// Guests that were saved when they were ready.
    Templates,
    /// Evidence of cells.
    Verdicts,
    /// Kernels that `ukci kernels build` has built.
    BuiltKernels,
    /// The sources and object files of those kernels, from which a change is built in seconds.
    KernelBuilds,
    /// Programs that `make` built for the host.
    Tools,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Packages,
        Self::BootFiles,
        Self::RootImages,
        Self::Initramfs,
        Self::Objects,
        Self::Agents,
        Self::Answers,
        Self::Templates,
        Self::Verdicts,
        Self::BuiltKernels,
        Self::KernelBuilds,
        Self::Tools,
    ];

    /// Its name, as people write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Packages => "packages",
            Self::BootFiles => "boot-files",
            Self::RootImages => "root-images",
            Self::Initramfs => "initramfs",
            Self::Objects => "objects",
            Self::Agents => "agents",
            Self::Answers => "answers",
            Self::Templates => "templates",
            Self::Verdicts => "verdicts",
            Self::BuiltKernels => "built-kernels",
            Self::KernelBuilds => "kernel-builds",
            Self::Tools => "tools",
        }
    }

    /// What it is, in a few words.
    pub fn what(self) -> &'static str {
        match self {
            Self::Packages => "packages of distributions, as downloaded",
            Self::BootFiles => "kernel images, modules and configurations",
            Self::RootImages => "images of the root file systems of commands",
            Self::Initramfs => "agents and modules, as kernels boot them",
            Self::Objects => "compiled C sources, and headers for them",
            Self::Agents => "agents that are built into ukci, and the shell of guests",
            Self::Answers => "features of kernels, and facts about this host",
            Self::Templates => "booted guests that are ready to be cloned",
            Self::Verdicts => "evidence of cells, which is judged again",
            Self::BuiltKernels => "kernels that `ukci kernels build` has built",
            Self::KernelBuilds => "their sources and object files",
            Self::Tools => "programs that `make` has built",
        }
    }

    /// Whether ukci makes or downloads it again when it is missing.
    pub fn is_made_again(self) -> bool {
        !matches!(self, Self::BuiltKernels | Self::Tools)
    }

    /// The directories below the cache that hold it.
    pub(super) fn directories(self) -> &'static [&'static str] {
        match self {
            Self::Packages => &["packages"],
            Self::BootFiles => &["store"],
            Self::RootImages => &[rootfs::IMAGES],
            Self::Initramfs => &["initramfs"],
            Self::Objects => &["compiled", "vmlinux-h", "libbpf-headers"],
            Self::Agents => &["agents"],
            Self::Answers => &["features", "host"],
            Self::Templates => &["templates"],
            Self::Verdicts => &["verdicts"],
            Self::BuiltKernels => &[kernel_build::BUILT],
            Self::KernelBuilds => &[kernel_build::WORK],
            Self::Tools => &["tools"],
        }
    }

    /// Whether its files have records of their digests beside them. There may be thousands of
    /// verdicts, which have none.
    pub(super) fn is_recorded(self) -> bool {
        self != Self::Verdicts
    }

    /// When an entry was last used. Reading a file leaves no trace that could be relied on, so it is
    /// the modification time of whatever is written at each use.
    pub(super) fn last_use(self, path: &Path) -> Option<SystemTime> {
        let record = |path: PathBuf| checked_file::record_of(&path);
        let traces = match self {
            Self::BootFiles => vec![record(path.join("kernel.json")), path.join("kernel.json")],
            Self::Templates => vec![path.join("template.json")],
            Self::Verdicts => Vec::new(),
            Self::BuiltKernels => vec![path.join(kernel_build::RECORD)],
            Self::KernelBuilds => vec![path.join(kernel_build::LOCK)],
            Self::Objects => vec![record(path.to_owned()), record(path.join("vmlinux.h"))],
            _ => vec![record(path.to_owned())],
        };
        let traces = traces.into_iter().chain([path.to_owned()]);
        let mut times = traces.filter_map(|path| fs::symlink_metadata(path).ok()?.modified().ok());
        times.next()
    }
}
