//! Unpacks programs for guests from their packages, and keeps them unpacked. Today that is only a
//! shell.

use std::fs;
use std::path::PathBuf;

use ukci_schema::cell::Arch;

use super::error::Error;
use super::fetch::Fetcher;
use super::{Catalogue, Progress, checked_file, package};

impl Catalogue {
    /// The bytes of a locked program, fetched if need be. Blocking.
    pub fn tool(
        &self,
        name: &str,
        arch: Arch,
        progress: &(dyn Fn(Progress) + Sync),
    ) -> Result<Vec<u8>, Error> {
        let tool = self.lock.tool(name, arch).ok_or_else(|| Error::NoTool {
            name: name.to_owned(),
            arch,
        })?;
        let kept = self.store.program(name, &tool.package.sha256);
        if checked_file::is_whole(&kept)
            && let Ok(program) = fs::read(&kept)
        {
            return Ok(program);
        }
        let fetcher = Fetcher::new(&self.store, &self.mirrors);
        let (path, _) = fetcher.fetch(&tool.package, &tool.provenance.date, progress)?;
        let mut found = None;
        package::walk(&path, &mut |file, size, from| {
            if file.rsplit('/').next() == Some(name) && file.contains("bin/") {
                found = Some(package::read_file(&path, file, size, from)?);
            }
            Ok(())
        })?;
        let program = found.ok_or_else(|| Error::Package {
            path,
            reason: format!("it holds no program `{name}`"),
        })?;
        let written = fs::create_dir_all(kept.parent().unwrap_or(&kept))
            .and_then(|()| checked_file::write(&kept, &[&program]));
        if let Err(error) = written {
            // A cache that cannot be written may still have the package.
            tracing::debug!(path = %kept.display(), %error, "not kept");
        }
        Ok(program)
    }
    /// Where a program is that [`tool`](Self::tool) kept; `None` if the cache could not be written.
    pub(crate) fn kept_tool(&self, name: &str, arch: Arch) -> Option<PathBuf> {
        let tool = self.lock.tool(name, arch)?;
        let kept = self.store.program(name, &tool.package.sha256);
        checked_file::is_whole(&kept).then_some(kept)
    }
}
