//! Writes down as a manifest what a tool's own loader was seen to do with an object.
//!
//! The object and the evidence of one run of the tool come in, and choices go out, each with its
//! reason. What the object says by itself is left out.

use std::collections::BTreeMap;

use super::suggest::{Choice, Suggestion, quoted};
use super::{MapShape, ObjectFacts};
use ukci_schema::contract::MapType;
use ukci_schema::evidence::{Evidence, MapEvidence, ProgramEvidence, StepOutcome};
use ukci_schema::watched::{Attachment, Watched};

/// Most characters of a name that the kernel keeps.
const NAME: usize = 15;

/// A variable of the object's read-only data, as the object has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RodataVariable {
    /// Its name.
    pub name: String,
    /// The section that it is in, which is also the name of the map.
    pub section: String,
    /// Where in the section it begins.
    pub offset: usize,
    /// Its bytes in the object.
    pub bytes: Vec<u8>,
}

/// What the tool did with the object, as a manifest says it. Nothing if the tool loaded no program of
/// this object.
pub fn record(
    object: &ObjectFacts,
    rodata: &[RodataVariable],
    evidence: &Evidence,
) -> Option<Suggestion> {
    let none = Watched::default();
    let command = evidence.command.as_ref();
    let watched = command
        .and_then(|seen| seen.watched.as_ref())
        .unwrap_or(&none);
    let programs = Programs::of(object, evidence);
    if !programs
        .seen
        .values()
        .any(|seen| seen.load.outcome == StepOutcome::Ok)
    {
        return None;
    }
    let mut choices = Vec::new();
    for (name, declared) in &object.names.programs {
        let seen = programs.seen.get(name.as_str()).copied();
        let section = declared.section.as_str();
        let attach = seen.and_then(|seen| attachment(section, seen, &watched.attachments));
        let keys = autoload(section, seen).into_iter().chain(attach).collect();
        choices.extend(entries_of(name, keys));
    }
    for (name, shape) in &object.maps {
        let seen = evidence.maps.iter().find(|map| is_of(&map.name, name));
        choices.extend(map(name, shape, seen, evidence.guest.cpus));
    }
    choices.extend(variables(rodata, watched));
    Some(Suggestion { choices })
}

/// How many of the loaded programs are of this object.
pub fn loaded_of(object: &ObjectFacts, evidence: &Evidence) -> usize {
    Programs::of(object, evidence).seen.len()
}

/// Whether the kernel's name of a thing can be that of the object's.
fn is_of(kernel: &str, object: &str) -> bool {
    kernel == object || (kernel.len() == NAME && object.starts_with(kernel))
}

/// The object's programs that the tool loaded, by the object's names.
struct Programs<'a> {
    seen: BTreeMap<&'a str, &'a ProgramEvidence>,
}

impl<'a> Programs<'a> {
    fn of(object: &'a ObjectFacts, evidence: &'a Evidence) -> Self {
        let mut seen: BTreeMap<&str, &ProgramEvidence> = BTreeMap::new();
        for name in object.names.programs.keys() {
            // Without BTF the kernel has only the beginning of a name, which several may share.
            let exact = evidence.programs.iter().find(|one| one.name == *name);
            let mut close = evidence
                .programs
                .iter()
                .filter(|one| is_of(&one.name, name));
            if let Some(found) = exact.or_else(|| close.next()) {
                seen.insert(name, found);
            }
        }
        Self { seen }
    }
}

/// What a manifest says of one program: why, and a key with its value.
struct Key {
    reason: String,
    line: String,
    is_certain: bool,
}

impl Key {
    fn certain(reason: impl Into<String>, line: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            line: line.into(),
            is_certain: true,
        }
    }
}

/// A manifest has one entry for each program; what is uncertain is a comment of its own.
fn entries_of(name: &str, keys: Vec<Key>) -> Vec<Choice> {
    let (certain, uncertain): (Vec<Key>, Vec<Key>) = keys.into_iter().partition(|k| k.is_certain);
    let choice = |keys: Vec<Key>| {
        let reasons: Vec<&str> = keys.iter().map(|key| key.reason.as_str()).collect();
        let lines: Vec<&str> = keys.iter().map(|key| key.line.as_str()).collect();
        let toml = format!(
            "[[programs]]\nname = {}\n{}\n",
            quoted(name),
            lines.join("\n")
        );
        (!keys.is_empty())
            .then(|| Choice::new(format!("program `{name}`"), reasons.join(" "), toml))
    };
    let uncertain = choice(uncertain).map(Choice::uncertain);
    choice(certain).into_iter().chain(uncertain).collect()
}

fn autoload(section: &str, seen: Option<&ProgramEvidence>) -> Option<Key> {
    match (seen, section.starts_with('?')) {
        (None, false) => Some(Key::certain(
            "The tool did not load it.",
            "autoload = false",
        )),
        (Some(_), true) => Some(Key::certain(
            "The tool loaded it, though the object switches it off.",
            "autoload = true",
        )),
        _ => None,
    }
}

/// Where the tool attached a program, if the section says something else.
fn attachment(section: &str, seen: &ProgramEvidence, all: &[Attachment]) -> Option<Key> {
    let own: Vec<&Attachment> = (all.iter())
        .filter(|one| one.program.as_ref() == Some(&seen.name))
        .collect();
    let accepted = own.iter().find(|one| one.errno.is_none());
    let Some(first) = accepted.or(own.first()) else {
        return through_btf(section, seen);
    };
    if first.errno.is_some() {
        return Some(Key::certain(
            "The kernel refused its attachment, and the tool went on.",
            "attach = { required = false }",
        ));
    }
    if resolved_by_libbpf(section) || same_place(section, &first.section()) {
        return None;
    }
    let line = attach_line(&first.kind, first.place.as_deref()?)?;
    let more = match own.len() {
        1 => String::new(),
        n => format!(" The tool attached it {n} times; this is the first."),
    };
    Some(Key {
        reason: format!("The tool attached it to `{}`.{more}", first.section()),
        line,
        // A path in the guest with an offset in one build of a file; some of many functions.
        is_certain: !first.kind.starts_with('u') && !first.kind.contains("multi"),
    })
}

/// A program that was loaded for another function than its section says, and not attached.
fn through_btf(section: &str, seen: &ProgramEvidence) -> Option<Key> {
    let (kind, place) = seen.section.split_once('/')?;
    if same_place(section, &seen.section) || resolved_by_libbpf(section) {
        return None;
    }
    let reason = format!("The tool loaded it for `{}`.", seen.section);
    Some(Key::certain(reason, attach_line(kind, place)?))
}

/// Sections whose place libbpf finds out itself, on each kernel anew.
fn resolved_by_libbpf(section: &str) -> bool {
    let kind = section.trim_start_matches('?').split('/').next();
    matches!(kind, Some("ksyscall" | "kretsyscall" | "usdt" | "usdt.s"))
}

/// Whether a section of the object says the same as an attachment.
fn same_place(section: &str, seen: &str) -> bool {
    let plain = |text: &str| {
        let (kind, place) = text
            .trim_start_matches('?')
            .split_once('/')
            .unwrap_or((text, ""));
        let kind = match kind {
            "tp" => "tracepoint",
            "raw_tracepoint" => "raw_tp",
            kind => kind,
        };
        (kind.trim_end_matches(".s").to_owned(), place.to_owned())
    };
    plain(section) == plain(seen)
}

fn attach_line(kind: &str, place: &str) -> Option<String> {
    let kind = kind.trim_end_matches(".s");
    let (function, offset) = place.split_once('+').unwrap_or((place, ""));
    let keys = match kind {
        "tracepoint" => {
            let (category, name) = place.split_once('/')?;
            format!("category = {}, name = {}", quoted(category), quoted(name))
        }
        "tp_btf" | "raw_tp" => format!("name = {}", quoted(place)),
        "kprobe" if !offset.is_empty() => {
            format!("symbol = {}, offset = {offset}", quoted(function))
        }
        "kprobe" | "kretprobe" | "fentry" | "fexit" | "fmod_ret" | "lsm" => {
            format!("symbol = {}", quoted(function))
        }
        "kprobe.multi" => format!("symbol = {}", quoted(place)),
        "uprobe" | "uretprobe" => {
            let (binary, offset) = place.rsplit_once(':')?;
            format!("binary = {}, offset = {offset}", quoted(binary))
        }
        _ => return None,
    };
    let kind = match kind {
        "raw_tp" => "raw_tracepoint",
        "kprobe.multi" => "kprobe_multi",
        kind => kind,
    };
    Some(format!("attach = {{ kind = {}, {keys} }}", quoted(kind)))
}

/// What the tool set of a map.
fn map(name: &str, shape: &MapShape, seen: Option<&MapEvidence>, cpus: u32) -> Option<Choice> {
    let Some(seen) = seen else {
        return Some(Choice::new(
            format!("leave out map `{name}`"),
            "The tool did not create it.",
            format!("[[maps]]\nname = {}\nautocreate = false\n", quoted(name)),
        ));
    };
    let declared = shape.map_type.map(MapType::name);
    let mut keys: Vec<(&str, String)> = Vec::new();
    if declared.is_some_and(|declared| declared != seen.map_type) {
        keys.push(("type", quoted(&seen.map_type)));
    }
    for (key, declared, seen) in [
        ("key_size", shape.key_size, seen.key_size),
        ("value_size", shape.value_size, seen.value_size),
        ("map_flags", shape.flags, seen.flags),
    ] {
        if declared != seen {
            keys.push((key, seen.to_string()));
        }
    }
    if let Some(entries) = entries(shape, seen, cpus) {
        keys.push(("max_entries", entries));
    }
    if keys.is_empty() {
        return None;
    }
    let lines: Vec<String> = (keys.iter())
        .map(|(key, value)| format!("{key} = {value}\n"))
        .collect();
    let lines = lines.concat();
    let reason = if keys.iter().any(|(key, _)| *key == "max_entries") {
        format!(
            "The object says `max_entries = {}`, and the tool created the map with {}.",
            shape.max_entries, seen.max_entries
        )
    } else {
        "The tool created the map so.".to_owned()
    };
    Some(Choice::new(
        format!("shape map `{name}`"),
        reason,
        format!("[[maps]]\nname = {}\n{lines}", quoted(name)),
    ))
}

/// The entries that the tool chose, and not libbpf by itself.
fn entries(shape: &MapShape, seen: &MapEvidence, cpus: u32) -> Option<String> {
    let libbpf = match seen.map_type.as_str() {
        // One for each CPU.
        "perf_event_array" => shape.max_entries == 0,
        // A power of two of pages.
        "ringbuf" | "user_ringbuf" => {
            seen.max_entries == shape.max_entries.max(4096).next_power_of_two()
        }
        _ => false,
    };
    if seen.max_entries == shape.max_entries || (libbpf && seen.max_entries != 0) {
        return None;
    }
    Some(if seen.max_entries == cpus && cpus > 1 {
        quoted("cpus")
    } else {
        seen.max_entries.to_string()
    })
}

/// The variables whose bytes the tool changed before it made their map read-only.
fn variables(rodata: &[RodataVariable], watched: &Watched) -> Option<Choice> {
    let mut lines = Vec::new();
    for variable in rodata {
        // A tool with several objects has several such maps.
        let mut maps = watched
            .frozen
            .iter()
            .filter(|map| map.name == variable.section);
        let (Some(map), None) = (maps.next(), maps.next()) else {
            continue;
        };
        let value = bytes_of(&map.value, variable.offset, variable.bytes.len());
        if value != variable.bytes {
            lines.push(format!("{} = {}\n", variable.name, constant(&value)));
        }
    }
    (!lines.is_empty()).then(|| {
        Choice::new(
            "set variables",
            "The tool set these variables. Some values can depend on the arguments of the tool or on the \
             system on which it ran.",
            format!("[rodata]\n{}", lines.concat()),
        )
    })
}

/// Bytes of a hex text that lacks the zeros at its end.
fn bytes_of(hex: &str, offset: usize, length: usize) -> Vec<u8> {
    let byte = |n: usize| hex.get(2 * n..2 * n + 2);
    (offset..offset + length)
        .map(|n| {
            byte(n)
                .and_then(|text| u8::from_str_radix(text, 16).ok())
                .unwrap_or(0)
        })
        .collect()
}

/// The bytes, with what they are as a number in a comment.
fn constant(bytes: &[u8]) -> String {
    let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let hex = hex.concat();
    let number = match bytes.len() {
        1 | 2 | 4 | 8 => {
            let number = bytes
                .iter()
                .rev()
                .fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
            format!("    # {number}")
        }
        _ => String::new(),
    };
    format!("{{ bytes = \"{hex}\" }}{number}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{Manifest, ProgramNames};
    use ukci_schema::command::CommandEvidence;
    use ukci_schema::watched::FrozenMap;

    fn object() -> ObjectFacts {
        let mut object = ObjectFacts::default();
        for (name, section) in [
            ("block_rq_issue_tracepoint", "raw_tp/block_rq_issue"),
            ("block_rq_issue_btf", "tp_btf/block_rq_issue"),
            ("on_return", "?kretprobe/do_x"),
            ("dummy", "kprobe/dummy_function"),
            ("call", "ksyscall/execve"),
        ] {
            let program = ProgramNames {
                section: section.into(),
                program_type: None,
            };
            object.names.programs.insert(name.into(), program);
        }
        let shape = |kind: &str, max_entries| MapShape {
            map_type: MapType::named(kind),
            key_size: 4,
            value_size: 4,
            max_entries,
            ..MapShape::default()
        };
        object.maps = [
            ("events".to_owned(), shape("perf_event_array", 0)),
            ("stack_traces_of_all".to_owned(), shape("stack_trace", 0)),
            ("unused".to_owned(), shape("hash", 8)),
        ]
        .into();
        object
    }

    fn loaded(name: &str, section: &str) -> ProgramEvidence {
        let mut program = ProgramEvidence {
            name: name.into(),
            section: section.into(),
            ..ProgramEvidence::default()
        };
        program.load.outcome = StepOutcome::Ok;
        program
    }

    fn evidence() -> Evidence {
        let attachment = |program: &str, kind: &str, place: &str| Attachment {
            program: Some(program.into()),
            kind: kind.into(),
            place: Some(place.into()),
            errno: None,
        };
        let map = |name: &str, kind: &str, value_size, max_entries| MapEvidence {
            name: name.into(),
            map_type: kind.into(),
            key_size: 4,
            value_size,
            max_entries,
            ..MapEvidence::default()
        };
        Evidence {
            programs: vec![
                loaded("block_rq_issue_btf", "tp_btf/block_rq_issue"),
                loaded("on_return", "kretprobe/do_x"),
                loaded("dummy", "kprobe/vfs_read"),
                loaded("call", "kprobe/__x64_sys_execve"),
            ],
            maps: vec![
                map("events", "perf_event_array", 4, 1),
                map("stack_traces_of", "stack_trace", 1016, 16384),
            ],
            command: Some(CommandEvidence {
                watched: Some(Watched {
                    attachments: vec![
                        attachment("block_rq_issue_btf", "tp_btf", "block_rq_issue"),
                        attachment("dummy", "kprobe", "vfs_read"),
                        attachment("call", "kprobe", "__x64_sys_execve"),
                        attachment("on_return", "kretprobe", "do_y"),
                    ],
                    frozen: vec![FrozenMap {
                        name: ".rodata".into(),
                        value: "0000000014".into(),
                    }],
                    ..Watched::default()
                }),
                ..CommandEvidence::default()
            }),
            ..Evidence::default()
        }
    }

    #[test]
    fn what_the_tool_did_is_a_manifest_that_says_nothing_else() {
        let variable = |name: &str, offset, bytes: &[u8]| RodataVariable {
            name: name.into(),
            section: ".rodata".into(),
            offset,
            bytes: bytes.to_owned(),
        };
        let rodata = [
            variable("as_it_was", 0, &[0; 4]),
            variable("max_args", 4, &[60, 0, 0, 0]),
        ];
        let recorded = record(&object(), &rodata, &evidence()).unwrap();
        let text = recorded.to_recorded_toml("What `tool` did on kernel `x`.");
        assert!(Manifest::parse(&text, "tool.toml").is_ok(), "{text}");
        insta::assert_snapshot!(text);
    }

    #[test]
    fn an_object_of_another_tool_is_not_recorded() {
        let mut seen = evidence();
        seen.programs.iter_mut().for_each(|one| one.name.push('x'));
        assert!(record(&object(), &[], &seen).is_none());
        assert_eq!(loaded_of(&object(), &evidence()), 4);
    }

    #[test]
    fn attachments_are_written_as_manifests_have_them() {
        let line = |kind, place| attach_line(kind, place).unwrap();
        assert_eq!(
            line("tracepoint", "sched/sched_switch"),
            "attach = { kind = \"tracepoint\", category = \"sched\", name = \"sched_switch\" }"
        );
        assert_eq!(
            line("uprobe", "/bin/bash:0x1f0"),
            "attach = { kind = \"uprobe\", binary = \"/bin/bash\", offset = 0x1f0 }"
        );
        assert!(attach_line("xdp", "eth0").is_none());
    }
}
