//! Reads what an object needs from its ELF file, before anything is loaded: the helpers, kfuncs and
//! maps of each program, including those of its subprograms.
//!
//! The bytes may be anything. Nothing here panics on them: every offset is checked, and what cannot
//! be read is left out.

mod struct_ops;

use std::collections::{BTreeMap, BTreeSet};

use object::read::elf::{ElfFile64, FileHeader};
use object::{Endianness, Object, ObjectSection, ObjectSymbol, RelocationTarget, SymbolIndex};
use ukci_schema::evidence::{Extern, ObjectFacts};

/// What one program asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Helper ids.
    pub helpers: BTreeSet<u32>,
    /// Kernel functions.
    pub kfuncs: BTreeSet<String>,
    /// Maps, as libbpf names them; global data by its section.
    pub maps: BTreeSet<String>,
    /// Variables of the kernel or its configuration.
    pub externs: BTreeSet<String>,
}

/// What the whole object says of itself, and the needs of every function symbol.
#[derive(Clone, Debug, Default)]
pub struct Read {
    /// The object's facts.
    pub facts: ObjectFacts,
    /// Needs by function name.
    pub functions: BTreeMap<String, Needs>,
    /// The programs of each `struct_ops` map, by the map's name; `None` if every operation is null.
    pub struct_ops: BTreeMap<String, BTreeSet<String>>,
    /// Undefined global symbols and the offset of their `st_info`, to make them weak in a copy.
    pub strong_externs: Vec<(String, usize)>,
}

const CALL: u8 = 0x85;
const LD_IMM64: u8 = 0x18;
const PSEUDO_CALL: u8 = 1;
const PSEUDO_KFUNC: u8 = 2;
const PSEUDO_FUNC: u8 = 4;

type Elf<'a> = ElfFile64<'a, Endianness>;

/// Reads `bytes` as far as they make sense.
pub fn read(bytes: &[u8]) -> Read {
    let mut read = Read::default();
    let elf = match Elf::parse(bytes) {
        Ok(elf) => elf,
        Err(error) => {
            read.facts.malformed = Some(error.to_string());
            return read;
        }
    };
    let endian = elf.endian();
    let machine = elf.elf_header().e_machine(endian);
    if machine != object::elf::EM_BPF {
        read.facts.malformed = Some(format!("its ELF machine is {machine}, not BPF (247)"));
    } else if !elf.is_little_endian() {
        read.facts.malformed = Some("it is big-endian".into());
    }
    for section in elf.sections() {
        match section.name() {
            Ok("license") => {
                let data = section.data().unwrap_or_default();
                let end = data
                    .iter()
                    .position(|byte| *byte == 0)
                    .unwrap_or(data.len());
                read.facts.license = Some(String::from_utf8_lossy(&data[..end]).into_owned());
            }
            Ok(".BTF") => read.facts.has_btf = true,
            Ok(".BTF.ext") => read.facts.has_btf_ext = true,
            _ => {}
        }
    }
    let functions = functions(&elf);
    let mut relocations = Relocations::new();
    for function in &functions {
        let mut needs = Needs::default();
        let mut seen = BTreeSet::new();
        collect(
            &elf,
            &functions,
            function,
            &mut needs,
            &mut seen,
            &mut relocations,
        );
        read.functions.insert(function.name.clone(), needs);
    }
    read.struct_ops = struct_ops::programs_by_map(&elf);
    externs(&elf, bytes, &mut read);
    read
}

struct Function {
    name: String,
    section: object::SectionIndex,
    start: u64,
    end: u64,
}

fn functions(elf: &Elf<'_>) -> Vec<Function> {
    elf.symbols()
        .filter(|symbol| symbol.kind() == object::SymbolKind::Text && symbol.size() > 0)
        .filter_map(|symbol| {
            Some(Function {
                name: symbol.name().ok()?.to_owned(),
                section: symbol.section_index()?,
                start: symbol.address(),
                end: symbol.address().checked_add(symbol.size())?,
            })
        })
        .collect()
}

/// The function that holds `offset` of `section`.
fn at(functions: &[Function], section: object::SectionIndex, offset: u64) -> Option<&Function> {
    functions
        .iter()
        .find(|f| f.section == section && f.start <= offset && offset < f.end)
}

/// The relocations of each section that was looked at, by their offsets.
type Relocations = BTreeMap<usize, BTreeMap<u64, SymbolIndex>>;

fn collect(
    elf: &Elf<'_>,
    functions: &[Function],
    function: &Function,
    needs: &mut Needs,
    seen: &mut BTreeSet<(usize, u64)>,
    of_sections: &mut Relocations,
) {
    let mut left = vec![function];
    while let Some(function) = left.pop() {
        if !seen.insert((function.section.0, function.start)) {
            continue;
        }
        let Ok(section) = elf.section_by_index(function.section) else {
            continue;
        };
        let Ok(data) = section.data() else { continue };
        let relocations = of_sections.entry(function.section.0).or_insert_with(|| {
            let relocations = section.relocations();
            let symbols = relocations.filter_map(|(offset, to)| match to.target() {
                RelocationTarget::Symbol(symbol) => Some((offset, symbol)),
                _ => None,
            });
            symbols.collect()
        });
        let mut offset = function.start;
        while offset < function.end {
            let Some(insn) = usize::try_from(offset)
                .ok()
                .and_then(|o| data.get(o..)?.get(..8))
            else {
                break;
            };
            let source = insn[1] >> 4;
            let imm = i32::from_le_bytes([insn[4], insn[5], insn[6], insn[7]]);
            let symbol = relocations
                .get(&offset)
                .and_then(|index| elf.symbol_by_index(*index).ok());
            match (insn[0], source) {
                (CALL, 0) => {
                    needs.helpers.extend(u32::try_from(imm).ok());
                }
                (CALL, PSEUDO_CALL | PSEUDO_KFUNC) => match symbol {
                    Some(symbol) if symbol.is_undefined() => {
                        needs.kfuncs.extend(symbol.name().ok().map(str::to_owned));
                    }
                    Some(symbol) => {
                        // A call through a section symbol counts in instructions from the next.
                        let into = if symbol.kind() == object::SymbolKind::Section {
                            (i64::from(imm) + 1) * 8
                        } else {
                            0
                        };
                        let target = symbol.address().wrapping_add_signed(into);
                        left.extend(
                            symbol
                                .section_index()
                                .and_then(|s| at(functions, s, target)),
                        );
                    }
                    None => {
                        let target = offset.wrapping_add_signed((i64::from(imm) + 1) * 8);
                        left.extend(at(functions, function.section, target));
                    }
                },
                (LD_IMM64, _) => {
                    if let Some(symbol) = symbol {
                        reference(elf, functions, &symbol, imm, source, needs, &mut left);
                    }
                    offset += 8;
                }
                _ => {}
            }
            offset += 8;
        }
    }
}

/// A 64-bit load of a symbol's address: a map, global data, or a callback.
fn reference<'a>(
    elf: &Elf<'_>,
    functions: &'a [Function],
    symbol: &impl ObjectSymbol<'a>,
    imm: i32,
    source: u8,
    needs: &mut Needs,
    left: &mut Vec<&'a Function>,
) {
    let Some(index) = symbol.section_index() else {
        if symbol.is_undefined() {
            needs.externs.extend(symbol.name().ok().map(str::to_owned));
        }
        return;
    };
    let Ok(section) = elf.section_by_index(index) else {
        return;
    };
    let Ok(name) = section.name() else { return };
    if section.kind() == object::SectionKind::Text || source == PSEUDO_FUNC {
        let addend = if symbol.kind() == object::SymbolKind::Section {
            i64::from(imm)
        } else {
            0
        };
        left.extend(at(
            functions,
            index,
            symbol.address().wrapping_add_signed(addend),
        ));
    } else if name == ".maps" || name == "maps" {
        needs.maps.extend(symbol.name().ok().map(str::to_owned));
    } else {
        needs.maps.insert(name.to_owned());
    }
}

/// `Elf64_Sym`: 24 bytes, `st_info` at 4, `st_shndx` at 6.
const SYMBOL: usize = 24;

/// Where the symbol at `index` of a table lies in the file, if the table reaches that far.
fn symbol_offset(start: u64, size: u64, index: usize) -> Option<usize> {
    let into = index.checked_mul(SYMBOL)?;
    let end = into.checked_add(SYMBOL)?;
    if end as u64 > size {
        return None;
    }
    usize::try_from(start)
        .ok()?
        .checked_add(into)
        .filter(|offset| offset.checked_add(SYMBOL).is_some())
}

fn externs(elf: &Elf<'_>, bytes: &[u8], read: &mut Read) {
    let Some(table) = elf.sections().find(|s| s.name() == Ok(".symtab")) else {
        return;
    };
    let Some((start, size)) = table.file_range() else {
        return;
    };
    let kfuncs: BTreeSet<&String> = read.functions.values().flat_map(|n| &n.kfuncs).collect();
    let mut found = Vec::new();
    for symbol in elf.symbols().filter(object::ObjectSymbol::is_undefined) {
        let Ok(name) = symbol.name() else { continue };
        let Some(offset) = symbol_offset(start, size, symbol.index().0) else {
            continue;
        };
        if name.is_empty() || offset + SYMBOL > bytes.len() {
            continue;
        }
        let kind = if kfuncs.contains(&name.to_owned()) {
            "kfunc"
        } else if name.starts_with("CONFIG_") || name.starts_with("LINUX_") {
            "kconfig"
        } else {
            "ksym"
        };
        found.push(Extern {
            name: name.to_owned(),
            kind: kind.into(),
            weak: symbol.is_weak(),
        });
        if !symbol.is_weak() {
            read.strong_externs.push((name.to_owned(), offset + 4));
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    read.facts.externs = found;
}

/// A copy of `bytes` in which every extern but those to `keep` is weak: what the kernel lacks
/// then does not fail the object as a whole.
pub fn with_weak_externs(bytes: &[u8], read: &Read, keep: &BTreeSet<String>) -> Vec<u8> {
    let mut copy = bytes.to_vec();
    for (_, offset) in read
        .strong_externs
        .iter()
        .filter(|(name, _)| !keep.contains(name))
    {
        if let Some(info) = copy.get_mut(*offset) {
            *info = (object::elf::STB_WEAK.0 << 4) | (*info & 0xf);
        }
    }
    copy
}

#[cfg(test)]
mod tests;
