//! What the host asks of the probe.

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
}
