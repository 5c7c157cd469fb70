//! What an object asks for, read from its ELF before anything is loaded: the helpers, kfuncs and
//! maps of each program, its subprograms' included.
//!
//! The bytes may be anything. Nothing here panics on them: every offset is checked, and what
//! cannot be read is left out.

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
    /// The programs of each `struct_ops` map, by the map's name.
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
    for function in &functions {
        let mut needs = Needs::default();
        let mut seen = BTreeSet::new();
        collect(&elf, &functions, function, &mut needs, &mut seen);
        read.functions.insert(function.name.clone(), needs);
    }
    read.struct_ops = struct_ops(&elf);
    externs(&elf, bytes, &mut read);
    read
}

/// A variable of a `.struct_ops` section is a map; the functions that relocations put into it are
/// its programs.
fn struct_ops(elf: &Elf<'_>) -> BTreeMap<String, BTreeSet<String>> {
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
        for (offset, relocation) in section.relocations() {
            let RelocationTarget::Symbol(index) = relocation.target() else {
                continue;
            };
            let Ok(function) = elf.symbol_by_index(index) else {
                continue;
            };
            let within = |s: &&object::read::elf::ElfSymbol64<'_, '_, Endianness>| {
                offset
                    .checked_sub(s.address())
                    .is_some_and(|into| into < s.size())
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

fn collect(
    elf: &Elf<'_>,
    functions: &[Function],
    function: &Function,
    needs: &mut Needs,
    seen: &mut BTreeSet<(usize, u64)>,
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
        let relocations: BTreeMap<u64, SymbolIndex> = section
            .relocations()
            .filter_map(|(offset, relocation)| match relocation.target() {
                RelocationTarget::Symbol(symbol) => Some((offset, symbol)),
                _ => None,
            })
            .collect();
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
mod tests {
    use std::collections::BTreeSet;
    use std::process::Command;

    use super::{Needs, read, with_weak_externs};

    /// Compiles C for the BPF target. A machine without clang skips what needs it, and says so.
    #[expect(clippy::print_stderr, reason = "a test that skips says so")]
    fn compile(name: &str, source: &str) -> Option<Vec<u8>> {
        let clang = std::env::var("CLANG").unwrap_or_else(|_| "clang-19".into());
        let dir = std::env::temp_dir().join(format!("ukci-needs-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let (input, output) = (dir.join("x.bpf.c"), dir.join("x.bpf.o"));
        std::fs::write(&input, source).unwrap();
        let status = Command::new(&clang)
            .args([
                "-g",
                "-O2",
                "-target",
                "bpf",
                "-Wno-ignored-attributes",
                "-c",
            ])
            .arg(&input)
            .arg("-o")
            .arg(&output)
            .status();
        let object = match status {
            Ok(status) => {
                assert!(status.success(), "{clang} refuses the source");
                Some(std::fs::read(&output).unwrap())
            }
            Err(error) => {
                eprintln!("skipped: {clang}: {error}");
                None
            }
        };
        std::fs::remove_dir_all(&dir).unwrap();
        object
    }

    const SOURCE: &str = r#"
#define SEC(name) __attribute__((section(name), used))
#define __uint(name, value) int (*name)[value]
static void *(*bpf_map_lookup_elem)(void *, const void *) = (void *)1;
static unsigned long long (*bpf_get_current_pid_tgid)(void) = (void *)14;
static long (*bpf_loop)(unsigned, void *, void *, unsigned long long) = (void *)181;
struct { __uint(type, 2); __uint(max_entries, 1); __uint(key_size, 4); __uint(value_size, 8); }
    counts SEC(".maps");
extern int HZ_OF_THE_KERNEL SEC(".kconfig") __attribute__((weak));
extern _Bool CONFIG_BPF SEC(".kconfig");
extern void bpf_rcu_read_lock(void) SEC(".ksyms");
static __attribute__((noinline)) int inner(int key)
{
    return bpf_map_lookup_elem(&counts, &key) != 0;
}
static long step(unsigned index, void *context) { return bpf_get_current_pid_tgid() & 1; }
__attribute__((noinline)) int outer(int key) { return inner(key + 1); }
SEC("tp/a/b") int through_subprograms(void *context) { return outer(*(int *)context); }
SEC("tp/a/b") int with_a_callback(void *context) { return bpf_loop(3, step, context, 0); }
SEC("tp/a/c") int with_externs(void *context) { bpf_rcu_read_lock(); return CONFIG_BPF; }
SEC("tp/a/c") int nothing(void *context) { return 0; }
char LICENSE[] SEC("license") = "Dual BSD/GPL";
"#;

    fn names<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
        names.into_iter().map(str::to_owned).collect()
    }

    #[test]
    fn needs_are_found_through_subprograms_callbacks_and_relocations() {
        let Some(object) = compile("all", SOURCE) else {
            return;
        };
        let read = read(&object);
        assert_eq!(read.facts.malformed, None);
        assert_eq!(read.facts.license.as_deref(), Some("Dual BSD/GPL"));
        assert!(read.facts.has_btf && read.facts.has_btf_ext);
        let through = &read.functions["through_subprograms"];
        assert_eq!(through.helpers, BTreeSet::from([1]));
        assert_eq!(through.maps, names(["counts"]));
        let callback = &read.functions["with_a_callback"];
        assert_eq!(callback.helpers, BTreeSet::from([14, 181]));
        let externs = &read.functions["with_externs"];
        assert_eq!(externs.kfuncs, names(["bpf_rcu_read_lock"]));
        assert_eq!(externs.externs, names(["CONFIG_BPF"]));
        assert_eq!(read.functions["nothing"], Needs::default());
        let kinds: Vec<_> = read
            .facts
            .externs
            .iter()
            .map(|e| (e.name.as_str(), e.kind.as_str(), e.weak))
            .collect();
        assert_eq!(
            kinds,
            [
                ("CONFIG_BPF", "kconfig", false),
                ("bpf_rcu_read_lock", "kfunc", false)
            ]
        );
    }

    #[test]
    fn only_the_externs_to_keep_stay_strong() {
        let Some(object) = compile("weak", SOURCE) else {
            return;
        };
        let copy = with_weak_externs(&object, &read(&object), &names(["CONFIG_BPF"]));
        assert_eq!(copy.len(), object.len());
        let weak: Vec<_> = read(&copy)
            .facts
            .externs
            .into_iter()
            .map(|e| (e.name, e.weak))
            .collect();
        assert_eq!(
            weak,
            [
                ("CONFIG_BPF".into(), false),
                ("bpf_rcu_read_lock".into(), true)
            ]
        );
    }

    /// A real object, cut short at every length, and with every byte turned.
    #[test]
    fn a_broken_object_is_read_without_a_panic() {
        let Some(object) = compile("broken", SOURCE) else {
            return;
        };
        for length in 0..object.len() {
            read(&object[..length]);
        }
        let mut bytes = object.clone();
        for n in 0..bytes.len() {
            for turn in [0xff, 0x80, 0x01] {
                bytes[n] ^= turn;
                read(&bytes);
                bytes[n] ^= turn;
            }
        }
    }

    #[test]
    fn anything_can_be_read_without_a_panic() {
        assert!(read(b"this is a text file").facts.malformed.is_some());
        assert!(read(&[]).facts.malformed.is_some());
        // Every truncation and some mutations of a real ELF file: this test's own executable.
        let own = std::fs::read("/proc/self/exe").unwrap();
        for length in (0..own.len().min(4096)).step_by(7) {
            read(&own[..length]);
        }
        let mut bytes = own[..own.len().min(65536)].to_vec();
        for n in 0..bytes.len().min(2048) {
            bytes[n] ^= 0xa5;
            read(&bytes);
            bytes[n] ^= 0xa5;
        }
    }
}
