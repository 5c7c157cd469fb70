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
    let suite = |wanted| Suite {
        archive: &tool.package.archive,
        name: &tool.provenance.suite,
        arch: tool.arch.debian(),
        wanted,
    };
    let mut index = index::open(suite(&tool.package.name), mirrors, keyrings)?;
    for library in &tool.libraries {
        let of_it = index::open(suite(&library.name), mirrors, keyrings)?;
        if of_it.inrelease != index.inrelease {
            return Err(Error::Inconsistent {
                suite: tool.provenance.suite.clone(),
                reason: "it changed while it was read".to_owned(),
            });
        }
        index.packages.extend(of_it.packages);
    }
    newest(tool, &index).map_err(|missing| Error::Inconsistent {
        suite: tool.provenance.suite.clone(),
        reason: format!("it does not list `{missing}`"),
    })
}

/// What the index has of the program's packages, or the name of one that it lacks.
fn newest(tool: &LockedTool, index: &Index) -> Result<LockedTool, String> {
    let newest = |package: &Package| {
        let mut packages = index.packages.iter();
        let listed = packages.find(|listed| listed.name == package.name);
        let listed = listed.ok_or_else(|| package.name.clone())?;
        Ok(Package {
            version: listed.version.clone(),
            path: listed.path.clone(),
            size: listed.size,
            sha256: listed.sha256.clone(),
            ..package.clone()
        })
    };
    let suite = &tool.provenance.suite;
    Ok(LockedTool {
        package: newest(&tool.package)?,
        libraries: (tool.libraries.iter().map(newest)).collect::<Result<_, String>>()?,
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
    fn every_architecture_has_its_programs_and_they_are_renewed_by_name() {
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
            assert!(newer.libraries.is_empty());
            assert_eq!((&*newer.name, newer.arch), ("busybox", arch));
            assert_eq!(newer.package.path, "pool/busybox-static.deb");
            assert_eq!(newer.provenance.date, "2030-01-01");
            // The libraries of a program are renewed with it.
            let tool = lock.tool("bpftool", arch).unwrap();
            assert_eq!(newest(tool, &index), Err("bpftool".to_owned()));
            let names = (tool.libraries.iter()).map(|package| package.name.as_str());
            let index = Index {
                packages: names.chain(["bpftool"]).map(listed).collect(),
                date: "2030-01-01".into(),
                inrelease: "11".into(),
            };
            let newer = newest(tool, &index).unwrap();
            assert_eq!(newer.libraries.len(), tool.libraries.len());
            assert!(
                newer
                    .libraries
                    .iter()
                    .all(|package| package.version == "2:9")
            );
        }
    }
}
