//! The agents that this executable carries; `build.rs` puts them in.

use ukci_harness::catalogue::cache_dir;
use ukci_harness::resolve::{Agents, Carried};

/// Where this ukci has its agents from.
pub(crate) fn agents() -> Agents {
    Agents::new(CARRIED, cache_dir())
}

include!(concat!(env!("OUT_DIR"), "/agents.rs"));
