//! Programs for guests, out of their packages: a shell, for now.

use ukci_schema::cell::Arch;
use ukci_schema::lock::{LockedTool, Package, Provenance};

use super::error::Error;
use super::fetch::Fetcher;
use super::index::{self, Index, Suite};
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

    /// The program as the signed index of its suite has it now. Nothing of it is fetched. Blocking.
    pub fn pin_tool(&self, tool: &LockedTool) -> Result<LockedTool, Error> {
        let suite = Suite {
            archive: &tool.package.archive,
            name: &tool.provenance.suite,
            arch: tool.arch.debian(),
            wanted: &tool.package.name,
        };
        let index = index::open(suite, &self.mirrors, &self.keyrings)?;
        newest(tool, &index).ok_or_else(|| Error::Inconsistent {
            suite: suite.name.to_owned(),
            reason: format!("it names no `{}`", tool.package.name),
        })
    }
}

/// What the index has of the program's package.
fn newest(tool: &LockedTool, index: &Index) -> Option<LockedTool> {
    let mut packages = index.packages.iter();
    let listed = packages.find(|listed| listed.name == tool.package.name)?;
    let suite = &tool.provenance.suite;
    Some(LockedTool {
        package: Package {
            version: listed.version.clone(),
            path: listed.path.clone(),
            size: listed.size,
            sha256: listed.sha256.clone(),
            ..tool.package.clone()
        },
        provenance: Provenance {
            source: "index-signed".to_owned(),
            date: index.date.clone(),
            inrelease: [(suite.clone(), index.inrelease.clone())].into(),
            suite: suite.clone(),
        },
        ..tool.clone()
    })
}

#[cfg(test)]
mod tests {
    use ukci_schema::lock::Lock;

    use super::super::index::Listed;
    use super::*;

    #[test]
    fn every_architecture_has_a_shell_and_it_is_renewed_by_its_name() {
        let lock: Lock = serde_json::from_str(crate::resolve::LOCK).unwrap();
        let listed = |name: &str| Listed {
            name: name.into(),
            version: "2:9".into(),
            path: format!("pool/{name}.deb"),
            size: 9,
            sha256: "99".into(),
        };
        let index = Index {
            packages: ["busybox", "busybox-static"].map(listed).into(),
            date: "2030-01-01".into(),
            inrelease: "11".into(),
        };
        for arch in Arch::ALL {
            let tool = lock.tool("busybox", arch).unwrap();
            let newer = newest(tool, &index).unwrap();
            assert_eq!((&*newer.name, newer.arch), ("busybox", arch));
            assert_eq!(newer.package.path, "pool/busybox-static.deb");
            assert_eq!(newer.provenance.date, "2030-01-01");
        }
    }
}
