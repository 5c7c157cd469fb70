//! `CHANGES.md` beside the lock: what each update changed, for people who ask since when a matrix
//! runs on another kernel.

use std::path::Path;

use crate::atomic_file;
use crate::diagnostic::{Action, Failure};
use crate::lock_file;

/// Its name.
pub(super) const FILE: &str = "CHANGES.md";

const TITLE: &str = "# Changes of the pinned kernels\n";

/// Adds the changes of this day, the newest day first.
pub(super) fn add(path: &Path, changes: &[String]) -> Result<(), Failure> {
    if changes.is_empty() {
        return Ok(());
    }
    let old = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => TITLE.to_owned(),
        Err(error) => return Err(Failure::failed_to(Action::on("read", path), &error)),
    };
    atomic_file::write(path, &with(&old, &lock_file::today(), changes))
}

fn with(old: &str, day: &str, changes: &[String]) -> String {
    let mut lines = String::new();
    for change in changes {
        lines.push_str(&format!("- {change}\n"));
    }
    let body = old
        .strip_prefix(TITLE)
        .unwrap_or(old)
        .trim_start_matches('\n');
    let heading = format!("## {day}\n\n");
    let (of_day, rest) = match body.strip_prefix(&heading) {
        Some(body) => body.split_at(body.find("\n## ").map_or(body.len(), |at| at + 1)),
        None => ("", body),
    };
    let of_day = of_day.trim_end_matches('\n');
    let of_day = if of_day.is_empty() {
        String::new()
    } else {
        format!("{of_day}\n")
    };
    let rest = if rest.is_empty() {
        String::new()
    } else {
        format!("\n{rest}")
    };
    format!("{TITLE}\n{heading}{of_day}{lines}{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_day_comes_first_and_a_day_has_one_heading() {
        let one = with(TITLE, "2026-11-27", &["a".to_owned()]);
        let two = with(&one, "2026-11-28", &["b".to_owned()]);
        let three = with(&two, "2026-11-28", &["c".to_owned()]);
        assert_eq!(
            three,
            "# Changes of the pinned kernels\n\n## 2026-11-28\n\n- b\n- c\n\n## 2026-11-27\n\n- a\n"
        );
    }
}
