//! Follows the links of a root file system, without leaving it.

use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

/// Links that are followed for one path: the kernel's own limit.
const MAX_LINKS: usize = 40;

/// A path from the root, without links, except for the last part unless `wholly`. `link` has where a
/// path points if it is a link. None if there are too many links.
pub(super) fn follow(
    name: &Path,
    wholly: bool,
    link: impl Fn(&Path) -> Option<PathBuf>,
) -> Option<PathBuf> {
    let mut left: Vec<PathBuf> = parts(name);
    let mut done = PathBuf::new();
    let mut links = 0;
    while let Some(part) = left.pop() {
        if part == Path::new("..") {
            done.pop();
            continue;
        }
        let next = done.join(&part);
        let is_kept = left.is_empty() && !wholly;
        match link(&next) {
            Some(target) if !is_kept => {
                links += 1;
                if links > MAX_LINKS {
                    return None;
                }
                if target.is_absolute() {
                    done.clear();
                }
                left.extend(parts(&target));
            }
            _ => done = next,
        }
    }
    Some(done)
}

/// The parts of a path, the first one last. A leading `/` is none.
fn parts(path: &Path) -> Vec<PathBuf> {
    let parts = path.components().rev().filter_map(|part| match part {
        Component::Normal(part) => Some(part),
        Component::ParentDir => Some(OsStr::new("..")),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    });
    parts.map(PathBuf::from).collect()
}
