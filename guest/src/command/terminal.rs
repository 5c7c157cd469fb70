//! The terminal of a command: a pseudoterminal, of which the command has one end and the agent the
//! other.

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{Gid, Mode, Uid, fchmod, fchown};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{SpecialCodeIndex, Winsize, tcgetattr, tcsetwinsize};
use ukci_schema::command::{User, WindowSize};

/// The group `tty`, as in the guest's `/etc/group`.
const TTY: u32 = 5;

/// The agent's end.
pub(super) struct Terminal(OwnedFd);

impl Terminal {
    /// A new one, whose other end belongs to this user.
    pub(super) fn open(window: WindowSize, user: Option<User>) -> io::Result<(Self, OwnedFd)> {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let ours = openpt(flags)?;
        unlockpt(&ours)?;
        let theirs = ioctl_tiocgptpeer(&ours, flags)?;
        let owner = user.map_or(0, |user| user.uid);
        fchown(
            &theirs,
            Some(Uid::from_raw(owner)),
            Some(Gid::from_raw(TTY)),
        )?;
        fchmod(&theirs, Mode::from_raw_mode(0o620))?;
        let terminal = Self(ours);
        terminal.resize(window);
        Ok((terminal, theirs))
    }

    /// Gives the window another size, which the kernel tells the command.
    pub(super) fn resize(&self, window: WindowSize) {
        let size = Winsize {
            ws_col: window.columns,
            ws_row: window.rows,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        // A pseudoterminal takes every size.
        let _ = tcsetwinsize(&self.0, size);
    }

    /// Another descriptor of the agent's end.
    pub(super) fn duplicate(&self) -> io::Result<OwnedFd> {
        self.0.try_clone()
    }

    /// What a person types to end the input.
    pub(super) fn end_of_input(&self) -> u8 {
        const CTRL_D: u8 = 4;
        tcgetattr(&self.0).map_or(CTRL_D, |settings| {
            settings.special_codes[SpecialCodeIndex::VEOF]
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read, Write};

    use rustix::termios::tcgetwinsize;
    use ukci_schema::command::WindowSize;

    use super::Terminal;

    #[test]
    fn both_ends_see_the_same_bytes_and_the_same_size() {
        let size = WindowSize {
            columns: 93,
            rows: 31,
        };
        let (terminal, theirs) = Terminal::open(size, None).unwrap();
        let seen = |theirs: &File| {
            let size = tcgetwinsize(theirs).unwrap();
            (size.ws_col, size.ws_row)
        };
        let mut theirs = File::from(theirs);
        assert_eq!(seen(&theirs), (93, 31));
        terminal.resize(WindowSize {
            columns: 10,
            rows: 5,
        });
        assert_eq!(seen(&theirs), (10, 5));
        let mut ours = File::from(terminal.duplicate().unwrap());
        ours.write_all(b"typed\n").unwrap();
        ours.write_all(&[terminal.end_of_input()]).unwrap();
        let mut typed = String::new();
        theirs.read_to_string(&mut typed).unwrap();
        assert_eq!(typed, "typed\n");
        theirs.write_all(b"shown\n").unwrap();
        drop(theirs);
        let mut shown = [0; 64];
        let mut length = 0;
        // The end of a terminal is an error (EIO).
        while let Ok(read @ 1..) = ours.read(&mut shown[length..]) {
            length += read;
        }
        let shown = String::from_utf8_lossy(&shown[..length]);
        assert!(shown.ends_with("shown\r\n"), "{shown:?}");
    }
}
