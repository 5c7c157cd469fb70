//! Detects what other loaders accept and libbpf does not: `static` programs, and maps in sections
//! of their own. It also detects LLVM bitcode, which is not an object yet.

use object::read::elf::ElfFile64;
use object::{Endianness, Object, ObjectSection, ObjectSymbol, SectionKind, SymbolKind};
use ukci_schema::evidence::ObjectFacts;

/// Adds it to what is known of the object. The bytes may be anything.
pub(crate) fn read(bytes: &[u8], facts: &mut ObjectFacts) {
    if is_bitcode(bytes) {
        facts.malformed = Some("it is LLVM bitcode (`BC C0 DE`), not ELF".into());
    }
    let Ok(elf) = ElfFile64::<Endianness>::parse(bytes) else {
        return;
    };
    for symbol in elf.symbols().filter(|symbol| symbol.size() > 0) {
        let Some(section) = symbol
            .section_index()
            .and_then(|index| elf.section_by_index(index).ok())
        else {
            continue;
        };
        let (Ok(name), Ok(section_name)) = (symbol.name(), section.name()) else {
            continue;
        };
        let program = section.kind() == SectionKind::Text && section_name != ".text";
        if program && symbol.is_local() && symbol.kind() == SymbolKind::Text {
            facts.static_programs.push(name.to_owned());
        } else if section_name == "maps" || section_name.starts_with("maps/") {
            facts.legacy_maps.push(name.to_owned());
        }
    }
}

/// What `clang -emit-llvm` and `-flto` write: bare, or in the wrapper that Apple's tools add.
fn is_bitcode(bytes: &[u8]) -> bool {
    bytes.starts_with(b"BC\xc0\xde") || bytes.starts_with(&[0xde, 0xc0, 0x17, 0x0b])
}

#[cfg(test)]
mod tests {
    use ukci_schema::evidence::ObjectFacts;

    #[test]
    fn bytes_of_no_object_say_nothing() {
        let mut facts = ObjectFacts::default();
        super::read(b"\x7fELF and no more", &mut facts);
        assert_eq!(facts, ObjectFacts::default());
        super::read(b"BC\xc0\xde and what follows", &mut facts);
        assert!(facts.malformed.unwrap().contains("LLVM bitcode"));
    }
}
