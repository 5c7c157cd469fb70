//! Stores all modules of a kernel in one file, with an index of what each defines. A target is missing
//! only if no module has it, and unpacking 4,000 modules to find out would take too long.
//!
//! ```text
//! ukci.modules/1                                one line
//! <length of the index, compressed, 8 bytes>
//! index       NAME OFFSET LENGTH DEP,DEP SOFT,SOFT   one line per module
//!             (empty line)
//!             SYMBOL\tNUMBER                    sorted; the number is that of the module's line;
//!             alias:NAME\tNUMBER                another name for the module
//! modules     each compressed by itself, at its offset from the index's end
//! ```
//!
//! The index and the modules are compressed with zstd, so that one module can be read alone.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use object::read::elf::ElfFile64;
use object::{Endianness, Object, ObjectSymbol, SymbolKind};

use super::module::Module;

const MAGIC: &[u8] = b"ukci.modules/1\n";

/// Longest index that is read, uncompressed; that of Debian's generic kernels has some 20 MB.
const MAX_INDEX: u64 = 1 << 30;
/// Largest module that is read, uncompressed.
const MAX_MODULE: u64 = 256 << 20;
/// Higher levels save little on machine code and cost seconds a kernel.
const LEVEL: i32 = 3;

/// A pack in the making.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    modules: Vec<String>,
    symbols: Vec<(String, usize)>,
    bytes: Vec<u8>,
}

impl Writer {
    /// Adds a module.
    pub(crate) fn add(&mut self, name: &str, module: &Module) -> io::Result<()> {
        let compressed = zstd::bulk::compress(&module.bytes, LEVEL)?;
        self.modules.push(format!(
            "{name} {} {} {} {}",
            self.bytes.len(),
            compressed.len(),
            module.depends.join(","),
            module.soft.join(",")
        ));
        let number = self.modules.len() - 1;
        self.symbols
            .extend(defines(&module.bytes).into_iter().map(|s| (s, number)));
        let aliases = module.aliases.iter().map(|alias| alias_of(alias));
        self.symbols.extend(aliases.map(|alias| (alias, number)));
        self.bytes.extend_from_slice(&compressed);
        Ok(())
    }

    /// The whole pack; `None` if nothing was added, or where no memory is left for its index.
    pub(crate) fn finish(mut self) -> Option<Vec<u8>> {
        if self.modules.is_empty() {
            return None;
        }
        self.symbols.sort();
        let mut index = self.modules.join("\n");
        index.push_str("\n\n");
        for (symbol, number) in &self.symbols {
            // Writing to a string does not fail.
            let _ = writeln!(index, "{symbol}\t{number}");
        }
        let index = zstd::bulk::compress(index.as_bytes(), LEVEL).ok()?;
        let mut pack = MAGIC.to_vec();
        pack.extend_from_slice(&(index.len() as u64).to_le_bytes());
        pack.extend_from_slice(&index);
        pack.append(&mut self.bytes);
        Some(pack)
    }
}

/// How an alias stands among the symbols, none of which has a colon.
fn alias_of(name: &str) -> String {
    format!("alias:{name}")
}

/// What a module defines that a program can be attached to, call or read: functions, tracepoints
/// (`__tracepoint_NAME`) and global variables.
fn defines(module: &[u8]) -> BTreeSet<String> {
    let Ok(elf) = ElfFile64::<Endianness>::parse(module) else {
        return BTreeSet::new();
    };
    elf.symbols()
        .filter(|symbol| !symbol.is_undefined())
        .filter_map(|symbol| {
            let name = symbol.name().ok()?;
            let wanted = match symbol.kind() {
                SymbolKind::Text => !name.starts_with("__pfx_") && !name.contains('.'),
                SymbolKind::Data => symbol.is_global() || name.starts_with("__tracepoint_"),
                _ => false,
            };
            (wanted && !name.is_empty() && !name.contains(['\t', '\n'])).then(|| name.to_owned())
        })
        .collect()
}

/// Where a module lies, and what it needs.
#[derive(Debug)]
struct Place {
    name: String,
    offset: u64,
    length: u64,
    depends: Vec<String>,
    soft: Vec<String>,
}

/// A pack that was opened: its index.
#[derive(Debug)]
pub(crate) struct Pack {
    file: File,
    /// Where the modules begin.
    start: u64,
    modules: Vec<Place>,
    /// The sorted lines of symbols.
    symbols: String,
}

impl Pack {
    /// Reads the index of the pack at `path`.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let mut head = vec![0; MAGIC.len() + 8];
        file.read_exact(&mut head)?;
        let (magic, length) = head.split_at(MAGIC.len());
        if magic != MAGIC {
            return Err(damaged("it is no pack of modules"));
        }
        let mut number = [0; 8];
        number.copy_from_slice(length);
        let length = u64::from_le_bytes(number);
        let start = (head.len() as u64)
            .checked_add(length)
            .ok_or_else(|| damaged("its index is too long"))?;
        let mut index = String::new();
        zstd::Decoder::new((&file).take(length))?
            .take(MAX_INDEX)
            .read_to_string(&mut index)?;
        let (places, symbols) = index
            .split_once("\n\n")
            .ok_or_else(|| damaged("its index is cut short"))?;
        let modules = places
            .lines()
            .map(|line| place(line).ok_or_else(|| damaged("its index is not well-formed")))
            .collect::<io::Result<_>>()?;
        Ok(Self {
            file,
            start,
            modules,
            symbols: symbols.to_owned(),
        })
    }

    /// The modules that define `symbol`.
    pub(crate) fn owners(&self, symbol: &str) -> Vec<&str> {
        let text = self.symbols.as_str();
        let name = |line: &str| line.split('\t').next().unwrap_or_default().to_owned();
        // Bisects at line starts: the first line whose name is not less.
        let (mut low, mut high) = (0, text.len());
        while low < high {
            let middle = text[..text.floor_char_boundary(low.midpoint(high))]
                .rfind('\n')
                .map_or(0, |end| end + 1)
                .max(low);
            let line = text[middle..].lines().next().unwrap_or_default();
            if name(line).as_str() < symbol {
                low = (middle + line.len() + 1).min(text.len());
            } else {
                high = middle;
            }
        }
        text[low..]
            .lines()
            .filter_map(|line| line.split_once('\t'))
            .take_while(|(found, _)| *found == symbol)
            .filter_map(|(_, number)| self.modules.get(number.parse::<usize>().ok()?))
            .map(|place| place.name.as_str())
            .collect()
    }

    /// These modules and all that they depend on, by name; what is not in the pack is left out:
    /// it is built in, or the kernel has not got it.
    pub(crate) fn closure(&self, roots: impl IntoIterator<Item = String>) -> BTreeSet<String> {
        let mut closure = BTreeSet::new();
        let mut left: Vec<String> = roots.into_iter().collect();
        while let Some(name) = left.pop() {
            if let Some(place) = self.place(&name)
                && closure.insert(name)
            {
                left.extend(place.depends.iter().cloned());
                for name in &place.soft {
                    let owners = self.owners(&alias_of(name));
                    left.extend(owners.into_iter().map(str::to_owned));
                    left.push(name.clone());
                }
            }
        }
        closure
    }

    fn place(&self, name: &str) -> Option<&Place> {
        self.modules.iter().find(|place| place.name == name)
    }

    /// The bytes of a module, as the kernel takes them.
    pub(crate) fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let place = self
            .place(name)
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("no module {name}")))?;
        let at = self
            .start
            .checked_add(place.offset)
            .ok_or_else(|| damaged("its index is not well-formed"))?;
        let mut file = &self.file;
        file.seek(SeekFrom::Start(at))?;
        let mut bytes = Vec::new();
        zstd::Decoder::new(file.take(place.length))?
            .take(MAX_MODULE)
            .read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

fn place(line: &str) -> Option<Place> {
    let mut words = line.split(' ');
    let names = |words: &str| {
        let names = words.split(',').filter(|name| !name.is_empty());
        names.map(str::to_owned).collect()
    };
    Some(Place {
        name: words.next()?.to_owned(),
        offset: words.next()?.parse().ok()?,
        length: words.next()?.parse().ok()?,
        depends: names(words.next()?),
        soft: names(words.next()?),
    })
}

fn damaged(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::module::Module;
    use super::{Pack, Writer};

    /// This test's own executable replaces a module: it defines `main`.
    pub(crate) fn pack() -> Vec<u8> {
        let own = std::fs::read("/proc/self/exe").unwrap();
        let mut writer = Writer::default();
        for (name, bytes, depends) in [
            (
                "leaf",
                b"not an ELF file".to_vec(),
                &["trunk", "built_in"][..],
            ),
            ("trunk", own, &["root"][..]),
            ("root", b"root".to_vec(), &[][..]),
            ("earth", b"earth".to_vec(), &[][..]),
        ] {
            let module = Module {
                bytes,
                depends: depends.iter().map(|&name| name.to_owned()).collect(),
                soft: Vec::from_iter((name == "root").then(|| "soil".to_owned())),
                aliases: Vec::from_iter((name == "earth").then(|| "soil".to_owned())),
                release: None,
            };
            writer.add(name, &module).unwrap();
        }
        writer.finish().unwrap()
    }

    #[test]
    fn a_module_is_found_by_what_it_defines_and_read_alone() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), pack()).unwrap();
        let pack = Pack::open(file.path()).unwrap();
        assert_eq!(pack.owners("main"), ["trunk"]);
        for absent in ["", "mai", "main2", "\u{0}", "zzzzzzzz", "no_such_function"] {
            assert!(pack.owners(absent).is_empty(), "{absent:?}");
        }
        let closure = pack.closure(["leaf".to_owned(), "nowhere".to_owned()]);
        assert_eq!(Vec::from_iter(closure), ["earth", "leaf", "root", "trunk"]);
        assert_eq!(pack.read("root").unwrap(), b"root");
        assert_eq!(pack.read("leaf").unwrap(), b"not an ELF file");
        assert!(pack.read("nowhere").is_err());
    }

    #[test]
    fn every_symbol_of_the_index_is_found() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), pack()).unwrap();
        let pack = Pack::open(file.path()).unwrap();
        let names: Vec<&str> = (pack.symbols.lines())
            .filter_map(|line| Some(line.split_once('\t')?.0))
            .filter(|name| !name.starts_with("alias:"))
            .collect();
        assert!(names.len() > 100);
        for name in names
            .iter()
            .step_by(97)
            .chain([&names[0]])
            .chain(names.last())
        {
            assert_eq!(pack.owners(name), ["trunk"], "{name}");
        }
    }

    #[test]
    fn damage_is_an_error() {
        let whole = pack();
        let file = tempfile::NamedTempFile::new().unwrap();
        for length in [0, 5, 15, 20, 23, 200] {
            std::fs::write(file.path(), &whole[..length]).unwrap();
            assert!(Pack::open(file.path()).is_err(), "{length}");
        }
        std::fs::write(file.path(), b"something else entirely").unwrap();
        assert!(Pack::open(file.path()).is_err());
    }
}
