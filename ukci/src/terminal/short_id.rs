//! Shortens the ids of cells by the axes that have one value in the whole run.

use std::collections::BTreeSet;

use ukci_schema::cell::{Arch, Cell};

/// Which axes tell the cells of a run apart.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ShortIds {
    arches: bool,
    llvms: bool,
}

impl ShortIds {
    /// For a run of these cells.
    pub(crate) fn of<'a>(cells: impl Iterator<Item = &'a Cell>) -> Self {
        let (mut arches, mut llvms) = (BTreeSet::<Arch>::new(), BTreeSet::new());
        for cell in cells {
            arches.insert(cell.arch);
            llvms.insert(cell.llvm.clone());
        }
        Self {
            arches: arches.len() > 1,
            llvms: llvms.len() > 1,
        }
    }

    /// `ringbuf/debian-12-6.1`, with the architecture and the LLVM where the run has several.
    pub(crate) fn id(self, cell: &Cell) -> String {
        let mut id = format!("{}/{}", cell.artifact, cell.kernel);
        if self.arches {
            id.push_str(&format!("/{}", cell.arch));
        }
        if let Some(llvm) = cell.llvm.as_ref().filter(|_| self.llvms) {
            id.push_str(&format!("/llvm-{llvm}"));
        }
        if let Some(btf) = &cell.btf {
            id.push_str(&format!("/btf-{btf}"));
        }
        id
    }
}
