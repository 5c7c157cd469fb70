//! What the hints are derived from: the verifier's message, the end of the path, and the object.

use super::words::bytes;
use crate::case::Case;
use crate::verifier_log::{Operation, Place, Register, Trace};
use ukci_schema::evidence::MapEvidence;

/// A rejected program, before it has hints.
#[derive(Debug)]
pub(super) struct Rejection<'a> {
    pub(super) case: &'a Case<'a>,
    pub(super) sentence: &'a str,
    pub(super) trace: Trace<'a>,
}

impl<'a> Rejection<'a> {
    pub(super) fn new(case: &'a Case<'a>, sentence: &'a str) -> Self {
        let program = case.program;
        Self {
            case,
            sentence,
            trace: Trace::of(&program.load.log, &program.program_type),
        }
    }

    pub(super) fn says(&self, words: &str) -> bool {
        self.sentence.contains(words)
    }

    /// The number that stands behind these words: of `off=` in `off=-16 size=8` it is -16.
    pub(super) fn number(&self, words: &str) -> Option<i64> {
        let (_, rest) = self.sentence.split_once(words)?;
        leading_number(rest)
    }

    /// The register that the sentence names first: `R2 min value is negative` is about 2.
    pub(super) fn named(&self) -> Option<u8> {
        let mut before = ' ';
        for (at, c) in self.sentence.char_indices() {
            if c == 'R'
                && !before.is_alphanumeric()
                && before != '_'
                && let Some(number) = leading_number(&self.sentence[at + 1..])
            {
                return u8::try_from(number).ok().filter(|number| *number <= 10);
            }
            before = c;
        }
        None
    }

    /// The register at fault: the one that is named, or the one whose memory is accessed.
    pub(super) fn register(&self) -> Option<u8> {
        self.named().or_else(|| Some(self.place()?.base))
    }

    /// What is known of the register at fault.
    pub(super) fn state(&self) -> Option<&Register<'a>> {
        self.trace.register(self.register()?)
    }

    /// The memory that the last instruction accesses.
    pub(super) fn place(&self) -> Option<Place> {
        self.trace.last()?.instruction.operation.place()
    }

    /// Whether the last instruction writes to memory.
    pub(super) fn writes(&self) -> bool {
        let last = self.trace.last().map(|step| step.instruction.operation);
        matches!(last, Some(Operation::Store { .. }))
    }

    /// What is known of the register that the last instruction adds to a pointer: either may stand
    /// first.
    pub(super) fn added(&self) -> Option<&Register<'a>> {
        let Operation::Arithmetic { to, with, .. } = self.trace.last()?.instruction.operation
        else {
            return None;
        };
        let both = [self.trace.register(with?), self.trace.register(to)];
        both.into_iter().flatten().find(|state| state.is_scalar())
    }

    /// The helper that the last instruction calls, in backticks.
    pub(super) fn helper(&self) -> Option<String> {
        self.trace.callee().map(|name| format!("`{name}`"))
    }

    /// What to do where a helper takes a whole key or value of a map (`bpf_map_update_elem`), of which
    /// `size` bytes are needed and `there` are there: no size is passed.
    pub(super) fn part_of_map(&self, size: i64, there: i64) -> Option<String> {
        let callee = self.trace.callee()?;
        let argument = self.named()?;
        let part = match (callee, argument) {
            ("bpf_map_update_elem", 3)
            | ("bpf_map_push_elem" | "bpf_map_pop_elem" | "bpf_map_peek_elem", 2) => "value",
            (name, 2) if name.starts_with("bpf_map_") => "key",
            _ => return None,
        };
        let passed = self
            .trace
            .register(1)
            .and_then(|register| self.map(register));
        let fits = |map: &MapEvidence| match part {
            "key" => i64::from(map.key_size) == size,
            _ => i64::from(map.value_size) == size,
        };
        let map = passed
            .or_else(|| self.only(fits))
            .map_or_else(|| "the map".into(), |map| format!("map `{}`", map.name));
        Some(format!(
            "pass a pointer to {} as argument {argument} of `{callee}`: it takes a whole {part} of {map}, and {} \
             are there. Give the variable the type of the map's {part}",
            bytes(size),
            bytes(there.max(0))
        ))
    }

    /// The maps that the program refers to.
    pub(super) fn maps(&self) -> impl Iterator<Item = &'a MapEvidence> {
        let used = &self.case.program.maps;
        self.case.evidence.maps.iter().filter(|map| {
            // A program refers to `.bss`, of which libbpf makes a map `object.bss`.
            used.contains(&map.name) || used.iter().any(|name| name == section(&map.name))
        })
    }

    /// The object's map whose value the register points to: by its name, which kernels print since
    /// 6.7, or the program's only map with values of that size.
    pub(super) fn map(&self, register: &Register<'a>) -> Option<&'a MapEvidence> {
        if let Some(name) = register.map {
            // A kernel keeps 15 characters of a name.
            return self.maps().find(|map| map.name.starts_with(name));
        }
        let size = register.value_size?;
        self.only(|map| u64::from(map.value_size) == size)
    }

    /// The program's one map of this kind.
    pub(super) fn only(&self, fits: impl Fn(&MapEvidence) -> bool) -> Option<&'a MapEvidence> {
        let mut fitting = self.maps().filter(|map| fits(map));
        let found = fitting.next()?;
        fitting.next().is_none().then_some(found)
    }

    /// `a value of map `records``, `the object's section `.bss``. Always singular.
    pub(super) fn region(&self, register: &Register<'a>) -> String {
        self.map(register)
            .map_or_else(|| "the map's value".into(), region_of)
    }
}

/// See [`Rejection::region`].
pub(super) fn region_of(map: &MapEvidence) -> String {
    match section(&map.name) {
        section if section.starts_with('.') => format!("the object's section `{section}`"),
        _ => format!("a value of map `{}`", map.name),
    }
}

/// The section of the map that libbpf makes of one: `.bss` of `object.bss`; else the map's name.
pub(super) fn section(map: &str) -> &str {
    map.find('.').map_or(map, |at| &map[at..])
}

/// The number that a text begins with, in decimal or as `0x1f`.
pub(super) fn leading_number(text: &str) -> Option<i64> {
    if let Some(digits) = text.strip_prefix("0x") {
        let end = digits
            .find(|c: char| !c.is_ascii_hexdigit())
            .unwrap_or(digits.len());
        return u64::from_str_radix(&digits[..end], 16)
            .ok()
            .map(u64::cast_signed);
    }
    let signed = text.strip_prefix('-').unwrap_or(text);
    let digits = signed
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(signed.len());
    text[..text.len() - signed.len() + digits].parse().ok()
}
