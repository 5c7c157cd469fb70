//! Manifests: what they mean, what their authors are told of mistakes, and what no text may do.

mod errors;
mod meaning;
mod mutations;
mod written;
