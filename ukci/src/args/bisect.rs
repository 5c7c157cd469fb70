//! `ukci bisect`: the first version of a kernel on which something changed.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;
use ukci_harness::bisection::{Criterion, criterion};

use super::program::Program;
use super::versions::OnVersions;

pub(super) const HELP: &str = "\
Examples:
  ukci bisect x.bpf.o --stream debian-13-6.12-cloud --good 6.12.90-1 --bad 6.12.117
  ukci bisect x.bpf.o --stream debian-cloud --good 5.10.251 --bad 7.3.4 --on insns=1.5x
  ukci bisect x.bpf.o --stream debian-12-6.1 --good 6.1.172 --bad 6.1.192-2 --linux ~/src/linux
  ukci bisect --stream debian-cloud --good 5.10.251 --bad 6.1.170 -- ./loader --selftest

The good version may be the newer one: ukci then finds the last version that is bad, which is the one \
before a fix. `ukci kernels update --history` pins the versions that the mirrors still have.";

#[derive(Debug, Args)]
pub(crate) struct Bisect {
    /// Object to check, or C source to compile and check (omit with a command)
    #[arg(
        value_name = "X.bpf.o",
        required_unless_present = "command",
        conflicts_with = "command"
    )]
    pub(crate) artifact: Option<PathBuf>,

    /// The kernels whose versions to search, such as `debian-13-6.12-cloud`, `debian-13-cloud` or
    /// `debian-cloud`
    #[arg(long, value_name = "STREAM", help_heading = "Cell selection")]
    pub(crate) stream: String,

    /// The version that is good: that of the package (`6.1.176-1`), its beginning, or `uname -r`
    #[arg(long, value_name = "VERSION", help_heading = "Cell selection")]
    pub(crate) good: String,

    /// The version that is bad
    #[arg(long, value_name = "VERSION", help_heading = "Cell selection")]
    pub(crate) bad: String,

    /// What makes a version bad: `verdict`, `code` or `insns=FACTORx`
    ///
    /// With `verdict`, a version is bad if its verdict is not that of the good version. With `code`, the
    /// code of the diagnosis counts too. With `insns=1.5x`, a version is bad if the verifier processes at
    /// least 1.5 times as many instructions for any program as on the good version. A factor below 1
    /// finds the version that made a program cheaper.
    #[arg(long, value_name = "CRITERION", default_value = "verdict", value_parser = criterion, help_heading = "Verdict options")]
    pub(crate) on: Criterion,

    /// Git repository of Linux, to list the commits between the two versions
    ///
    /// ukci lists the commits that touch the verifier, the helpers or the loader's interface, and those
    /// that change a function which the diagnosis names. The repository must have the tags of the two
    /// versions, such as `v6.12.101`, which are in the stable tree.
    #[arg(long, value_name = "GITDIR", help_heading = "Report options")]
    pub(crate) linux: Option<PathBuf>,

    /// Command to run in the guest instead of checking an object, after `--`
    ///
    /// As with `ukci exec`, its exit status is the verdict.
    #[arg(value_name = "CMD", last = true)]
    pub(crate) command: Vec<OsString>,

    #[command(flatten)]
    pub(crate) program: Program,

    #[command(flatten)]
    pub(crate) run: OnVersions,
}
