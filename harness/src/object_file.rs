//! Reads what an object file declares, from ELF and BTF: its programs, maps and variables.
//!
//! Bytes come in, names and shapes go out. Nothing here asks a kernel. A file that is not a BPF
//! object gives an empty result, because refusing it is the guest's task.

mod btf;
mod kernel_btf;
mod needs;
mod value_types;

use std::collections::BTreeSet;

use object::read::elf::{ElfFile64, ElfSymbol64};
use object::{Endianness, Object, ObjectSection, ObjectSymbol, SectionKind, SymbolKind};
use ukci_matrix::manifest::{
    ObjectFacts, ObjectNames, ProgramNames, RodataVariable, program_type_of,
};

use btf::Btf;
pub(crate) use kernel_btf::kernel_btf;
pub use needs::{Need, needs};
pub use value_types::value_types;

/// The names in an object; none if it is not ELF.
pub fn names(bytes: &[u8]) -> Option<ObjectNames> {
    facts(bytes).map(|facts| facts.names)
}

/// All that is known of an object; none if it is not ELF.
pub fn facts(bytes: &[u8]) -> Option<ObjectFacts> {
    let elf = ElfFile64::<Endianness>::parse(bytes).ok()?;
    let mut facts = ObjectFacts::default();
    for symbol in elf.symbols() {
        let Ok(name) = symbol.name() else { continue };
        if name.is_empty() {
            continue;
        }
        if symbol.is_undefined() {
            if name.starts_with("CONFIG_") {
                facts.names.kconfig.insert(name.to_owned());
            }
            continue;
        }
        let section = symbol.section_index();
        let section = section.and_then(|index| elf.section_by_index(index).ok());
        let Some(section) = section else { continue };
        let Ok(section_name) = section.name() else {
            continue;
        };
        if symbol.kind() == SymbolKind::Text && section.kind() == SectionKind::Text {
            // Functions in `.text` are called by programs.
            if section_name != ".text" {
                let program = ProgramNames {
                    section: section_name.to_owned(),
                    program_type: program_type_of(section_name).map(|kind| kind.name().to_owned()),
                };
                facts.names.programs.insert(name.to_owned(), program);
                let code = section.data().unwrap_or_default();
                let helpers = helpers(code, symbol.address(), symbol.size());
                facts.helpers.insert(name.to_owned(), helpers);
            }
        } else if section_name == ".maps" || section_name == "maps" {
            if symbol.kind() == SymbolKind::Data {
                facts.names.maps.insert(name.to_owned(), None);
            }
        } else if section_name.starts_with(".rodata") && symbol.kind() == SymbolKind::Data {
            facts.names.rodata.insert(name.to_owned());
        }
    }
    let btf = elf.section_by_name(".BTF").and_then(|s| s.data().ok());
    if let Some(btf) = btf.and_then(Btf::parse) {
        facts.maps = btf.maps();
        for (name, shape) in &facts.maps {
            if let Some(known) = facts.names.maps.get_mut(name) {
                *known = shape.map_type.map(|named| named.name().to_owned());
            }
        }
    }
    Some(facts)
}

/// The variables of its read-only data, with the bytes that they have in the object; empty if it is
/// not ELF.
pub fn rodata(bytes: &[u8]) -> Vec<RodataVariable> {
    let Ok(elf) = ElfFile64::<Endianness>::parse(bytes) else {
        return Vec::new();
    };
    let variable = |symbol: ElfSymbol64<'_, '_, Endianness>| {
        let section = elf.section_by_index(symbol.section_index()?).ok()?;
        let name = section.name().ok()?;
        let is_variable = name.starts_with(".rodata") && symbol.kind() == SymbolKind::Data;
        let offset = usize::try_from(symbol.address()).ok()?;
        let end = offset.checked_add(usize::try_from(symbol.size()).ok()?)?;
        let bytes = section.data().ok()?.get(offset..end)?;
        (is_variable && !bytes.is_empty()).then(|| RodataVariable {
            name: symbol.name().unwrap_or_default().to_owned(),
            section: name.to_owned(),
            offset,
            bytes: bytes.to_owned(),
        })
    };
    elf.symbols().filter_map(variable).collect()
}

/// The helpers that a function calls: `BPF_CALL` with a zero source register.
fn helpers(code: &[u8], start: u64, size: u64) -> BTreeSet<u32> {
    let start = usize::try_from(start).unwrap_or(usize::MAX);
    let end = usize::try_from(size)
        .unwrap_or(usize::MAX)
        .saturating_add(start);
    let code = code.get(start..end.min(code.len())).unwrap_or_default();
    let called = code.chunks_exact(8).filter_map(|insn| match insn {
        [0x85, registers, _, _, a, b, c, d] if registers >> 4 == 0 => {
            Some(u32::from_le_bytes([*a, *b, *c, *d]))
        }
        _ => None,
    });
    called.filter(|id| *id != 0 && *id < 1 << 16).collect()
}

/// Whether libbpf finds BTF in a file: it is BTF, in either byte order, or an ELF file with a section
/// of it.
pub(crate) fn has_btf(bytes: &[u8]) -> bool {
    let raw = bytes.starts_with(b"\x9f\xeb") || bytes.starts_with(b"\xeb\x9f");
    raw || ElfFile64::<Endianness>::parse(bytes)
        .is_ok_and(|elf| elf.section_by_name(".BTF").is_some())
}
