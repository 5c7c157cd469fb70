//! `.deb`: an `ar` archive with `data.tar` in it.

use std::io::Read;
use std::path::Path;

use super::files::{self, Ends};
use super::{Visit, decompressor, malformed, refused};
use crate::catalogue::Error;

pub(super) fn walk(path: &Path, file: impl Read, each: &mut Visit<'_>) -> Result<(), Error> {
    let mut archive = ar::Archive::new(file);
    while let Some(member) = archive.next_entry() {
        let member = member.map_err(|error| malformed(path, &error))?;
        let name = String::from_utf8_lossy(member.header().identifier()).into_owned();
        let Some(compression) = name.trim_end_matches('/').strip_prefix("data.tar") else {
            continue;
        };
        let stream = decompressor(compression, member)
            .map_err(|error| malformed(path, &error))?
            .ok_or_else(|| refused(path, format!("unknown compression of `{name}`")))?;
        return files::walk_tar(path, stream, Ends::Once, each);
    }
    Err(refused(path, "it holds no `data.tar`".to_owned()))
}
