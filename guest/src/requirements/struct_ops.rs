//! Finds the programs that an object puts into its `struct_ops` maps.

use std::collections::{BTreeMap, BTreeSet};

use object::read::elf::ElfSymbol64;
use object::{Endianness, Object, ObjectSection, ObjectSymbol, RelocationTarget};

use super::Elf;

/// A variable of a `.struct_ops` section is a map; the functions that relocations put into it are
/// its programs. A variable without relocations is a map too: the kernel registers it all the same.
pub(super) fn programs_by_map(elf: &Elf<'_>) -> BTreeMap<String, BTreeSet<String>> {
    let mut maps: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for section in elf.sections() {
        let name = section.name().unwrap_or_default().trim_start_matches('?');
        if name != ".struct_ops" && name != ".struct_ops.link" {
            continue;
        }
        let variables: Vec<_> = elf
            .symbols()
            .filter(|symbol| symbol.section_index() == Some(section.index()) && symbol.size() > 0)
            .collect();
        for name in variables.iter().filter_map(|symbol| symbol.name().ok()) {
            maps.entry(name.to_owned()).or_default();
        }
        for (offset, relocation) in section.relocations() {
            let RelocationTarget::Symbol(index) = relocation.target() else {
                continue;
            };
            let Ok(function) = elf.symbol_by_index(index) else {
                continue;
            };
            let within = |symbol: &&ElfSymbol64<'_, '_, Endianness>| {
                offset
                    .checked_sub(symbol.address())
                    .is_some_and(|into| into < symbol.size())
            };
            let Some(map) = variables.iter().find(within) else {
                continue;
            };
            if let (Ok(map), Ok(function)) = (map.name(), function.name()) {
                maps.entry(map.to_owned())
                    .or_default()
                    .insert(function.to_owned());
            }
        }
    }
    maps
}
