//! The runtime in which cells run, and the signals that stop it. Every command that boots a machine
//! runs here.

use std::future::Future;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};

use crate::diagnostic::Failure;
use crate::exit::Exit;
use crate::tty;

/// Signals within this time of the first count as one. `timeout -s INT` signals the process and then
/// its group, and a terminal that is closed is told of by the shell and by the kernel: each reaches
/// us twice within a moment, and nobody meant to end the run without a report.
const ONE_SIGNAL: Duration = Duration::from_millis(500);

/// How long the second signal waits for the work to be dropped, which takes milliseconds unless it
/// is blocked in a system call: by a pipe that nobody reads, or a file system that does not answer.
const DROPPED: Duration = Duration::from_secs(2);

/// Guests wait for QEMU most of the time.
const THREADS: usize = 2;

fn build() -> Result<Runtime, Failure> {
    can_start_threads()
        .and_then(|()| {
            Builder::new_multi_thread()
                .worker_threads(THREADS)
                .enable_all()
                .build()
        })
        .map_err(|error| no_thread(&error))
}

/// The system lets us start no thread.
pub(crate) fn no_thread(error: &io::Error) -> Failure {
    Failure::failed_to("start a thread", error).with_hint(
        "allow this user more processes (`ulimit -u`), or this process more memory (`ulimit -v`)",
    )
}

/// Whether as many threads as the runtime needs can be started. The runtime would panic.
fn can_start_threads() -> io::Result<()> {
    let mut started = Vec::new();
    let mut failed = Ok(());
    for _ in 0..THREADS {
        match thread::Builder::new().spawn(thread::park) {
            Ok(thread) => started.push(thread),
            Err(error) => failed = Err(error),
        }
    }
    for thread in started {
        thread.thread().unpark();
        // It has nothing to panic over.
        let _ = thread.join();
    }
    failed
}

/// Runs `work` to its end. The first of [`KINDS`] makes the value it was handed true; a second one,
/// which comes later than [`ONE_SIGNAL`], drops it, and with it every guest: then there is no answer.
///
/// Until `work` has ended no signal kills this process, so it has to write what must be written.
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
    let (heard, signals) = mpsc::unbounded_channel();
    for kind in KINDS {
        if kind == SignalKind::hangup() && is_ignored(kind) {
            continue;
        }
        let mut signal = listen(kind)?;
        let heard = heard.clone();
        tokio::spawn(async move {
            while signal.recv().await.is_some() && heard.send(Instant::now()).is_ok() {}
        });
    }
    let (kill, killed) = watch::channel(false);
    tokio::spawn(async move {
        if two_signals(signals, &stop).await.is_none() {
            return;
        }
        // The run may be over already.
        let _ = kill.send(true);
        tokio::time::sleep(DROPPED).await;
        tty::restore();
        // The kernel kills our machines, and the next run sweeps the directories that are left.
        std::process::exit(Exit::Interrupted.status().into());
    });
    Ok(Killed(killed))
}

/// Tells `stop` of the first signal, and returns when there was a second one.
async fn two_signals(
    mut signals: mpsc::UnboundedReceiver<Instant>,
    stop: &watch::Sender<bool>,
) -> Option<()> {
    let first = signals.recv().await?;
    // The run may be over already.
    let _ = stop.send(true);
    while signals.recv().await?.duration_since(first) < ONE_SIGNAL {}
    Some(())
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

    #[test]
    fn a_second_signal_that_comes_later_drops_the_work() {
        let ended = run(|mut cancel| async move {
            kill_process(getpid(), Signal::TERM).unwrap();
            cancel.wait_for(|stop| *stop).await.unwrap();
            tokio::time::sleep(ONE_SIGNAL).await;
            kill_process(getpid(), Signal::TERM).unwrap();
            std::future::pending::<Result<(), Failure>>().await
        });
        assert_eq!(ended.unwrap(), None);
    }

    #[tokio::test]
    async fn two_signals_within_a_moment_are_one() {
        let (heard, signals) = mpsc::unbounded_channel();
        let (stop, mut stopped) = watch::channel(false);
        let first = Instant::now();
        let watching = tokio::spawn(async move { two_signals(signals, &stop).await });
        heard.send(first).unwrap();
        stopped.wait_for(|stop| *stop).await.unwrap();
        heard.send(first + ONE_SIGNAL / 2).unwrap();
        heard
            .send(first + ONE_SIGNAL.saturating_sub(Duration::from_millis(1)))
            .unwrap();
        tokio::task::yield_now().await;
        assert!(!watching.is_finished());
        heard.send(first + ONE_SIGNAL).unwrap();
        assert_eq!(watching.await.unwrap(), Some(()));
    }
}
