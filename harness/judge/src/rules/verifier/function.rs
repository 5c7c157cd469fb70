//! Functions: global functions, which are verified by themselves, and traced kernel functions.

use super::rejection::Rejection;

/// The release that takes pointers to memory of a known size in global functions (e5069b9c23b3).
const POINTERS: &str = "5.12";

pub(super) fn hints(rejection: &Rejection<'_>) -> Vec<String> {
    let families = [unsupported, arguments, traced];
    let spoken = families.iter().map(|family| family(rejection));
    spoken
        .into_iter()
        .find(|hints| !hints.is_empty())
        .unwrap_or_default()
}

fn make_static(name: Option<&str>) -> String {
    let name = name.map_or_else(|| "the function".into(), |name| format!("`{name}()`"));
    format!(
        "make {name} `static` (with `__noinline` if it is to stay a function): the verifier then checks it \
         at each call, with what the caller passes"
    )
}

/// `Arg#0 type PTR in advance() is not supported yet.`
fn unsupported(rejection: &Rejection<'_>) -> Vec<String> {
    if let Some((before, _)) = rejection.sentence.split_once("() is not supported yet") {
        let name = before.rsplit(' ').next();
        let mut found = vec![make_static(name)];
        if rejection.says("type PTR") {
            found.push(format!(
                "or pass its parts by value, or in a map: global functions take pointers to memory from \
                 mainline {POINTERS}"
            ));
        }
        return found;
    }
    if rejection.says("doesn't return scalar") || rejection.says("return value not void or scalar")
    {
        let name = rejection
            .sentence
            .strip_prefix("Global function ")
            .and_then(|rest| rest.split_once("()").map(|(name, _)| name));
        return vec![
            "return an integer from the global function, not a pointer or a struct, and on older kernels not \
             `void` either"
                .into(),
            make_static(name),
        ];
    }
    Vec::new()
}

/// `arg#0 reference type('UNKNOWN ') size cannot be determined: -22`, `Caller passes invalid args into
/// func#1 ('emit')`.
fn arguments(rejection: &Rejection<'_>) -> Vec<String> {
    let name = name_of_global(rejection);
    if rejection.says("size cannot be determined") {
        let mut found = vec![make_static(name.as_deref())];
        found.push(
            "or declare the argument as a pointer to a struct with a body; tag it `__arg_ctx` if it is the \
             program's context (libbpf 1.4)"
                .into(),
        );
        return found;
    }
    if !rejection.says("Caller passes invalid args") {
        return Vec::new();
    }
    // The pointer is to a struct of the kernel's, and the function to be called takes plain memory.
    if rejection.says("access beyond struct") {
        return vec![
            "tag the argument in the declaration (`struct task_struct *task __arg_trusted`; kernels from 6.9, \
             libbpf 1.4): without the tag, a global function takes a pointer to plain memory, and a pointer \
             to a struct of the kernel is none"
                .into(),
            make_static(name.as_deref()),
        ];
    }
    let size = rejection.number("size=");
    let offset = rejection.number("off=");
    let compared = match (offset, size) {
        (Some(offset), Some(size)) if rejection.says("stack") && offset < 0 => format!(
            ": it takes a pointer to {size} bytes, and {} are on the stack there",
            offset.saturating_neg()
        ),
        _ => String::new(),
    };
    vec![
        format!(
            "pass what {} is declared to take{compared}",
            name.as_deref()
                .map_or_else(|| "the function".into(), |name| format!("`{name}()`"))
        ),
        make_static(name.as_deref()),
    ]
}

/// The global function that is verified or called: `func#1 ('emit')`, or the last `Validating emit()`.
fn name_of_global(rejection: &Rejection<'_>) -> Option<String> {
    let called = rejection.sentence.split_once("('").and_then(|(_, rest)| {
        let (name, _) = rest.split_once("')")?;
        // A type, such as `FWD opaque` or `UNKNOWN `, is quoted in the same way.
        (!name.contains(' ')).then(|| name.to_owned())
    });
    let called = called.or_else(|| {
        let (_, rest) = rejection.sentence.split_once("into func#")?;
        let (_, name) = rest.split_once("('")?;
        name.split_once("')").map(|(name, _)| name.to_owned())
    });
    called.or_else(|| {
        let log = &rejection.case.program.load.log;
        let line = log
            .lines()
            .rev()
            .find_map(|line| line.trim().strip_prefix("Validating "))?;
        line.split_once("()").map(|(name, _)| name.to_owned())
    })
}

/// `The function make_kuid return type STRUCT is unsupported.`
fn traced(rejection: &Rejection<'_>) -> Vec<String> {
    let Some((_, rest)) = rejection.sentence.split_once("he function ") else {
        return Vec::new();
    };
    let name = rest.split(' ').next().unwrap_or_default();
    let why = if rejection.says("return type") {
        "returns a struct"
    } else if rejection.says("variable args") || rejection.says("is variable") {
        "takes a variable number of arguments"
    } else if rejection.says("Too many") {
        "takes too many arguments"
    } else if rejection.says("type STRUCT is unsupported") {
        "takes a struct by value (kernels from 6.1 trace it on x86-64 if it has at most 16 bytes)"
    } else if rejection.says(" type ") && rejection.says("is unsupported") {
        "takes an argument of a type that is not supported"
    } else {
        return Vec::new();
    };
    vec![format!(
        "attach a kprobe to `{name}` in place of `{}`: the function {why}, and BTF programs of this kernel \
         cannot trace it",
        rejection
            .case
            .section()
            .split('/')
            .next()
            .unwrap_or_default()
    )]
}
