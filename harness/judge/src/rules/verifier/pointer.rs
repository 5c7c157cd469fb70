//! Values that the verifier does not accept as pointers, pointers that may be NULL, and arithmetic
//! on pointers.

use super::rejection::Rejection;
use super::words;
use crate::verifier_log::{Origin, Register};
use ukci_schema::history;

pub(super) fn hints(rejection: &Rejection<'_>) -> Vec<String> {
    let families = [unset, arithmetic, number, null, other];
    let spoken = families.iter().map(|family| family(rejection));
    spoken
        .into_iter()
        .find(|hints| !hints.is_empty())
        .unwrap_or_default()
}

/// `R7 !read_ok`.
fn unset(rejection: &Rejection<'_>) -> Vec<String> {
    let Some(register) = rejection.named().filter(|_| rejection.says("!read_ok")) else {
        return Vec::new();
    };
    if register == 0 {
        return vec!["return a value on every path: here the program ends without one".into()];
    }
    let after_call =
        (1..=5).contains(&register) && rejection.trace.called_since(register, |_| true).is_some();
    if after_call {
        return vec![format!(
            "set R{register} again after the call: a call leaves nothing in R1 to R5"
        )];
    }
    if let Some(hint) = undeclared_argument(rejection, register) {
        return vec![hint];
    }
    vec![format!(
        "set the variable on every path that leads here: nothing has written R{register} on this one"
    )]
}

/// An argument that a function is declared with and that nobody passes: a program gets its context alone, and a
/// callback as many arguments as its caller gives it.
fn undeclared_argument(rejection: &Rejection<'_>, register: u8) -> Option<String> {
    if !(2..=5).contains(&register) || rejection.trace.writes(register) {
        return None;
    }
    if let Some((caller, takes)) = rejection.trace.in_callback() {
        return Some(format!(
            "declare the callback with the arguments that `{caller}` passes, {takes}: it reads argument {register}, \
             which nothing has set"
        ));
    }
    let macros = match rejection.case.program.program_type.as_str() {
        "kprobe" => "`BPF_KPROBE(name, …)`, which reads them from the registers",
        "tracing" | "lsm" | "struct_ops" | "raw_tracepoint" => {
            "`BPF_PROG(name, …)`, which reads them from the context"
        }
        _ => "the fields of the context",
    };
    (!rejection.trace.has_calls()).then(|| {
        format!(
            "declare the program with one argument, its context, and take others with {macros}: it reads argument \
             {register}, which nothing has set"
        )
    })
}

/// `R1 pointer arithmetic on map_ptr prohibited`.
fn arithmetic(rejection: &Rejection<'_>) -> Vec<String> {
    if rejection.says("null-check it first") || rejection.says("_or_null prohibited") {
        return vec![
            "compare the pointer with NULL before anything is added to it: take the address of the member \
             after the check"
                .into(),
        ];
    }
    if rejection.says("pointer arithmetic on map_ptr") {
        return vec![
            "call `bpf_map_lookup_elem` for an element: the map itself is no array that a program can index"
                .into(),
        ];
    }
    if rejection.says("tried to subtract pointer from")
        || rejection.says("subtraction from stack pointer")
    {
        return vec![
            "subtract only a number from a pointer, and from a pointer to the stack only a constant".into(),
        ];
    }
    if rejection.says("32-bit pointer arithmetic") {
        // `(54) w0 &= 1`: in 64 bits this is refused as well.
        let text = rejection.trace.last().map(|step| step.instruction.text);
        let adds = text.is_none_or(|text| text.contains("+=") || text.contains("-="));
        return vec![if adds {
            "compute with the pointer in 64 bits: do not cast it to `int` or `__u32`".into()
        } else {
            "do not compute with the pointer's value: only adding to it and subtracting from it, in 64 bits, is \
             allowed"
                .into()
        }];
    }
    if rejection.says("pointer += pointer") {
        return vec!["add a number to a pointer, not another pointer".into()];
    }
    if rejection.says("with <<= operator") || rejection.says("with >>= operator") {
        return vec![
            "keep the pointer in 64 bits: a cast to `int` or `__u32` becomes shifts, and no operator but + and \
             - is allowed on a pointer"
                .into(),
        ];
    }
    if rejection.says("pointer arithmetic with ") || rejection.says("bitwise operator") {
        return vec![
            "only add to a pointer or subtract from it: no other operator is allowed".into(),
        ];
    }
    if let Some((_, rest)) = rejection.sentence.split_once("pointer arithmetic on ") {
        let kind = rest.split(' ').next().unwrap_or_default();
        return vec![format!(
            "keep the pointer as it is: nothing may be added to {}",
            words::kind(kind)
        )];
    }
    Vec::new()
}

/// `R1 invalid mem access 'scalar'` (`inv` before 5.18).
fn number(rejection: &Rejection<'_>) -> Vec<String> {
    let said = ["'scalar'", "'inv'", "'imm'"];
    if !said
        .iter()
        .any(|kind| rejection.says(&format!("invalid mem access {kind}")))
    {
        return Vec::new();
    }
    let Some(register) = rejection.named() else {
        return Vec::new();
    };
    let kind = rejection.case.program.program_type.as_str();
    let read = "read what it points to with `bpf_probe_read_kernel` or BPF_CORE_READ";
    let user = "use `bpf_probe_read_user` if it is an address of user space";
    let is_null = rejection
        .trace
        .register(register)
        .and_then(Register::constant)
        == Some(0);
    match rejection.trace.origin(register) {
        Some(Origin::Call(name)) if is_null => vec![format!(
            "compare what `{name}` returned with NULL before it is used: on this path it is NULL"
        )],
        Some(Origin::Call("bpf_get_current_task")) => vec![
            format!(
                "call `bpf_get_current_task_btf` (mainline {}) in place of `bpf_get_current_task`, whose \
                 result is a number to the verifier",
                history::helper("bpf_get_current_task_btf").unwrap_or("5.11")
            ),
            format!("or {read}"),
        ],
        Some(Origin::Call(name)) => vec![format!(
            "{read}: `{name}` returned it, and its result is a number to the verifier"
        )],
        Some(Origin::Load("ctx")) if matches!(kind, "tracing" | "lsm" | "struct_ops") => vec![
            format!("{read}: of the arguments, only pointers to structs can be followed directly"),
            user.into(),
        ],
        Some(Origin::Load("ctx")) => vec![
            format!("{read}: an argument that a `{kind}` program gets is a number to the verifier"),
            user.into(),
        ],
        Some(Origin::Load("map_value" | "fp" | "mem" | "pkt")) => vec![
            format!(
                "{read}: a pointer that was kept in memory is a number when it is loaded again"
            ),
            user.into(),
        ],
        Some(Origin::Load(kind)) => vec![format!(
            "{read}: it was loaded from {}, without a type that the verifier follows",
            words::kind(kind)
        )],
        Some(Origin::Constant) => {
            vec!["take the pointer from a helper or an argument: here it is a constant".into()]
        }
        Some(Origin::Arithmetic) => vec![format!(
            "{read}, or compute it so that it stays a pointer: arithmetic has made it a number"
        )],
        None => vec![format!(
            "{read}: the verifier does not know it as a pointer"
        )],
    }
}

/// `R0 invalid mem access 'map_value_or_null'`.
fn null(rejection: &Rejection<'_>) -> Vec<String> {
    let kind = rejection
        .sentence
        .split_once("invalid mem access '")
        .and_then(|(_, rest)| {
            let (kind, _) = rest.split_once('\'')?;
            kind.contains("or_null").then_some(kind)
        });
    let Some(kind) = kind else {
        return Vec::new();
    };
    let from = match rejection
        .register()
        .and_then(|register| rejection.trace.origin(register))
    {
        Some(Origin::Call(name)) => format!("what `{name}` returned"),
        _ => "the pointer".into(),
    };
    vec![format!(
        "compare {from} with NULL before it is used: it is {}",
        words::kind(kind)
    )]
}

/// Any other kind that cannot be followed, or only from its beginning.
fn other(rejection: &Rejection<'_>) -> Vec<String> {
    if let Some((_, rest)) = rejection.sentence.split_once("dereference of modified ") {
        let kind = rest.split(' ').next().unwrap_or_default();
        return vec![format!(
            "use the pointer as it was returned: {} was added to it, and {} is accepted only as it is",
            rejection.number("off=").unwrap_or(0),
            words::kind(kind)
        )];
    }
    let Some((_, rest)) = rejection.sentence.split_once("invalid mem access '") else {
        return Vec::new();
    };
    let kind = rest.split('\'').next().unwrap_or_default();
    let moved = rejection.state().map_or(0, |state| state.offset);
    let place = rejection.place().map_or_else(String::new, |place| {
        format!(" at offset {}", place.offset.saturating_add(moved))
    });
    vec![format!(
        "do not access memory through this pointer{place}: it is {}, which programs cannot read or write \
         directly",
        words::kind(kind)
    )]
}
