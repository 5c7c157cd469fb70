//! The maps that an object declares in `SEC(".maps")`, from its BTF.
//!
//! A map is a variable of a structure, whose members describe it: `__uint(max_entries, 64)` is a
//! pointer to an array of 64, and `__type(key, u32)` is a pointer to the type.

use std::collections::BTreeMap;

use ukci_matrix::manifest::MapShape;
use ukci_schema::contract::MapType;

pub(super) const PTR: u32 = 2;
pub(super) const ARRAY: u32 = 3;
pub(super) const STRUCT: u32 = 4;
pub(super) const VAR: u32 = 14;
pub(super) const DATASEC: u32 = 15;

/// One type: `struct btf_type`, and what follows it.
#[derive(Clone, Copy)]
pub(super) struct Type<'b> {
    pub(super) name: u32,
    pub(super) info: u32,
    /// `size` or `type`.
    pub(super) word: u32,
    pub(super) rest: &'b [u8],
}

impl Type<'_> {
    /// `BTF_KIND_*`.
    pub(super) fn kind(&self) -> u32 {
        self.info >> 24 & 0x1f
    }

    /// A word of what follows it.
    pub(super) fn rest_word(&self, index: usize) -> Option<u32> {
        word(self.rest, index * 4)
    }
}

/// The types of an object, by their number from 1.
pub(super) struct Btf<'b> {
    pub(super) types: Vec<Type<'b>>,
    strings: &'b [u8],
}

/// A little-endian word, as every architecture here has them.
pub(super) fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

impl<'b> Btf<'b> {
    /// Reads the section `.BTF`; none if it is not one.
    pub(super) fn parse(bytes: &'b [u8]) -> Option<Self> {
        let at = |n| usize::try_from(word(bytes, n)?).ok();
        if word(bytes, 0)? & 0xffff != 0xeb9f {
            return None;
        }
        let header = at(4)?;
        let part = |offset: usize, length: usize| {
            let start = header.checked_add(offset)?;
            bytes.get(start..start.checked_add(length)?)
        };
        let mut rest = part(at(8)?, at(12)?)?;
        let strings = part(at(16)?, at(20)?)?;
        let mut types = Vec::new();
        while rest.len() >= 12 {
            let mut read = Type {
                name: word(rest, 0)?,
                info: word(rest, 4)?,
                word: word(rest, 8)?,
                rest: &[],
            };
            let entries = usize::try_from(read.info & 0xffff).ok()?;
            // INT, ARRAY, STRUCT, UNION, ENUM, FUNC_PROTO, VAR, DATASEC, DECL_TAG, ENUM64.
            let length = match read.kind() {
                1 | VAR | 17 => 4,
                ARRAY => 12,
                STRUCT | 5 | DATASEC | 19 => entries * 12,
                6 | 13 => entries * 8,
                _ => 0,
            };
            read.rest = rest.get(12..12 + length)?;
            rest = &rest[12 + length..];
            types.push(read);
        }
        Some(Self { types, strings })
    }

    /// Whether it has types, and needs no other BTF: that of a module has only the types and the names
    /// that its kernel's lacks.
    pub(super) fn is_whole(&self) -> bool {
        let named = |found: &Type<'_>| self.string(found.name).is_some();
        !self.types.is_empty() && self.types.iter().all(named)
    }

    /// The names of the members of a structure.
    pub(super) fn members(&self, structure: &str) -> Option<Vec<&'b str>> {
        let is_it = |found: &&Type<'_>| {
            found.kind() == STRUCT && self.string(found.name) == Some(structure)
        };
        let found = self.types.iter().find(is_it)?;
        let names = found.rest.chunks_exact(12).filter_map(|m| word(m, 0));
        Some(names.filter_map(|name| self.string(name)).collect())
    }

    /// The type of this number.
    pub(super) fn get(&self, id: u32) -> Option<Type<'b>> {
        self.types
            .get(usize::try_from(id).ok()?.checked_sub(1)?)
            .copied()
    }

    /// A type without its `typedef`, `const`, `volatile`, `restrict` and tags.
    pub(super) fn bare(&self, mut id: u32) -> Option<Type<'b>> {
        // A chain is no longer than there are types; a circle ends too.
        for _ in 0..=self.types.len() {
            let found = self.get(id)?;
            match found.kind() {
                8..=11 | 18 => id = found.word,
                _ => return Some(found),
            }
        }
        None
    }

    /// The name at this place.
    pub(super) fn string(&self, offset: u32) -> Option<&'b str> {
        let rest = self.strings.get(usize::try_from(offset).ok()?..)?;
        let end = rest.iter().position(|byte| *byte == 0)?;
        std::str::from_utf8(&rest[..end]).ok()
    }

    /// Bytes of a type. An array of arrays is no deeper than `depth`.
    pub(super) fn size(&self, id: u32, depth: u32) -> Option<u32> {
        let found = self.bare(id)?;
        match found.kind() {
            PTR => Some(8),
            ARRAY if depth > 0 => {
                let element = self.size(found.rest_word(0)?, depth - 1)?;
                element.checked_mul(found.rest_word(2)?)
            }
            1 | STRUCT | 5 | 6 | 16 | 19 => Some(found.word),
            _ => None,
        }
    }

    /// The number that `__uint` writes.
    fn number(&self, id: u32) -> Option<u32> {
        let pointer = self.bare(id).filter(|found| found.kind() == PTR)?;
        let array = self
            .bare(pointer.word)
            .filter(|found| found.kind() == ARRAY)?;
        array.rest_word(2)
    }

    /// The bytes of the type that `__type` writes.
    fn pointed_size(&self, id: u32) -> Option<u32> {
        let pointer = self.bare(id).filter(|found| found.kind() == PTR)?;
        self.size(pointer.word, 8)
    }

    /// The maps by name.
    pub(super) fn maps(&self) -> BTreeMap<String, MapShape> {
        let sections = self.types.iter().filter(|found| found.kind() == DATASEC);
        let section = sections
            .into_iter()
            .find(|found| self.string(found.name) == Some(".maps"));
        let Some(section) = section else {
            return BTreeMap::new();
        };
        let maps = self.variables(section).filter_map(|(name, id)| {
            let shape = self.bare(id).filter(|found| found.kind() == STRUCT)?;
            Some((name.to_owned(), self.shape(shape)))
        });
        maps.collect()
    }

    /// The variables of a section, with their types.
    pub(super) fn variables<'t>(
        &'t self,
        section: &Type<'t>,
    ) -> impl Iterator<Item = (&'t str, u32)> + 't {
        section.rest.chunks_exact(12).filter_map(|entry| {
            let variable = self
                .get(word(entry, 0)?)
                .filter(|found| found.kind() == VAR)?;
            Some((self.string(variable.name)?, variable.word))
        })
    }

    fn shape(&self, structure: Type<'_>) -> MapShape {
        let mut shape = MapShape::default();
        for member in structure.rest.chunks_exact(12) {
            let (Some(name), Some(id)) = (word(member, 0), word(member, 4)) else {
                continue;
            };
            let number = self.number(id).unwrap_or_default();
            match self.string(name).unwrap_or_default() {
                "type" => shape.map_type = MapType::numbered(number),
                "max_entries" => shape.max_entries = number,
                "map_flags" => shape.flags = number,
                "key_size" => shape.key_size = number,
                "value_size" => shape.value_size = number,
                "key" => shape.key_size = self.pointed_size(id).unwrap_or_default(),
                "value" => shape.value_size = self.pointed_size(id).unwrap_or_default(),
                "values" => shape.has_inner = true,
                "pinning" => shape.pinned = number != 0,
                _ => {}
            }
        }
        shape
    }
}
