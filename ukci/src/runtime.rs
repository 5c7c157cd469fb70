//! The runtime in which cells run, and the signals that stop it.

use std::future::Future;

use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::diagnostic::Failure;

/// A runtime of two threads: guests wait for QEMU most of the time.
pub(crate) fn build() -> Result<Runtime, Failure> {
    Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::failed_to("start a runtime", &error))
}

/// Runs `work` to its end. The first SIGINT or SIGTERM makes the value it was handed true; the
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

/// The second Ctrl-C.
struct Killed(watch::Receiver<bool>);

impl Killed {
    async fn wait(&mut self) {
        if self.0.wait_for(|killed| *killed).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// The first SIGINT or SIGTERM stops the run, the second kills it.
fn watch_signals(stop: watch::Sender<bool>) -> Result<Killed, Failure> {
    let listen =
        |kind| signal(kind).map_err(|error| Failure::failed_to("listen for signals", &error));
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    let (kill, killed) = watch::channel(false);
    tokio::spawn(async move {
        for sender in [stop, kill] {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            // The run may be over already.
            let _ = sender.send(true);
            // The sender of the stop must live as long as the run does.
            std::mem::forget(sender);
        }
    });
    Ok(Killed(killed))
}
