//! Determines what a file is before anything boots: a BPF object, or something else that an error
//! can name.

use std::path::Path;

use object::elf::{EM_AARCH64, EM_BPF, EM_NONE, EM_RISCV, EM_X86_64, ET_REL, FileType, Machine};
use object::read::elf::ElfFile64;
use object::{Endianness, Object, ObjectSection, ObjectSymbol, SymbolKind};

use super::Error;
use crate::catalogue::digest;
use crate::input_file::{self, OBJECT_LIMIT, Refused};

/// Largest program that is searched for objects.
const PROGRAM_LIMIT: u64 = 1 << 30;

/// Reads an object or a source, without being held up by a pipe or a device.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, Error> {
    read_within(path, OBJECT_LIMIT)
}

/// The same for a file of at most so many bytes.
pub(super) fn read_within(path: &Path, limit: u64) -> Result<Vec<u8>, Error> {
    let path = path.to_owned();
    input_file::read(&path, limit).map_err(|refused| match refused {
        Refused::NotAFile => Error::NotAFile { path },
        Refused::TooLarge { bytes, limit } => Error::TooLarge { path, bytes, limit },
        Refused::Io(source) => Error::Read { path, source },
    })
}

/// An object for BPF, as far as that can be told without a loader.
pub fn object(path: &Path) -> Result<Vec<u8>, Error> {
    let bytes = read(path)?;
    check(path, &bytes)?;
    Ok(bytes)
}

/// Refuses what is certainly not an object for BPF. What only a loader can tell is left to it.
pub(super) fn check(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let Some((what, hint)) = other(bytes) else {
        return has_program(path, bytes);
    };
    let hint = match embedded_in(bytes).len() {
        0 => hint.map(str::to_owned),
        1 => Some("it contains a BPF object: check that with `--embedded`".into()),
        n => Some(format!(
            "it contains {n} BPF objects: check them with `--embedded`"
        )),
    };
    Err(Error::NotBpf {
        path: path.to_owned(),
        what,
        hint,
    })
}

/// Refuses an object whose functions are all in `.text`: libbpf loads none of them by itself
/// (`prog_is_subprog` in libbpf.c, since 1.0), so nothing would be asked of any kernel. An object
/// without functions may still have maps.
pub(super) fn has_program(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let Ok(elf) = ElfFile64::<Endianness>::parse(bytes) else {
        return Ok(());
    };
    let (in_text, programs): (Vec<_>, Vec<_>) = functions(&elf).partition(|(_, in_text)| *in_text);
    if in_text.is_empty() || !programs.is_empty() {
        return Ok(());
    }
    Err(Error::NoProgram {
        path: path.to_owned(),
        functions: in_text
            .into_iter()
            .map(|(name, _)| name.to_owned())
            .collect(),
    })
}

/// The functions of an object, and whether each is in `.text`: the others are programs.
fn functions<'e>(elf: &'e ElfFile64<'_, Endianness>) -> impl Iterator<Item = (&'e str, bool)> {
    let functions = elf
        .symbols()
        .filter(|symbol| symbol.kind() == SymbolKind::Text);
    functions.filter_map(|symbol| {
        let section = elf.section_by_index(symbol.section_index()?).ok()?;
        Some((symbol.name().ok()?, section.name().ok()? == ".text"))
    })
}

/// What a file is if it is no BPF object, and what to do instead.
fn other(bytes: &[u8]) -> Option<(String, Option<&'static str>)> {
    const COMPILE: &str = "compile it for BPF: `clang -g -O2 -target bpf -c`";
    if bytes.is_empty() {
        return Some(("it is empty".into(), None));
    }
    // The second is what Apple's compilers put around bitcode.
    if bytes.starts_with(b"BC\xc0\xde") || bytes.starts_with(&0x0b17_c0de_u32.to_le_bytes()) {
        let hint = "compile it to an object: leave `-emit-llvm` out, or use `llc -march=bpf \
                    -filetype=obj`";
        return Some(("it is LLVM bitcode".into(), Some(hint)));
    }
    if bytes.starts_with(b"!<arch>\n") {
        let hint = "unpack the objects in it with `ar x`";
        return Some(("it is an archive".into(), Some(hint)));
    }
    if !bytes.starts_with(b"\x7fELF") {
        return Some(match std::str::from_utf8(&bytes[..bytes.len().min(4096)]) {
            Ok(_) => (
                "it is text".into(),
                Some("give the object that the compiler made; the name of a C source ends in `.c`"),
            ),
            Err(_) => ("it is not an ELF file".into(), None),
        });
    }
    let header = Header::parse(bytes)?;
    if header.machine == EM_BPF || header.machine == EM_NONE {
        return None;
    }
    let machine = match header.machine {
        EM_X86_64 => "x86_64".to_owned(),
        EM_AARCH64 => "aarch64".to_owned(),
        EM_RISCV => "riscv64".to_owned(),
        Machine(number) => format!("ELF machine {number}"),
    };
    let what = if header.kind == ET_REL {
        format!("it is an object file for {machine}")
    } else {
        format!("it is a program or library for {machine}")
    };
    Some((what, Some(COMPILE)))
}

/// The two fields of an ELF header that say what a file is.
struct Header {
    kind: FileType,
    machine: Machine,
}

impl Header {
    /// None if it is cut off.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let big = *bytes.get(5)? == 2;
        let field = |at: usize| {
            let field: [u8; 2] = bytes.get(at..at + 2)?.try_into().ok()?;
            Some(if big {
                u16::from_be_bytes(field)
            } else {
                u16::from_le_bytes(field)
            })
        };
        Some(Self {
            kind: FileType(field(16)?),
            machine: Machine(field(18)?),
        })
    }
}

/// An object inside a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Embedded {
    /// Where in the file it begins.
    pub offset: usize,
    /// It.
    pub bytes: Vec<u8>,
    /// Its digest.
    pub sha256: String,
    /// The functions in its sections, other than `.text`.
    pub programs: Vec<String>,
}

/// The objects that a program carries: libbpf's skeletons, `include_bytes!`, Go's `embed`.
pub fn embedded(path: &Path) -> Result<Vec<Embedded>, Error> {
    let bytes = read_within(path, PROGRAM_LIMIT)?;
    let found = embedded_in(&bytes);
    if found.is_empty() {
        return Err(Error::NothingEmbedded {
            path: path.to_owned(),
        });
    }
    Ok(found)
}

/// Each once, in the order of their first appearance.
fn embedded_in(bytes: &[u8]) -> Vec<Embedded> {
    let mut found: Vec<Embedded> = Vec::new();
    let mut at = 0;
    while let Some(next) = find(&bytes[at..], b"\x7fELF") {
        let offset = at + next;
        at = offset + 4;
        let Some((length, programs)) = object_at(&bytes[offset..]) else {
            continue;
        };
        let object = &bytes[offset..offset + length];
        at = offset + length;
        if found.iter().all(|other| other.bytes != object) {
            found.push(Embedded {
                offset,
                bytes: object.to_owned(),
                sha256: digest::of(object),
                programs,
            });
        }
    }
    found
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

/// The length and the programs of the BPF object that these bytes begin with.
fn object_at(bytes: &[u8]) -> Option<(usize, Vec<String>)> {
    let header = Header::parse(bytes)?;
    // Class 2 is 64 bits. The order of bytes is the host's, or the kernel would not load it.
    if header.machine != EM_BPF || header.kind != ET_REL || bytes.get(4) != Some(&2) {
        return None;
    }
    let number = |at: usize, width: usize| {
        let field = bytes.get(at..at + width)?;
        let value = field
            .iter()
            .rev()
            .fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
        usize::try_from(value).ok()
    };
    // `e_shoff`, `e_shentsize`, `e_shnum`: linkers put the section headers last.
    let headers = number(0x28, 8)?.checked_add(number(0x3a, 2)?.checked_mul(number(0x3c, 2)?)?)?;
    let elf = ElfFile64::<Endianness>::parse(bytes.get(..headers)?).ok()?;
    let sections = elf.sections().filter_map(|section| {
        let (offset, size) = section.file_range()?;
        usize::try_from(offset.checked_add(size)?).ok()
    });
    let length = sections.max().unwrap_or(0).max(headers);
    let elf = ElfFile64::<Endianness>::parse(bytes.get(..length)?).ok()?;
    let programs = functions(&elf).filter(|(name, in_text)| !in_text && !name.is_empty());
    Some((length, programs.map(|(name, _)| name.to_owned()).collect()))
}

#[cfg(test)]
mod tests {
    use object::elf::{ET_DYN, ET_EXEC};

    use super::*;

    /// A header of 64 bytes, and those of two sections: the null one, and their names.
    fn elf(kind: FileType, machine: Machine) -> Vec<u8> {
        let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
        bytes.resize(16, 0);
        bytes.extend(kind.0.to_le_bytes());
        bytes.extend(machine.0.to_le_bytes());
        bytes.extend(1_u32.to_le_bytes());
        bytes.resize(0x28, 0);
        bytes.extend(64_u64.to_le_bytes());
        bytes.resize(0x34, 0);
        for half in [64_u16, 0, 0, 64, 2, 1] {
            bytes.extend(half.to_le_bytes());
        }
        bytes.resize(193, 0);
        // A string table of one byte, after the headers.
        (bytes[132], bytes[152], bytes[160]) = (3, 192, 1);
        bytes
    }

    /// An object with a function of one instruction, `f`, in each of these sections.
    fn with_functions(sections: &[&str]) -> Vec<u8> {
        const EXIT: [u8; 8] = [0x95, 0, 0, 0, 0, 0, 0, 0];
        let mut names = b"\0f\0".to_vec();
        let mut symbols = vec![0; 24];
        let mut headers = vec![0; 64];
        let mut header = |name: usize, kind: u32, at: usize, size: usize, link: u32, entry: u64| {
            let mut bytes = [0; 64];
            bytes[..4].copy_from_slice(&u32::try_from(name).unwrap().to_le_bytes());
            bytes[4..8].copy_from_slice(&kind.to_le_bytes());
            // SHF_EXECINSTR
            bytes[8] = if kind == 1 { 4 } else { 0 };
            bytes[24..32].copy_from_slice(&(at as u64).to_le_bytes());
            bytes[32..40].copy_from_slice(&(size as u64).to_le_bytes());
            bytes[40..44].copy_from_slice(&link.to_le_bytes());
            bytes[56..64].copy_from_slice(&entry.to_le_bytes());
            headers.extend(bytes);
        };
        for (n, section) in sections.iter().enumerate() {
            header(names.len(), 1, 64 + 8 * n, 8, 0, 0);
            names.extend(section.bytes().chain([0]));
            // STB_GLOBAL and STT_FUNC, of the section n + 1.
            let index = u8::try_from(n + 1).unwrap();
            symbols.extend([1, 0, 0, 0, 0x12, 0, index, 0]);
            symbols.extend([0; 8].into_iter().chain(8_u64.to_le_bytes()));
        }
        let at = 64 + 8 * sections.len();
        let count = u32::try_from(sections.len()).unwrap();
        header(0, 2, at, symbols.len(), count + 2, 24);
        header(0, 3, at + symbols.len(), names.len(), 0, 0);
        let mut bytes = elf(ET_REL, EM_BPF)[..64].to_vec();
        bytes.extend(EXIT.repeat(sections.len()));
        bytes.extend([symbols, names].concat());
        let start = bytes.len() as u64;
        bytes[0x28..0x30].copy_from_slice(&start.to_le_bytes());
        bytes[0x3c] = u8::try_from(count + 3).unwrap();
        bytes[0x3e] = u8::try_from(count + 2).unwrap();
        bytes.extend(headers);
        bytes
    }

    fn refused(bytes: &[u8]) -> String {
        match check(Path::new("x"), bytes) {
            Ok(()) => "taken".into(),
            Err(error) => format!("{error}; {}", error.hint().unwrap_or_default()),
        }
    }

    #[test]
    fn what_is_no_bpf_object_is_named() {
        let program = elf(ET_DYN, EM_X86_64);
        let carrier = [program.clone(), elf(ET_REL, EM_BPF), vec![0; 64]].concat();
        let seen = [
            &elf(ET_REL, EM_BPF),
            &elf(ET_REL, EM_NONE),
            &Vec::new(),
            &b"# ukci".to_vec(),
            &b"BC\xc0\xde5".to_vec(),
            &b"!<arch>\nx".to_vec(),
            &vec![0x80, 0xff],
            &program,
            &elf(ET_REL, EM_AARCH64),
            &elf(ET_EXEC, Machine(8)),
            &carrier,
        ]
        .map(|bytes| refused(bytes));
        insta::assert_snapshot!(seen.join("\n"));
    }

    #[test]
    fn functions_that_are_all_in_text_are_no_programs() {
        let in_sections = |sections: &[&str]| refused(&with_functions(sections));
        insta::assert_snapshot!(in_sections(&[".text"]), @r#"`x` has no program: `f` is in `.text`, where libbpf loads nothing by itself; give each program its section, as in `SEC("xdp")`; link an object that has only functions for others with `bpftool gen object`, and give the result"#);
        assert_eq!(in_sections(&[".text", "xdp"]), "taken");
        assert_eq!(in_sections(&[]), "taken");
    }

    /// Only a loader can say what is wrong with it.
    #[test]
    fn a_cut_off_header_is_left_to_the_guest() {
        assert_eq!(refused(&elf(ET_REL, EM_BPF)[..17]), "taken");
    }

    #[test]
    fn devices_pipes_and_huge_files_are_refused_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let zero = read(Path::new("/dev/zero")).unwrap_err();
        assert!(matches!(zero, Error::NotAFile { .. }), "{zero}");
        let huge = dir.path().join("huge");
        // Sparse: it takes no room.
        std::fs::File::create(&huge)
            .unwrap()
            .set_len(10 << 30)
            .unwrap();
        let error = read(&huge).unwrap_err();
        assert!(error.to_string().contains("64 MiB"), "{error}");
        let pipe = dir.path().join("pipe");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &pipe,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RWXU,
            0,
        )
        .unwrap();
        let error = read(&pipe).unwrap_err();
        assert!(matches!(error, Error::NotAFile { .. }), "{error}");
    }

    #[test]
    fn objects_in_a_program_are_found_once_each() {
        let object = elf(ET_REL, EM_BPF);
        let program = [
            elf(ET_DYN, EM_X86_64),
            b"\x7fELF".to_vec(),
            object.clone(),
            b"between".to_vec(),
            object.clone(),
        ]
        .concat();
        let found = embedded_in(&program);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].offset, &found[0].bytes), (197, &object));
        // Damage anywhere must not panic.
        for cut in 0..program.len() {
            embedded_in(&program[..cut]);
        }
    }
}
