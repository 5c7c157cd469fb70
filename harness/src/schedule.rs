//! Decides in which order cells start, and how many run at once: as many as there are jobs, and as
//! fit into memory.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use ukci_schema::cell::Arch;

use crate::machine::budget;

/// The order in which cells start, as places in the plan. `cells` has the architecture of each cell
/// and whether its guest is emulated.
///
/// The slowest start first, so that no slow cell is left when the others have ended and cores would
/// idle. Cells that are equally slow keep their order.
pub(crate) fn order(cells: impl Iterator<Item = (Arch, bool)>) -> Vec<usize> {
    let mut order: Vec<_> = cells.enumerate().collect();
    order.sort_by_key(|(_, (arch, is_emulated))| {
        // docs/performance.md has the CPU seconds of a cell: riscv64 takes longest. x86_64 follows,
        // whose kernels do the most before their first process.
        let rank = match arch {
            Arch::Riscv64 => 0,
            Arch::X86_64 => 1,
            Arch::Aarch64 => 2,
        };
        (!is_emulated, rank)
    });
    order.into_iter().map(|(place, _)| place).collect()
}

/// What machines may take of this host.
#[derive(Clone, Debug)]
pub(crate) struct Room {
    /// One permit per machine.
    machines: Arc<Semaphore>,
    memory: Option<Memory>,
}

/// Memory for all machines together.
#[derive(Clone, Debug)]
struct Memory {
    total: u32,
    /// One permit per MiB.
    free: Arc<Semaphore>,
}

impl Room {
    /// Room for `jobs` machines that together take at most `memory` MiB, or any amount.
    pub(crate) fn new(jobs: usize, memory: Option<u64>) -> Self {
        let memory = memory.map(|mib| {
            let total = u32::try_from(mib).unwrap_or(u32::MAX).max(1);
            let permits = usize::try_from(total).unwrap_or(usize::MAX);
            Memory {
                total,
                free: Arc::new(Semaphore::new(permits.min(Semaphore::MAX_PERMITS))),
            }
        });
        Self {
            machines: Arc::new(Semaphore::new(jobs.max(1))),
            memory,
        }
    }

    /// Waits until a machine with `memory` MiB for its guest may start. It may run until the lease
    /// is dropped.
    pub(crate) async fn take(&self, memory: u32) -> Lease {
        let machine = Arc::clone(&self.machines).acquire_owned().await.ok();
        let mut lease = Lease {
            room: self.clone(),
            machine: Mutex::new(machine),
            memory: None,
        };
        lease.resize(memory).await;
        lease
    }
}

/// The right to run one machine.
#[derive(Debug)]
pub(crate) struct Lease {
    room: Room,
    /// `None` if the machine rests.
    machine: Mutex<Option<OwnedSemaphorePermit>>,
    memory: Option<OwnedSemaphorePermit>,
}

impl Lease {
    /// The machine hardly needs a core any more, so that another one may run beside it. Its memory
    /// stays taken.
    pub(crate) fn rests(&self) {
        let mut machine = self.machine.lock().unwrap_or_else(PoisonError::into_inner);
        *machine = None;
    }

    /// Waits until the machine may have `memory` MiB for its guest instead of what it had. It must
    /// not run meanwhile.
    pub(crate) async fn resize(&mut self, memory: u32) {
        // Given back first: two machines that wait for more and keep what they have could wait for
        // each other forever.
        self.memory = None;
        let Some(Memory { total, free }) = &self.room.memory else {
            return;
        };
        // A machine that is larger than the whole room runs alone.
        let mib = budget::with_overhead(memory).min(*total);
        self.memory = Arc::clone(free).acquire_many_owned(mib).await.ok();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    const SOON: Duration = Duration::from_secs(1);

    #[test]
    fn emulated_and_slow_architectures_start_first() {
        let emulated = [
            (Arch::Aarch64, true),
            (Arch::X86_64, false),
            (Arch::Riscv64, true),
            (Arch::X86_64, false),
            (Arch::Riscv64, true),
        ];
        assert_eq!(order(emulated.into_iter()), [2, 4, 0, 1, 3]);
        let all = emulated.map(|(arch, _)| (arch, true));
        assert_eq!(order(all.into_iter()), [2, 4, 1, 3, 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn machines_wait_for_memory_and_a_large_one_runs_alone() {
        let each = u64::from(budget::with_overhead(256));
        let room = Room::new(8, Some(2 * each));
        let (one, two) = (room.take(256).await, room.take(256).await);
        assert!(timeout(SOON, room.take(256)).await.is_err());
        drop(one);
        let three = room.take(256).await;
        let mut large = {
            let large = room.take(1 << 20);
            tokio::pin!(large);
            assert!(timeout(SOON, &mut large).await.is_err());
            drop((two, three));
            large.await
        };
        assert!(timeout(SOON, room.take(256)).await.is_err());
        large.resize(256).await;
        assert!(timeout(SOON, room.take(256)).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn two_machines_that_both_want_more_get_it_in_turn() {
        let each = u64::from(budget::with_overhead(256));
        let room = Room::new(2, Some(2 * each));
        let (one, two) = (room.take(256).await, room.take(256).await);
        let grow = async |mut lease: Lease| lease.resize(4096).await;
        let both = async { tokio::join!(grow(one), grow(two)) };
        assert!(timeout(SOON, both).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_limit_only_the_jobs_count() {
        let room = Room::new(2, None);
        let (one, _two) = (room.take(1 << 20).await, room.take(1 << 20).await);
        assert!(timeout(SOON, room.take(1)).await.is_err());
        one.rests();
        let _three = timeout(SOON, room.take(1)).await.unwrap();
        assert!(timeout(SOON, room.take(1)).await.is_err());
    }
}
