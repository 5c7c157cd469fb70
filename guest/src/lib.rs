//! Probes an eBPF object on the running kernel with the real libbpf: opens, loads, attaches, and
//! says what was seen.
//!
//! In: a request of the host's. Out: evidence. Facts only: it never decides what they mean, which is
//! `ukci_judge::judge`'s on the host.
//!
//! Synchronous and single-threaded: libbpf's print callback is one a process, and the agent
//! forks.

mod attach;
mod attach_sites;
pub mod bpf;
pub mod channel;
pub mod child;
pub mod contract;
mod core_member;
pub mod feature_probe;
mod foreign;
pub mod guest_facts;
mod isolation;
pub mod kernel;
pub mod kernel_features;
pub mod kernel_needs;
mod kernel_variable;
pub mod libbpf_log;
mod module_owner;
pub mod modules;
mod nearest_names;
pub mod probe;
mod probe_program;
pub mod request;
pub mod requirements;
pub mod target;
mod variable;
pub mod verifier;
