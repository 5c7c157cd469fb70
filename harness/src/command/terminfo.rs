//! Finds the description of a kind of terminal, which programs that draw on the screen read.

use std::path::PathBuf;

/// Where ncurses looks, in its order.
const DIRS: &[&str] = &["/etc/terminfo", "/lib/terminfo", "/usr/share/terminfo"];

/// The file that describes the terminal of this name, if this host has one.
pub(super) fn find(term: &str) -> Option<PathBuf> {
    let first = term.chars().next()?;
    if term.contains('/') || first == '.' {
        return None;
    }
    let mut paths = DIRS.iter().map(|dir| {
        let mut path = PathBuf::from(dir);
        path.extend([&*first.to_string(), term]);
        path
    });
    paths.find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::find;

    #[test]
    fn only_a_plain_name_is_looked_up() {
        for term in ["", "/etc/passwd", "../x", "no-such-terminal"] {
            assert_eq!(find(term), None, "{term}");
        }
        if let Some(path) = find("xterm") {
            assert!(path.ends_with("x/xterm"), "{}", path.display());
        }
    }
}
