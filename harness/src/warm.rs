//! Makes the templates of a plan's kernels, before any cell needs them.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use ukci_schema::cell::Cell;
use ukci_schema::plan::Plan;

use crate::initramfs;
use crate::machine::{Boot, Machine, NoTemplate};
use crate::schedule::Room;

/// How to make them.
#[derive(Clone, Debug)]
pub struct Options {
    /// Machines at once; at least 1.
    pub jobs: usize,
    /// Longest time for a guest to become ready on bare hardware; multiplied by
    /// [`Machine::slowness`].
    pub timeout: Duration,
    /// The cache directory.
    pub cache: PathBuf,
}

/// What became of one guest.
#[derive(Debug)]
pub struct Made {
    /// A cell that the guest is for.
    pub cell: Cell,
    /// Guest memory in MiB.
    pub memory: u32,
    /// Wall time in seconds.
    pub seconds: f64,
    /// Whether it was there already, or why there is none.
    pub result: Result<bool, NoTemplate>,
}

/// Makes a template for each guest that cells of the plan could share, and tells of each as it is
/// made. Dropping the future kills every guest. An error names an initramfs that cannot be made.
pub async fn make<M: Machine>(
    plan: &Plan,
    machine: M,
    options: &Options,
    mut tell: impl FnMut(Made),
) -> io::Result<()> {
    let machine = Arc::new(machine);
    let room = Room::new(options.jobs, None);
    let limit = options.timeout * machine.slowness();
    let mut tasks = JoinSet::new();
    for boot in boots(plan, options)? {
        let (machine, room) = (Arc::clone(&machine), room.clone());
        tasks.spawn(async move {
            let lease = room.take(boot.memory).await;
            let began = Instant::now();
            let result = if machine.find_template(&boot).await.is_some() {
                Ok(true)
            } else {
                let rests = || lease.rests();
                let made = machine.make_template(&boot, limit, &rests).await;
                made.map(|_| false)
            };
            Made {
                memory: boot.memory,
                cell: boot.cell,
                seconds: began.elapsed().as_secs_f64(),
                result,
            }
        });
    }
    while let Some(made) = tasks.join_next().await {
        tell(made.map_err(io::Error::other)?);
    }
    Ok(())
}

/// One boot for all cells of a kernel that boot alike.
fn boots(plan: &Plan, options: &Options) -> io::Result<Vec<Boot>> {
    let mut seen = BTreeSet::new();
    let mut boots = Vec::new();
    for planned in &plan.cells {
        let key = planned.cell.kernel_key();
        let alike = (key.clone(), planned.memory, planned.cpus, &planned.cmdline);
        let kernel = plan.kernels.get(&key);
        let (Some(kernel), Some(agent)) = (kernel, plan.agents.get(&planned.cell.arch)) else {
            continue;
        };
        if !seen.insert(alike) {
            continue;
        }
        let initramfs = initramfs::assemble(&options.cache, agent, &kernel.segment)?;
        let cell = planned.cell.clone();
        boots.push(Boot {
            cmdline: [&*kernel.cmdline, &planned.cmdline].concat(),
            memory: planned.memory,
            cpus: planned.cpus,
            ..Boot::of(kernel, cell, initramfs, options.cache.clone())
        });
    }
    Ok(boots)
}
