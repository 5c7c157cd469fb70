//! Console texts as kernels print them.

use std::io::Write;

use super::*;

fn console(text: &str) -> Console {
    let mut console = Console::default();
    console.push(text.as_bytes());
    console
}

const EXIT_OF_INIT_6_1: &str = "\
[    1.216017] Run /init as init process\r
[    1.254320] Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000000\r
[    1.254800] CPU: 0 PID: 1 Comm: init Not tainted 6.1.0-56-cloud-amd64 #1  Debian 6.1.192-2\r
[    1.255300] Hardware name: QEMU Standard PC (Q35 + ICH9, 2009), BIOS  04/01/2014\r
[    1.255800] Call Trace:\r
[    1.256100]  <TASK>\r
[    1.256400]  dump_stack_lvl+0x44/0x5c\r
";

const NULL_DEREFERENCE_6_12: &str = "\
[    2.101200] BUG: kernel NULL pointer dereference, address: 0000000000000008\r
[    2.101700] #PF: supervisor read access in kernel mode\r
[    2.102300] Oops: Oops: 0000 [#1] PREEMPT SMP NOPTI\r
[    2.102900] RIP: 0010:__kmalloc_noprof+0x1a5/0x400\r
[    2.110000] Kernel panic - not syncing: Fatal exception\r
[    2.110500] ---[ end Kernel panic - not syncing: Fatal exception ]---\r
";

#[test]
fn a_panic_is_seen_and_shown_with_the_lines_around_it() {
    let console = console(EXIT_OF_INIT_6_1);
    assert_eq!(
        *console.state(),
        State::Panicked(
            "Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000000".into()
        )
    );
    let excerpt = console.excerpt();
    assert_eq!(excerpt[0], "[    1.216017] Run /init as init process");
    assert_eq!(excerpt[6], "[    1.256400]  dump_stack_lvl+0x44/0x5c");
}

#[test]
fn a_panic_after_an_oops_is_told_by_the_oops() {
    let console = console(NULL_DEREFERENCE_6_12);
    let first = "BUG: kernel NULL pointer dereference, address: 0000000000000008";
    assert_eq!(*console.state(), State::Panicked(first.into()));
}

#[test]
fn an_oops_alone_ends_nothing() {
    let console = console(NULL_DEREFERENCE_6_12.split_once("[    2.11").unwrap().0);
    assert_eq!(*console.state(), State::Running);
}

#[test]
fn splats_of_several_kernels() {
    for (line, expected) in [
        // 5.10, 6.1
        ("Oops: 0002 [#1] SMP NOPTI", Splat::Oops),
        (
            "general protection fault, probably for non-canonical address 0xdead: 0000 [#1] SMP",
            Splat::Oops,
        ),
        ("kernel BUG at mm/slub.c:379!", Splat::Oops),
        (
            "BUG: unable to handle page fault for address: ffffc90000a7bff8",
            Splat::Oops,
        ),
        (
            "BUG: KASAN: slab-use-after-free in bpf_prog_put+0x11/0x20",
            Splat::Oops,
        ),
        (
            "watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [init:1]",
            Splat::Stall,
        ),
        (
            "rcu: INFO: rcu_sched self-detected stall on CPU",
            Splat::Stall,
        ),
        (
            "rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:",
            Splat::Stall,
        ),
        (
            "rcu: INFO: rcu_preempt detected expedited stalls on CPUs/tasks: { 0-... }",
            Splat::Stall,
        ),
        (
            "rcu: rcu_sched kthread starved for 5252 jiffies! g-1175",
            Splat::Stall,
        ),
        (
            "INFO: task init:1 blocked for more than 120 seconds.",
            Splat::Stall,
        ),
        (
            "NMI watchdog: Watchdog detected hard LOCKUP on cpu 0",
            Splat::Stall,
        ),
        (
            "watchdog: CPU0: Watchdog detected hard LOCKUP on cpu 0",
            Splat::Stall,
        ),
        // 6.12 and later
        (
            "Oops: general protection fault, probably for non-canonical address 0x1: 0000 [#1]",
            Splat::Oops,
        ),
        (
            "Oops: double fault: 0000 [#1] PREEMPT SMP NOPTI",
            Splat::Oops,
        ),
        // arm64, riscv64
        (
            "Unable to handle kernel NULL pointer dereference at virtual address 0000000000000010",
            Splat::Oops,
        ),
        (
            "Internal error: Oops: 0000000096000004 [#1] PREEMPT SMP",
            Splat::Oops,
        ),
        (
            "Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)",
            Splat::Panic,
        ),
    ] {
        assert_eq!(splat(line), Some(expected), "{line}");
    }
}

#[test]
fn ordinary_lines_are_no_splats() {
    for line in [
        "DEBUG: all is well",
        "rcu: Hierarchical SRCU implementation.",
        "rcu: \tRCU restricting CPUs from NR_CPUS=8192 to nr_cpu_ids=1.",
        "Spectre V2 : Mitigation: Retpolines",
        "reboot: Power down",
        "NMI watchdog: Perf NMI watchdog permanently disabled",
    ] {
        assert_eq!(splat(line), None, "{line}");
    }
}

#[test]
fn stalls_are_noted_and_end_nothing() {
    let lockup = "watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [init:1]";
    let starved = "rcu: rcu_sched kthread starved for 5252 jiffies! g-1175";
    let mut console = console(&format!("[   28.1] {lockup}\n[   48.1] {starved}\n"));
    assert_eq!(*console.state(), State::Running);
    assert_eq!(console.stall(), Some(lockup));
    assert_eq!(console.excerpt()[0], format!("[   28.1] {lockup}"));
    // A panic after it is told by its own words.
    console.push(NULL_DEREFERENCE_6_12.as_bytes());
    let first = "BUG: kernel NULL pointer dereference, address: 0000000000000008";
    assert_eq!(*console.state(), State::Panicked(first.into()));
    assert_eq!(console.stall(), Some(lockup));
}

#[test]
fn control_characters_and_escape_sequences_are_stripped() {
    assert_eq!(
        clean(b"\x1b[2J\x1b[31;1mred\x1b[0m\x07 \x1bcend\r"),
        "red end"
    );
    assert_eq!(clean(b"a\tb \x00\xff"), "a b \u{fffd}");
    assert_eq!(clean(b"\x1b"), "");
    assert_eq!(clean(b"\x1b[12"), "");
}

#[test]
fn lines_are_bounded_in_length_and_number() {
    let mut console = Console::default();
    for _ in 0..300 {
        console.push(&[b'x'; 100]);
    }
    assert_eq!(console.partial.len(), LONGEST_LINE);
    console.push(b"\n");
    for n in 0..1000 {
        console.push(format!("line {n}\n").as_bytes());
    }
    assert_eq!(console.lines.len(), LINES_KEPT);
    let excerpt = console.excerpt();
    assert_eq!(excerpt.len(), LINES_BEFORE + LINES_FROM);
    assert_eq!(excerpt.last().unwrap(), "line 999");
}

#[test]
fn the_excerpt_stays_with_the_report_when_more_follows() {
    let mut console = console(EXIT_OF_INIT_6_1);
    for n in 0..100 {
        console.push(format!("later {n}\n").as_bytes());
    }
    assert!(console.excerpt()[1].contains("Kernel panic"));
    for n in 0..LINES_KEPT {
        console.push(format!("much later {n}\n").as_bytes());
    }
    assert_eq!(
        console.excerpt().len(),
        LINES_BEFORE + LINES_FROM,
        "scrolled away, and still no crash"
    );
}

#[test]
fn a_line_may_arrive_in_pieces_and_the_unfinished_one_is_shown() {
    let mut console = Console::default();
    for byte in "Kernel panic - not syncing: hurt\nhalf a li".bytes() {
        console.push(&[byte]);
    }
    assert_eq!(
        *console.state(),
        State::Panicked("Kernel panic - not syncing: hurt".into())
    );
    assert_eq!(console.excerpt().last().unwrap(), "half a li");
}

#[test]
fn a_growing_file_is_followed() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let mut follower = Follower::open(file.path()).unwrap();
    assert!(follower.catch_up().excerpt().is_empty());
    file.write_all(b"one\ntw").unwrap();
    assert_eq!(follower.catch_up().excerpt(), ["one", "tw"]);
    file.write_all(b"o\n").unwrap();
    assert_eq!(follower.catch_up().excerpt(), ["one", "two"]);
}

#[test]
fn the_last_line_is_the_last_that_says_something() {
    let mut log = tempfile::NamedTempFile::new().unwrap();
    assert_eq!(last_line(log.path()), None);
    write!(
        log,
        "{}\nfirst\nqemu: \x1b[1mbad\x1b[0m\n\n",
        "x".repeat(9000)
    )
    .unwrap();
    assert_eq!(last_line(log.path()).as_deref(), Some("qemu: bad"));
}

/// Found by the fuzz target `words`.
#[test]
fn marks_of_direction_are_no_part_of_a_line() {
    assert_eq!(clean("a\u{61c}b\u{202e}c\u{7f}d\u{9b}".as_bytes()), "abcd");
}

/// A program can write what it likes to the console. What the kernel says afterwards shows that it lives.
#[test]
fn words_of_a_panic_before_an_end_that_somebody_wanted_are_no_panic() {
    for end in [
        "[    9.1] reboot: Restarting system\r\n",
        "[    9.1] reboot: Power down\r\n",
        "[    9.1] sysrq: Resetting\r\n",
    ] {
        let console = console(&format!("{EXIT_OF_INIT_6_1}{end}"));
        assert_eq!(*console.state(), State::Running, "{end}");
    }
    let unwanted = console(&format!(
        "{EXIT_OF_INIT_6_1}[    9.1] Rebooting in 1 seconds..\r\n"
    ));
    assert!(matches!(unwanted.state(), State::Panicked(_)));
}
