//! Stands for `update.rs` in a tool without the feature `pin`, such as the one that `make check` builds:
//! verifying signatures takes two fifths of the crates of the whole tool, and no check needs it.

use crate::args::{Add, Freshness, Update};
use crate::diagnostic::Failure;
use crate::exit::Exit;
use crate::output::Output;

/// Pins nothing.
pub(super) fn add(_: &Add, _: Output) -> Result<Exit, Failure> {
    Err(refused())
}

/// Pins nothing.
pub(super) fn update(_: &Update, _: Output) -> Result<Exit, Failure> {
    Err(refused())
}

/// Reads no index.
pub(super) fn freshness(_: &Freshness, _: Output) -> Result<Exit, Failure> {
    Err(refused())
}

fn refused() -> Failure {
    let message = "this ukci was built without the feature `pin`, which pins kernels";
    let hint = "build all of it with `make build`".to_owned();
    Failure::says(Exit::NoVerdict, message, Some(hint))
}
