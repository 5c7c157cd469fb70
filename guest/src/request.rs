//! What the host requests of the probe, as plain data. Nothing here interprets it.

use std::time::Duration;

use ukci_schema::evidence::Mode;

use crate::contract::Terms;

/// What to probe, and how far.
#[derive(Clone, Copy, Debug)]
pub struct ProbeRequest<'a> {
    /// The object's bytes.
    pub object: &'a [u8],
    /// libbpf's name for it.
    pub name: &'a str,
    /// What its own loader would do to it.
    pub terms: &'a Terms<'a>,
    /// How far to go.
    pub mode: Mode,
    /// How long to look for the refused parts of an object that is refused as a whole; none: as long as it
    /// takes.
    pub isolation: Option<Duration>,
}
