//! `ukci sweep`: one artifact on the successive versions of a kernel.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::versions::OnVersions;

pub(super) const HELP: &str = "\
Examples:
  ukci sweep x.bpf.o debian-13-6.12-cloud
  ukci sweep x.bpf.o debian-12-6.1 --all
  ukci sweep x.bpf.o debian-cloud --between 6.1.170..6.12.101 --print json

A stream is named like a kernel, and may leave out the release and the series: `debian-13-6.12-cloud` \
is one series, `debian-13-cloud` is everything that Debian 13 has shipped for clouds, and \
`debian-cloud` is all of Debian's cloud kernels. `ukci kernels update --history` pins the versions \
that the mirrors still have.";

#[derive(Debug, Args)]
pub(crate) struct Sweep {
    /// Object to check, or C source to compile and check
    #[arg(value_name = "X.bpf.o")]
    pub(crate) artifact: PathBuf,

    /// The kernels whose versions to run on, such as `debian-13-6.12-cloud`
    #[arg(value_name = "STREAM")]
    pub(crate) stream: String,

    /// Run on the newest N versions
    #[arg(
        long,
        value_name = "N",
        default_value = "5",
        conflicts_with_all = ["all", "between"],
        help_heading = "Cell selection"
    )]
    pub(crate) last: NonZeroUsize,

    /// Run on every version
    #[arg(long, conflicts_with = "between", help_heading = "Cell selection")]
    pub(crate) all: bool,

    /// Run on the versions from A to B, both included
    ///
    /// A version is that of the package (`6.1.176-1`), the beginning of it (`6.1.176`), or `uname -r`.
    #[arg(long, value_name = "A..B", value_parser = between, help_heading = "Cell selection")]
    pub(crate) between: Option<(String, String)>,

    /// How to print the lines
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) print: Print,

    #[command(flatten)]
    pub(crate) on: OnVersions,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Print {
    /// A table for people
    Text,
    /// One JSON document
    Json,
}

fn between(text: &str) -> Result<(String, String), String> {
    match text.split_once("..") {
        Some((a, b)) if !a.is_empty() && !b.is_empty() => Ok((a.to_owned(), b.to_owned())),
        _ => Err("expected two versions, such as `6.1.170..6.1.192`".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_has_two_ends() {
        let window = between("6.1.170..6.1.192-1").unwrap();
        assert_eq!(window, ("6.1.170".to_owned(), "6.1.192-1".to_owned()));
        for wrong in ["", "6.1", "6.1..", "..6.1"] {
            assert!(between(wrong).is_err(), "{wrong}");
        }
    }
}
