//! What the host requests of the probe, as plain data. Nothing here interprets it.

use std::collections::BTreeMap;
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
    /// Programs that are not to be attached, and why: in an earlier try, they ended the process that
    /// attached them.
    pub spared: &'a BTreeMap<String, String>,
}

/// What the probe says that it does while it attaches a program that it has loaded without the others:
/// this, before and after the program's name.
pub const ATTACHES_ALONE: [&str; 2] = ["attaching ", " alone"];
