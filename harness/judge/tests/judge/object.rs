//! Objects by hand: what is said of a refusal that is not one program's fault alone, and what must
//! not be said.

use ukci_judge::judge;
use ukci_schema::diagnosis::Code;
use ukci_schema::evidence::{
    CoreAccess, CoreFault, Declared, Evidence, Feature, FeatureKind, Log, MapEvidence, NewPlace,
    ProgramLoad, Step, StepOutcome,
};

use crate::hand::{
    alone, attaching, fails, feature, good, map, program, refused, rejected, step, told,
    unattached, untold,
};

// CO-RE.

fn missed(spec: &str, fault: Option<CoreFault>) -> Evidence {
    let log = format!(
        "0: <invalid CO-RE relocation>\nfailed to resolve CO-RE relocation <byte_off> [5] {spec} \
         (0:0 @ offset 0)\nprocessed 1 insns\n"
    );
    let mut evidence = alone(22, rejected("raw_tp/sys_enter", "raw_tracepoint", 22, &log));
    evidence.core = fault
        .map(|fault| CoreAccess {
            spec: spec.into(),
            fault,
        })
        .into_iter()
        .collect();
    evidence
}

fn declared(name: &str, kind: &str) -> Declared {
    Declared {
        name: name.into(),
        kind: kind.into(),
    }
}

/// tracee#3068: the kernel's BTF has the field, and libbpf does not match it.
#[test]
fn a_field_of_another_kind_is_not_called_missing() {
    let fault = CoreFault::OtherKind {
        owner: "struct cred".into(),
        member: "cap_effective".into(),
        kernel: declared("kernel_cap_t", "struct"),
        object: declared("unsigned long long", "integer"),
    };
    let evidence = missed("struct cred.cap_effective", Some(fault));
    let found = fails(&evidence, Code::CoreRelocationFailure);
    told(
        &found,
        &[
            "`struct cred` has field `cap_effective` as `kernel_cap_t` (a struct)",
            "declares it as `unsigned long long` (an integer)",
        ],
    );
    untold(
        &found,
        &["no field", "renamed", "test `bpf_core_field_exists"],
    );
}

#[test]
fn a_missing_struct_is_blamed_and_not_its_field() {
    let fault = CoreFault::NoType {
        name: "struct gone".into(),
        near: Vec::new(),
    };
    let found = fails(
        &missed("struct gone.value", Some(fault)),
        Code::CoreRelocationFailure,
    );
    told(
        &found,
        &["no `struct gone`", "bpf_core_type_exists(struct gone)"],
    );
    untold(&found, &["`value`", "bpf_core_field_exists"]);
}

#[test]
fn a_missing_field_is_named_in_the_kernels_struct_with_those_that_are_there() {
    let fault = |near: &[&str]| CoreFault::NoMember {
        owner: "struct inode".into(),
        member: "i_ctime".into(),
        near: near.iter().map(|&name| name.into()).collect(),
        moved: None,
    };
    let spec = "struct inode___before66.i_ctime.tv_sec";
    let evidence = missed(spec, Some(fault(&["i_ctime_sec", "i_ctime_nsec"])));
    let found = fails(&evidence, Code::CoreRelocationFailure);
    told(
        &found,
        &[
            "no field `i_ctime` in `struct inode` (the object's `inode___before66`)",
            "whether `i_ctime_sec` and `i_ctime_nsec`",
        ],
    );
    // Where nothing looks alike, nothing is offered.
    let evidence = missed(spec, Some(fault(&[])));
    let found = fails(&evidence, Code::CoreRelocationFailure);
    untold(&found, &["this kernel's", "second struct"]);
    // Evidence of older agents has libbpf's line alone.
    let found = fails(&missed(spec, None), Code::CoreRelocationFailure);
    told(&found, &["`i_ctime.tv_sec` as declared in `struct inode`"]);
    untold(&found, &["before66"]);
}

#[test]
fn a_field_that_moved_is_read_where_it_is_now() {
    let fault = |moved| CoreFault::NoMember {
        owner: "struct request".into(),
        member: "rq_disk".into(),
        near: vec!["rq_flags".into()],
        moved,
    };
    let place = |path: &str, name: &str, kind: &str| {
        Some(NewPlace {
            of: "struct request".into(),
            path: path.into(),
            declared: declared(name, kind),
        })
    };
    let said = |moved| {
        let evidence = missed("struct request.rq_disk", Some(fault(moved)));
        fails(&evidence, Code::CoreRelocationFailure)
    };
    let found = said(place("q->disk", "struct gendisk *", "pointer"));
    told(
        &found,
        &["read `q->disk` (`struct gendisk *`) of this kernel's `struct request`"],
    );
    untold(&found, &["rq_flags"]);
    // A list that became a tree is no pointer to read instead.
    let found = said(place("mm_mt", "struct maple_tree", "struct"));
    told(&found, &["bpf_find_vma", "`mm_mt` (`struct maple_tree`)"]);
    untold(&found, &["read `mm_mt`"]);
    told(&said(None), &["whether `rq_flags`"]);
}

#[test]
fn a_type_that_was_renamed_is_named() {
    let fault = CoreFault::NoType {
        name: "struct hd_struct".into(),
        near: vec!["struct block_device".into()],
    };
    let found = fails(
        &missed("struct hd_struct.partno", Some(fault)),
        Code::CoreRelocationFailure,
    );
    told(&found, &["declare `struct block_device` as well"]);
}

/// 7.3 shows instructions that the verifier never reached, among them one that libbpf poisoned.
#[test]
fn a_poisoned_instruction_that_was_never_reached_is_not_the_reason() {
    let log = "0: (bf) r3 = r2\nR2 !read_ok\n\nVerification failed: Uninitialized register\n\nReason:\n  \
               R2 has never been initialized.\n\nAt:\n  Instruction context:\n  >>>  0 | (bf) r3 = r2\n       \
               1 | (85) call unknown#195896080\n\nprocessed 1 insns\n";
    let found = fails(
        &alone(13, rejected("kprobe/x", "kprobe", 13, log)),
        Code::VerifierRejection,
    );
    told(&found, &["R2 !read_ok"]);
    let log = "0: (85) call unknown#195896080\ninvalid func unknown#195896080\nprocessed 1 insns\n";
    fails(
        &alone(22, rejected("kprobe/x", "kprobe", 22, log)),
        Code::CoreRelocationFailure,
    );
}

#[test]
fn an_element_beyond_an_array_says_how_many_there_are() {
    let fault = CoreFault::TooFewElements {
        member: "offset".into(),
        elements: 3,
        index: 7,
    };
    let evidence = missed("struct nf_ct_ext.offset[7]", Some(fault));
    let found = fails(&evidence, Code::CoreRelocationFailure);
    told(&found, &["`offset` has 3 elements", "element 7"]);
}

// Refusals before any map.

#[test]
fn nobody_is_blamed_for_what_libbpf_gave_up_before_maps() {
    let mut evidence = refused(
        22,
        "libbpf: extern (kcfg) 'LINUX_KERNEL_VERSION': failed to get kernel version\n",
    );
    evidence.guest.release = "7.3-cloud-amd64".into();
    let mut never = program("raw_tp/sys_enter", "raw_tracepoint");
    never.load.outcome = StepOutcome::NotAttempted;
    evidence.programs = vec![never];
    let mut seen = map("seen", "hash", 8, 0);
    (seen.created, seen.errno) = (StepOutcome::NotAttempted, None);
    evidence.maps = vec![seen];
    let found = fails(&evidence, Code::LoaderContract);
    assert_eq!(found.program, None);
    assert_eq!(judge(&evidence, false).programs, [None]);
}

// Kernel variables.

#[test]
fn a_variable_without_btf_is_not_said_to_be_missing_from_the_kernel() {
    let log = "libbpf: extern (var ksym) 'kernel_cpustat': not found in kernel BTF\n";
    let mut evidence = refused(3, log);
    let found = fails(&evidence, Code::MissingKfunc);
    told(
        &found,
        &["the kernel's BTF has no variable `kernel_cpustat`"],
    );
    untold(&found, &["extern const void"]);
    let mut symbol = feature(FeatureKind::Variable, "kernel_cpustat", None, false);
    symbol.detail = Some(Feature::SYMBOL_WITHOUT_BTF.into());
    evidence.features = vec![symbol];
    let found = fails(&evidence, Code::MissingKfunc);
    told(&found, &["`extern const void kernel_cpustat __ksym`"]);
    // Without a type it is the symbol that is missing.
    let typeless = refused(3, "libbpf: extern 'nowhere' (strong): not resolved\n");
    let found = fails(&typeless, Code::MissingKfunc);
    told(&found, &["no symbol `nowhere`"]);
    untold(&found, &["BTF"]);
}

// What another loader does.

fn refused_maps(maps: Vec<MapEvidence>) -> Evidence {
    let mut evidence = refused(22, "libbpf: map 'ring': failed to create: -EINVAL\n");
    evidence.features = (maps.iter())
        .map(|map| feature(FeatureKind::MapType, &map.map_type, None, true))
        .collect();
    evidence.maps = maps;
    evidence
}

#[test]
fn all_maps_that_wait_for_their_loader_are_told_at_once() {
    let mut ring = map("ring", "ringbuf", 65536, 22);
    (ring.key_size, ring.value_size) = (0, 84);
    let mut events = map("events", "perf_event_array", 0, 22);
    (events.key_size, events.value_size) = (0, 84);
    let starts = map("starts", "hash", 0, 22);
    let found = fails(
        &refused_maps(vec![ring.clone(), events, starts]),
        Code::LoaderContract,
    );
    told(
        &found,
        &[
            "3 maps",
            "`ring` (ringbuf) has a key of 0 and a value of 84 bytes",
            "`ring` and `events`",
            "give `starts` a size",
        ],
    );
    // A ring buffer of no sizes is refused for another reason: its entries are no power of two.
    ring.value_size = 0;
    ring.max_entries = 65537;
    let found = fails(&refused_maps(vec![ring]), Code::MapRefused);
    untold(&found, &["cilium"]);
}

/// 5.10 refuses local storage without BTF with EINVAL, which libbpf tries after E2BIG.
#[test]
fn the_limit_is_told_and_not_what_a_second_try_without_btf_met() {
    let mut storage = map("storage", "sk_storage", 0, 22);
    (storage.value_size, storage.flags) = (131_072, 1);
    let mut evidence = refused_maps(vec![storage]);
    untold(&fails(&evidence, Code::MapRefused), &["64 KiB"]);
    evidence.log = Log::bounded(
        "libbpf: Error in bpf_create_map_xattr(storage): -E2BIG. Retrying without BTF.\n\
         libbpf: map 'storage': failed to create: -EINVAL\n",
    );
    told(&fails(&evidence, Code::MapRefused), &["64 KiB", "E2BIG"]);
}

fn unopened(libbpf: &str) -> Evidence {
    Evidence {
        open: step(StepOutcome::Refused, Some(22)),
        load: Step::default(),
        log: Log::bounded(libbpf),
        ..good()
    }
}

#[test]
fn what_is_written_for_another_loader_is_told_whole() {
    let mut evidence = unopened("libbpf: sec 'xdp': program 'first' is static and not supported\n");
    evidence.object.static_programs = vec!["first".into(), "second".into()];
    evidence.object.legacy_maps = vec!["counts".into()];
    let found = fails(&evidence, Code::LoaderContract);
    told(
        &found,
        &[
            "`first` and `second`",
            "`counts`",
            "nothing about the kernel",
        ],
    );
    // A damaged object is no other loader's.
    let found = fails(&unopened("libbpf: elf: bad section\n"), Code::InvalidObject);
    untold(&found, &["cilium", "static"]);
}

#[test]
fn bitcode_is_known_by_its_magic() {
    let mut evidence = unopened("libbpf: elf: 'x' is not a proper ELF object\n");
    evidence.object.malformed = Some("it is LLVM bitcode (`BC C0 DE`), not ELF".into());
    told(
        &fails(&evidence, Code::InvalidObject),
        &["LLVM bitcode", "-emit-llvm"],
    );
    evidence.object.malformed = Some("Unsupported ELF header".into());
    untold(&fails(&evidence, Code::InvalidObject), &["bitcode", "emit"]);
}

#[test]
fn a_placeholder_is_the_loaders_part_and_a_misspelt_name_is_not() {
    let missing = |name: &str| {
        let section = format!("kprobe/{name}");
        let log = format!(
            "libbpf: prog 'prog': failed to create kprobe '{name}+0x0' perf event: -ENOENT"
        );
        let mut evidence = attaching(unattached(&section, "kprobe", 2, &log));
        evidence.features = vec![feature(FeatureKind::Target, name, None, false)];
        evidence
    };
    let found = fails(&missing("dummy_kprobe"), Code::LoaderContract);
    told(&found, &["`dummy_kprobe`", "placeholder", "manifest"]);
    let found = fails(&missing("do_unlinkta"), Code::AttachTargetMissing);
    untold(&found, &["placeholder"]);
}

/// bcc's fsdist: each of its programs has one, and a person replaces them all at once.
#[test]
fn placeholders_of_one_object_are_one_cause() {
    let of = |name: &str, target: &str| {
        let log = format!(
            "libbpf: prog '{name}': failed to create kprobe '{target}+0x0' perf event: -ENOENT"
        );
        let mut one = unattached(&format!("kprobe/{target}"), "kprobe", 2, &log);
        one.name = name.into();
        one
    };
    let mut evidence = attaching(of("read_entry", "dummy_read"));
    evidence.programs.push(of("read_exit", "dummy_read"));
    evidence.programs.push(of("open", "dummy_open"));
    evidence.programs.push(of("misspelt", "do_unlinkta"));
    for target in ["dummy_read", "dummy_open", "do_unlinkta"] {
        let missing = feature(FeatureKind::Target, target, None, false);
        evidence.features.push(missing);
    }
    let judged = judge(&evidence, false);
    let headlines = judged.programs.iter().filter_map(|one| one.as_ref());
    let headlines: Vec<&str> = headlines.map(|one| one.headline.as_str()).collect();
    let expected = "`dummy_read` and `dummy_open` in the sections of 3 programs look like placeholders, \
                    which the object's own loader replaces: this kernel has no such functions";
    assert_eq!(headlines[..3], [expected; 3], "{headlines:?}");
    let other = headlines[3];
    assert!(
        other.contains("do_unlinkta") && !other.contains("dummy"),
        "{other}"
    );

    // One name for two programs.
    evidence.programs.truncate(2);
    told(
        &fails(&evidence, Code::LoaderContract),
        &[
            "`dummy_read` in the sections of 2 programs looks like a placeholder",
            "no such function",
        ],
    );
}

/// The author writes no flag: libbpf sets it for `.struct_ops.link`.
#[test]
fn a_flag_that_libbpf_set_is_explained_by_the_section() {
    let linked = |kind: &str| {
        let mut ops = map("ops", kind, 1, 22);
        ops.flags = 1 << 13;
        let mut evidence = refused_maps(vec![ops]);
        evidence.guest.release = "6.1.0-56-amd64".into();
        fails(&evidence, Code::MapRefused)
    };
    told(
        &linked("struct_ops"),
        &["`.struct_ops.link`", "SEC(\".struct_ops\")"],
    );
    untold(&linked("hash"), &["struct_ops"]);
}

#[test]
fn numbers_that_differ_by_kernel_are_not_in_headlines() {
    let log = "attach_btf_id 56121 points to disabled hook bpf_lsm_x\nprocessed 0 insns\n";
    let evidence = alone(13, rejected("lsm/x", "lsm", 13, log));
    let found = fails(&evidence, Code::VerifierRejection);
    told(&found, &["attach_btf_id points to disabled hook"]);
    untold(&found, &["56121"]);
}

/// A host under load: the whole took longer than the time for trying its parts alone.
#[test]
fn a_program_that_was_not_tried_in_time_has_the_refusal_that_libbpf_names() {
    let late = |log: &str| {
        let mut evidence = refused(7, log);
        let mut untried = program("raw_tp/sys_enter", "raw_tracepoint");
        untried.load = ProgramLoad {
            reason: Some(format!("{} of 8 s was over", ProgramLoad::TIME_WAS_OVER)),
            ..ProgramLoad::default()
        };
        evidence.programs = vec![untried];
        evidence
    };
    let found = fails(
        &late(
            "libbpf: prog 'prog': BPF program load failed: -E2BIG\n\
         libbpf: prog 'prog': -- BEGIN PROG LOAD LOG --\n\
         0: (b7) r0 = 0\n\
         BPF program is too large. Processed 1000001 insn\n\
         processed 1000001 insns (limit 1000000) max_states_per_insn 4\n\
         -- END PROG LOAD LOG --\n\
         libbpf: prog 'prog': failed to load: -E2BIG\n",
        ),
        Code::VerifierLimit,
    );
    told(&found, &["the verifier gave up on `prog`", "too large"]);

    let found = fails(
        &late("libbpf: failed to load object 'x'\n"),
        Code::Unclassified,
    );
    told(&found, &["there was no time", "--timeout"]);
}
