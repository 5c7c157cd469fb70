//! Features that a later release introduced, and loops.

use super::rejection::Rejection;
use ukci_schema::history;

/// Words of a sentence, all of which must stand in it, and what to do.
type Advice = (&'static [&'static str], &'static str);

const ADVICE: &[Advice] = &[
    (
        &["BPF_STX uses reserved fields"],
        "use a spin lock or `__sync_fetch_and_add` without its result on kernels before 5.12: atomic \
         operations that return a value, and all but add, came with it (acquiring loads and releasing \
         stores with 6.15)",
    ),
    (
        &["preallocated"],
        "drop BPF_F_NO_PREALLOC from the map on kernels before 6.1, which let sleepable programs use \
         preallocated maps only",
    ),
    (
        &["can be sleepable"],
        "drop `.s` where the kernel does not let this type sleep (uprobes: 6.0)",
    ),
    (
        &["infinite loop"],
        "change something in each pass of the loop that ends it after a number of passes known to the \
         verifier: a counter with a constant bound, not a value that only another CPU changes",
    ),
    (
        &["disabled hook"],
        "take another hook (`grep bpf_lsm_ /proc/kallsyms`): the kernel lets no BPF program attach to this \
         one, because it does not return a plain error code",
    ),
    (
        &["sleepable progs cannot use bpf_spin_lock"],
        "drop `.s`, or count with atomic operations: newer kernels let sleepable programs take a lock",
    ),
    (
        &["leaks addr"],
        "do not store kernel pointers where user space can read them",
    ),
    (
        &["same insn cannot be used with different pointers"],
        "access each kind of pointer in a branch of its own, and keep the compiler from merging the two \
         (`barrier_var(pointer)`): one instruction reads through pointers of two kinds",
    ),
    (
        &["invalid atomic operand size"],
        "use atomic operations on 4 or 8 bytes: the instruction set has none for less",
    ),
    (
        &["unknown opcode"],
        "compile with an older instruction set (`-mcpu=v2` or `-mcpu=v1`), and look at inline assembly: this \
         kernel's verifier does not know the instruction",
    ),
    (
        &["BPF_ATOMIC stores into", "arena is not allowed"],
        "use this atomic operation on a map value instead: in an arena, the kernel's JIT cannot do it on this \
         CPU (on arm64 it needs LSE, which is ARMv8.1)",
    ),
    (
        &["stores into", "is not allowed"],
        "use atomic operations on map values and the stack only",
    ),
    (
        &["BPF_LD_[ABS|IND]"],
        "read the packet with `bpf_skb_load_bytes` in place of `load_byte` and its like",
    ),
    (
        &["last insn is not an exit or jmp"],
        "end the function with a `return` on every path: the compiler takes undefined behavior, such as a \
         division by a constant 0 or an uninitialized variable, as a reason to leave it out",
    ),
    (
        &["attach to unsupported member"],
        "leave the member out of the map: this kernel lets no BPF program implement it",
    ),
    (&["div by zero"], "do not divide by the constant 0"),
    (
        &["invalid kptr access", "expected="],
        "store a pointer to the struct that the map's value declares: this one is of another type, or may be \
         NULL where it must not",
    ),
    (
        &["kptr"],
        "access the kernel pointer in the map by itself, as 8 bytes at its own offset: store and take out a \
         pointer that is released (`__kptr`) with `bpf_kptr_xchg` only",
    ),
    (
        &["jump out of range"],
        "keep the jump inside its function: the object is damaged, or inline assembly jumps too far",
    ),
    (
        &["unreachable insn"],
        "remove the code that no path leads to: kernels before 5.13 take a callback for such code",
    ),
    (
        &["without taking a lock"],
        "take the lock before it is given back, on every path",
    ),
    (
        &["of different lock"],
        "give back the lock that was taken: this is one of another value",
    ),
    (
        &["must be held for"],
        "take the `struct bpf_spin_lock` of the same value before the list or tree is changed",
    ),
    (
        &["cannot write into"],
        "write to memory that is not read-only: this pointer is for reading alone",
    ),
    (
        &["does not allow writes to packet data"],
        "ask for a slice that is only read (`bpf_dynptr_slice`) in programs of this type",
    ),
    (
        &["is not pointing to valid bpf_map"],
        "create the map before the program is loaded: this one does not exist",
    ),
    (
        &["Unsupported reg type", "bpf_dynptr_from_mem"],
        "pass a map value to `bpf_dynptr_from_mem`, not the stack",
    ),
    (
        &["cannot be called from callback"],
        "call it outside of the callback",
    ),
    (
        &["cannot update sockmap in this context"],
        "update the map from user space or from a `sock_ops` program",
    ),
    (
        &["only allowed in functions that return 'int'"],
        "declare the function with this call as `int`",
    ),
    (
        &["corrupted spill memory"],
        "do not overwrite part of a pointer that is kept on the stack",
    ),
    (
        &["Attaching tracing programs to function", "is rejected"],
        "attach to another function, such as one that calls it: the kernel's own trampolines call this one, so \
         that no BTF-based tracing program may be attached to it",
    ),
    (
        &["Attaching fexit", "__noreturn"],
        "use `fentry`: the function never returns, so that nothing can run behind it",
    ),
    (
        &["can only be used in a program that has an associated arena"],
        "refer in the program to the arena, a map of type BPF_MAP_TYPE_ARENA, that the pointer (`__arena`) \
         leads into: a program uses one arena, and this one names none",
    ),
    (
        &["only one cgroup storage of each type is allowed"],
        "put the values into one struct, in one map: a program uses at most one `cgroup_storage` and one \
         `percpu_cgroup_storage`",
    ),
    (
        &["unmatched"],
        "pair each lock with one unlock on every path: this one was not taken",
    ),
];

pub(super) fn hints(rejection: &Rejection<'_>) -> Vec<String> {
    if let Some(bits) = rejection.number("invalid shift ") {
        return shift(rejection, bits);
    }
    let hint = recursion(rejection)
        .or_else(|| maps_while_sleeping(rejection))
        .or_else(|| sleepable_member(rejection));
    if let Some(hint) = hint {
        return vec![hint];
    }
    let fits = |words: &[&str]| words.iter().all(|words| rejection.says(words));
    let found = ADVICE.iter().filter(|(words, _)| fits(words));
    found.map(|(_, hint)| (*hint).to_owned()).take(1).collect()
}

/// `recursive call from fact() to fact()` (7.x), `the call stack of 8 frames is too deep !` with the same call
/// in each frame, and `back-edge from insn 14 to 4`: from 5.3 on the last is said of calls alone.
fn recursion(rejection: &Rejection<'_>) -> Option<String> {
    let back = rejection.says("back-edge");
    if back && history::is_older(&rejection.case.evidence.guest.release, "5.3") {
        return Some("unroll the loop (`#pragma unroll`): kernels before 5.3 take no loops".into());
    }
    let deep = rejection.says("frames is too deep") && rejection.trace.calls_itself();
    (back || deep || rejection.says("recursive call from")).then(|| {
        "write a loop with a constant bound in place of the recursion: a function may not call itself, also not \
         through another one"
            .into()
    })
}

/// `Sleepable programs can only use array and hash maps`, and a longer list since then.
fn maps_while_sleeping(rejection: &Rejection<'_>) -> Option<String> {
    const ALWAYS: &[&str] = &["array", "hash", "lru_hash"];
    if !rejection.says("Sleepable programs can only use ") || rejection.says("preallocated") {
        return None;
    }
    let may_be_used = |kind: &str| {
        let listed = |word, of_kind: bool| of_kind && rejection.says(word);
        ALWAYS.contains(&kind)
            || listed("ringbuf", kind.ends_with("ringbuf"))
            || listed("local storage", kind.ends_with("_storage"))
    };
    let at_fault = rejection.only(|map| !may_be_used(&map.map_type));
    let map = at_fault.map_or_else(
        || "the map".into(),
        |map| format!("map `{}` (`{}`)", map.name, map.map_type),
    );
    Some(format!(
        "drop `.s` from the section, or do without {map} in this program: this kernel lets programs that may sleep \
         use only the types of maps that it lists"
    ))
}

/// `attach to unsupported member enqueue of struct sched_ext_ops`: `bpf_scx_check_member` lets programs that
/// may sleep implement a few members only.
fn sleepable_member(rejection: &Rejection<'_>) -> Option<String> {
    let section = rejection.case.section();
    (rejection.says("attach to unsupported member") && section.starts_with("struct_ops.s")).then(|| {
        "drop `.s` from the section: the kernel lets programs that may sleep implement only some members; if it \
         refuses the member without `.s` too, leave the member out of the map"
            .into()
    })
}

/// `invalid shift 77`: an amount that the machine would cut to its lowest bits.
fn shift(rejection: &Rejection<'_>, bits: i64) -> Vec<String> {
    let instruction = rejection.trace.last().map(|step| step.instruction.text);
    // `(67) r0 <<= 77`, or `(64) w0 <<= 40` of 32 bits.
    let narrow = instruction.and_then(|text| Some(text.split_once(") ")?.1.starts_with('w')));
    let width = match narrow {
        Some(true) => "32 bits, so that the amount is 0 to 31",
        _ => "64 bits, so that the amount is 0 to 63",
    };
    vec![format!(
        "shift by fewer bits than the value has: the amount here is {bits}, and the value has {width}. C \
         leaves a wider shift undefined, also where the compiler only warns of it"
    )]
}
