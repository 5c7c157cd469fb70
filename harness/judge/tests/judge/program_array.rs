//! Program arrays by hand: programs that cannot share one, and those that can.

use ukci_schema::diagnosis::Code;
use ukci_schema::evidence::{Evidence, ProgramEvidence, StepOutcome};

use crate::hand::{fails, map, program, refused, told};

fn caller(name: &str, section: &str, kind: &str) -> ProgramEvidence {
    let mut caller = program(section, kind);
    caller.name = name.into();
    caller.maps = vec!["tails".into()];
    caller.load.isolated = true;
    caller
}

fn sharing(errno: i32, programs: Vec<ProgramEvidence>) -> Evidence {
    let mut array = map("tails", "prog_array", 2, 0);
    array.created = StepOutcome::Ok;
    array.errno = None;
    let mut evidence = refused(
        errno,
        "libbpf: prog 'second': BPF program load failed: -EINVAL\n\
         libbpf: prog 'second': failed to load: -EINVAL\nlibbpf: failed to load object 'x'\n",
    );
    evidence.maps = vec![array];
    evidence.programs = programs;
    evidence
}

/// vArmor-ebpf#20 and calico#12167.
#[test]
fn programs_that_quarrel_over_one_array_are_both_named_with_the_rule() {
    for (first, second, kind, words) in [
        (
            "lsm/file_open",
            "lsm/path_unlink",
            "lsm",
            "hooks differ (`file_open`, `path_unlink`)",
        ),
        ("xdp", "xdp.frags", "xdp", "only one of them is `xdp.frags`"),
    ] {
        let of = vec![caller("first", first, kind), caller("second", second, kind)];
        let found = fails(&sharing(22, of), Code::MapRefused);
        told(&found, &["`second`", "`tails`", "`first`", words]);
        assert_eq!(found.program.as_deref(), Some("second"));
    }
    let mut of = vec![
        caller("first", "tc", "sched_cls"),
        caller("second", "tc", "sched_cls"),
    ];
    of[0].attach_type = Some("tcx_ingress".into());
    of[1].attach_type = Some("tcx_egress".into());
    told(
        &fails(&sharing(22, of), Code::MapRefused),
        &["attach types differ"],
    );
    let of = vec![
        caller("first", "kprobe/a", "kprobe"),
        caller("second", "raw_tp/b", "raw_tracepoint"),
    ];
    told(
        &fails(&sharing(22, of), Code::MapRefused),
        &["program types differ"],
    );
}

#[test]
fn programs_that_agree_are_not_said_to_quarrel() {
    let alike = || {
        vec![
            caller("first", "kprobe/a", "kprobe"),
            caller("second", "kprobe/b", "kprobe"),
        ]
    };
    fails(&sharing(22, alike()), Code::Unclassified);
    // Another errno, and an array that only one of them uses.
    let mut apart = alike();
    apart[0].program_type = "tracepoint".into();
    fails(&sharing(13, apart.clone()), Code::Unclassified);
    apart[0].maps.clear();
    fails(&sharing(22, apart), Code::Unclassified);
}

/// What newer kernels compare as well: whether both may sleep, and cgroup storage.
#[test]
fn sleep_and_cgroup_storage_are_compared_where_nothing_else_differs() {
    let of = |first: &str, second: &str| {
        vec![
            caller("first", first, "lsm"),
            caller("second", second, "lsm"),
        ]
    };
    let evidence = sharing(
        22,
        of("lsm/bprm_check_security", "lsm.s/bprm_check_security"),
    );
    let found = fails(&evidence, Code::MapRefused);
    told(
        &found,
        &["`second`", "`first`", "only one of them may sleep"],
    );
    let both = sharing(22, of("lsm.s/file_open", "lsm.s/file_open"));
    fails(&both, Code::Unclassified);
    let with_storage = |maps: [&[&str]; 2]| {
        let mut programs = of("lsm/file_open", "lsm/file_open");
        for (program, maps) in programs.iter_mut().zip(maps) {
            program
                .maps
                .extend(maps.iter().map(|name| (*name).to_owned()));
        }
        let mut evidence = sharing(22, programs);
        for name in ["a", "b"] {
            let mut storage = map(name, "cgroup_storage", 8, 0);
            (storage.created, storage.errno) = (StepOutcome::Ok, None);
            evidence.maps.push(storage);
        }
        evidence
    };
    for maps in [[&[] as &[&str], &["a"]], [&["a"], &["b"]]] {
        told(
            &fails(&with_storage(maps), Code::MapRefused),
            &["cgroup storage", "`second` uses"],
        );
    }
    // A program without storage may come second.
    for maps in [[&["a"] as &[&str], &[]], [&["a"], &["a"]]] {
        fails(&with_storage(maps), Code::Unclassified);
    }
}
