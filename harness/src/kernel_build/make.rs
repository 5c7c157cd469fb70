//! Runs make, tells what it makes, and ends it with everything that it started.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use ukci_schema::cell::Arch;

use super::config::{self, Base};
use super::tools::Compiler;
use super::{Error, Progress};

/// All that make prints, beside the objects.
const LOG: &str = "ukci.log";

/// How often it is looked whether the build is to stop.
const LOOK: Duration = Duration::from_millis(100);

/// How long make may take to end after SIGTERM, with which it removes half-made files.
const END: Duration = Duration::from_secs(5);

/// The most lines that are kept to find the reason of a failure in.
const KEPT: usize = 200;

/// One build of one tree.
#[derive(Debug)]
pub(super) struct Make<'a> {
    pub(super) tree: &'a Path,
    pub(super) objects: &'a Path,
    pub(super) arch: Arch,
    pub(super) compiler: &'a Compiler,
    pub(super) jobs: usize,
    pub(super) stop: &'a AtomicBool,
}

impl Make<'_> {
    /// The version of the source, without what a configuration adds.
    pub(super) fn version(&self) -> Result<String, Error> {
        self.printed("kernelversion")
    }

    /// What `uname -r` will say.
    pub(super) fn release(&self) -> Result<String, Error> {
        self.printed("kernelrelease")
    }

    /// Makes `.config` of what was requested.
    pub(super) fn configure(&self, base: &Base, requested: &Path) -> Result<(), Error> {
        match base {
            Base::Bpf => {
                let all = format!("KCONFIG_ALLCONFIG={}", requested.display());
                self.run(&["allnoconfig", &all], &mut |_| {})
            }
            Base::File(_) => {
                let config = self.objects.join(".config");
                fs::copy(requested, &config).map_err(Error::on("write", &config))?;
                self.run(&["olddefconfig"], &mut |_| {})
            }
        }
    }

    /// Compiles the kernel. Returns the file that boots, and how many files were made.
    pub(super) fn kernel(
        &self,
        config: &str,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(PathBuf, u64), Error> {
        // A `vmlinux` need not be compressed, and is booted through PVH. Without its debugging
        // information it is as small as what is in a `bzImage`.
        let is_elf = self.arch == Arch::X86_64 && config::has(config, "CONFIG_PVH");
        let (target, file) = match self.arch {
            Arch::X86_64 if is_elf => ("vmlinux", "vmlinux"),
            Arch::X86_64 => ("bzImage", "arch/x86/boot/bzImage"),
            Arch::Aarch64 => ("Image", "arch/arm64/boot/Image"),
            Arch::Riscv64 => ("Image", "arch/riscv/boot/Image"),
        };
        let mut done = 0;
        self.run(&[target], &mut |line| {
            if let Some(file) = made(line) {
                done += 1;
                progress(Progress::Making {
                    file: file.to_owned(),
                    done,
                });
            }
        })?;
        let image = self.objects.join(file);
        if !is_elf {
            return Ok((image, done));
        }
        let stripped = self.objects.join("ukci.vmlinux");
        let mut strip = Command::new(self.compiler.program("objcopy"));
        strip.arg("--strip-debug").args([&image, &stripped]);
        let log = self.objects.join(LOG);
        let status = strip
            .status()
            .map_err(Error::on("run", Path::new("objcopy")))?;
        if !status.success() {
            return Err(Error::Make {
                target: target.to_owned(),
                said: format!("`objcopy` ended with {status}"),
                log,
            });
        }
        Ok((stripped, done))
    }

    /// A target that prints one line.
    fn printed(&self, target: &str) -> Result<String, Error> {
        let mut last = String::new();
        self.run(&["-s", target], &mut |line| {
            if !line.starts_with("make") {
                line.trim().clone_into(&mut last);
            }
        })?;
        Ok(last)
    }

    fn run(&self, arguments: &[&str], line: &mut dyn FnMut(&str)) -> Result<(), Error> {
        let mut command = Command::new("make");
        let arch = match self.arch {
            Arch::X86_64 => "x86",
            Arch::Aarch64 => "arm64",
            Arch::Riscv64 => "riscv",
        };
        // The same source, configuration and compiler make the same bytes.
        let same = [
            ("KBUILD_BUILD_TIMESTAMP", "Thu Jan  1 00:00:00 UTC 1970"),
            ("KBUILD_BUILD_USER", "ukci"),
            ("KBUILD_BUILD_HOST", "ukci"),
            ("KBUILD_BUILD_VERSION", "1"),
            // Also keeps a `+` from the release of a tree that git calls changed.
            ("LOCALVERSION", ""),
            ("LC_ALL", "C"),
        ];
        // make of make passes its own settings on in these.
        for variable in ["MAKEFLAGS", "MAKELEVEL", "MFLAGS", "KCONFIG_CONFIG"] {
            command.env_remove(variable);
        }
        command
            .envs(same)
            .env("ARCH", arch)
            .env("CROSS_COMPILE", self.compiler.prefix)
            .arg("-C")
            .arg(self.tree)
            .arg(format!("O={}", self.objects.display()))
            .arg(format!("-j{}", self.jobs))
            .args(arguments)
            .stdin(Stdio::null());
        let target = arguments.iter().find(|word| !word.starts_with('-'));
        let target = target.copied().unwrap_or_default();
        self.watched(command, target, line)
    }

    /// Runs a command in a process group of its own, and passes on each line that it prints.
    fn watched(
        &self,
        mut command: Command,
        target: &str,
        line: &mut dyn FnMut(&str),
    ) -> Result<(), Error> {
        let log_path = self.objects.join(LOG);
        let mut log = File::create(&log_path).map_err(Error::on("write", &log_path))?;
        command
            .process_group(0)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .map_err(Error::on("run", Path::new("make")))?;
        let (send, lines) = mpsc::sync_channel(1024);
        let streams: [Option<Box<dyn std::io::Read + Send>>; 2] = [
            child.stdout.take().map(|out| Box::new(out) as _),
            child.stderr.take().map(|err| Box::new(err) as _),
        ];
        for stream in streams.into_iter().flatten() {
            let send = send.clone();
            thread::spawn(move || {
                for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
                    let line = String::from_utf8_lossy(&line).into_owned();
                    if send.send(line).is_err() {
                        break;
                    }
                }
            });
        }
        drop(send);
        let mut kept = VecDeque::new();
        loop {
            if self.stop.load(Ordering::Relaxed) {
                end(child);
                return Err(Error::Stopped);
            }
            let text = match lines.recv_timeout(LOOK) {
                Ok(text) => text,
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => break,
            };
            writeln!(log, "{text}").map_err(Error::on("write", &log_path))?;
            line(&text);
            if kept.len() == KEPT {
                kept.pop_front();
            }
            kept.push_back(text);
        }
        let status = child.wait().map_err(Error::on("run", Path::new("make")))?;
        if status.success() {
            return Ok(());
        }
        let said = reason(&kept).map_or_else(|| format!("it ended with {status}"), str::to_owned);
        Err(Error::Make {
            target: format!("`{target}`"),
            said,
            log: log_path,
        })
    }
}

/// Ends make and all of its compilers.
fn end(mut child: Child) {
    let group = Pid::from_child(&child);
    // They may be gone already.
    let _ = kill_process_group(group, Signal::TERM);
    for _ in 0..END.as_millis() / LOOK.as_millis() {
        if let Ok(Some(_)) = child.try_wait() {
            break;
        }
        thread::sleep(LOOK);
    }
    let _ = kill_process_group(group, Signal::KILL);
    let _ = child.wait();
}

/// The file of a line such as `  CC      kernel/bpf/core.o`.
fn made(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("  ")?;
    let (verb, file) = rest.split_once(' ')?;
    let is_verb = !verb.is_empty()
        && verb
            .chars()
            .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
    let file = file.trim();
    let file = file.strip_prefix("[M]").unwrap_or(file).trim();
    (is_verb && !file.is_empty()).then_some(file)
}

/// The line that says why make failed: a compiler's error, else what is said before make gives up.
fn reason(lines: &VecDeque<String>) -> Option<&str> {
    let lines = || {
        lines
            .iter()
            .map(|line| line.trim())
            .filter(|line| !line.is_empty())
    };
    let is_error = |line: &&str| {
        let line = line.to_ascii_lowercase();
        [
            "error:",
            "no rule to make",
            "no space left",
            "not found",
            "failed:",
            "undefined reference",
        ]
        .iter()
        .any(|word| line.contains(word))
            && !line.starts_with("make")
    };
    lines()
        .find(is_error)
        .or_else(|| lines().find(|line| line.starts_with("make") && line.contains("***")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_that_make_makes_are_read_from_its_lines() {
        assert_eq!(
            made("  CC      kernel/bpf/core.o"),
            Some("kernel/bpf/core.o")
        );
        assert_eq!(made("  CC [M]  net/x.o"), Some("net/x.o"));
        assert_eq!(made("  BTFIDS  vmlinux"), Some("vmlinux"));
        for other in [
            "make[1]: Entering directory '/x'",
            "  in function",
            "",
            "  *** Error",
        ] {
            assert_eq!(made(other), None, "{other}");
        }
    }

    #[test]
    fn the_first_error_is_the_reason() {
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<VecDeque<_>>();
        let said = "  CC      kernel/bpf/core.o\n\
             ../kernel/bpf/core.c: In function 'x':\n\
             ../kernel/bpf/core.c:23:1: error: expected ';' before '}' token\n\
             make[4]: *** [../scripts/Makefile.build:250: kernel/bpf/core.o] Error 1\n\
             make: *** [Makefile:231: __sub-make] Error 2";
        assert_eq!(
            reason(&lines(said)),
            Some("../kernel/bpf/core.c:23:1: error: expected ';' before '}' token")
        );
        assert_eq!(
            reason(&lines("make: *** No rule to make target 'vmlinx'.  Stop.")),
            Some("make: *** No rule to make target 'vmlinx'.  Stop.")
        );
        assert_eq!(reason(&lines("  CC  a.o")), None);
    }
}
