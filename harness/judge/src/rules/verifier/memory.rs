//! Map values and other memory of a known size: how many bytes there are, and how many the program
//! accesses.

use super::rejection::{Rejection, leading_number, region_of, section};
use super::words::{bytes, range};
use crate::verifier_log::{Operation, Origin};

/// The flag of a map that programs may not write to. libbpf sets it for `.rodata`.
const BPF_F_RDONLY_PROG: u32 = 0x80;

pub(super) fn hints(rejection: &Rejection<'_>) -> Vec<String> {
    let families = [misaligned, read_only, outside, unbounded, arithmetic];
    let spoken = families.iter().map(|family| family(rejection));
    spoken
        .into_iter()
        .find(|hints| !hints.is_empty())
        .unwrap_or_default()
}

/// `misaligned value access off (0x0; 0x0)+0+4 size 8`.
fn misaligned(rejection: &Rejection<'_>) -> Vec<String> {
    if !(rejection.says("misaligned ") && rejection.says(" access off")) {
        return Vec::new();
    }
    let size = rejection
        .number("size ")
        .or_else(|| rejection.number("size="));
    let (Some(size), Some(place)) = (size, rejection.place()) else {
        return Vec::new();
    };
    let base = rejection.trace.register(place.base);
    let offset = place
        .offset
        .saturating_add(base.map_or(0, |base| base.offset));
    let atomic = matches!(
        rejection
            .trace
            .last()
            .map(|step| step.instruction.operation),
        Some(Operation::Store { atomic: true, .. })
    );
    let what = if rejection.says("misaligned stack") {
        "a variable on the stack"
    } else if rejection.says("misaligned packet") {
        "the packet"
    } else if rejection.says("misaligned value") {
        "the map's value"
    } else {
        "the memory"
    };
    let access = if atomic {
        "an atomic operation"
    } else {
        "an access"
    };
    let mut found = vec![format!(
        "align the member: {access} of {} needs an offset that is a multiple of {size}, and this one is at \
         offset {offset} of {what}",
        bytes(size)
    )];
    if atomic {
        found.push(
            "declare the struct without `packed`, or move the counter to its beginning".into(),
        );
    } else {
        found.push("or copy the bytes one by one (`__builtin_memcpy` of a packed member)".into());
    }
    found
}

/// `write into map forbidden, value_size=4 off=0 size=4`.
fn read_only(rejection: &Rejection<'_>) -> Vec<String> {
    if rejection.says("write into map forbidden") {
        let known = rejection.state().and_then(|state| rejection.map(state));
        let constants = || rejection.only(|map| section(&map.name).starts_with(".rodata"));
        let read_only = || rejection.only(|map| map.flags & BPF_F_RDONLY_PROG != 0);
        return match known.or_else(read_only).or_else(constants) {
            Some(map) if section(&map.name).starts_with(".rodata") => vec![
                "declare the variable without `const` if the program is to write it: constants are in \
                 `.rodata`, which is read-only once the object is loaded"
                    .into(),
            ],
            Some(map) => vec![format!(
                "declare map `{}` without BPF_F_RDONLY_PROG if the program is to write it",
                map.name
            )],
            None => vec!["write to a map that is not read-only for programs".into()],
        };
    }
    if rejection.says("read from map forbidden") {
        return vec![
            "declare the map without BPF_F_WRONLY_PROG if the program is to read it".into(),
        ];
    }
    Vec::new()
}

/// `invalid access to map value, value_size=16 off=16 size=8`, and of other memory.
fn outside(rejection: &Rejection<'_>) -> Vec<String> {
    let there = ["value_size=", "mem_size=", "key_size="];
    let there = there.iter().find_map(|words| rejection.number(words));
    let (Some(there), Some(offset), Some(size)) = (
        there,
        rejection.number("off="),
        rejection
            .number("size=")
            .and_then(|_| access_size(rejection)),
    ) else {
        return Vec::new();
    };
    if !rejection.says("invalid access to m") {
        return Vec::new();
    }
    let state = rejection.state();
    let region = match state {
        Some(state) if rejection.says("map value") && state.value_size.is_some() => {
            rejection.region(state)
        }
        // Kernels before 5.17 say little of the register, and the size tells which map it is.
        _ if rejection.says("map value") => {
            let of_size = rejection.only(|map| i64::from(map.value_size) == there);
            of_size.map_or_else(|| "the map's value".into(), region_of)
        }
        _ if rejection.says("map key") => "the map's key".into(),
        Some(state) if state.kind.contains("mem") => "the memory that was reserved".into(),
        _ => "the memory".into(),
    };
    // Of a constant offset the least value is outside too, and is named first.
    let variable =
        rejection.says("max value is outside") || state.is_some_and(|state| state.variable);
    if let Some(helper) = rejection.helper() {
        let left = there.saturating_sub(offset);
        if let Some(hint) = rejection.part_of_map(size, left) {
            return vec![hint];
        }
        if variable || offset < 0 || left <= 0 {
            let what = if variable {
                "bound the index of"
            } else {
                "correct"
            };
            return vec![format!(
                "{what} the pointer that is passed to {helper}: it may lead to offset {offset}, where {} are \
                 accessed, and {region} has {}",
                bytes(size),
                bytes(there)
            )];
        }
        return vec![format!(
            "pass a size of at most {left} to {helper}: it is to access {} at offset {offset}, and {region} has {}",
            bytes(size),
            bytes(there)
        )];
    }
    let end = offset.saturating_add(size);
    if !variable && offset < 0 {
        return vec![format!(
            "do not move the pointer to before the beginning of {region}: the access is at offset {offset}"
        )];
    }
    if variable && offset < 0 {
        return vec![format!(
            "make sure that the index is not negative just before the access: it may lead to offset {offset} \
             of {region}"
        )];
    }
    if variable {
        return vec![format!(
            "bound the index just before the access: it may lead to offset {offset}, where {} are accessed, \
             and {region} has {}",
            bytes(size),
            bytes(there)
        )];
    }
    let ends = if size == 1 { "ends" } else { "end" };
    let access = format!("{} at offset {offset} {ends} at byte {end}", bytes(size));
    if let Some(Origin::Call(taken)) = rejection
        .register()
        .and_then(|number| rejection.trace.origin(number))
        && !rejection.says("map value")
    {
        return vec![format!(
            "access less, or ask for more: {access}, and `{taken}` returned {}",
            bytes(there)
        )];
    }
    vec![
        format!(
            "access less, or declare more: {access}, and {region} has {}",
            bytes(there)
        ),
        "compare the type that the program reads with the one in the declaration".into(),
    ]
}

/// The last `size=` of the sentence's first part: `value_size=16 off=16 size=8`.
fn access_size(rejection: &Rejection<'_>) -> Option<i64> {
    let first = rejection.sentence.split(';').next()?;
    let (_, size) = first.rsplit_once(" size=")?;
    leading_number(size)
}

/// `R1 unbounded memory access, make sure to bounds check any such access`.
fn unbounded(rejection: &Rejection<'_>) -> Vec<String> {
    let negative = rejection.says("min value is negative");
    if !negative && !rejection.says("unbounded memory access") {
        return Vec::new();
    }
    let state = rejection.state();
    let size = state.and_then(|state| state.value_size);
    let limit = match state.zip(size) {
        Some((state, size)) => format!("; {} has {size} bytes", rejection.region(state)),
        None => String::new(),
    };
    let known = state
        .and_then(range)
        .map_or_else(String::new, |range| format!(": the offset may be {range}"));
    if negative {
        return vec![format!(
            "compare the index with 0 too, or keep it in an unsigned variable{known}{limit}"
        )];
    }
    vec![
        format!("compare the index with the number of elements just before the access{known}{limit}"),
        "keep the compiler from undoing the check: compare the same variable that is used as the index, or mask it \
         (`i &= N - 1`, with N a power of two)"
            .into(),
    ]
}

/// `math between map_value pointer and register with unbounded min value is not allowed`, `value -8
/// makes map_value pointer be out of bounds`.
fn arithmetic(rejection: &Rejection<'_>) -> Vec<String> {
    if rejection.says(" pointer offset ") && rejection.says("is not allowed") {
        return vec!["add less to the pointer: the sum is beyond what any memory has".into()];
    }
    let bounds = rejection.says("makes ") && rejection.says("pointer be out of bounds");
    if !bounds && !rejection.says("math between ") {
        return Vec::new();
    }
    // `math between map_value pointer and 536870912 is not allowed`: a constant, over BPF_MAX_VAR_OFF.
    let constant = (rejection.sentence.split_once(" pointer and "))
        .and_then(|(_, rest)| rest.split(' ').next()?.parse::<i64>().ok());
    if let Some(constant) = constant.filter(|_| rejection.says("math between ")) {
        return vec![format!(
            "add less to the pointer: {constant} is not smaller than 2^29, the most that the verifier lets a \
             pointer move"
        )];
    }
    let known = rejection
        .added()
        .and_then(range)
        .map_or_else(String::new, |range| format!(" (it may be {range})"));
    vec![format!(
        "bound the number on both sides before it is added to the pointer{known}: keep it in an unsigned \
         variable and compare it with the number of elements"
    )]
}
