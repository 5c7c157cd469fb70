//! Runs as PID 1 of the machine that a person explores with `ukci shell`.
//!
//! The input is the artifact in `/cell` of the initramfs, and busybox. The output is a shell on the
//! console. It does not connect to the host, and sends nothing.

mod place;

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use rustix::termios::{Winsize, tcsetwinsize};
use ukci_guest::child;
use ukci_guest::kernel_files::KernelFiles;
use ukci_schema::message::Request;
use ukci_schema::shell::{self, CELL, COMMAND, DONE, FILES, NETWORK, REQUEST};

use self::place::Place;
use crate::init::{self, Transport};
use crate::{network, system};

/// What the kernel arguments ask for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Shell {
    size: Winsize,
    term: String,
}

impl Shell {
    /// `ukci.shell=COLUMNSxROWS,TERM`, as the host writes it.
    pub(crate) fn of(cmdline: &str) -> Option<Self> {
        let mut words = cmdline.split_ascii_whitespace();
        let value = words.find_map(|word| word.strip_prefix("ukci.shell="))?;
        let (of_window, term) = value.split_once(',').unwrap_or((value, "dumb"));
        Some(Self {
            size: size(of_window).unwrap_or(Winsize {
                ws_col: 80,
                ws_row: 24,
                ws_xpixel: 0,
                ws_ypixel: 0,
            }),
            term: term.to_owned(),
        })
    }

    /// From here to the end of the shell, or of the command that the host put beside the request.
    pub(crate) fn run(&self) -> Result<(), String> {
        let cell = Cell::read()?;
        let request = &cell.request;
        system::set_clock(request.time);
        system::add_entropy(KernelFiles::open().random.as_ref(), &request.entropy);
        let place = Place::enter()?;
        if Path::new(NETWORK).exists() {
            network::loopback_up();
            let _ = network::load_driver();
            network::user_network_up()?;
        }
        let device = console()?;
        let tty = open(&device)?;
        // Not every console keeps a size; the shell then takes 80 by 24.
        let _ = tcsetwinsize(&tty, self.size);
        let command = fs::read_to_string(COMMAND).ok();
        if command.is_none() {
            let _ = (&tty).write_all(welcome(&request.name).as_bytes());
        }
        follow_size(&tty);
        let ended = self.shell(&tty, &place, command.as_deref());
        let ended = ended.map_err(|error| format!("run the shell: {error}"))?;
        // The end of the session hung up what was open of the terminal.
        let tty = open(&device)?;
        let _ = writeln!(&tty, "{DONE}{}", status(ended));
        // What is in the device's buffer would be lost with its power.
        let _ = rustix::termios::tcdrain(&tty);
        Ok(())
    }

    fn shell(&self, tty: &File, place: &Place, text: Option<&str>) -> io::Result<ExitStatus> {
        // A shell of its own session that controls the terminal, so that Ctrl-C reaches its jobs.
        let mut command = Command::new(&place.busybox);
        command.args(["setsid", "-c"]).args(&place.shell);
        if let Some(text) = text {
            command.args(["-c", text]);
        }
        command
            .current_dir(CELL)
            .env_clear()
            .env("PATH", &place.path)
            .env("HOME", place.home)
            .env("TERM", &self.term)
            .env("PS1", "\\w # ")
            .stdin(Stdio::from(tty.try_clone()?))
            .stdout(Stdio::from(tty.try_clone()?))
            .stderr(Stdio::from(tty.try_clone()?))
            .status()
    }
}

/// The status of an end as a shell tells it: that of the command, or 128 and the number of the signal that
/// killed it.
fn status(ended: ExitStatus) -> i32 {
    let killed = ended.signal().map(|signal| 128 + signal);
    ended.code().or(killed).unwrap_or(255)
}

/// Gives the terminal each size that the host tells, which sends SIGWINCH to what runs in it.
fn follow_size(tty: &File) {
    let Ok(tty) = tty.try_clone() else { return };
    let _ = init::load_modules(Transport::Serial);
    std::thread::spawn(move || {
        // A terminal that keeps its first size is still a terminal.
        let Ok(host) = init::dial(Transport::Serial) else {
            return;
        };
        let lines = BufReader::new(host).lines();
        for size in lines.map_while(Result::ok).filter_map(|line| size(&line)) {
            let _ = tcsetwinsize(&tty, size);
        }
    });
}

/// `COLUMNSxROWS`.
fn size(text: &str) -> Option<Winsize> {
    let (columns, rows) = text.split_once('x')?;
    Some(Winsize {
        ws_col: columns.parse().ok()?,
        ws_row: rows.parse().ok()?,
        ws_xpixel: 0,
        ws_ypixel: 0,
    })
}

/// What the host laid below [`CELL`].
pub(crate) struct Cell {
    pub(crate) request: Request,
    pub(crate) object: Vec<u8>,
    /// The files of the request's contract, in its order.
    pub(crate) files: Vec<Vec<u8>>,
}

impl Cell {
    pub(crate) fn read() -> Result<Self, String> {
        let read = |path: &str| fs::read(path).map_err(|error| format!("read {path}: {error}"));
        let request: Request = serde_json::from_slice(&read(REQUEST)?)
            .map_err(|error| format!("read {REQUEST}: {error}"))?;
        let object = read(&shell::object(&request.name))?;
        let files = 0..request.contract.files.len();
        let files = files.map(|n| read(&format!("{FILES}/{n}")));
        Ok(Self {
            files: files.collect::<Result<_, _>>()?,
            request,
            object,
        })
    }
}

fn welcome(name: &str) -> String {
    let kernel = rustix::system::uname();
    format!(
        "\n{} {}: the object is {}\n\
         `ukci-guest check` does to it what the cell did, `dmesg` has what the kernel says,\n\
         Ctrl-D ends the machine, Ctrl-A X kills it.\n\n",
        kernel.sysname().to_string_lossy(),
        kernel.release().to_string_lossy(),
        shell::object(name),
    )
}

/// Tells the person why there is no shell. The console shows nothing of the kernel's log.
pub(crate) fn complain(message: &str) {
    let line = format!("ukci-guest: {message}");
    let tty = console().and_then(|device| open(&device));
    if tty.is_ok_and(|mut tty| writeln!(tty, "{line}").is_ok()) {
        return;
    }
    child::console(&line);
}

fn open(device: &str) -> Result<File, String> {
    let tty = File::options().read(true).write(true).open(device);
    tty.map_err(|error| format!("open {device}: {error}"))
}

/// The device of the console: `/dev/console` cannot control a session.
fn console() -> Result<String, String> {
    let active = "/sys/class/tty/console/active";
    let names = fs::read_to_string(active).map_err(|error| format!("read {active}: {error}"))?;
    let last = names.split_ascii_whitespace().last();
    last.map(|name| format!("/dev/{name}"))
        .ok_or_else(|| format!("{active} names no console"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    use super::{Shell, status};

    #[test]
    fn a_shell_that_was_killed_ends_as_shells_tell_it() {
        assert_eq!(status(ExitStatus::from_raw(7 << 8)), 7);
        assert_eq!(status(ExitStatus::from_raw(9)), 137);
        // One that dumped its core.
        assert_eq!(status(ExitStatus::from_raw(0x0b | 0x80)), 139);
    }

    #[test]
    fn size_and_terminal_are_a_kernel_argument() {
        assert_eq!(Shell::of("quiet ukci.transport=vsock"), None);
        let shell = Shell::of("quiet ukci.shell=132x50,xterm-256color").unwrap();
        assert_eq!((shell.size.ws_col, shell.size.ws_row), (132, 50));
        assert_eq!(shell.term, "xterm-256color");
        assert_eq!(super::size("132x50x"), None);
        let shell = Shell::of("ukci.shell=x,").unwrap();
        assert_eq!((shell.size.ws_col, shell.size.ws_row), (80, 24));
    }
}
