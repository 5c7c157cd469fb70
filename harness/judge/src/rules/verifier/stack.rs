//! The stack: where an access is, and how much of it a chain of calls uses.

use super::rejection::Rejection;
use super::words::{bytes, range};

/// Bytes of stack that a program may use (`MAX_BPF_STACK`).
const STACK: i64 = 512;

pub(super) fn hints(rejection: &Rejection<'_>) -> Vec<String> {
    let families = [combined, tail_call, variable, unset, outside];
    let spoken = families.iter().map(|family| family(rejection));
    spoken
        .into_iter()
        .find(|hints| !hints.is_empty())
        .unwrap_or_default()
}

/// `combined stack size of 2 calls is 704. Too large`.
fn combined(rejection: &Rejection<'_>) -> Vec<String> {
    if !rejection.says("combined stack size") {
        return Vec::new();
    }
    let calls = rejection.number("combined stack size of ");
    let used = rejection.number("calls is ");
    let sum = match calls.zip(used) {
        Some((calls, used)) => {
            format!("the stacks of the {calls} functions count together and are {used} bytes")
        }
        None => "the stacks of a chain of calls count together".into(),
    };
    vec![
        format!("use at most {STACK} bytes of stack along a chain of calls: {sum}"),
        "move the largest buffers to a per-CPU array with one element".into(),
    ]
}

/// `tail_calls are not allowed when call stack of previous frames is 304 bytes. Too large`.
fn tail_call(rejection: &Rejection<'_>) -> Vec<String> {
    if !rejection.says("tail_calls are not allowed when call stack") {
        return Vec::new();
    }
    let used = rejection.number("previous frames is ");
    let used = used.map_or_else(String::new, |used| format!(", and they use {used}"));
    vec![
        format!(
            "keep the stack of the callers below 256 bytes: a function that makes a tail call leaves \
             its callers that much{used}"
        ),
        "or make the tail call in the program's own function, not in a subprogram".into(),
    ]
}

/// `invalid variable-offset write to stack R1 var_off=(0x0; 0x3f) off=-16 size=1`.
fn variable(rejection: &Rejection<'_>) -> Vec<String> {
    let said = [
        "variable-offset",
        "variable offset",
        "variable stack access",
    ];
    let said = said.iter().any(|words| rejection.says(words));
    if !(said && rejection.says("stack")) {
        return Vec::new();
    }
    let state = rejection.state().filter(|state| state.signed.0 > i64::MIN);
    let reach = state.map(|state| {
        let place = rejection.place().map_or(0, |place| place.offset);
        let offset = place.saturating_add(state.offset);
        let low = offset.saturating_add(state.signed.0);
        let high = offset.saturating_add(state.signed.1);
        format!(
            " (the access may lie anywhere from fp{low:+} to fp{high:+}, and the stack ends at fp+0)"
        )
    });
    vec![format!(
        "bound the index by the number of elements of the array just before the access{}",
        reach.unwrap_or_default()
    )]
}

/// `invalid indirect read from stack R2 off -8+4 size 8`, `invalid read from stack off -16+0 size 8`.
fn unset(rejection: &Rejection<'_>) -> Vec<String> {
    let indirect = rejection.says("invalid indirect read from stack");
    if !indirect && !rejection.says("invalid read from stack off") {
        return Vec::new();
    }
    let place = rejection.sentence.split_once("off ").and_then(|(_, rest)| {
        let start = super::rejection::leading_number(rest)?;
        let (_, at) = rest.split_once('+')?;
        Some((start, super::rejection::leading_number(at)?))
    });
    let Some(((start, at), size)) = place.zip(rejection.number("size ")) else {
        return Vec::new();
    };
    let reader = rejection.helper().unwrap_or_else(|| "the program".into());
    if let Some(hint) = rejection.part_of_map(size, at) {
        return vec![
            format!("{hint}, and set all of it: byte {at} was never written"),
            "clear padding between members too: `__builtin_memset(&key, 0, sizeof(key))` does, and an \
             initializer such as `= {}` need not"
                .into(),
        ];
    }
    vec![format!(
        "set all {} of the variable at fp{start:+} before {reader} reads it: byte {at} was never written. \
         Padding between members counts, so clear the whole (`struct x x = {{}};` leaves padding unset, \
         `__builtin_memset(&x, 0, sizeof(x))` does not)",
        bytes(size)
    )]
}

/// `invalid write to stack R1 off=-16 size=64`, `invalid stack type R1 off=-16 access_size=64`.
fn outside(rejection: &Rejection<'_>) -> Vec<String> {
    let said = [
        "invalid indirect access to stack",
        "invalid read from stack",
        "invalid write to stack",
        "invalid stack type",
        "invalid stack off",
        "invalid access to stack",
    ];
    if !said.iter().any(|words| rejection.says(words)) {
        return Vec::new();
    }
    let size = rejection
        .number("access_size=")
        .or_else(|| rejection.number("size="));
    let (Some(offset), Some(size)) = (rejection.number("off="), size) else {
        return Vec::new();
    };
    let move_out = || "move large buffers to a per-CPU array with one element".to_owned();
    if offset < -STACK {
        return vec![
            format!(
                "use at most {STACK} bytes of stack: the access is {} below its top",
                bytes(offset.saturating_neg())
            ),
            move_out(),
        ];
    }
    if size == 0 || offset >= 0 {
        return vec![format!(
            "access the program's own variables only: fp{offset:+} lies above the stack frame, behind the \
             end of a variable"
        )];
    }
    if let Some(hint) = rejection.part_of_map(size, offset.saturating_neg()) {
        return vec![hint];
    }
    if let Some(helper) = rejection.helper() {
        let amount = rejection
            .named()
            .and_then(|number| rejection.trace.register(number + 1))
            .filter(|state| state.is_scalar() && state.constant().is_none())
            .and_then(range)
            .map_or_else(String::new, |range| format!(" (the size may be {range})"));
        return vec![format!(
            "pass a size to {helper} that fits the variable: {} from fp{offset:+} reach beyond the stack, which \
             has {} there{amount}",
            bytes(size),
            bytes(offset.saturating_neg())
        )];
    }
    vec![format!(
        "access the variable within its bounds: {} from fp{offset:+} reach beyond the stack, which has {} \
         there",
        bytes(size),
        bytes(offset.saturating_neg())
    )]
}
