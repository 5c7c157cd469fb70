//! Hints about memory, packets, contexts and numbers. Each family has a log that it must speak to, and
//! one with some of the same words that it must leave to others. The logs are those of real kernels,
//! from 5.10 to 7.3, cut to what leads to the refusal.

use crate::rejected::{Rejected, tracing};

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
    let index = "9: (0f) r1 += r2 ; R1=map_value(map=records,ks=4,vs=16,smin=0,smax=umax=31,\
                 var_off=(0x0; 0x1f))\n13: (85) call bpf_probe_read_kernel#113\n\
                 invalid access to map value, value_size=16 off=31 size=8\n\
                 R1 max value is outside of the allowed memory range\n";
    program.told(
        index,
        &["bound the index of the pointer", "offset 31", "16 bytes"],
    );
    program.not_told(index, &["a size of at most"]);
    let record = "4: (85) call bpf_ringbuf_reserve#131 ; R0=ringbuf_mem_or_null(id=2,sz=8)\n\
                  6: (7b) *(u64 *)(r0 +8) = r1\n\
                  invalid access to memory, mem_size=8 off=8 size=8\n\
                  R0 min value is outside of the allowed memory range\n";
    program.told(
        record,
        &[
            "8 bytes at offset 8",
            "byte 16",
            "`bpf_ringbuf_reserve` returned 8 bytes",
        ],
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
    xdp.not_told(moved, &["`data` + 1", "subtract"]);
    let before = "8: (71) r0 = *(u8 *)(r3 -1)\n\
                  invalid access to packet, off=-1 size=1, R3(id=1,off=-1,r=0)\n\
                  R3 offset is outside of the packet\n";
    xdp.told(before, &["`n -= 1`", "1 byte at offset -1"]);
    xdp.not_told(before, &["last addition"]);
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
