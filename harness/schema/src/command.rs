//! A program that is run in a guest, and whose exit status is the verdict.
//!
//! [`Command`] is what a run writes down and what travels to the guest. The bytes of its files
//! follow it, each once, by their digests. [`CommandEvidence`] is what the guest saw of it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::message::ModuleFile;
use crate::userland::{Network, Root};
use crate::watched::Watched;

/// Version of the command's shape.
pub const SCHEMA: &str = "ukci.command/1";

/// Where the guest's own shell and tools are, if the command brings them.
pub const BUSYBOX: &str = "/bin/busybox";

/// The directory whose files come back to the host, unless the command names another.
pub const OUT: &str = "/run/ukci-out";

/// Most bytes of all files together that come back to the host.
pub const OUT_LIMIT: u64 = 256 * 1024 * 1024;

/// Most files that come back to the host.
pub const OUT_FILES: usize = 4096;

/// Most bytes of a file in one message of the conversation.
pub const CHUNK: usize = 1024 * 1024;

/// A program, its arguments and surroundings, and what is expected of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// [`SCHEMA`].
    pub schema: String,
    /// The first part of the id of its cells.
    pub name: String,
    /// The program's absolute path in the guest, or with a [`root`](Self::root) also a name that is looked
    /// up in `PATH`.
    pub program: String,
    /// Its arguments, with its own name as the first.
    pub arguments: Vec<String>,
    /// Its environment.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// Variables whose values are those of `ukci` itself at the time of the run. The values are not
    /// written down, because they may be secrets.
    #[serde(default)]
    pub inherited: BTreeSet<String>,
    /// The directory in which it starts; created if it does not exist.
    pub workdir: String,
    /// Who runs it; root without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<User>,
    /// The exit status that is a pass.
    pub expected_status: u8,
    /// Its files, in the order in which they are made.
    pub files: Vec<CommandFile>,
    /// What it reads.
    #[serde(default)]
    pub stdin: Stdin,
    /// The size of the terminal that is its standard input, output and error; without one they are a
    /// pipe each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terminal: Option<WindowSize>,
    /// The directory whose files come back to the host.
    pub out: String,
    /// Modules that are loaded before it starts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub modules: Vec<String>,
    /// How it reaches networks.
    #[serde(default, skip_serializing_if = "Network::is_none")]
    pub network: Network,
    /// The root file system in which it runs; none: that of the initramfs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<Root>,
    /// Whether it runs in the root file system of the host, which it cannot change.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub host_root: bool,
    /// Guest memory in MiB that it needs at least.
    pub memory: u32,
    /// Whether the calls of its processes to the BPF subsystem are watched.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub watched: bool,
    /// Virtual CPUs, if it needs more or fewer than the matrix says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpus: Option<u32>,
}

impl Command {
    /// The digests of its files and their sizes, each once, in the order in which the host sends
    /// them.
    pub fn contents(&self) -> Vec<(&str, u64)> {
        let mut seen = BTreeSet::new();
        let files = self.files.iter().filter_map(|file| match &file.content {
            Content::Bytes { sha256, size, .. } => Some((sha256.as_str(), *size)),
            Content::Link { .. } => None,
        });
        files.filter(|(sha256, _)| seen.insert(*sha256)).collect()
    }
}

/// A file of the guest's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandFile {
    /// Its absolute path in the guest, without `.` and `..`.
    pub path: String,
    /// What it is.
    pub content: Content,
}

/// What a file is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Content {
    /// Bytes of a file on the host.
    Bytes {
        /// SHA-256, hex.
        #[serde(deserialize_with = "crate::sha256::one")]
        sha256: String,
        /// Length in bytes.
        size: u64,
        /// The nine permission bits.
        mode: u32,
        /// Where the file was read on the host.
        source: String,
    },
    /// A symbolic link.
    Link {
        /// Where it leads.
        target: String,
    },
}

/// The size of a terminal's window, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WindowSize {
    /// Its width.
    pub columns: u16,
    /// Its height.
    pub rows: u16,
}

/// A user of the guest, by numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
}

/// What a command reads from its standard input.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Stdin {
    /// Nothing: it reads the end at once.
    #[default]
    Empty,
    /// The bytes of a file of the host's.
    File {
        /// SHA-256, hex.
        #[serde(deserialize_with = "crate::sha256::one")]
        sha256: String,
        /// Where the file was read.
        source: String,
    },
    /// What `ukci` itself reads, as it comes. It is not written down.
    Stream,
}

/// The request to run a command. The files of [`Command::contents`] follow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandRequest {
    /// It, with the values of all variables.
    pub command: Command,
    /// Settings to apply first, as in [`Request`](crate::message::Request).
    #[serde(default)]
    pub sysctl: Vec<String>,
    /// Seconds since the epoch.
    pub time: u64,
    /// Fresh entropy, hex.
    pub entropy: String,
    /// The modules of [`Command::modules`] and those that they depend on. Each follows the request as a
    /// message of its own, before the files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub modules: Vec<ModuleFile>,
}

/// What a guest saw of a command.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandEvidence {
    /// Its arguments.
    pub arguments: Vec<String>,
    /// The exit status that is a pass.
    pub expected_status: u8,
    /// How it ended.
    pub ended: Ended,
    /// How many bytes it wrote to its standard output.
    pub stdout_bytes: u64,
    /// How many bytes it wrote to its standard error.
    pub stderr_bytes: u64,
    /// The last lines of its standard output.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stdout_tail: String,
    /// The last lines of its standard error.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stderr_tail: String,
    /// How many processes it left running, which were then killed.
    #[serde(default)]
    pub left_running: u32,
    /// Files that came back to the host, by their paths below the directory for them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub out: Vec<String>,
    /// Files that did not come back, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub out_refused: Vec<String>,
    /// What its processes asked the kernel's BPF subsystem, if it was watched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watched: Option<Watched>,
    /// Wall time in microseconds, in the guest.
    #[serde(default)]
    pub micros: u64,
}

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub enum Ended {
    /// It ended by itself.
    Exited {
        /// Its exit status.
        status: u8,
    },
    /// A signal killed it.
    Signaled {
        /// The signal's number.
        signal: i32,
    },
    /// It ran until its time was up, and was killed with everything that it had started.
    TimedOut {
        /// Its time, in seconds.
        seconds: u64,
    },
    /// The kernel did not start it.
    NotStarted {
        /// The positive errno.
        errno: i32,
        /// What was tried, and the kernel's answer.
        why: String,
    },
}

impl Default for Ended {
    fn default() -> Self {
        Self::Exited { status: 0 }
    }
}

/// The name of a signal, as `kill -l` has it with `SIG` before it.
pub fn signal_name(number: i32) -> String {
    const NAMES: &[&str] = &[
        "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2",
        "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG",
        "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
    ];
    let index = usize::try_from(number).ok().and_then(|n| n.checked_sub(1));
    match index.and_then(|n| NAMES.get(n)) {
        Some(name) => format!("SIG{name}"),
        None => format!("signal {number}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{Command, CommandFile, Content, signal_name};

    #[test]
    fn files_of_the_same_bytes_travel_once() {
        let file = |path: &str, digest: &str| CommandFile {
            path: path.into(),
            content: Content::Bytes {
                sha256: digest.into(),
                size: 1,
                mode: 0o755,
                source: path.into(),
            },
        };
        let command = Command {
            files: vec![
                file("/b", "2"),
                file("/a", "1"),
                CommandFile {
                    path: "/l".into(),
                    content: Content::Link {
                        target: "/a".into(),
                    },
                },
                file("/c", "2"),
            ],
            ..Command::default()
        };
        assert_eq!(command.contents(), [("2", 1), ("1", 1)]);
    }

    #[test]
    fn signals_have_names() {
        assert_eq!(signal_name(9), "SIGKILL");
        assert_eq!(signal_name(11), "SIGSEGV");
        assert_eq!(signal_name(31), "SIGSYS");
        assert_eq!(signal_name(40), "signal 40");
        assert_eq!(signal_name(-1), "signal -1");
    }
}
