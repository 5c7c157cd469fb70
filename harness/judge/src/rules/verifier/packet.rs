//! Direct access to packets.

use super::rejection::{Rejection, leading_number};
use super::words::bytes;
use crate::text::clipped;
use crate::verifier_log::{Origin, changes_packet};

pub(super) fn hints(rejection: &Rejection<'_>) -> Vec<String> {
    let families = [invalidated, short, arithmetic, refused];
    let spoken = families.iter().map(|family| family(rejection));
    spoken
        .into_iter()
        .find(|hints| !hints.is_empty())
        .unwrap_or_default()
}

/// `R7 invalid mem access 'scalar'`, of a register that pointed into the packet until a helper was
/// called.
fn invalidated(rejection: &Rejection<'_>) -> Vec<String> {
    let number =
        rejection.says("invalid mem access 'scalar'") || rejection.says("invalid mem access 'inv'");
    let Some(register) = rejection.named().filter(|_| number) else {
        return Vec::new();
    };
    // A slice may lie in the packet itself.
    if let Some(Origin::Call(taken)) = rejection.trace.origin(register)
        && matches!(taken, "bpf_dynptr_slice" | "bpf_dynptr_slice_rdwr")
        && let Some((helper, step)) = rejection.trace.called_since(register, changes_packet)
    {
        return vec![format!(
            "call `{taken}` again after `{helper}` (instruction {}), and compare the result with NULL again: the helper \
             may move the packet, so that all slices of it are invalid after it",
            step.instruction.index
        )];
    }
    if !rejection.trace.was_packet(register) {
        return Vec::new();
    }
    if let Some((helper, step)) = rejection.trace.called_since(register, changes_packet) {
        return vec![format!(
            "read `data` and `data_end` from the context again after `{helper}` (instruction {}) and compare \
             them again: the helper may move the packet, so that all pointers into it are invalid after it",
            step.instruction.index
        )];
    }
    // A global function is not walked here, so that the log shows no helper.
    let Some(step) = rejection.trace.function_since(register) else {
        return Vec::new();
    };
    let source = step.source.and_then(|source| source.split(" @ ").next());
    let source = source.map_or_else(String::new, |source| format!(", `{}`", clipped(source)));
    vec![
        format!(
            "read `data` and `data_end` from the context again after the function call (instruction {}{source}) \
             and compare them again: a helper that the function calls may move the packet, so that all pointers \
             into it are invalid after the call",
            step.instruction.index
        ),
        "or read what is needed of the packet before the call".into(),
    ]
}

/// `invalid access to packet, off=16 size=4, R1(id=0,off=16,r=14)`.
fn short(rejection: &Rejection<'_>) -> Vec<String> {
    if !rejection.says("invalid access to packet") {
        return Vec::new();
    }
    let (Some(offset), Some(size)) = (rejection.number("off="), rejection.number("size=")) else {
        return Vec::new();
    };
    let proven = rejection
        .sentence
        .split_once(",r=")
        .and_then(|(_, rest)| leading_number(rest))
        .unwrap_or(0);
    let end = offset.saturating_add(size);
    let (begin, limit) = bounds(&rejection.case.program.program_type);
    let moved = rejection.number("(id=").is_some_and(|id| id != 0);
    let access = format!("it takes {} at offset {offset}", bytes(size));
    if rejection
        .state()
        .is_some_and(|state| state.kind == "pkt_meta")
    {
        return vec![format!(
            "compare `data_meta` + {end} with `data` before the access: {access} of the packet's metadata, which \
             ends where the packet begins, and {} proven to be there",
            match proven {
                0 => "no byte is".into(),
                1 => "only 1 byte is".into(),
                more => format!("only {more} bytes are"),
            }
        )];
    }
    if moved && offset < 0 {
        return vec![format!(
            "subtract from the variable offset before it is added to the packet pointer (`n -= {}`, then \
             `{begin} + n`), and compare after that: {access}, and a comparison with `{limit}` proves nothing \
             of the bytes before the pointer",
            offset.unsigned_abs()
        )];
    }
    if moved {
        return vec![format!(
            "compare the pointer + {end} with `{limit}` after the last addition to it: {access}, and a \
             comparison that was made before a variable offset was added does not count"
        )];
    }
    vec![if proven == 0 {
        format!(
            "compare `{begin}` + {end} with `{limit}` before the access: {access}, and no byte is proven to be \
             there yet"
        )
    } else {
        format!(
            "compare `{begin}` + {end} with `{limit}` before the access: {access}, and only {} from the start \
             are proven to be there",
            bytes(proven)
        )
    }]
}

/// What the context calls the beginning and the end of the memory that the verifier calls a packet.
fn bounds(program_type: &str) -> (&'static str, &'static str) {
    match program_type {
        "cgroup_sockopt" => ("optval", "optval_end"),
        "sock_ops" => ("skb_data", "skb_data_end"),
        _ => ("data", "data_end"),
    }
}

/// `cannot write into packet`, `helper access to the packet is not allowed`.
fn refused(rejection: &Rejection<'_>) -> Vec<String> {
    let kind = &rejection.case.program.program_type;
    if rejection.says("cannot write into packet") {
        return vec![format!(
            "change the packet in a `tc` or XDP program: this kernel lets `{kind}` programs only read it"
        )];
    }
    if rejection.says("helper access to the packet is not allowed") {
        let helper = rejection.helper().unwrap_or_else(|| "the helper".into());
        return vec![format!(
            "copy the bytes to the stack first (`bpf_skb_load_bytes`), and pass those to {helper}: it takes \
             no pointer into the packet in `{kind}` programs"
        )];
    }
    Vec::new()
}

/// `math between pkt pointer and register with unbounded min value is not allowed`, `R2 pointer
/// arithmetic on pkt_end prohibited`.
fn arithmetic(rejection: &Rejection<'_>) -> Vec<String> {
    if rejection.says("arithmetic on pkt_end") {
        if !adds_or_subtracts(rejection) {
            return vec![
                "compare the end of the packet with a pointer into it, and compute nothing else with it".into(),
            ];
        }
        return vec![
            "put the arithmetic on the other side of the comparison: `data + n > data_end` in place of \
             `data > data_end - n`"
                .into(),
        ];
    }
    if !(rejection.says("math between pkt") || rejection.says("makes pkt pointer be out of bounds"))
    {
        return Vec::new();
    }
    let range = rejection.added().and_then(super::words::range);
    vec![format!(
        "bound the number before it is added to the packet pointer, to less than 65536 and not below 0{}: \
         a `__u16`, or a mask (`n &= 0x3fff`), is enough",
        range.map_or_else(String::new, |range| format!(" (it may be {range})"))
    )]
}

/// Whether the last instruction moves a pointer, and does not mask or multiply it.
fn adds_or_subtracts(rejection: &Rejection<'_>) -> bool {
    (rejection.trace.last()).is_none_or(|step| {
        let text = step.instruction.text;
        text.contains(" += ") || text.contains(" -= ")
    })
}
