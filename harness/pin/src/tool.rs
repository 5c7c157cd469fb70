//! The newest version of a program for guests, by the signed index of its suite.

use ukci_harness::catalogue::mirror::Mirrors;
use ukci_schema::lock::{LockedTool, Package, Provenance};

use crate::error::Error;
use crate::index::{self, Index, Suite};
use crate::keyring::Keyrings;
use crate::stream::SOURCE;

/// The program as the signed index of its suite has it now. Nothing of it is fetched. Blocking.
pub(crate) fn pin(
    tool: &LockedTool,
    mirrors: &Mirrors,
    keyrings: &Keyrings,
) -> Result<LockedTool, Error> {
    let suite = Suite {
        archive: &tool.package.archive,
        name: &tool.provenance.suite,
        arch: tool.arch.debian(),
        wanted: &tool.package.name,
    };
    let index = index::open(suite, mirrors, keyrings)?;
    newest(tool, &index).ok_or_else(|| Error::Inconsistent {
        suite: suite.name.to_owned(),
        reason: format!("it does not list `{}`", tool.package.name),
    })
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
            source: SOURCE.to_owned(),
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

    use super::*;
    use crate::index::Listed;
    use ukci_schema::cell::Arch;

    #[test]
    fn every_architecture_has_a_shell_and_it_is_renewed_by_its_name() {
        let lock: Lock = serde_json::from_str(ukci_harness::resolve::LOCK).unwrap();
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
