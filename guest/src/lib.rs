//! Probes an eBPF object on the running kernel with the real libbpf: opens, loads, attaches, and
//! says what was seen. Facts only; `ukci_judge::judge` has the opinions.
//!
//! Synchronous and single-threaded: libbpf's print callback is one a process, and the agent
//! forks.

pub mod asked;
mod attach;
pub mod bpf;
pub mod capture;
pub mod child;
pub mod contract;
pub mod facts;
pub mod features;
mod isolate;
pub mod kernel;
pub mod modules;
mod nearest;
pub mod needs;
pub mod offer;
mod owners;
pub mod probe;
pub mod serve;
pub mod target;
mod trial;
mod variable;
pub mod verifier;
