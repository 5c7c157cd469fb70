//! What is done with finished reports: several become one, or two are compared.

pub mod compare;
pub mod merge;
