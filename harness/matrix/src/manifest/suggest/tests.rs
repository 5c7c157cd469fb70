//! What is suggested for objects made here, and that it is a manifest.

use std::collections::{BTreeMap, BTreeSet};

use super::suggest;
use crate::manifest::{
    Manifest, MapShape, ObjectFacts, ObjectNames, ProgramNames, program_type_of,
};
use ukci_schema::contract::MapType;
use ukci_schema::diagnosis::{Code, Diagnosis};
use ukci_schema::history::helper_id;
use ukci_schema::report::{CellReport, ProgramReport, Report};
use ukci_schema::verdict::Stage;

/// A map's shape: type, bytes of key and value, entries.
fn map(kind: &str, key_size: u32, value_size: u32, max_entries: u32) -> MapShape {
    MapShape {
        map_type: MapType::named(kind),
        key_size,
        value_size,
        max_entries,
        ..MapShape::default()
    }
}

fn object(programs: &[(&str, &str, &[&str])], maps: &[(&str, MapShape)]) -> ObjectFacts {
    let mut names = ObjectNames::default();
    let mut helpers = BTreeMap::new();
    for &(name, section, called) in programs {
        let program = ProgramNames {
            section: section.to_owned(),
            program_type: program_type_of(section).map(|kind| kind.name().to_owned()),
        };
        names.programs.insert(name.to_owned(), program);
        let called: BTreeSet<u32> = called.iter().map(|name| helper_id(name).unwrap()).collect();
        helpers.insert(name.to_owned(), called);
    }
    for (name, shape) in maps {
        let kind = shape.map_type.map(|kind| kind.name().to_owned());
        names.maps.insert((*name).to_owned(), kind);
    }
    let maps = maps
        .iter()
        .map(|(name, shape)| ((*name).to_owned(), shape.clone()));
    ObjectFacts {
        names,
        maps: maps.collect(),
        helpers,
    }
}

/// The suggestion as it is printed, once it was read back and held against the object. What is
/// printed as a comment is read as well.
fn printed(object: &ObjectFacts, cells: &[&CellReport]) -> String {
    let suggestion = suggest(object, cells);
    let text = suggestion.to_toml("x");
    let manifest =
        Manifest::parse(&text, "x.toml").unwrap_or_else(|error| panic!("{error}\n{text}"));
    assert_eq!(manifest.check_object(&object.names), [], "{text}");
    for choice in &suggestion.choices {
        let manifest = Manifest::parse(&choice.toml, "x.toml");
        let manifest = manifest.unwrap_or_else(|error| panic!("{error}\n{}", choice.toml));
        assert_eq!(manifest.check_object(&object.names), [], "{}", choice.toml);
        assert_ne!(manifest, Manifest::default(), "{}", choice.toml);
    }
    assert!(
        text.lines().all(|line| line.chars().count() <= 100),
        "{text}"
    );
    text
}

#[test]
fn maps_without_a_size_get_one_and_its_reason() {
    let object = object(
        &[("watch", "kprobe/vfs_read", &[])],
        &[
            ("complete", map("hash", 4, 8, 64)),
            ("cpus", map("cpumap", 4, 4, 0)),
            ("entries", map("hash", 4, 8, 0)),
            ("events", map("perf_event_array", 4, 4, 0)),
            ("go_events", map("perf_event_array", 0, 0, 0)),
            ("go_ring", map("ringbuf", 0, 0, 5000)),
            ("per_task", map("task_storage", 4, 8, 0)),
            ("ring", map("ringbuf", 0, 0, 0)),
            ("stacks", map("stack_trace", 4, 0, 1024)),
            ("unknown_value", map("hash", 4, 0, 1024)),
            ("of_maps", map("array_of_maps", 4, 4, 0)),
        ],
    );
    insta::assert_snapshot!(printed(&object, &[]));
    let suggestion = suggest(&object, &[]);
    let short = [
        "size map `cpus`",
        "size map `entries`",
        "size map `go_events`",
    ];
    let whats = suggestion.choices.iter().map(|choice| choice.what.as_str());
    assert_eq!(whats.take(3).collect::<Vec<_>>(), short);
}

#[test]
fn programs_of_which_one_is_picked_are_found_by_name_section_and_helper() {
    let object = object(
        &[
            ("mutex_lock", "fentry/mutex_lock", &[]),
            ("mutex_lock_exit", "fexit/mutex_lock", &[]),
            ("kprobe_mutex_lock", "kprobe/mutex_lock", &[]),
            ("kprobe_mutex_lock_exit", "kretprobe/mutex_lock", &[]),
            ("sched_wakeup", "tp_btf/sched_wakeup", &[]),
            ("handle_sched_wakeup", "raw_tp/sched_wakeup", &[]),
            ("file_read_entry", "kprobe/dummy_file_read", &[]),
            ("file_read_fentry", "fentry/dummy_file_read", &[]),
            ("func", "kretprobe/foo", &[]),
            ("trace_func", "fentry/func", &[]),
            ("recvmmsg_x", "raw_tp/sys_exit", &["bpf_loop"]),
            ("recvmmsg_old_x", "raw_tp/sys_exit", &["bpf_probe_read"]),
            // Two programs of one kind are both wanted.
            ("do_exit", "kprobe/do_exit", &[]),
            ("trace_do_exit", "kprobe/do_exit", &[]),
            // Of one target, and not of one name.
            ("count", "kprobe/vfs_read", &[]),
            ("measure", "fentry/vfs_read", &[]),
        ],
        &[],
    );
    insta::assert_snapshot!(printed(&object, &[]));
}

#[test]
fn an_object_that_needs_nothing_gets_a_manifest_that_says_so() {
    let object = object(&[("x", "xdp", &[])], &[("m", map("array", 4, 8, 1))]);
    assert!(suggest(&object, &[]).is_empty());
    insta::assert_snapshot!(printed(&object, &[]));
}

fn diagnosis(code: Code, stage: Stage, headline: &str) -> Diagnosis {
    Diagnosis {
        code,
        stage,
        program: None,
        headline: headline.to_owned(),
        at: None,
        excerpt: None,
        hints: Vec::new(),
    }
}

#[test]
fn what_kernels_refuse_is_only_left_out_if_no_kernel_has_its_target() {
    let text = include_str!("../../../../tests/fixtures/report.json");
    let report: Report = serde_json::from_str(text).unwrap();
    let any = report
        .cells
        .iter()
        .find(|cell| !cell.programs.is_empty())
        .unwrap();
    let missing = |stage| {
        diagnosis(
            Code::AttachTargetMissing,
            stage,
            "the kernel has no `f`\u{1b}[31m",
        )
    };
    let verifier = || {
        diagnosis(
            Code::VerifierRejection,
            Stage::Load,
            "R0 invalid mem access",
        )
    };
    let program = |name: &str, diagnosis: Option<Diagnosis>| ProgramReport {
        name: name.to_owned(),
        diagnosis,
        ..any.programs[0].clone()
    };
    let cell = |kernel: &str, programs: Vec<ProgramReport>| CellReport {
        kernel: kernel.to_owned(),
        programs,
        ..any.clone()
    };
    let old = cell(
        "k5.10",
        vec![
            program("fine", None),
            program("nowhere", Some(missing(Stage::Load))),
            program("nowhere_to_attach", Some(missing(Stage::Attach))),
            program("new", Some(missing(Stage::Load))),
            program("new_to_attach", Some(missing(Stage::Attach))),
            program("wrong", Some(verifier())),
            program("wrong_on_old", Some(verifier())),
            program("file_read_entry", Some(missing(Stage::Attach))),
        ],
    );
    let mut new = cell("k6.12", old.programs.clone());
    for program in &mut new.programs {
        if ["new", "new_to_attach", "wrong_on_old"].contains(&program.name.as_str()) {
            program.diagnosis = None;
        }
    }
    let sections: Vec<(&str, &str, &[&str])> = vec![
        ("fine", "tp/a/b", &[]),
        ("nowhere", "fentry/f", &[]),
        ("nowhere_to_attach", "kprobe/f", &[]),
        ("new", "fentry/g", &[]),
        ("new_to_attach", "kprobe/g", &[]),
        ("wrong", "xdp", &[]),
        ("wrong_on_old", "xdp", &[]),
        ("file_read_entry", "kprobe/dummy_file_read", &[]),
    ];
    let object = object(&sections, &[]);
    let printed = printed(&object, &[&old, &new]);
    assert!(!printed.contains('\u{1b}'));
    insta::assert_snapshot!(printed);
}

/// Debian's libbpf-tools on its 5.10: `biolatency`'s loader asks whether the tracepoint is there, takes the
/// program for it, and fails.
#[test]
fn a_pair_whose_best_program_a_kernel_refuses_for_what_it_does_is_left_to_the_author() {
    let text = include_str!("../../../../tests/fixtures/report.json");
    let report: Report = serde_json::from_str(text).unwrap();
    let any = report.cells.iter().find(|cell| !cell.programs.is_empty());
    let any = any.unwrap();
    let sections: Vec<(&str, &str, &[&str])> = vec![
        ("insert", "raw_tp/block_rq_insert", &[]),
        ("insert_btf", "tp_btf/block_rq_insert", &[]),
    ];
    let object = object(&sections, &[]);
    let with = |code| {
        let mut cell = any.clone();
        cell.kernel = "k5.10".into();
        cell.programs.truncate(1);
        cell.programs[0].name = "insert_btf".into();
        cell.programs[0].diagnosis = Some(diagnosis(code, Stage::Load, "no second argument"));
        cell
    };
    let doubted = printed(&object, &[&with(Code::VerifierRejection)]);
    assert!(!doubted.contains("\n[[program_variants]]"), "{doubted}");
    assert!(doubted.contains("\n# [[program_variants]]"), "{doubted}");
    assert!(doubted.contains("On k5.10 the kernel refuses `insert_btf`"));
    assert!(doubted.contains("no second argument"), "{doubted}");
    let missing = printed(&object, &[&with(Code::AttachTargetMissing)]);
    assert!(missing.contains("\n[[program_variants]]"), "{missing}");
}
