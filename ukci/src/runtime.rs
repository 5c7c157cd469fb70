//! The runtime in which cells run, and the signals that stop it.

use std::future::Future;

use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};

use crate::diagnostic::Failure;

/// A runtime of two threads: guests wait for QEMU most of the time.
pub(crate) fn build() -> Result<Runtime, Failure> {
    Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::failed_to("start a runtime", &error))
}

/// Runs `work` to its end. The first of [`KINDS`] makes the value it was handed true; the
/// second drops it, and with it every guest: then there is no answer.
pub(crate) fn run<T, W>(work: impl FnOnce(watch::Receiver<bool>) -> W) -> Result<Option<T>, Failure>
where
    W: Future<Output = Result<T, Failure>>,
{
    let runtime = build()?;
    let result = runtime.block_on(async {
        let (signals, cancel) = watch::channel(false);
        let mut killed = watch_signals(signals)?;
        tokio::select! {
            result = work(cancel) => result.map(Some),
            () = killed.wait() => Ok(None),
        }
    });
    // A download that hangs must not hold up the end.
    runtime.shutdown_background();
    result
}

/// The same for work that has nothing to tell once it is stopped: the first signal drops it.
pub(crate) fn run_to_first_signal<T, W>(
    work: impl FnOnce(watch::Receiver<bool>) -> W,
) -> Result<Option<T>, Failure>
where
    W: Future<Output = Result<T, Failure>>,
{
    let ended = run(|mut stop| {
        let work = work(stop.clone());
        async move {
            tokio::select! {
                result = work => result.map(Some),
                _ = stop.wait_for(|stop| *stop) => Ok(None),
            }
        }
    });
    Ok(ended?.flatten())
}

/// The second Ctrl-C.
struct Killed(watch::Receiver<bool>);

impl Killed {
    async fn wait(&mut self) {
        if self.0.wait_for(|killed| *killed).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// The signals that end a run: Ctrl-C and Ctrl-\, the end of a job, and a window that is closed.
const KINDS: [SignalKind; 4] = [
    SignalKind::interrupt(),
    SignalKind::terminate(),
    SignalKind::hangup(),
    SignalKind::quit(),
];

/// Whether the caller had this process ignore the signal, as `nohup` does with SIGHUP.
fn is_ignored(kind: SignalKind) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (kind.as_raw_value() - 1) & 1 == 1)
}

/// The first signal stops the run, the second kills it.
fn watch_signals(stop: watch::Sender<bool>) -> Result<Killed, Failure> {
    let listen =
        |kind| signal(kind).map_err(|error| Failure::failed_to("listen for signals", &error));
    let (heard, mut signals) = mpsc::unbounded_channel();
    for kind in KINDS {
        if kind == SignalKind::hangup() && is_ignored(kind) {
            continue;
        }
        let mut signal = listen(kind)?;
        let heard = heard.clone();
        tokio::spawn(
            async move { while signal.recv().await.is_some() && heard.send(()).is_ok() {} },
        );
    }
    let (kill, killed) = watch::channel(false);
    tokio::spawn(async move {
        for sender in [stop, kill] {
            if signals.recv().await.is_none() {
                return;
            }
            // The run may be over already.
            let _ = sender.send(true);
            // The sender of the stop must live as long as the run does.
            std::mem::forget(sender);
        }
    });
    Ok(Killed(killed))
}

#[cfg(test)]
mod tests {
    use rustix::process::{Signal, getpid, kill_process};

    use super::*;

    #[test]
    fn every_signal_that_ends_a_run_lets_it_finish_first() {
        let signals = [Signal::HUP, Signal::QUIT, Signal::TERM, Signal::INT];
        for signal in signals {
            if signal == Signal::HUP && is_ignored(SignalKind::hangup()) {
                continue;
            }
            // Unhandled, it would end the test.
            let ended = run(|mut cancel| async move {
                kill_process(getpid(), signal).unwrap();
                cancel.wait_for(|stop| *stop).await.unwrap();
                Ok("the report")
            });
            assert_eq!(ended.unwrap(), Some("the report"), "{signal:?}");
            let dropped = run_to_first_signal(|_| async move {
                kill_process(getpid(), signal).unwrap();
                std::future::pending::<Result<(), Failure>>().await
            });
            assert_eq!(dropped.unwrap(), None, "{signal:?}");
        }
    }
}
