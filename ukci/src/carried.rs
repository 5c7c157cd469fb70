//! What is built into this executable: the agents for guests, and libbpf's headers. `build.rs` puts
//! them in.

use ukci_harness::catalogue::cache_dir;
use ukci_harness::resolve::{Agents, Carried};

/// Where this ukci has its agents from.
pub(crate) fn agents() -> Agents {
    Agents::new(CARRIED, cache_dir())
}

// `CARRIED`, the agents; and `LIBBPF_HEADERS`, what sources are compiled with.
include!(concat!(env!("OUT_DIR"), "/agents.rs"));
include!(concat!(env!("OUT_DIR"), "/headers.rs"));
