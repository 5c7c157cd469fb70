//! Manifests: what they mean, how mistakes are reported, and what no text may do.

mod errors;
mod meaning;
mod mutations;
mod written;
