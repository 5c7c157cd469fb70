//! Reads the first line of a script, which names the program that runs it.

use std::path::PathBuf;

/// What runs a script.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Interpreter {
    /// A shell of the name `sh`, which the guest has.
    Sh,
    /// A program by its path.
    Path(PathBuf),
    /// A program that `/usr/bin/env` finds by its name.
    Name(String),
}

/// The interpreter of a script; none of what is no script.
pub(super) fn interpreter(bytes: &[u8]) -> Option<Interpreter> {
    let line = bytes.strip_prefix(b"#!")?;
    // The kernel reads no more of it.
    let line = line.split(|byte| *byte == b'\n').next()?;
    let line = std::str::from_utf8(&line[..line.len().min(254)]).ok()?;
    let mut words = line.split_ascii_whitespace();
    let path = words.next()?;
    Some(match path {
        "/bin/sh" | "/usr/bin/sh" => Interpreter::Sh,
        "/usr/bin/env" | "/bin/env" => {
            let is_name = |word: &&str| !word.starts_with('-') && !word.contains('=');
            match words.find(is_name)? {
                "sh" => Interpreter::Sh,
                name => Interpreter::Name(name.to_owned()),
            }
        }
        path => Interpreter::Path(path.into()),
    })
}

#[cfg(test)]
mod tests {
    use super::{Interpreter, interpreter};

    #[test]
    fn the_first_line_names_the_interpreter() {
        let of = |text: &str| interpreter(text.as_bytes());
        assert_eq!(of("#!/bin/sh\necho"), Some(Interpreter::Sh));
        assert_eq!(of("#! /usr/bin/env sh"), Some(Interpreter::Sh));
        let python = Some(Interpreter::Name("python3".into()));
        assert_eq!(of("#!/usr/bin/env -S A=1 python3 -u\n"), python);
        let bash = Some(Interpreter::Path("/bin/bash".into()));
        assert_eq!(of("#!/bin/bash -e\n"), bash);
        assert_eq!(of("\u{7f}ELF"), None);
        assert_eq!(of("#!"), None);
    }
}
