//! The types of an object's values, from its BTF: of keys and values of maps, of variables, and of
//! events.
//!
//! They are what the guest makes of bytes of these types (`guest/src/bpf/typed_value.rs`): fields of
//! anonymous structures are their outer's, pointers and enums are numbers, and an array of `char` is a
//! text.

use std::collections::BTreeMap;

use object::read::elf::ElfFile64;
use object::{Endianness, Object, ObjectSection};
use ukci_matrix::manifest::{ValueShape, ValueTypes};
use ukci_schema::contract::Shape;

use super::btf::{ARRAY, Btf, DATASEC, PTR, STRUCT, Type, word};

const INT: u32 = 1;
const UNION: u32 = 5;
const ENUM: u32 = 6;
const TYPEDEF: u32 = 8;
const ENUM64: u32 = 19;

/// How deep types may nest.
const DEEPEST: u32 = 32;

/// The types of an object's maps and variables, and those of these names; nothing is known if it is
/// not ELF or has no BTF.
pub fn value_types(bytes: &[u8], named: &[&str]) -> ValueTypes {
    let Ok(elf) = ElfFile64::<Endianness>::parse(bytes) else {
        return ValueTypes::default();
    };
    let btf = elf.section_by_name(".BTF").and_then(|s| s.data().ok());
    btf.and_then(Btf::parse)
        .map_or_else(ValueTypes::default, |btf| btf.value_types(named))
}

impl Btf<'_> {
    fn value_types(&self, named: &[&str]) -> ValueTypes {
        let mut found = ValueTypes::default();
        for section in self.types.iter().filter(|found| found.kind() == DATASEC) {
            let name = self.string(section.name).unwrap_or_default();
            if name == ".maps" {
                found.maps.extend(self.map_types(section));
                continue;
            }
            let variables = ValueShape::Fields(self.fields(section, DEEPEST));
            found
                .maps
                .insert(name.to_owned(), (ValueShape::Number, variables));
            if name.starts_with(".rodata") {
                let known = self.variables(section).filter_map(|(name, id)| {
                    Some((name.to_owned(), self.constant_shape(id, DEEPEST)?))
                });
                found.rodata.extend(known);
            }
        }
        let by_name = |name: &&str| ((*name).to_owned(), self.named(name));
        found.named = named.iter().map(by_name).collect();
        found
    }

    /// The type of this name, with `struct` before it or not.
    fn named(&self, name: &str) -> Option<ValueShape> {
        let name = name.strip_prefix("struct ").unwrap_or(name);
        let kinds = [STRUCT, UNION, TYPEDEF, INT, ENUM];
        let found = kinds.iter().find_map(|kind| {
            let is_it =
                |found: &Type<'_>| found.kind() == *kind && self.string(found.name) == Some(name);
            self.types.iter().position(is_it)
        })?;
        let id = u32::try_from(found).ok()?.checked_add(1)?;
        Some(self.value_shape(id, DEEPEST))
    }

    fn map_types(&self, section: &Type<'_>) -> BTreeMap<String, (ValueShape, ValueShape)> {
        let of_map = |(name, id): (&str, u32)| {
            let map = self.bare(id).filter(|found| found.kind() == STRUCT)?;
            let pointed = |wanted: &str| {
                let member = map.rest.chunks_exact(12).find(|member| {
                    word(member, 0).and_then(|at| self.string(at)) == Some(wanted)
                })?;
                let pointer = self
                    .bare(word(member, 4)?)
                    .filter(|found| found.kind() == PTR)?;
                Some(self.value_shape(pointer.word, DEEPEST))
            };
            let types = (pointed("key"), pointed("value"));
            Some((
                name.to_owned(),
                (types.0.unwrap_or_default(), types.1.unwrap_or_default()),
            ))
        };
        self.variables(section).filter_map(of_map).collect()
    }

    fn value_shape(&self, id: u32, depth: u32) -> ValueShape {
        let (Some(found), Some(depth)) = (self.bare(id), depth.checked_sub(1)) else {
            return ValueShape::Unknown;
        };
        match found.kind() {
            // A number of 16 bytes is shown as hex digits.
            INT | PTR | ENUM | ENUM64 if self.size(id, depth).is_some_and(|size| size <= 8) => {
                ValueShape::Number
            }
            ARRAY => {
                let Some(of) = found.rest_word(0) else {
                    return ValueShape::Unknown;
                };
                let is_char = self.bare(of).is_some_and(|element| {
                    element.kind() == INT && self.string(element.name) == Some("char")
                });
                if is_char {
                    return ValueShape::Text;
                }
                ValueShape::List(Box::new(self.value_shape(of, depth)))
            }
            STRUCT | UNION => ValueShape::Fields(self.fields(&found, depth)),
            _ => ValueShape::Unknown,
        }
    }

    /// The fields of a structure, a union or a section.
    fn fields(&self, of: &Type<'_>, depth: u32) -> BTreeMap<String, ValueShape> {
        if of.kind() == DATASEC {
            let variables = self.variables(of);
            return variables
                .map(|(name, id)| (name.to_owned(), self.value_shape(id, depth)))
                .collect();
        }
        let mut fields = BTreeMap::new();
        for member in of.rest.chunks_exact(12) {
            let (Some(name), Some(id)) = (word(member, 0), word(member, 4)) else {
                continue;
            };
            match (
                self.string(name).unwrap_or_default(),
                self.value_shape(id, depth),
            ) {
                ("", ValueShape::Fields(inner)) => fields.extend(inner),
                (name, shape) => _ = fields.insert(name.to_owned(), shape),
            }
        }
        fields
    }

    /// What a read-only variable is, as `guest/src/variable.rs` sees it.
    fn constant_shape(&self, id: u32, depth: u32) -> Option<Shape> {
        let (found, depth) = (self.bare(id)?, depth.checked_sub(1)?);
        let bytes = usize::try_from(self.size(id, 8)?).ok()?;
        Some(match found.kind() {
            INT => Shape::Number {
                bytes,
                signed: found.rest_word(0)? >> 24 & 1 == 1,
            },
            ENUM | ENUM64 => Shape::Number {
                bytes,
                signed: found.info >> 31 == 1,
            },
            ARRAY => Shape::Array {
                length: usize::try_from(found.rest_word(2)?).ok()?,
                element: Box::new(self.constant_shape(found.rest_word(0)?, depth)?),
            },
            _ => Shape::Other { bytes },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object_file::btf::VAR;

    /// BTF of these types, whose names are places in `NAMES`.
    fn btf(types: &[&[u32]]) -> Vec<u8> {
        let types: Vec<u8> = (types.iter().copied().flatten())
            .flat_map(|word| word.to_le_bytes())
            .collect();
        let length = u32::try_from(types.len()).unwrap();
        let names = u32::try_from(NAMES.len()).unwrap();
        let header = [0x0001_eb9f, 24, 0, length, length, names];
        let header = header.into_iter().flat_map(u32::to_le_bytes);
        header.chain(types).chain(NAMES.bytes()).collect()
    }

    const NAMES: &str = "\0int\0char\0stats\0hits\0comm\0.bss\0.rodata\0pid\0";

    /// The place of a name.
    fn at(name: &str) -> u32 {
        u32::try_from(NAMES.find(&format!("\0{name}\0")).unwrap() + 1).unwrap()
    }

    #[test]
    fn variables_and_types_are_described() {
        const SIGNED: u32 = 1 << 24;
        let kind = |kind: u32, entries: u32| kind << 24 | entries;
        let bytes = btf(&[
            // 1 and 2: the numbers. 3: eight characters.
            &[at("int"), kind(INT, 0), 4, SIGNED | 32],
            &[at("char"), kind(INT, 0), 1, SIGNED | 8],
            &[0, kind(ARRAY, 0), 0, 2, 1, 8],
            // 4: an anonymous structure with `hits`, inside of 5, which is `stats`.
            &[0, kind(STRUCT, 1), 4, at("hits"), 1, 0],
            &[at("stats"), kind(STRUCT, 2), 12, 0, 4, 0, at("comm"), 3, 32],
            // 6 to 9: a variable of each section.
            &[at("stats"), kind(VAR, 0), 5, 1],
            &[at("pid"), kind(VAR, 0), 1, 1],
            &[at(".bss"), kind(DATASEC, 1), 12, 6, 0, 12],
            &[at(".rodata"), kind(DATASEC, 1), 4, 7, 0, 4],
        ]);
        let btf = Btf::parse(&bytes).unwrap();
        let found = btf.value_types(&["struct stats", "none"]);
        let stats = ValueShape::Fields(
            [
                ("hits".to_owned(), ValueShape::Number),
                ("comm".to_owned(), ValueShape::Text),
            ]
            .into(),
        );
        assert_eq!(found.named["struct stats"].as_ref(), Some(&stats));
        assert_eq!(found.named["none"], None);
        let variables = ValueShape::Fields([("stats".to_owned(), stats)].into());
        assert_eq!(found.maps[".bss"].1, variables);
        let pid = Shape::Number {
            bytes: 4,
            signed: true,
        };
        assert_eq!(found.rodata["pid"], pid);
        assert_eq!(found.rodata.len(), 1);
        // Damage anywhere must not panic.
        for cut in 0..bytes.len() {
            if let Some(btf) = Btf::parse(&bytes[..cut]) {
                btf.value_types(&["stats"]);
            }
        }
    }
}
