//! The kernels that a run waits for while its other cells run already: they are downloaded and
//! unpacked meanwhile, and each arrives once, or it is said why it never will.

use std::collections::BTreeSet;
use std::error::Error;

use tokio::sync::mpsc;
use ukci_schema::plan::PlannedKernel;

use crate::causes;

/// A kernel that is there, or will not come.
#[derive(Debug)]
pub struct Arrival {
    /// The kernel's key in the plan.
    pub key: String,
    /// The kernel, and what the user should know of it.
    pub kernel: Result<(PlannedKernel, Vec<String>), Unprepared>,
}

/// Why a kernel never comes.
#[derive(Clone, Debug)]
pub struct Unprepared {
    /// What failed, with its causes, on one line.
    pub why: String,
    /// Actions that may help.
    pub hints: Vec<String>,
}

impl Unprepared {
    /// By an error, and an action that may help.
    pub fn of(error: &dyn Error, hint: Option<String>) -> Self {
        let mut why = vec![error.to_string()];
        why.extend(causes::of(error));
        Self {
            why: why.join(": "),
            hints: hint.into_iter().collect(),
        }
    }
}

/// The kernels of a plan that are still to come. Dropping it stops their preparation as soon as those
/// under way are done.
#[derive(Debug)]
pub struct WaitedFor {
    keys: BTreeSet<String>,
    arrivals: mpsc::UnboundedReceiver<Arrival>,
}

/// The other end, which tells of each kernel.
#[derive(Clone, Debug)]
pub struct Teller(mpsc::UnboundedSender<Arrival>);

impl WaitedFor {
    /// Nothing: the plan has all of its kernels.
    pub fn nothing() -> Self {
        Self::kernels(BTreeSet::new()).0
    }

    /// Kernels with these keys, and whom to tell of them.
    pub fn kernels(keys: BTreeSet<String>) -> (Self, Teller) {
        let (teller, arrivals) = mpsc::unbounded_channel();
        (Self { keys, arrivals }, Teller(teller))
    }

    /// Whether this kernel is still to come.
    pub(crate) fn names(&self, key: &str) -> bool {
        self.keys.contains(key)
    }

    /// A kernel came before anybody waited.
    pub(crate) fn forget(&mut self, key: &str) {
        self.keys.remove(key);
    }

    /// Whether every kernel came, or did not.
    pub(crate) fn is_over(&self) -> bool {
        self.keys.is_empty()
    }

    /// The next kernel. None if all have been told of. May be dropped and called again.
    pub(crate) async fn next(&mut self) -> Option<Arrival> {
        let key = self.keys.first()?.clone();
        let arrival = self.arrivals.recv().await.unwrap_or_else(|| Arrival {
            key,
            kernel: Err(Unprepared {
                why: "the preparation of the kernel ended without an answer".into(),
                hints: vec!["report this: it is a bug in ukci".into()],
            }),
        });
        self.keys.remove(&arrival.key);
        Some(arrival)
    }
}

impl Teller {
    /// A kernel came, or will not. To be told once of each.
    pub fn tell(&self, arrival: Arrival) {
        // Nobody waits any more in a run that was stopped.
        let _ = self.0.send(arrival);
    }

    /// Whether nobody waits any more.
    pub fn is_alone(&self) -> bool {
        self.0.is_closed()
    }
}
