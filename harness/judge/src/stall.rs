//! The kernel's reports that a CPU, a task or RCU makes no progress.
//!
//! Lines of a kernel's log come in; which of them belong to such a report goes out. A host that
//! keeps the guest from running causes these reports, so they differ from boot to boot.

/// Words of the line that opens a report (5.10 to 7.3).
pub const OPENINGS: &[&str] = &[
    "BUG: soft lockup",
    "BUG: workqueue lockup",
    "self-detected stall",
    "detected stalls on",
    "detected expedited stalls",
    "kthread starved",
    "hard LOCKUP",
    "blocked for more than",
    "blocked in I/O wait for more than",
];

/// How the lines of a report go on: the state of RCU, of a workqueue or of a task, registers, and
/// the calls that lead there.
const CONTINUATIONS: &[&str] = &[
    " ",
    "\t",
    "rcu: ",
    "(detected by ",
    "(t=",
    "Sending NMI from CPU ",
    "NMI backtrace for cpu ",
    "CPU: ",
    "CPU#",
    "Modules linked in:",
    "Hardware name:",
    "Tainted: ",
    "Workqueue: ",
    "workqueue ",
    "Showing ",
    "pool ",
    "task:",
    "Task dump for CPU ",
    "Call Trace:",
    "Call trace:",
    "Stack:",
    "irq event stamp:",
    "hardirqs last ",
    "softirqs last ",
    "NMI watchdog: ",
    "Future hung task reports are suppressed",
    "\"echo 0 > ",
    // x86-64
    "RIP: ",
    "Code: ",
    "RSP: ",
    "RAX: ",
    "RDX: ",
    "RBP: ",
    "R10: ",
    "R13: ",
    "FS: ",
    "CS: ",
    "CR2: ",
    "DR0: ",
    "DR3: ",
    "PKRU: ",
    // arm64
    "pstate: ",
    "pc : ",
    "lr : ",
    "sp : ",
    // riscv64
    "epc : ",
    "status: ",
];

/// For each line, without its time stamp, whether it belongs to the report of a stall.
pub(crate) fn of_stalls<'l>(lines: impl IntoIterator<Item = &'l str>) -> Vec<bool> {
    let mut inside = false;
    lines
        .into_iter()
        .map(|line| {
            let opens = OPENINGS.iter().any(|words| line.contains(words));
            inside = opens || (inside && goes_on(line));
            inside
        })
        .collect()
}

fn goes_on(line: &str) -> bool {
    CONTINUATIONS.iter().any(|start| line.starts_with(start)) || is_register(line)
}

/// arm64's `x29: ffff80000a3bb900 x28: …`.
fn is_register(line: &str) -> bool {
    let name = line.strip_prefix('x').and_then(|rest| rest.split_once(':'));
    name.is_some_and(|(number, _)| number.trim().parse::<u8>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::of_stalls;

    #[test]
    fn a_report_of_a_stall_ends_where_another_line_begins() {
        let lines = [
            ("one", false),
            ("CPU: 0 PID: 7 Comm: init Not tainted", false),
            ("rcu: INFO: rcu_sched self-detected stall on CPU", true),
            (
                "rcu: \t0-...!: (2099 ticks this GP) idle=1f2/1/0x4000 softirq=41/41",
                true,
            ),
            ("\t(t=2100 jiffies g=-1079 q=12)", true),
            (
                "rcu: rcu_sched kthread starved for 2100 jiffies! g-1079 f0x0",
                true,
            ),
            ("task:rcu_sched state:R  running task stack:0 pid:13", true),
            ("Call Trace:", true),
            (" <TASK>", true),
            (" __schedule+0x2d1/0x8d0", true),
            ("RAX: 0000000000000000 RBX: 0000000000000001", true),
            ("x29: ffff80000a3bb900 x28: 0000000000000000", true),
            ("------------[ cut here ]------------", false),
            (
                "WARNING: CPU: 0 PID: 77 at kernel/bpf/x.c:5 f+0x1/0x2",
                false,
            ),
            ("Call Trace:", false),
            (
                "watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [init:77]",
                true,
            ),
            ("xfs: mounted", false),
        ];
        let found = of_stalls(lines.iter().map(|(line, _)| *line));
        for ((line, expected), found) in lines.iter().zip(found) {
            assert_eq!(found, *expected, "{line}");
        }
    }
}
