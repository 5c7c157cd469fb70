//! Reads and writes values by their type in the object's BTF: bytes to JSON with the names of the
//! type's fields, and fields to bytes.
//!
//! Numbers are little-endian, as all guests are. A type that is not known gives no value.
#![expect(unsafe_code, reason = "libbpf's BTF reader is a C library")]

use std::ffi::CString;

use libbpf_sys as sys;
use serde_json::{Map as Fields, Value};

use super::{Map, Object, string};

/// How deep types may nest.
const DEEPEST: u32 = 32;

/// A type, without its names and qualifiers.
enum Type {
    Integer {
        size: usize,
        signed: bool,
        boolean: bool,
        character: bool,
    },
    Array {
        of: u32,
        count: usize,
    },
    Fields(Vec<Member>),
}

struct Member {
    name: String,
    of: u32,
    /// In bits.
    offset: usize,
    /// Of a bit field; else 0.
    bits: usize,
}

impl Object {
    /// The struct, union, typedef or other type of this name.
    pub(crate) fn type_named(&self, name: &str) -> Option<u32> {
        let name = name.strip_prefix("struct ").unwrap_or(name);
        let name = CString::new(name).ok()?;
        let kinds = [
            sys::BTF_KIND_STRUCT,
            sys::BTF_KIND_UNION,
            sys::BTF_KIND_TYPEDEF,
            sys::BTF_KIND_INT,
            sys::BTF_KIND_ENUM,
        ];
        let btf = self.btf()?;
        // SAFETY: the BTF lives with the object; libbpf reads the name during the call.
        let find = |kind| unsafe { sys::btf__find_by_name_kind(btf, name.as_ptr(), kind) };
        kinds
            .into_iter()
            .find_map(|kind| u32::try_from(find(kind)).ok().filter(|id| *id > 0))
    }

    /// The types of a map's keys and values; 0 where the object does not say.
    pub(crate) fn map_types(map: Map<'_>) -> (u32, u32) {
        // SAFETY: the map is alive with its object.
        unsafe {
            (
                sys::bpf_map__btf_key_type_id(map.ptr.as_ptr()),
                sys::bpf_map__btf_value_type_id(map.ptr.as_ptr()),
            )
        }
    }

    /// What bytes of this type mean. Without a type, bytes of an integer's length are one without a
    /// sign.
    pub(crate) fn typed_value(&self, id: u32, bytes: &[u8]) -> Option<Value> {
        if id == 0 {
            return matches!(bytes.len(), 1 | 2 | 4 | 8).then(|| number(bytes, false));
        }
        self.read(id, bytes, 0)
    }

    fn read(&self, id: u32, bytes: &[u8], depth: u32) -> Option<Value> {
        match self.resolve(id, depth)? {
            Type::Integer {
                size,
                signed,
                boolean,
                ..
            } => {
                let bytes = bytes.get(..size)?;
                Some(if boolean {
                    Value::Bool(bytes.iter().any(|byte| *byte != 0))
                } else {
                    number(bytes, signed)
                })
            }
            Type::Array { of, count } => {
                let element = self.resolve(of, depth + 1)?;
                if matches!(
                    element,
                    Type::Integer {
                        character: true,
                        ..
                    }
                ) {
                    let text = bytes.get(..count)?;
                    let end = text.iter().position(|byte| *byte == 0).unwrap_or(count);
                    return Some(String::from_utf8_lossy(&text[..end]).into());
                }
                let size = self.size(of)?;
                let elements = (0..count).map(|n| {
                    let part = bytes.get(n * size..(n + 1) * size)?;
                    self.read(of, part, depth + 1)
                });
                elements.collect::<Option<Vec<_>>>().map(Value::Array)
            }
            Type::Fields(members) => {
                let mut fields = Fields::new();
                for member in members {
                    let value = self.member(&member, bytes, depth)?;
                    match value {
                        // C's anonymous structs: their fields are their outer's.
                        Value::Object(inner) if member.name.is_empty() => fields.extend(inner),
                        value => _ = fields.insert(member.name, value),
                    }
                }
                Some(Value::Object(fields))
            }
        }
    }

    fn member(&self, member: &Member, bytes: &[u8], depth: u32) -> Option<Value> {
        if member.bits == 0 {
            return self.read(member.of, bytes.get(member.offset / 8..)?, depth + 1);
        }
        let mut word = 0_u128;
        for (n, byte) in bytes.get(member.offset / 8..)?.iter().take(16).enumerate() {
            word |= u128::from(*byte) << (8 * n);
        }
        let mask = (1_u128 << member.bits.min(64)) - 1;
        let bits = u64::try_from((word >> (member.offset % 8)) & mask).ok()?;
        let signed = matches!(
            self.resolve(member.of, depth + 1)?,
            Type::Integer { signed: true, .. }
        );
        if signed && member.bits < 64 && bits >> (member.bits - 1) != 0 {
            return Some((bits.cast_signed() - (1_i64 << member.bits)).into());
        }
        Some(bits.into())
    }

    /// Writes fields into bytes of this type, which are zero before.
    pub(crate) fn write(&self, id: u32, value: &Value, bytes: &mut [u8]) -> Result<(), String> {
        match (self.resolve(id, 0).ok_or("its type is not known")?, value) {
            (Type::Fields(members), Value::Object(fields)) => {
                for (name, value) in fields {
                    let member = members
                        .iter()
                        .find(|member| member.name == *name && member.bits == 0)
                        .ok_or_else(|| format!("it has no field `{name}`"))?;
                    let place = bytes.get_mut(member.offset / 8..);
                    let place = place.ok_or_else(|| format!("field `{name}` is outside of it"))?;
                    self.write(member.of, value, place)
                        .map_err(|why| format!("field `{name}`: {why}"))?;
                }
                Ok(())
            }
            (Type::Integer { size, .. }, value) => {
                let number = match value {
                    Value::Bool(on) => i128::from(*on),
                    value => (value.as_i64().map(i128::from))
                        .or_else(|| value.as_u64().map(i128::from))
                        .ok_or("expected a whole number")?,
                };
                let place = bytes.get_mut(..size).ok_or("it is too short")?;
                place.copy_from_slice(number.to_le_bytes().get(..size).ok_or("it is too long")?);
                Ok(())
            }
            (Type::Array { of, count }, Value::Array(values)) if values.len() <= count => {
                let size = self.size(of).ok_or("its type is not known")?;
                for (n, value) in values.iter().enumerate() {
                    let place = bytes.get_mut(n * size..(n + 1) * size);
                    self.write(of, value, place.ok_or("it is too short")?)?;
                }
                Ok(())
            }
            _ => Err("the value does not fit its type".into()),
        }
    }

    /// Bytes of a type.
    pub(crate) fn size(&self, id: u32) -> Option<usize> {
        // SAFETY: libbpf answers a negative number for an id that there is not.
        usize::try_from(unsafe { sys::btf__resolve_size(self.btf()?, id) }).ok()
    }

    fn resolve(&self, id: u32, depth: u32) -> Option<Type> {
        if depth > DEEPEST {
            return None;
        }
        let btf = self.btf()?;
        // SAFETY: the BTF lives with the object and libbpf validated it: an integer's word, an
        // array's record, and the `vlen` records of a struct or a section follow their types, and
        // names lie in the string section.
        unsafe {
            let of = sys::btf__type_by_id(btf, id).as_ref()?;
            let size = of.__bindgen_anon_1.size as usize;
            let inner = of.__bindgen_anon_1.type_;
            let count = (of.info & 0xffff) as usize;
            let flag = of.info >> 31 != 0;
            let after = std::ptr::from_ref(of).add(1);
            Some(match of.info >> 24 & 0x1f {
                sys::BTF_KIND_INT => {
                    let encoding = *after.cast::<u32>() >> 24 & 0xf;
                    Type::Integer {
                        size,
                        signed: encoding & sys::BTF_INT_SIGNED != 0,
                        boolean: encoding & sys::BTF_INT_BOOL != 0,
                        character: size == 1
                            && string(sys::btf__name_by_offset(btf, of.name_off))? == "char",
                    }
                }
                sys::BTF_KIND_PTR => Type::Integer {
                    size: 8,
                    signed: false,
                    boolean: false,
                    character: false,
                },
                sys::BTF_KIND_ENUM | sys::BTF_KIND_ENUM64 => Type::Integer {
                    size,
                    signed: flag,
                    boolean: false,
                    character: false,
                },
                sys::BTF_KIND_ARRAY => {
                    let array = *after.cast::<sys::btf_array>();
                    Type::Array {
                        of: array.type_,
                        count: array.nelems as usize,
                    }
                }
                sys::BTF_KIND_STRUCT | sys::BTF_KIND_UNION => {
                    let records =
                        std::slice::from_raw_parts(after.cast::<sys::btf_member>(), count);
                    let member = |record: &sys::btf_member| {
                        let (offset, bits) = if flag {
                            (record.offset & 0x00ff_ffff, record.offset >> 24)
                        } else {
                            (record.offset, 0)
                        };
                        Some(Member {
                            name: string(sys::btf__name_by_offset(btf, record.name_off))?,
                            of: record.type_,
                            offset: offset as usize,
                            bits: bits as usize,
                        })
                    };
                    Type::Fields(records.iter().map(member).collect::<Option<_>>()?)
                }
                sys::BTF_KIND_DATASEC => {
                    let records =
                        std::slice::from_raw_parts(after.cast::<sys::btf_var_secinfo>(), count);
                    let member = |record: &sys::btf_var_secinfo| {
                        let variable = sys::btf__type_by_id(btf, record.type_).as_ref()?;
                        Some(Member {
                            name: string(sys::btf__name_by_offset(btf, variable.name_off))?,
                            of: variable.__bindgen_anon_1.type_,
                            offset: record.offset as usize * 8,
                            bits: 0,
                        })
                    };
                    Type::Fields(records.iter().map(member).collect::<Option<_>>()?)
                }
                sys::BTF_KIND_TYPEDEF
                | sys::BTF_KIND_VOLATILE
                | sys::BTF_KIND_CONST
                | sys::BTF_KIND_RESTRICT
                | sys::BTF_KIND_TYPE_TAG
                | sys::BTF_KIND_VAR => return self.resolve(inner, depth + 1),
                _ => return None,
            })
        }
    }
}

/// A number of at most 8 bytes; a longer one as hex digits, the highest first.
fn number(bytes: &[u8], signed: bool) -> Value {
    let mut word = [0; 8];
    let Some(place) = word.get_mut(..bytes.len()) else {
        let digits = bytes.iter().rev().map(|byte| format!("{byte:02x}"));
        return format!("0x{}", digits.collect::<String>()).into();
    };
    place.copy_from_slice(bytes);
    let number = u64::from_le_bytes(word);
    let unused = 64 - 8 * u32::try_from(bytes.len()).unwrap_or(8).min(8);
    if signed && unused < 64 {
        return ((number << unused).cast_signed() >> unused).into();
    }
    number.into()
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn numbers_have_their_sign_and_length() {
        assert_eq!(number(&[0xff, 0xff], true), -1);
        assert_eq!(number(&[0xff, 0xff], false), 65535);
        assert_eq!(number(&[0xff; 8], false), u64::MAX);
        assert_eq!(number(&[0xfe; 8], true), -72_340_172_838_076_674_i64);
        assert_eq!(
            number(&[1, 0, 0, 0, 0, 0, 0, 0, 2], false),
            "0x020000000000000001"
        );
    }
}
