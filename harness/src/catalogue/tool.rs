//! Unpacks programs for guests from their packages. Today that is only a shell.

use ukci_schema::cell::Arch;

use super::error::Error;
use super::fetch::Fetcher;
use super::{Catalogue, Progress, package};

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
        let fetcher = Fetcher::new(&self.store, &self.mirrors);
        let (path, _) = fetcher.fetch(&tool.package, &tool.provenance.date, progress)?;
        let mut found = None;
        package::walk(&path, &mut |file, size, from| {
            if file.rsplit('/').next() == Some(name) && file.contains("bin/") {
                found = Some(package::read_file(&path, file, size, from)?);
            }
            Ok(())
        })?;
        found.ok_or_else(|| Error::Package {
            path,
            reason: format!("it holds no program `{name}`"),
        })
    }
}
