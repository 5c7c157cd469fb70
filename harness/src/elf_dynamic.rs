//! Reads what an ELF program or library says of the libraries that it needs. Bytes go in, and names and
//! search paths come out; nothing is looked for.

use std::path::PathBuf;

use object::Endianness;
use object::elf::{self, FileHeader64};
use object::read::elf::{Dyn, FileHeader, ProgramHeader};

/// What a dynamic section says.
#[derive(Debug, Default)]
pub(crate) struct Dynamic {
    pub(crate) interpreter: Option<PathBuf>,
    pub(crate) needed: Vec<String>,
    /// The name by which others need it.
    pub(crate) soname: Option<String>,
    pub(crate) rpath: Vec<String>,
    pub(crate) runpath: Vec<String>,
}

impl Dynamic {
    /// Of a file that is not a well-formed ELF file, or has no such section: nothing.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self::read(bytes).unwrap_or_default()
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let header = FileHeader64::<Endianness>::parse(bytes).ok()?;
        let endian = header.endian().ok()?;
        let segments = header.program_headers(endian, bytes).ok()?;
        let mut dynamic = Self::default();
        for segment in segments {
            if let Ok(Some(path)) = segment.interpreter(endian, bytes) {
                dynamic.interpreter = Some(PathBuf::from(std::str::from_utf8(path).ok()?));
            }
        }
        let table = segments
            .iter()
            .find_map(|segment| segment.dynamic(endian, bytes).ok().flatten());
        let Some(table) = table else {
            return Some(dynamic);
        };
        let value = |wanted| {
            let entry = table.iter().find(|entry| entry.tag(endian) == wanted);
            entry.map(|entry| entry.val(endian))
        };
        let strings = value(elf::DT_STRTAB)?;
        // The address of the table is one of the running program.
        let offset = segments.iter().find_map(|segment| {
            let start = segment.p_vaddr(endian);
            let inside = segment.p_type(endian) == elf::PT_LOAD
                && strings >= start
                && strings < start.checked_add(segment.p_filesz(endian))?;
            inside.then(|| segment.p_offset(endian).checked_add(strings - start))?
        })?;
        let text = |at: u64| {
            let from = usize::try_from(offset.checked_add(at)?).ok()?;
            let rest = bytes.get(from..)?;
            let end = rest.iter().position(|byte| *byte == 0)?;
            std::str::from_utf8(&rest[..end]).ok().map(str::to_owned)
        };
        let dirs = |text: String| -> Vec<String> {
            let dirs = text.split(':').filter(|dir| !dir.is_empty());
            dirs.map(str::to_owned).collect()
        };
        for entry in table {
            match entry.tag(endian) {
                elf::DT_NEEDED => dynamic.needed.push(text(entry.val(endian))?),
                elf::DT_SONAME => dynamic.soname = Some(text(entry.val(endian))?),
                elf::DT_RPATH => dynamic.rpath = dirs(text(entry.val(endian))?),
                elf::DT_RUNPATH => dynamic.runpath = dirs(text(entry.val(endian))?),
                _ => {}
            }
        }
        Some(dynamic)
    }
}
