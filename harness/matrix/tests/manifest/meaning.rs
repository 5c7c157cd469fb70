//! What manifests mean: the documentation's, bpfcompat's, and what follows for a kernel.

use ukci_matrix::groups::Groups;
use ukci_matrix::manifest::{Manifest, ObjectNames, Problem, ProgramNames, import};
use ukci_schema::cell::{Arch, Cell};
use ukci_schema::verdict::VerdictKind;

use crate::written::{YAML, blocks, full, on, shown, toml, yaml};

#[test]
fn the_example_of_the_documentation_is_the_same_when_it_is_imported() {
    let from_toml = toml(blocks("toml")[0]).unwrap();
    let imported = import(YAML, "full.yaml").unwrap();
    assert_eq!(from_toml, imported.manifest);
    assert_eq!(from_toml, toml(&imported.toml).unwrap());
    insta::assert_snapshot!("imported", imported.toml);
    insta::assert_json_snapshot!("full", full());
}

#[test]
fn every_block_of_the_documentation_parses() {
    for block in blocks("toml").into_iter().chain(blocks("toml small")) {
        toml(block).unwrap();
    }
    assert_eq!(blocks("toml small").len(), 4);
    assert_eq!(blocks("toml").len(), 2);
}

#[test]
fn the_error_in_the_documentation_is_the_one_shown() {
    let text = "name = \"execsnoop\"\n\n[[maps]]\nname = \"rings\"\nmax_entires = \"cpus\"\n";
    let error = Manifest::parse(text, "execsnoop.toml").unwrap_err();
    // The command line writes it below what it is the cause of, indented.
    let lines = |text: &str| -> Vec<String> {
        let lines = text
            .lines()
            .map(|line| line.trim().replace("Caused by: ", ""));
        lines.filter(|line| !line.is_empty()).collect()
    };
    assert_eq!(lines(&shown(&error)), lines(blocks("text")[0])[1..]);
}

#[test]
fn the_full_example_uses_every_key() {
    // A key that the example lacks is missing from the documentation too. The keys are the public
    // fields of the types.
    let value = serde_json::to_string(&full()).unwrap();
    let source = concat!(
        include_str!("../../src/manifest.rs"),
        include_str!("../../src/manifest/functional_test.rs"),
    );
    let fields = source
        .lines()
        .filter_map(|line| line.strip_prefix("    pub ")?.split_once(": "));
    let mut count = 0;
    for (field, _) in fields.filter(|(field, _)| !field.contains('(')) {
        let key = if matches!(field, "program_type" | "map_type" | "event_type") {
            "type"
        } else {
            field
        };
        assert!(
            value.contains(&format!("\"{key}\":")),
            "no `{key}` in {value}"
        );
        count += 1;
    }
    assert!(count > 50, "{count} fields");
}

#[test]
fn a_manifest_survives_its_own_json_which_is_yaml() {
    let manifest = full();
    let json = serde_json::to_string_pretty(&manifest).unwrap();
    assert_eq!(yaml(&json).unwrap(), manifest);
    assert_eq!(serde_json::from_str::<Manifest>(&json).unwrap(), manifest);
}

#[test]
fn an_empty_file_is_a_manifest_that_says_nothing() {
    for text in ["", "# nothing\n", "---\n", "--- ~\n...\n"] {
        assert_eq!(yaml(text).unwrap(), Manifest::default(), "{text:?}");
    }
    assert_eq!(toml("").unwrap(), Manifest::default());
    assert_eq!(
        toml("")
            .unwrap()
            .contract(&on("debian-12-6.1", Arch::X86_64)),
        ukci_schema::contract::Contract::default()
    );
}

/// What bpfcompat's documentation shows, and what its Go reader takes beside.
mod bpfcompat {
    use super::{Arch, Manifest, on, yaml};
    use ukci_schema::contract::{Entries, Target};

    #[test]
    fn its_tracepoint_manifest() {
        let manifest = yaml(
            "name: simple-pass
programs:
  - name: handle_exec
    section: tracepoint/syscalls/sys_enter_execve
    type: tracepoint
    attach:
      kind: tracepoint
      category: syscalls
      name: sys_enter_execve
      required: true
required_profiles:
  - ubuntu-18.04-4.15
  - debian-12-6.1
functional_tests:
  - name: execve-stimulus-smoke
    command: \"sh -c 'printf bpfcompat-functional-smoke'\"
    timeout: 1m1.5s
    expect_exit_code: 0
    expect_stdout_contains: bpfcompat-functional-smoke
",
        )
        .unwrap();
        assert_eq!(manifest.required_profiles.len(), 2);
        assert_eq!(
            manifest.functional_tests[0].timeout.to_string(),
            "1m 1s 500ms"
        );
        let Target { kind, site } = &manifest
            .contract(&on("debian-12-6.1", Arch::X86_64))
            .targets["handle_exec"];
        insta::assert_compact_debug_snapshot!((kind.name(), site), @r#"("tracepoint", Tracepoint { category: "syscalls", name: "sys_enter_execve" })"#);
    }

    #[test]
    fn its_runtime_sized_maps_and_variants() {
        let manifest = yaml(
            "maps:
- name: auxiliary_maps
  max_entries: cpus # or a positive integer
- name: ringbuf_maps
  max_entries: cpus
  inner_ringbuf_bytes: 8388608
- name: kubearmor_visibility
  inner_map: {type: hash, key_size: 4, value_size: 4, max_entries: 64}
- name: per_cpu
  inner_map: {type: array, value_size: 8, max_entries: 1}
program_types:
- {program: tracepoint/syscalls/sys_enter_open, type: tracepoint}
program_variants:
- group: recvmmsg_x
  programs:
  - name: recvmmsg_x
    requires_helper: bpf_loop # known helper name or numeric id
  - name: recvmmsg_old_x # unconditional fallback
- group: dump
  programs:
  - {name: dump_task, requires_helper: '181', probe: trial_load}
probe_companions: [t1_execve]
",
        )
        .unwrap();
        assert_eq!(manifest.maps[0].max_entries, Some(Entries::Cpus));
        insta::assert_json_snapshot!(
            "falco_contract",
            manifest.contract(&on("any", Arch::X86_64))
        );
    }

    #[test]
    fn what_go_takes_is_taken() {
        let manifest = yaml(
            "name: 123
programs:
maps: &maps
- &m {name: a, max_entries: '64'}
- <<: *m
  name: b
metadata: {again: *maps, size: 1.5, at: 2024-01-01, nothing: ~}
probe_companions: ~
programs_types_are_absent: ~
"
            .replace("programs_types_are_absent", "program_types")
            .as_str(),
        )
        .unwrap();
        assert_eq!(manifest.name.as_deref(), Some("123"));
        assert_eq!(manifest.maps[0].max_entries, manifest.maps[1].max_entries);
        assert_eq!(manifest.maps[1].name, "b");
        assert_eq!(manifest.metadata["at"], "2024-01-01");
        assert_eq!(manifest.metadata["size"], 1.5);
        let yes: Manifest =
            yaml("programs: [{name: p, attach: {kind: '', required: yes}}]").unwrap();
        assert_eq!(
            yes.programs[0].attach.as_ref().unwrap().required,
            Some(true)
        );
    }
}

/// The object that the documentation's example is for.
pub(crate) fn object() -> ObjectNames {
    let program = |section: &str, kind: &str| ProgramNames {
        section: section.to_owned(),
        program_type: (!kind.is_empty()).then(|| kind.to_owned()),
    };
    let programs = [
        (
            "handle_exec",
            program("tracepoint/syscalls/sys_enter_execve", "tracepoint"),
        ),
        ("trace_unlink", program("kprobe/do_unlinkat", "kprobe")),
        (
            "trace_slow_path",
            program("fexit/vfs_fsync_range", "tracing"),
        ),
        ("on_malloc", program("uprobe", "kprobe")),
        ("on_gc", program("usdt", "kprobe")),
        ("policy_v2", program("freplace", "ext")),
        ("debug_only", program("?kprobe/do_exit", "kprobe")),
        ("sniff", program("socket1", "")),
        ("connect_guard", program("guard", "")),
        (
            "recvmmsg_loop",
            program("tracepoint/syscalls/sys_exit_recvmmsg", "tracepoint"),
        ),
        (
            "recvmmsg_old",
            program("tracepoint/syscalls/sys_exit_recvmmsg", "tracepoint"),
        ),
        ("dump_task", program("iter/task", "tracing")),
        ("tail_call_0", program("raw_tp", "raw_tracepoint")),
    ];
    let maps = [
        ("auxiliary_maps", "array"),
        ("ringbuf_maps", "array_of_maps"),
        ("namespaces", "hash_of_maps"),
        ("stacks", "stack_trace"),
        ("debug_events", "ringbuf"),
        ("counts", "percpu_array"),
        ("jumps", "prog_array"),
    ];
    let set = |names: &[&str]| names.iter().map(ToString::to_string).collect();
    ObjectNames {
        programs: programs
            .into_iter()
            .map(|(name, program)| (name.to_owned(), program))
            .collect(),
        maps: maps
            .into_iter()
            .map(|(name, kind)| (name.to_owned(), Some(kind.to_owned())))
            .collect(),
        rodata: set(&["target_pid", "use_ringbuf", "comm", "ports", "filter"]),
        kconfig: set(&[
            "CONFIG_HZ",
            "CONFIG_BPF_JIT_ALWAYS_ON",
            "CONFIG_DEFAULT_HOSTNAME",
        ]),
    }
}

#[test]
fn a_manifest_that_fits_its_object_has_no_problem() {
    assert_eq!(full().check_object(&object()), []);
}

fn located(problems: &[Problem], text: &str) -> String {
    let shown = problems
        .iter()
        .map(|problem| shown(&problem.locate(text, "m.toml")));
    shown.collect::<Vec<_>>().join("\n----\n")
}

#[test]
fn names_that_the_object_lacks_are_all_reported() {
    let text = r#"probe_companions = ["tail_call_1"]

[[programs]]
name = "handle_exit"

[[programs]]
name = "handle_exec"
section = "tracepoint/syscalls/sys_exit_execve"
type = "kprobe"
attach = { kind = "fentry", symbol = "x" }

[[programs]]
name = "debug_only"
section = "kprobe/do_exit"

[[maps]]
name = "ringbuf_map"
max_entries = 1

[[maps]]
name = "auxiliary_maps"
inner_ringbuf_bytes = 4096

[[program_types]]
program = "socket2"
type = "socket_filter"

[[program_variants]]
group = "g"
programs = [{ name = "recvmmsg_lop", requires_helper = 181 }]

[[overrides]]
arches = ["riscv64"]
rodata = { use_ringbuff = true }
programs = [{ name = "sniff", attach = { kind = "xdp" } }, { name = "dump_task", attach = { kind = "xdp" } }]

[[expect]]
program = "handle"
verdict = "pass"
reason = "x"

[rodata]
pid = 7

[kconfig]
CONFIG_HX = 1
"#;
    let manifest = toml(text).unwrap();
    insta::assert_snapshot!(located(&manifest.check_object(&object()), text));
    assert_eq!(
        manifest.check_object(&object())[0].to_string(),
        "programs[0].name: the object has no program `handle_exit`"
    );
}

#[test]
fn patterns_that_cover_nothing_are_refused() {
    let known = ["debian-11-5.10", "debian-11-5.10-cloud", "debian-12-6.1"];
    assert_eq!(full().check_kernels(known), []);
    let text = "required_profiles = [\"debian-12-6.1\", \"ubuntu-22.04-5.15\"]\n\n[[expect]]\nkernels = [\"debian-*\", \"debian-12-6.2\"]\nverdict = \"pass\"\nreason = \"x\"\n\n[[overrides]]\nkernels = [\"fedora-*\"]\nmodules = [\"veth\"]\n";
    let manifest = toml(text).unwrap();
    let mut problems = manifest.check_kernels(known);
    problems.extend(manifest.check_required(known));
    insta::assert_snapshot!(located(&problems, text));
}

#[test]
fn a_rule_of_a_manifest_may_name_a_group_and_every_axis() {
    let streams = include_str!("../../../../kernels/groups.toml");
    let groups = Groups::parse(streams, "kernels/groups.toml").unwrap();
    let text = "[[expect]]\nkernels = \"@lts\"\nartifacts = [\"a\", \"x*\"]\n\
        verdict = \"fail\"\ncode = \"MISSING_BTF\"\nreason = \"x\"\n\
        [[expect]]\nllvms = \"1*\"\nverdict = \"pass\"\nreason = \"x\"\n";
    let manifest = toml(text).unwrap().with_groups(groups.clone());
    let known = ["debian-12-6.1", "debian-sid-7.2"];
    assert_eq!(manifest.check_kernels(known), []);
    let lts = on("debian-12-6.1", Arch::X86_64);
    let verdict = |cell: &Cell| manifest.expected(cell).object.map(|e| e.verdict);
    assert_eq!(verdict(&lts), Some(VerdictKind::Fail));
    assert_eq!(verdict(&on("debian-sid-7.2", Arch::X86_64)), None);
    let source = Cell {
        llvm: Some("19".into()),
        ..lts
    };
    assert_eq!(verdict(&source), Some(VerdictKind::Pass));

    let unknown = toml(&text.replace("@lts", "@ltss"))
        .unwrap()
        .with_groups(groups);
    let problem = unknown.check_kernels(known).remove(0);
    assert_eq!(
        problem.to_string(),
        "expect[0].kernels[0]: unknown group `@ltss`"
    );
}

#[test]
fn the_contract_of_a_kernel_has_the_overrides_that_cover_it() {
    let manifest = full();
    insta::assert_json_snapshot!(
        "contract",
        manifest.contract(&on("debian-12-6.1", Arch::X86_64))
    );
    let there = manifest.contract(&on("debian-11-5.10", Arch::Aarch64));
    insta::assert_json_snapshot!((
        &there.files,
        there.custom_btf,
        &there.kconfig,
        &there.rodata,
        &there.targets["trace_unlink"],
        &there.modules,
        manifest
            .boot(&on("debian-11-5.10", Arch::Aarch64))
            .kernel_arguments,
    ));
    assert_eq!(
        serde_json::from_str::<ukci_schema::contract::Contract>(
            &serde_json::to_string(&there).unwrap()
        )
        .unwrap(),
        there
    );
}

#[test]
fn a_pattern_says_something_of_several_programs_and_maps() {
    let text = "[[programs]]\nname = \"recvmmsg_*\"\nautoload = false\n\
        [[programs]]\nname = \"*\"\nattach = { required = false }\n\
        [[maps]]\nname = \"*\"\nvalue_size = 8\n";
    let manifest = toml(text).unwrap();
    assert_eq!(manifest.check_object(&object()), []);
    let cell = on("debian-12-6.1", Arch::X86_64);
    let contract = manifest.contract(&cell);
    assert!(!contract.autoload["recvmmsg_*"]);
    assert_eq!(contract.maps[0].value_size, Some(8));
    let optional = manifest.expected(&cell).attach_optional;
    assert!(ukci_schema::glob::any(&optional, "handle_exec"));

    let wrong = "[[programs]]\nname = \"sniff*r\"\nautoload = false\n\
        [[programs]]\nname = \"recvmmsg_*\"\nsection = \"kprobe/x\"\n\
        [[maps]]\nname = \"ring_*\"\nvalue_size = 8\n";
    let problems = toml(wrong).unwrap().check_object(&object());
    insta::assert_snapshot!(located(&problems, wrong));
}

#[test]
fn the_last_rule_that_covers_a_cell_decides() {
    let manifest = full();
    let elsewhere = manifest.expected(&on("debian-12-6.1", Arch::X86_64));
    assert_eq!(elsewhere.object, None);
    assert_eq!(elsewhere.programs.len(), 0);
    assert!(elsewhere.attach_optional.contains("trace_slow_path"));
    assert_eq!(elsewhere.attach_optional.len(), 1);
    insta::assert_compact_debug_snapshot!(
        manifest.expected(&on("debian-11-5.10-cloud", Arch::X86_64))
    );
    assert_eq!(
        manifest
            .expected(&on("debian-11-5.10-cloud", Arch::Riscv64))
            .programs
            .len(),
        0
    );

    let text = |rules: &[(&str, &str)]| {
        rules.iter().fold(String::new(), |text, (kernel, verdict)| {
            format!("{text}[[expect]]\nkernels = [\"{kernel}\"]\n{verdict}\nreason = \"x\"\n")
        })
    };
    let fail = "verdict = \"fail\"\ncode = \"MISSING_BTF\"";
    let rules = toml(&text(&[("*", fail), ("debian-12-*", "verdict = \"pass\"")])).unwrap();
    let verdict = |kernel| {
        rules
            .expected(&on(kernel, Arch::X86_64))
            .object
            .unwrap()
            .verdict
    };
    assert_eq!(verdict("debian-12-6.1"), VerdictKind::Pass);
    assert_eq!(verdict("debian-13-6.12"), VerdictKind::Fail);
}
