//! Hints about pointers, arguments, what is held, functions and loops. Each family has a log that it
//! must speak to, and one with some of the same words that it must leave to others.

use ukci_schema::diagnosis::Code;

use crate::rejected::{Rejected, tracing};

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
    array.not_told(sentence, &["takes no `struct bpf_spin_lock`"]);
    let per_cpu = tc.with_map("records", "percpu_array", 8);
    per_cpu.told(
        sentence,
        &["`percpu_array` takes no `struct bpf_spin_lock`"],
    );
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
    let tail = socket.replace("16: (95) exit", "16: (85) call bpf_tail_call#12");
    tc.told(&tail, &["bpf_sk_release", "before the tail call"]);
    tc.not_told(socket, &["before the tail call"]);
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
    let key = "3: (18) r1 = 0xffff8880 ; R1=map_ptr(map=counts,ks=8,vs=8)\n\
               4: (85) call bpf_map_lookup_elem#1\ninvalid indirect access to stack R2 off=-4 size=8\n";
    let with_map = tc.clone().with_map("counts", "hash", 8);
    with_map.told(
        key,
        &[
            "8 bytes as argument 2",
            "a whole key of map `counts`",
            "4 bytes are there",
        ],
    );
    with_map.not_told(key, &["pass a size"]);
    let index = "7: (0f) r1 += r0 ; R1=fp(off=-16,smin=smin32=0,smax=umax=63,var_off=(0x0; 0x3f))\n\
                 9: (73) *(u8 *)(r1 +0) = r2\n\
                 invalid variable-offset write to stack R1 var_off=(0x0; 0x3f) off=-16 size=1\n";
    tc.told(index, &["bound the index", "fp-16", "fp+47"]);
    let unset =
        "4: (85) call bpf_map_lookup_elem#1\ninvalid indirect read from stack R2 off -8+4 size 8\n";
    tc.told(
        unset,
        &[
            "8 bytes as argument 2",
            "a whole key",
            "byte 4",
            "__builtin_memset",
        ],
    );
    let text =
        "4: (85) call bpf_trace_printk#6\ninvalid indirect read from stack R1 off -8+4 size 8\n";
    tc.told(
        text,
        &["set all 8 bytes", "fp-8", "`bpf_trace_printk`", "byte 4"],
    );
    tc.not_told(text, &["key"]);
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
            "4 bytes at offset 4000, and the struct ends before",
        ],
    );
    let member = "1: (61) r0 = *(u32 *)(r1 +20)\naccess beyond the end of member prev_pid (mend:4) in \
                  struct record with type int\n";
    fentry.told(
        member,
        &["preserve_access_index", "a member of another size"],
    );
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
    let of_the_kernel = "1: (85) call pc+1\naccess beyond struct thread_info at off 0 size 6080\n\
                         Caller passes invalid args into func#1 ('helper')\n";
    program.told(of_the_kernel, &["__arg_trusted", "`helper()` `static`"]);
    program.not_told(of_the_kernel, &["pass what"]);
    program.not_told(short, &["__arg_trusted"]);
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
    let old = program.clone().on("5.2.0-amd64");
    old.told("back-edge from insn 5 to 2\n", &["5.3", "unroll"]);
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

/// From objects that 6.12 refused.
#[test]
fn a_pointer_that_was_given_back_is_told_from_a_number() {
    let program = tracing();
    let twice = "4: (85) call bpf_ringbuf_reserve#131 ; R0_w=ringbuf_mem_or_null(id=2,ref_obj_id=2,sz=8)\n\
                 5: (bf) r6 = r0 ; R6_w=ringbuf_mem_or_null(id=2,ref_obj_id=2,sz=8)\n\
                 9: (85) call bpf_ringbuf_discard#133 ;\n\
                 10: (bf) r1 = r6 ; R1_w=scalar(id=3) R6=scalar(id=3)\n\
                 12: (85) call bpf_ringbuf_discard#133\nR1 type=scalar expected=ringbuf_mem\n";
    program.told(
        twice,
        &["`bpf_ringbuf_reserve`", "(instruction 9)", "gives it back"],
    );
    let late = "12: (85) call bpf_dynptr_data#203 ; R0=mem_or_null(id=3,ref_obj_id=2,sz=4) refs=2\n\
                13: (bf) r7 = r0 ; R7_w=mem_or_null(id=3,ref_obj_id=2,sz=4) refs=2\n\
                16: (85) call bpf_ringbuf_discard_dynptr#200 ;\n\
                18: (71) r6 = *(u8 *)(r7 +0)\nR7 invalid mem access 'scalar'\n";
    program.told(late, &["`bpf_dynptr_data`", "`bpf_ringbuf_discard_dynptr`"]);
    let number = "3: (85) call bpf_get_prandom_u32#7 ; R0_w=scalar()\n\
                  10: (bf) r1 = r0 ; R1_w=scalar(id=3)\n\
                  12: (85) call bpf_ringbuf_discard#133\nR1 type=scalar expected=ringbuf_mem\n";
    program.not_told(number, &["gives it back"]);
}

/// 7.3 ends the sentence without a line break.
#[test]
fn a_sentence_that_the_statistics_follow_at_once_is_read_alone() {
    let log = "3: (85) call bpf_tail_call#12\nexpected prog array map for tail callprocessed 3 insns \
               (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0\n";
    let evidence = crate::hand::alone(22, crate::hand::rejected("tc", "sched_cls", 22, log));
    let found = crate::hand::fails(&evidence, Code::VerifierRejection);
    assert!(
        found
            .headline
            .ends_with("expected prog array map for tail call"),
        "{}",
        found.headline
    );
}

#[test]
fn null_that_the_verifier_knows_is_no_number() {
    let program = tracing();
    let drained = "7: (85) call bpf_iter_num_next#55468 ; R0_w=0 refs=1\n\
                   8: (61) r7 = *(u32 *)(r0 +0)\nR0 invalid mem access 'scalar'\n";
    program.told(drained, &["`bpf_iter_num_next`", "NULL"]);
    let number = "7: (85) call bpf_get_prandom_u32#7 ; R0_w=scalar()\n\
                  8: (61) r7 = *(u32 *)(r0 +0)\nR0 invalid mem access 'scalar'\n";
    program.not_told(number, &["NULL"]);
}

#[test]
fn a_global_function_under_a_lock_is_to_be_static() {
    let program = tracing();
    let call = "13: (85) call pc+5\nglobal function calls are not allowed while holding a lock,\n\
                use static function instead\n";
    program.told(call, &["`static`", "after `bpf_spin_unlock`"]);
    let helper = "13: (85) call bpf_get_prandom_u32#7\n\
                  function calls are not allowed while holding a lock\n";
    program.not_told(helper, &["`static`"]);
}

#[test]
fn a_constant_that_moves_a_pointer_too_far_is_no_missing_bound() {
    let program = tracing();
    let far =
        "9: (07) r0 += 536870912\nmath between map_value pointer and 536870912 is not allowed\n";
    program.told(far, &["536870912", "2^29"]);
    let unbounded = "9: (0f) r0 += r1\n\
                     math between map_value pointer and register with unbounded min value is not allowed\n";
    program.not_told(unbounded, &["2^29"]);
}
