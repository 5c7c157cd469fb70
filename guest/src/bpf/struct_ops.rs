//! Reads what an object puts into a `struct_ops` map, member by member: numbers, text and programs.
#![expect(unsafe_code, reason = "libbpf is a C library")]

use std::collections::BTreeMap;

use libbpf_sys as sys;

use super::{Map, Object, string};

impl Object {
    /// The members of a `struct_ops` map that are set: numbers and texts as they are, operations by
    /// their program's name. Members that are zero are left out, and those of other kinds.
    pub(crate) fn struct_ops_values(&self, map: Map<'_>) -> BTreeMap<String, String> {
        let Some(data) = data(map) else {
            return BTreeMap::new();
        };
        let Some(btf) = self.btf() else {
            return BTreeMap::new();
        };
        members(btf, map)
            .into_iter()
            .filter_map(|member| {
                let value = self.value(btf, data, &member)?;
                Some((member.name, value))
            })
            .collect()
    }

    fn value(&self, btf: *mut sys::btf, data: &[u8], member: &Member) -> Option<String> {
        // SAFETY: libbpf answers NULL for an id that there is not; what it returns lives as long as
        // the object, and an array's record follows its `btf_type`, which libbpf validated.
        let (kind, size, array) = unsafe {
            let id = sys::btf__resolve_type(btf, member.type_id);
            let id = u32::try_from(id).ok()?;
            let of = sys::btf__type_by_id(btf, id);
            let kind = of.as_ref()?.info >> 24 & 0x1f;
            let array = (kind == sys::BTF_KIND_ARRAY).then(|| *of.add(1).cast::<sys::btf_array>());
            let size = usize::try_from(sys::btf__resolve_size(btf, id)).ok()?;
            (kind, size, array)
        };
        let bytes = data.get(member.offset..member.offset.checked_add(size)?)?;
        if bytes.iter().all(|byte| *byte == 0) {
            return None;
        }
        match kind {
            sys::BTF_KIND_INT | sys::BTF_KIND_ENUM if size <= 8 => {
                let mut number = [0; 8];
                number[..size].copy_from_slice(bytes);
                Some(u64::from_le_bytes(number).to_string())
            }
            sys::BTF_KIND_ARRAY if array.is_some_and(|array| array.nelems as usize == size) => {
                let end = bytes.iter().position(|byte| *byte == 0);
                Some(String::from_utf8_lossy(&bytes[..end.unwrap_or(size)]).into_owned())
            }
            sys::BTF_KIND_PTR => {
                // libbpf keeps the address of the program in the place of the operation's.
                let address = u64::from_le_bytes(bytes.try_into().ok()?);
                let programs = self.programs();
                let is = |program: &&super::Program<'_>| program.as_ptr() as u64 == address;
                programs.iter().find(is).map(super::Program::name)
            }
            _ => None,
        }
    }
}

struct Member {
    name: String,
    type_id: u32,
    /// In bytes.
    offset: usize,
}

/// The values that the map is registered with, as the object or its loader set them.
fn data(map: Map<'_>) -> Option<&[u8]> {
    let mut size: sys::size_t = 0;
    // SAFETY: the map is alive with its object; libbpf returns NULL or `size` bytes of its own,
    // which nobody writes to meanwhile.
    unsafe {
        if sys::bpf_map__type(map.ptr.as_ptr()) != sys::BPF_MAP_TYPE_STRUCT_OPS {
            return None;
        }
        let data = sys::bpf_map__initial_value(map.ptr.as_ptr(), &raw mut size);
        if data.is_null() {
            return None;
        }
        let size = usize::try_from(size).ok()?;
        Some(std::slice::from_raw_parts(data.cast::<u8>(), size))
    }
}

/// The members of the struct that the map is a variable of. Bit fields are left out.
fn members(btf: *mut sys::btf, map: Map<'_>) -> Vec<Member> {
    // SAFETY: libbpf answers NULL for an id that there is not; a struct's `vlen` records follow its
    // `btf_type` and their names lie in the string section, since libbpf validated both.
    unsafe {
        let id = sys::btf__resolve_type(btf, sys::bpf_map__btf_value_type_id(map.ptr.as_ptr()));
        let Ok(id) = u32::try_from(id) else {
            return Vec::new();
        };
        let of = sys::btf__type_by_id(btf, id);
        if of.is_null() || (*of).info >> 24 & 0x1f != sys::BTF_KIND_STRUCT {
            return Vec::new();
        }
        // With the kind flag the upper byte of an offset is a bit field's size.
        let has_bit_fields = (*of).info >> 31 != 0;
        let count = ((*of).info & 0xffff) as usize;
        let records = of.add(1).cast::<sys::btf_member>();
        std::slice::from_raw_parts(records, count)
            .iter()
            .filter_map(|record| {
                let bits = if has_bit_fields {
                    record.offset & 0x00ff_ffff
                } else {
                    record.offset
                };
                let is_bit_field = has_bit_fields && record.offset >> 24 != 0;
                let name = string(sys::btf__name_by_offset(btf, record.name_off))?;
                (!is_bit_field && bits % 8 == 0).then_some(Member {
                    name,
                    type_id: record.type_,
                    offset: (bits / 8) as usize,
                })
            })
            .collect()
    }
}
