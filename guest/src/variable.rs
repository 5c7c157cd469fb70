//! Finds the variables in an object's read-only data by its BTF, and sets their values.
//!
//! The input is an object that is not loaded, and values from a manifest. The output is the
//! object's data with these values. It never writes beyond a variable.
#![expect(unsafe_code, reason = "libbpf's BTF reader is a C library")]

use std::ffi::CStr;
use std::slice;

use libbpf_sys as sys;
use ukci_schema::contract::{Constant, Shape};

use crate::bpf::Object;

/// Why a variable was not set.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NotSet {
    /// The object has no read-only variable of this name.
    Unknown,
    /// The value does not fit: why.
    Misfit(String),
}

/// How deep types may nest: an array of a typedef of a qualified integer is four.
const DEEPEST: u32 = 32;

/// Sets a variable of `.rodata*`, before the load.
pub(crate) fn set(object: &Object, name: &str, value: &Constant) -> Result<(), NotSet> {
    let (section, variable) = find(object, name).ok_or(NotSet::Unknown)?;
    let shape = shape(object, variable.type_, 0).ok_or(NotSet::Unknown)?;
    let bytes = value
        .encode(&shape)
        .map_err(|misfit| NotSet::Misfit(misfit.to_string()))?;
    // libbpf calls the map of `.rodata` after the object, and those of other sections as they are.
    let map = object.maps().into_iter().find(|map| {
        let map = map.name();
        map == section || map.ends_with(&section)
    });
    let map = map.ok_or(NotSet::Unknown)?;
    let mut size: sys::size_t = 0;
    // SAFETY: the map is alive and not loaded: the value is memory of libbpf's, `size` bytes.
    let values = unsafe {
        let values = sys::bpf_map__initial_value(map.as_ptr(), &raw mut size);
        if values.is_null() {
            return Err(NotSet::Unknown);
        }
        slice::from_raw_parts_mut(values.cast::<u8>(), usize::try_from(size).unwrap_or(0))
    };
    let start = variable.offset as usize;
    let place = values.get_mut(start..start.saturating_add(bytes.len()));
    place.ok_or(NotSet::Unknown)?.copy_from_slice(&bytes);
    Ok(())
}

/// The section that has the variable, and its record there.
fn find(object: &Object, name: &str) -> Option<(String, sys::btf_var_secinfo)> {
    let btf = object.btf()?;
    // SAFETY: the BTF lives with the object and libbpf validated it: a section's `vlen` records
    // follow its type.
    unsafe {
        for id in 1..sys::btf__type_cnt(btf) {
            let kind = sys::btf__type_by_id(btf, id);
            if kind.is_null() || kind_of((*kind).info) != sys::BTF_KIND_DATASEC {
                continue;
            }
            let section = text(btf, (*kind).name_off)?;
            if !section.starts_with(".rodata") {
                continue;
            }
            let count = ((*kind).info & 0xffff) as usize;
            let records = slice::from_raw_parts(kind.add(1).cast::<sys::btf_var_secinfo>(), count);
            let found = records.iter().find(|record| {
                let variable = sys::btf__type_by_id(btf, record.type_);
                !variable.is_null() && text(btf, (*variable).name_off).as_deref() == Some(name)
            });
            if let Some(found) = found {
                return Some((section, *found));
            }
        }
    }
    None
}

/// What the type at `id` is, through names and qualifiers.
fn shape(object: &Object, id: u32, depth: u32) -> Option<Shape> {
    if depth > DEEPEST {
        return None;
    }
    let btf = object.btf()?;
    // SAFETY: as above; an integer's word, an array's record follow their types.
    unsafe {
        let kind = sys::btf__type_by_id(btf, id);
        if kind.is_null() {
            return None;
        }
        let size = (*kind).__bindgen_anon_1.size;
        let other = |bytes: i64| {
            Some(Shape::Other {
                bytes: usize::try_from(bytes).ok()?,
            })
        };
        match kind_of((*kind).info) {
            sys::BTF_KIND_VAR
            | sys::BTF_KIND_TYPEDEF
            | sys::BTF_KIND_CONST
            | sys::BTF_KIND_VOLATILE
            | sys::BTF_KIND_RESTRICT
            | sys::BTF_KIND_TYPE_TAG => shape(object, (*kind).__bindgen_anon_1.type_, depth + 1),
            sys::BTF_KIND_INT => Some(Shape::Number {
                bytes: size as usize,
                // linux/btf.h: BTF_INT_SIGNED is bit 0 of the encoding, in bits 24 to 27.
                signed: (*kind.add(1).cast::<u32>() >> 24) & 1 == 1,
            }),
            // Bit 31 of an enum says that it is signed.
            sys::BTF_KIND_ENUM | sys::BTF_KIND_ENUM64 => Some(Shape::Number {
                bytes: size as usize,
                signed: (*kind).info >> 31 == 1,
            }),
            sys::BTF_KIND_ARRAY => {
                let array = *kind.add(1).cast::<sys::btf_array>();
                Some(Shape::Array {
                    length: array.nelems as usize,
                    element: Box::new(shape(object, array.type_, depth + 1)?),
                })
            }
            _ => other(sys::btf__resolve_size(btf, id)),
        }
    }
}

fn kind_of(info: u32) -> u32 {
    (info >> 24) & 0x1f
}

/// # Safety
///
/// `btf` is alive.
unsafe fn text(btf: *const sys::btf, offset: u32) -> Option<String> {
    // SAFETY: the caller's promise; the string lives with the BTF.
    unsafe {
        let text = sys::btf__name_by_offset(btf, offset);
        (!text.is_null()).then(|| CStr::from_ptr(text).to_string_lossy().into_owned())
    }
}
