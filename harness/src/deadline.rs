//! A time limit that is extended while the host is busy.
//!
//! A time limit says how long a guest may take, not how long other programs may keep it from
//! running. So time in which the guest was ready to run and had no CPU is not counted. The
//! extension has an upper bound, so that nothing waits forever.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// No deadline is put off to more than this many times its limit.
const FURTHEST: u32 = 4;

/// How long the host has kept a guest waiting for a CPU until now.
pub type WaitedForCpu = Box<dyn Fn() -> Duration + Send + Sync>;

/// The limit passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Passed {
    pub(crate) limit: Duration,
    /// What was not counted.
    pub(crate) waited_for_cpu: Duration,
}

/// Awaits `future` for as long as `limit` allows from `began` on. What is ready when the limit
/// passes still counts.
pub(crate) async fn within<F: Future>(
    began: Instant,
    limit: Duration,
    waited_for_cpu: &WaitedForCpu,
    future: F,
) -> Result<F::Output, Passed> {
    let mut future = std::pin::pin!(future);
    loop {
        let waited = waited_for_cpu().min(limit * (FURTHEST - 1));
        let due = began + limit + waited;
        if due <= Instant::now() {
            return Err(Passed {
                limit,
                waited_for_cpu: waited,
            });
        }
        // Nothing is watched meanwhile: how far the deadline was put off is asked when it passes.
        tokio::select! {
            biased;
            output = &mut future => return Ok(output),
            () = sleep_until(due) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    const LIMIT: Duration = Duration::from_mins(1);

    /// A host that keeps the guest waiting for a CPU for this share of the time.
    fn starving(percent: u32) -> WaitedForCpu {
        let began = Instant::now();
        Box::new(move || began.elapsed() * percent / 100)
    }

    async fn after(percent: u32, seconds: u64) -> (Result<(), Passed>, u64) {
        let began = Instant::now();
        let work = sleep(Duration::from_secs(seconds));
        let done = within(began, LIMIT, &starving(percent), work).await;
        (done, began.elapsed().as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn on_an_idle_host_the_limit_is_the_limit() {
        assert_eq!(after(0, 59).await, (Ok(()), 59));
        let passed = Passed {
            limit: LIMIT,
            waited_for_cpu: Duration::ZERO,
        };
        assert_eq!(after(0, 61).await, (Err(passed), 60));
    }

    #[tokio::test(start_paused = true)]
    async fn a_guest_that_gets_half_a_cpu_has_twice_as_long() {
        assert_eq!(after(50, 119).await, (Ok(()), 119));
        let (done, seconds) = after(50, 130).await;
        assert_eq!(seconds, 120);
        assert!(done.unwrap_err().waited_for_cpu > LIMIT * 9 / 10);
    }

    #[tokio::test(start_paused = true)]
    async fn a_guest_that_gets_no_cpu_at_all_is_given_up_in_the_end() {
        let (done, seconds) = after(100, 100_000).await;
        assert_eq!(seconds, 240);
        assert_eq!(done.unwrap_err().waited_for_cpu, LIMIT * 3);
    }
}
