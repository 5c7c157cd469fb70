//! The rules, one file per family of refusals.

pub(crate) mod asked;
pub(crate) mod attach;
pub(crate) mod capability;
pub(crate) mod core;
pub(crate) mod helper;
pub(crate) mod hook;
pub(crate) mod instruction;
pub(crate) mod kfunc;
pub(crate) mod license;
pub(crate) mod limit;
pub(crate) mod loader;
pub(crate) mod map;
pub(crate) mod map_limit;
pub(crate) mod map_type;
pub(crate) mod object;
pub(crate) mod open;
pub(crate) mod placeholder;
pub(crate) mod program_array;
pub(crate) mod refusal;
pub(crate) mod site;
pub(crate) mod sleep;
pub(crate) mod splat;
pub(crate) mod struct_ops;
pub(crate) mod target;
pub(crate) mod user_probe;
pub(crate) mod verifier;
