//! What a rejected program's author is told to do. Each family of hints has a log that it must speak
//! to, and one with some of the same words that it must leave to others. The logs are those of real
//! kernels, from 5.10 to 7.3, cut to what leads to the refusal.

use ukci_judge::judge;
use ukci_schema::diagnosis::{Code, Diagnosis};
use ukci_schema::evidence::{
    Evidence, Log, MapEvidence, Mode, ProgramEvidence, ProgramLoad, Step, StepOutcome,
};
use ukci_schema::verdict::Verdict;

/// A rejected program: its type and section, and what it refers to.
#[derive(Clone, Default)]
struct Rejected {
    kind: &'static str,
    section: &'static str,
    attach: Option<&'static str>,
    maps: Vec<MapEvidence>,
    kfuncs: Vec<&'static str>,
    release: Option<&'static str>,
}

impl Rejected {
    fn of(kind: &'static str, section: &'static str) -> Self {
        Self {
            kind,
            section,
            ..Self::default()
        }
    }

    fn attached_as(mut self, attach: &'static str) -> Self {
        self.attach = Some(attach);
        self
    }

    fn with_map(mut self, name: &str, kind: &str, value_size: u32) -> Self {
        self.maps.push(MapEvidence {
            name: name.into(),
            map_type: kind.into(),
            key_size: 4,
            value_size,
            max_entries: 1,
            autocreate: true,
            created: StepOutcome::Ok,
            ..MapEvidence::default()
        });
        self
    }

    fn calling(mut self, kfunc: &'static str) -> Self {
        self.kfuncs.push(kfunc);
        self
    }

    fn on(mut self, release: &'static str) -> Self {
        self.release = Some(release);
        self
    }

    fn diagnosis(&self, log: &str) -> Diagnosis {
        let program = ProgramEvidence {
            name: "prog".into(),
            section: self.section.into(),
            program_type: self.kind.into(),
            attach_type: self.attach.map(Into::into),
            target: self
                .section
                .split_once('/')
                .map(|(_, target)| target.into()),
            autoload: true,
            maps: self.maps.iter().map(|map| map.name.clone()).collect(),
            kfuncs: self.kfuncs.iter().map(|name| (*name).into()).collect(),
            load: ProgramLoad {
                outcome: StepOutcome::Refused,
                isolated: true,
                errno: Some(13),
                log: Log::bounded(log),
                ..ProgramLoad::default()
            },
            ..ProgramEvidence::default()
        };
        let step = |outcome| Step {
            outcome,
            errno: None,
            micros: 1,
        };
        let mut evidence = Evidence {
            mode: Mode::Load,
            open: step(StepOutcome::Ok),
            load: step(StepOutcome::Refused),
            programs: vec![program],
            maps: self.maps.clone(),
            ..Evidence::default()
        };
        evidence.guest.release = self.release.unwrap_or("6.12.0-cloud-amd64").into();
        evidence.guest.jit = Some("1".into());
        match judge(&evidence, false).verdict {
            Verdict::Fail { diagnosis } => diagnosis,
            other => panic!("{log}\n{other:?}"),
        }
    }

    fn hints(&self, log: &str) -> String {
        self.diagnosis(log).hints.join("\n")
    }

    /// The hints have all of these words.
    #[track_caller]
    fn told(&self, log: &str, words: &[&str]) {
        let hints = self.hints(log);
        for words in words {
            assert!(
                hints.contains(words),
                "no `{words}` in:\n{hints}\nof:\n{log}"
            );
        }
    }

    /// The hints have none of these words.
    #[track_caller]
    fn not_told(&self, log: &str, words: &[&str]) {
        let hints = self.hints(log);
        for words in words {
            assert!(!hints.contains(words), "`{words}` in:\n{hints}\nof:\n{log}");
        }
    }
}

fn tracing() -> Rejected {
    Rejected::of("raw_tracepoint", "raw_tp/sched_switch")
}

#[test]
fn a_misaligned_access_is_told_by_its_offset() {
    let xdp = Rejected::of("xdp", "xdp");
    let value = "8: (b7) r1 = 1                        ; R1_w=1\n\
                 9: (db) lock *(u64 *)(r0 +4) += r1\n\
                 misaligned value access off (0x0; 0x0)+0+4 size 8\n";
    xdp.told(value, &["multiple of 8", "offset 4", "atomic", "packed"]);
    let stack = "3: (7b) *(u64 *)(r10 -12) = r0\nmisaligned stack access off=0+-12+0 size=8\n";
    xdp.told(stack, &["multiple of 8", "offset -12", "stack"]);
    xdp.not_told(stack, &["512", "atomic"]);
}

#[test]
fn a_map_value_is_compared_with_the_access() {
    let program = tracing()
        .with_map("records", "array", 16)
        .with_map("other", "hash", 8);
    let constant = "7: (15) if r0 == 0x0 goto pc+3 8: R0=map_value(map=records,ks=4,vs=16) R10=fp0\n\
                    8: (79) r1 = *(u64 *)(r0 +16)\n\
                    invalid access to map value, value_size=16 off=16 size=8\n\
                    R0 min value is outside of the allowed memory range\n";
    program.told(
        constant,
        &["8 bytes at offset 16", "byte 24", "`records` has 16 bytes"],
    );
    program.not_told(constant, &["bound the index"]);
    // 5.10 prints no map: the one with values of that size.
    let old = " R0=map_value(id=0,off=0,ks=4,vs=16,imm=0) R10=fp0\n8: (79) r1 = *(u64 *)(r0 +16)\n\
               invalid access to map value, value_size=16 off=16 size=8\n\
               R0 min value is outside of the allowed memory range\n";
    program.told(old, &["`records` has 16 bytes"]);
    let variable = "9: (0f) r0 += r1 ; R0=map_value(map=records,ks=4,vs=16,smin=0,smax=umax=31,\
                    var_off=(0x0; 0x1f))\n10: (73) *(u8 *)(r0 +0) = r1\n\
                    invalid access to map value, value_size=16 off=31 size=1\n\
                    R0 max value is outside of the allowed memory range\n";
    program.told(variable, &["bound the index", "offset 31", "16 bytes"]);
    program.not_told(variable, &["declare more"]);
    let helper = "12: (b7) r2 = 64 ; R2=64\n13: (85) call bpf_probe_read_kernel#113\n\
                  invalid access to map value, value_size=16 off=0 size=64\n\
                  R1 min value is outside of the allowed memory range\n";
    program.told(
        helper,
        &["at most 16", "`bpf_probe_read_kernel`", "64 bytes"],
    );
    let record = "4: (85) call bpf_ringbuf_reserve#131 ; R0=ringbuf_mem_or_null(id=2,sz=8)\n\
                  6: (7b) *(u64 *)(r0 +8) = r1\n\
                  invalid access to memory, mem_size=8 off=8 size=8\n\
                  R0 min value is outside of the allowed memory range\n";
    program.told(
        record,
        &["8 bytes at offset 8", "byte 16", "`bpf_ringbuf_reserve` returned 8 bytes"],
    );
    program.not_told(record, &["map"]);
}

#[test]
fn an_index_that_is_not_bounded_is_told_on_the_side_that_is_open() {
    let program = tracing().with_map("tables", "array", 64);
    let above = "14: (0f) r6 += r1 ; R6=map_value(map=tables,ks=4,vs=64,smin=0,umax=17179869180)\n\
                 15: (63) *(u32 *)(r6 +0) = r1\n\
                 R6 unbounded memory access, make sure to bounds check any such access\n";
    program.told(
        above,
        &[
            "number of elements",
            "0 to 17179869180",
            "`tables` has 64 bytes",
        ],
    );
    program.not_told(above, &["with 0 too"]);
    let below = "14: (0f) r6 += r1 ; R6=map_value(map=tables,ks=4,vs=64,smin=-8,smax=8)\n\
                 15: (63) *(u32 *)(r6 +0) = r1\n\
                 R6 min value is negative, either use unsigned or 'var &= const'\n";
    program.told(below, &["with 0 too", "unsigned", "-8 to 8"]);
    let sum = "13: (67) r1 <<= 3 ; R1=scalar(smax=120)\n14: (0f) r6 += r1\n\
               math between map_value pointer and register with unbounded min value is not allowed\n";
    program.told(sum, &["both sides", "any number up to 120"]);
    program.not_told(sum, &["packet"]);
}

#[test]
fn the_size_of_a_helper_is_no_index() {
    let program = tracing().with_map("a.bss", "array", 256);
    let unbounded = "1: (18) r1 = 0xffffc900005c6000 ; R1=map_value(map=a.bss,ks=4,vs=256)\n\
                     5: (bf) r2 = r6 ; R2=scalar(id=1) R6=scalar(id=1)\n\
                     7: (85) call bpf_probe_read_kernel#113\n\
                     R2 min value is negative, either use unsigned or 'var &= const'\n";
    program.told(
        unbounded,
        &[
            "argument 2 of `bpf_probe_read_kernel`",
            "256 bytes",
            "`.bss`",
        ],
    );
    program.not_told(unbounded, &["index"]);
    let failed = "8: (85) call bpf_probe_read_kernel_str#115 ; R0=scalar(smin=-4095,smax=256)\n\
                  9: (bf) r2 = r0 ; R2=scalar(smin=-4095,smax=256)\n\
                  11: (85) call bpf_probe_read_kernel#113\n\
                  R2 min value is negative, either use unsigned or 'var &= const'\n";
    program.told(
        failed,
        &["what `bpf_probe_read_kernel_str` returned", "-4095 to 256"],
    );
    let zero = "5: (57) r4 &= 31 ; R4=scalar(smin=0,smax=umax=31,var_off=(0x0; 0x1f))\n\
                9: (85) call bpf_skb_load_bytes#26\n";
    for words in [
        "invalid zero-sized read\n",
        "R4 invalid zero-sized read: u64=[0,31]\n",
    ] {
        program.told(&format!("{zero}{words}"), &["argument 4 may be 0"]);
    }
    for words in [
        "R2 unbounded size, use 'var &= const' or 'if (var < const)'\n",
        "R2 is not a known constant'\n",
        "R2 is not a const\n",
    ] {
        let log = format!("6: (85) call bpf_ringbuf_reserve#131\n{words}");
        program.told(
            &log,
            &["pass a constant as argument 2 of `bpf_ringbuf_reserve`"],
        );
    }
    program.not_told(unbounded, &["pass a constant"]);
}

#[test]
fn a_context_field_is_named_by_the_programs_type() {
    let tc = Rejected::of("sched_cls", "tc");
    let wide = "0: (79) r1 = *(u64 *)(r1 +32)\ninvalid bpf_context access off=32 size=8\n";
    tc.told(wide, &["`priority`", "it has 4 bytes", "8 bytes"]);
    tc.not_told(wide, &["write", "declare the arguments"]);
    let written = "1: (63) *(u32 *)(r1 +0) = r2\ninvalid bpf_context access off=0 size=4\n";
    tc.told(written, &["do not write to `len`"]);
    let xdp = Rejected::of("xdp", "xdp");
    let other = "0: (61) r2 = *(u32 *)(r1 +76)\ninvalid bpf_context access off=76 size=4\n";
    xdp.told(
        other,
        &[
            "`struct xdp_md`",
            "24 bytes",
            "`data` of `struct __sk_buff`",
        ],
    );
    tc.not_told(other, &["xdp_md"]);
    Rejected::of("socket_filter", "socket").told(other, &["bpf_skb_load_bytes", "`data`"]);
    let family = "0: (61) r1 = *(u32 *)(r1 +20)\ninvalid bpf_context access off=20 size=4\n";
    let connect = Rejected::of("cgroup_sock_addr", "cgroup/connect4");
    connect.clone().attached_as("cgroup_inet4_connect").told(
        family,
        &["`user_ip6`", "`cgroup/connect6`", "cgroup_inet4_connect"],
    );
    connect
        .attached_as("cgroup_inet6_connect")
        .not_told(family, &["use `user_ip6` in"]);
}

#[test]
fn arguments_of_a_function_are_no_fields() {
    let lsm = Rejected::of("lsm", "lsm/file_open");
    let missing = "0: (79) r0 = *(u64 *)(r1 +16)\nfunc 'bpf_lsm_file_open' doesn't have 3-th argument\n\
                   invalid bpf_context access off=16 size=8\n";
    lsm.told(
        missing,
        &["declare the arguments of `file_open`", "argument 3"],
    );
    let narrow = "0: (61) r0 = *(u32 *)(r1 +4)\ninvalid bpf_context access off=4 size=4\n";
    lsm.told(
        narrow,
        &["8 bytes at a multiple of 8", "4 bytes at offset 4"],
    );
    lsm.not_told(narrow, &["declare the arguments"]);
    let registers = "0: (79) r0 = *(u64 *)(r1 +512)\ninvalid bpf_context access off=512 size=8\n";
    Rejected::of("kprobe", "kprobe/vfs_read").told(registers, &["struct pt_regs", "offset 512"]);
}

#[test]
fn a_moved_context_pointer_is_told_by_how_far() {
    let tc = Rejected::of("sched_cls", "tc");
    let moved = "0: (07) r1 += 8 ; R1=ctx(imm=8)\n1: (61) r0 = *(u32 *)(r1 +0)\n\
                 dereference of modified ctx ptr R1 off=8 disallowed\n";
    tc.told(moved, &["constant offset", "8 was added"]);
    let variable =
        "5: (61) r0 = *(u32 *)(r6 +48)\nvariable ctx access var_off=(0x0; 0xc) disallowed\n";
    tc.told(variable, &["constant offsets", "switch"]);
    tc.not_told(variable, &["was added"]);
}

#[test]
fn a_packet_is_told_by_what_is_proven() {
    let xdp = Rejected::of("xdp", "xdp");
    let short = "6: (61) r0 = *(u32 *)(r1 +16)\n\
                 invalid access to packet, off=16 size=4, R1(id=0,off=16,r=14)\n\
                 R1 offset is outside of the packet\n";
    xdp.told(short, &["`data` + 20", "4 bytes at offset 16", "14 bytes"]);
    let unchecked = "1: (71) r0 = *(u8 *)(r1 +0)\n\
                     invalid access to packet, off=0 size=1, R1(id=0,off=0,r=0)\n\
                     R1 offset is outside of the packet\n";
    xdp.told(unchecked, &["`data` + 1", "no byte is proven"]);
    xdp.not_told(unchecked, &["variable offset"]);
    let moved = "9: (71) r0 = *(u8 *)(r1 +0)\n\
                 invalid access to packet, off=0 size=1, R1(id=3,off=0,r=0)\n\
                 R1 offset is outside of the packet\n";
    xdp.told(moved, &["variable offset", "last addition"]);
    xdp.not_told(moved, &["`data` + 1"]);
    let written = "6: (73) *(u8 *)(r1 +1) = r2\ncannot write into packet\n";
    Rejected::of("cgroup_skb", "cgroup_skb/egress").told(written, &["`tc` or XDP", "`cgroup_skb`"]);
    let end = "2: (07) r2 += -4\nR2 pointer arithmetic on pkt_end prohibited\n";
    xdp.told(end, &["data + n > data_end"]);
    let sum = "6: (0f) r1 += r3\n\
               math between pkt pointer and register with unbounded min value is not allowed\n";
    xdp.told(sum, &["packet pointer", "65536"]);
}

#[test]
fn a_helper_that_moved_the_packet_is_named_and_only_then() {
    let tc = Rejected::of("sched_cls", "tc");
    let path = "1: (61) r7 = *(u32 *)(r1 +76)\n2: (bf) r6 = r1\n7: (85) call bpf_skb_pull_data#39\n\
                9: (71) r0 = *(u8 *)(r7 +12)\n";
    for words in ["inv", "scalar"] {
        let log = format!("{path}R7 invalid mem access '{words}'\n");
        tc.told(
            &log,
            &[
                "`bpf_skb_pull_data`",
                "instruction 7",
                "`data_end` from the context again",
            ],
        );
        tc.not_told(&log, &["bpf_probe_read_kernel"]);
    }
    // Another field of the context, and a helper that leaves the packet where it is.
    let field = path.replace("+76", "+8") + "R7 invalid mem access 'inv'\n";
    tc.not_told(&field, &["bpf_skb_pull_data"]);
    let helper = path.replace("bpf_skb_pull_data#39", "bpf_ktime_get_ns#5");
    tc.not_told(
        &(helper + "R7 invalid mem access 'inv'\n"),
        &["the helper may move"],
    );
}

#[test]
fn a_number_that_is_followed_is_told_by_where_it_came_from() {
    let kprobe = Rejected::of("kprobe", "kprobe/vfs_read");
    let argument = "0: (79) r1 = *(u64 *)(r1 +112)\n1: (61) r0 = *(u32 *)(r1 +0)\n\
                    R1 invalid mem access 'scalar'\n";
    kprobe.told(
        argument,
        &[
            "argument that a `kprobe` program",
            "BPF_CORE_READ",
            "probe_read_user",
        ],
    );
    let fentry = Rejected::of("tracing", "fentry/vfs_read");
    fentry.told(argument, &["only pointers to structs", "probe_read_user"]);
    kprobe.not_told(argument, &["only pointers to structs"]);
    let task = "0: (85) call bpf_get_current_task#35 ; R0=scalar()\n1: (61) r0 = *(u32 *)(r0 +0)\n\
                R0 invalid mem access 'scalar'\n";
    kprobe.told(task, &["bpf_get_current_task_btf", "5.11"]);
    kprobe.not_told(task, &["argument that"]);
    let kept = "7: (79) r1 = *(u64 *)(r0 +0) ; R0=map_value(ks=4,vs=8) R1=scalar()\n\
                8: (61) r0 = *(u32 *)(r1 +0)\nR1 invalid mem access 'scalar'\n";
    let kept = format!("6: R0=map_value(ks=4,vs=8) R10=fp0\n{kept}");
    kprobe.told(&kept, &["kept in memory"]);
    kprobe.not_told(&kept, &["argument that", "bpf_get_current_task"]);
}

#[test]
fn what_may_be_null_is_told_with_who_returned_it() {
    let program = tracing();
    let used = "7: (85) call bpf_map_lookup_elem#1 ; R0=map_value_or_null(id=1,ks=4,vs=8)\n\
                8: (79) r1 = *(u64 *)(r0 +0)\nR0 invalid mem access 'map_value_or_null'\n";
    program.told(used, &["what `bpf_map_lookup_elem` returned", "NULL"]);
    let moved = "8: (07) r1 += 8\nR1 pointer arithmetic on map_value_or_null prohibited, null-check it \
                 first\n";
    program.told(moved, &["NULL before anything is added"]);
    let passed = "13: (85) call bpf_map_update_elem#2\nR3 type=map_value_or_null expected=fp, pkt, \
                  pkt_meta, map_key, map_value\n";
    program.told(passed, &["NULL", "argument 3 of `bpf_map_update_elem`"]);
    let checked = "8: (79) r1 = *(u64 *)(r0 +0)\nR0 invalid mem access 'map_ptr'\n";
    program.not_told(checked, &["NULL"]);
    program.told(checked, &["the map itself"]);
}

#[test]
fn pointers_that_may_not_be_computed_with() {
    let program = tracing();
    let map = "2: (07) r1 += 24\nR1 pointer arithmetic on map_ptr prohibited\n";
    program.told(map, &["bpf_map_lookup_elem"]);
    let context = "2: (0f) r1 += r2\nR1 pointer arithmetic on ctx prohibited\n";
    program.told(context, &["context pointer"]);
    program.not_told(context, &["bpf_map_lookup_elem"]);
    let narrow = "2: (04) w1 += 1\nR1 32-bit pointer arithmetic prohibited\n";
    program.told(narrow, &["64 bits"]);
    let shifted = "2: (67) r1 <<= 32\nR1 pointer arithmetic with <<= operator prohibited\n";
    program.told(shifted, &["64 bits", "cast"]);
    let masked = "2: (57) r1 &= 7\nR1 pointer arithmetic with &= operator prohibited\n";
    program.not_told(masked, &["cast"]);
}

#[test]
fn a_register_that_was_not_set() {
    let program = tracing();
    program.told(
        "0: (bf) r0 = r7\nR7 !read_ok\n",
        &["R7", "set the variable"],
    );
    let clobbered =
        "0: (b7) r2 = 1\n1: (85) call bpf_ktime_get_ns#5\n2: (bf) r0 = r2\nR2 !read_ok\n";
    program.told(clobbered, &["R2 again after the call"]);
    program.told(
        "0: (95) exit\nR0 !read_ok\n",
        &["return a value on every path"],
    );
}

#[test]
fn an_argument_is_named_with_what_it_is() {
    let program = tracing().with_map("events", "hash", 8);
    let number = "0: (85) call bpf_get_current_task#35\n3: (bf) r2 = r0\n\
                  4: (85) call bpf_map_lookup_elem#1\n\
                  R2 type=inv expected=fp, pkt, pkt_meta, map_value\n";
    program.told(
        number,
        &[
            "argument 2 of `bpf_map_lookup_elem`",
            "`bpf_get_current_task` returned",
        ],
    );
    let task = "4: (85) call bpf_task_storage_get#156\nR2 type=scalar expected=ptr_, trusted_ptr_, \
                rcu_ptr_\n";
    program.told(
        task,
        &[
            "pass a kernel pointer",
            "argument 2 of `bpf_task_storage_get`",
            "a number",
        ],
    );
    program.not_told(task, &["bpf_probe_read_kernel"]);
    let map = "4: (18) r1 = 0xffff88800536b800 ; R1=map_ptr(map=events,ks=4,vs=8)\n\
               8: (85) call bpf_ringbuf_output#130\n\
               cannot pass map_type 1 into func bpf_ringbuf_output#130\n";
    program.told(map, &["`ringbuf`", "`events` is of type `hash`"]);
}

#[test]
fn a_helper_with_a_list_of_functions_is_no_kfunc() {
    let fentry = Rejected::of("tracing", "fentry/vfs_open");
    let log = "4: (85) call bpf_d_path#147\nhelper call is not allowed in probe\n";
    let found = fentry.diagnosis(log);
    assert!(
        found.headline.contains("`bpf_d_path`"),
        "{}",
        found.headline
    );
    assert!(found.headline.contains("`vfs_open`"), "{}", found.headline);
    fentry.told(log, &["filp_close", "security_file_open"]);
    fentry.not_told(log, &["kfunc", "this kernel has it"]);
    let kfunc = "calling kernel function bpf_task_acquire is not allowed\n";
    fentry.clone().calling("bpf_task_acquire").told(
        kfunc,
        &["call `bpf_task_acquire` from", "`tracing` programs"],
    );
    fentry.not_told(kfunc, &["filp_close"]);
}

#[test]
fn a_kfunc_call_on_a_kernel_that_takes_none() {
    let log = "2: (85) call unknown#72894\nBPF_CALL uses reserved fields\n";
    let program = Rejected::of("struct_ops", "struct_ops/avoid").calling("tcp_slow_start");
    let found = program.clone().on("5.10.0-46-cloud-amd64").diagnosis(log);
    assert_eq!(found.code, Code::MissingKfunc);
    for words in ["5.13", "`prog`", "`tcp_slow_start`"] {
        assert!(found.headline.contains(words), "{}", found.headline);
    }
    // A newer kernel takes them, and a program without one has another fault.
    let newer = program.on("6.1.0-56-amd64").diagnosis(log);
    assert_eq!(newer.code, Code::VerifierRejection);
    let without = Rejected::of("xdp", "xdp")
        .on("5.10.0-46-cloud-amd64")
        .diagnosis(log);
    assert_eq!(without.code, Code::VerifierRejection);
}

#[test]
fn a_lock_needs_btf_and_a_map_that_takes_one() {
    let sentence = "10: (85) call bpf_spin_lock#93\nmap 'records' has to have BTF in order to use \
                    bpf_spin_lock\n";
    let tc = Rejected::of("sched_cls", "tc");
    let array = tc.clone().with_map("records", "array", 8);
    array.told(sentence, &["`__type(value, struct …)`", "`records`"]);
    array.not_told(sentence, &["takes no lock"]);
    let per_cpu = tc.with_map("records", "percpu_array", 8);
    per_cpu.told(sentence, &["`percpu_array` takes no lock"]);
    per_cpu.not_told(sentence, &["__type(value"]);
}

#[test]
fn what_is_held_is_told_with_who_gave_it() {
    let tc = Rejected::of("sched_cls", "tc");
    let record = "; rb = bpf_ringbuf_reserve(&events, 8, 0); @ a.bpf.c:13\n\
                  4: (85) call bpf_ringbuf_reserve#131 ; R0=ringbuf_mem_or_null(id=2) refs=2\n\
                  9: (95) exit\nUnreleased reference id=2 alloc_insn=4\n";
    tc.told(record, &["bpf_ringbuf_submit", "line 13", "instruction 4"]);
    tc.not_told(record, &["bpf_sk_release"]);
    let socket = "11: (85) call bpf_sk_lookup_tcp#84\n16: (95) exit\n\
                  Unreleased reference id=2 alloc_insn=11\n\
                  BPF_EXIT instruction in main prog would lead to reference leak\n";
    tc.told(socket, &["bpf_sk_release", "bpf_sk_lookup_tcp"]);
    let after = "4: (85) call bpf_ringbuf_reserve#131 ; R0=ringbuf_mem_or_null(id=2)\n5: (bf) r6 = r0\n\
                 8: (85) call bpf_ringbuf_submit#132\n9: (79) r0 = *(u64 *)(r6 +0)\n\
                 R6 invalid mem access 'scalar'\n";
    tc.told(after, &["only before `bpf_ringbuf_submit` (instruction 8)"]);
    let other = after.replace("bpf_ringbuf_submit#132", "bpf_ktime_get_ns#5");
    tc.not_told(&other, &["gives it back"]);
    for kept in [
        "22: (95) exit\nbpf_spin_unlock is missing\n",
        "22: (95) exit\nBPF_EXIT instruction in main prog cannot be used inside bpf_spin_lock-ed region\n",
    ] {
        tc.told(kept, &["call `bpf_spin_unlock` on every path"]);
        tc.not_told(kept, &["it may not be called while"]);
    }
    let called =
        "11: (85) call bpf_ktime_get_ns#5\nfunction calls are not allowed while holding a lock\n";
    tc.told(
        called,
        &[
            "`bpf_ktime_get_ns`",
            "bpf_spin_unlock",
            "while a spin lock is held",
        ],
    );
    tc.not_told(called, &["on every path"]);
}

#[test]
fn a_returned_value_is_compared_with_what_is_allowed() {
    let connect = Rejected::of("cgroup_sock_addr", "cgroup/connect4");
    for log in [
        "1: (95) exit\nAt program exit the register R0 has value (0x2; 0x0) should have been in (0x0; 0x1)\n",
        "1: (95) exit\nAt program exit the register R0 has smin=2 smax=2 should have been in [0, 1]\n",
    ] {
        connect.told(log, &["0 or 1", "returns 2", "`cgroup_sock_addr`"]);
    }
    let lsm = "1: (95) exit\nAt program exit the register R0 has smin=1 smax=1 should have been in \
               [-4095, 0]\n";
    Rejected::of("lsm", "lsm/file_open").told(lsm, &["-4095 to 0", "returns 1"]);
    let unknown = "0: (85) call bpf_get_prandom_u32#7 ; R0=scalar()\n1: (95) exit\n\
                   At program exit the register R0 has unknown scalar value should have been in [0, 1]\n";
    connect.told(unknown, &["any number", "compare the value"]);
    connect.not_told(unknown, &["returns 2"]);
}

#[test]
fn stacks_of_one_function_of_a_chain_and_below_a_tail_call() {
    let tc = Rejected::of("sched_cls", "tc");
    let combined = "combined stack size of 2 calls is 704. Too large\n";
    tc.told(combined, &["512 bytes", "2 functions", "704 bytes"]);
    tc.not_told(combined, &["256", "tail call"]);
    let tail = "5: (85) call pc+3\n12: (85) call bpf_tail_call#12\ntail_calls are not allowed when call \
                stack of previous frames is 304 bytes. Too large\n";
    tc.told(tail, &["below 256 bytes", "304"]);
    tc.not_told(tail, &["512", "per-CPU"]);
    let deep = "1: (7b) *(u64 *)(r10 -520) = r1\ninvalid write to stack R10 off=-520 size=8\n";
    tc.told(deep, &["512 bytes", "per-CPU array"]);
    let helper = "5: (b7) r2 = 64 ; R2=64\n6: (85) call bpf_get_current_comm#16\n";
    for words in [
        "invalid stack type R1 off=-16 access_size=64\n",
        "invalid indirect access to stack R1 off=-16 size=64\n",
        "invalid write to stack R1 off=-16 size=64\n",
    ] {
        let log = format!("{helper}{words}");
        tc.told(&log, &["`bpf_get_current_comm`", "64 bytes", "16 bytes"]);
        tc.not_told(&log, &["per-CPU", "512"]);
    }
    let index = "7: (0f) r1 += r0 ; R1=fp(off=-16,smin=smin32=0,smax=umax=63,var_off=(0x0; 0x3f))\n\
                 9: (73) *(u8 *)(r1 +0) = r2\n\
                 invalid variable-offset write to stack R1 var_off=(0x0; 0x3f) off=-16 size=1\n";
    tc.told(index, &["bound the index", "fp-16", "fp+47"]);
    let unset =
        "4: (85) call bpf_map_lookup_elem#1\ninvalid indirect read from stack R2 off -8+4 size 8\n";
    tc.told(unset, &["8 bytes", "fp-8", "byte 4", "__builtin_memset"]);
}

#[test]
fn kernel_memory_is_read_by_relocation_and_never_written() {
    let fentry = Rejected::of("tracing", "fentry/vfs_read");
    let beyond = "1: (61) r0 = *(u32 *)(r1 +4000)\naccess beyond struct file at off 4000 size 4\n";
    fentry.told(
        beyond,
        &[
            "preserve_access_index",
            "`struct file`",
            "4 bytes at offset 4000",
        ],
    );
    let member = "1: (61) r0 = *(u32 *)(r1 +20)\naccess beyond the end of member prev_pid (mend:4) in \
                  struct record with type int\n";
    fentry.told(member, &["preserve_access_index", "do not fit the member"]);
    let written = "2: (63) *(u32 *)(r1 +64) = r2\nonly read is supported\n";
    fentry.told(written, &["do not write"]);
    fentry.not_told(written, &["preserve_access_index"]);
}

#[test]
fn global_functions_and_functions_with_structs() {
    let program = tracing();
    let pointer =
        "Validating advance() func#1...\nArg#0 type PTR in advance() is not supported yet.\n";
    program.told(pointer, &["`advance()` `static`", "5.12"]);
    let remark = "arg#0 reference type('UNKNOWN ') size cannot be determined: -22\n";
    let void = format!("Validating emit() func#1...\n{remark}");
    program.told(&void, &["`emit()` `static`", "__arg_ctx"]);
    let called = format!(
        "0: R1=ctx() R10=fp0\n0: (85) call pc+2\n{remark}Caller passes invalid args into func#1 ('emit')\n"
    );
    program.told(&called, &["`emit()` `static`", "__arg_ctx"]);
    let short = "4: (85) call pc+7\ninvalid indirect access to stack R1 off=-8 size=64\n\
                 Caller passes invalid args into func#1 ('last')\n";
    program.told(short, &["`last()`", "64 bytes", "8 are on the stack"]);
    program.not_told(short, &["__arg_ctx", "per-CPU"]);
    let fexit = Rejected::of("tracing", "fexit/make_kuid");
    let by_value = "The function make_kuid return type STRUCT is unsupported.\n";
    fexit.told(by_value, &["kprobe to `make_kuid`", "returns a struct"]);
    fexit.not_told(by_value, &["static"]);
}

#[test]
fn loops_and_old_kernels() {
    let program = tracing();
    program.told(
        "0: (05) goto pc-1\ninfinite loop detected at insn 0\n",
        &["counter"],
    );
    program.told("back-edge from insn 5 to 2\n", &["5.3", "unroll"]);
    program.not_told(
        "0: (05) goto pc-1\ninfinite loop detected at insn 0\n",
        &["unroll"],
    );
    program.told("BPF_STX uses reserved fields\n", &["5.12"]);
    program.told(
        "Sleepable programs can only use preallocated hash maps\n",
        &["BPF_F_NO_PREALLOC"],
    );
}

/// A sentence that no family knows: what was compared, and on 7.3 what the kernel suggests. Never a
/// word about compiling anew.
#[test]
fn an_unknown_sentence_is_told_with_its_instruction_and_the_kernels_suggestion() {
    let program = tracing();
    let log = "7: (bf) r6 = r0 ; R6=scalar(smin=0,smax=umax=7,var_off=(0x0; 0x7))\n\
               8: (79) r1 = *(u64 *)(r6 +0)\nsomething quite new about R6\n";
    program.told(
        log,
        &[
            "instruction 8",
            "`(79) r1 = *(u64 *)(r6 +0)`",
            "R6 holds a number (0 to 7)",
        ],
    );
    let report = format!(
        "{log}\nVerification failed: X\n\nReason:\n  y\n\nSuggestion:\n  Do this before\n  that.\n\nprocessed 1\n"
    );
    program.told(
        &report,
        &[
            "this kernel suggests: Do this before that.",
            "instruction 8",
        ],
    );
    // Where a family speaks, the kernel's general advice does not stand beside it.
    let known = report.replace("something quite new about R6", "R6 !read_ok");
    program.not_told(&known, &["suggests"]);
    program.not_told(log, &["compile"]);
}
