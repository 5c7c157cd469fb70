//! Probes an eBPF object on the running kernel with the real libbpf: it opens, loads and attaches
//! the object, and reports what it saw.
//!
//! The input is a request of the host, and the output is evidence. Evidence contains only facts.
//! What they mean is decided by `ukci_judge::judge` on the host.
//!
//! The library is synchronous and single-threaded, because libbpf has one print callback per
//! process and the agent forks.

mod attach;
mod attach_sites;
mod behavior;
pub mod bpf;
mod c_types;
pub mod channel;
pub mod child;
pub mod contract;
mod core_member;
pub mod feature_probe;
mod foreign;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod guest_facts;
mod isolation;
pub mod kernel;
pub mod kernel_features;
pub mod kernel_files;
pub mod kernel_needs;
mod kernel_variable;
pub mod kmsg;
pub mod libbpf_log;
mod member_moves;
mod module_owner;
pub mod modules;
mod nearest_names;
pub mod probe;
mod probe_program;
pub mod request;
pub mod requirements;
pub mod target;
pub mod userland;
mod variable;
pub mod verifier;
pub mod watch;
