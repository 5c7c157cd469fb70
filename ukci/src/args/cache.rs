//! `ukci cache`: what ukci keeps between runs.

use std::path::PathBuf;

use bytesize::ByteSize;
use clap::builder::PossibleValue;
use clap::{Args, Subcommand, ValueEnum};
use ukci_harness::cache::Kind;
use ukci_schema::cell::Arch;

use super::arch;
use super::machine::byte_size;

pub(super) const HELP: &str = "\
Examples:
  ukci cache list
  ukci cache prune --max-size 5GB
  ukci cache clear verdicts
  ukci cache export kernels.tar.zst --matrix quick --verdicts
  ukci cache import kernels.tar.zst";

/// The limit, where nobody says otherwise.
const MAX_SIZE: &str = "10GB";

#[derive(Debug, Subcommand)]
pub(crate) enum Cache {
    /// Show how much of each kind is in the cache, and when it was last used
    List,

    /// Remove what was used least recently, until the cache is within a limit
    ///
    /// Everything that is removed is made or downloaded again when a run needs it. Kernels that `ukci
    /// kernels build` has built and tools that `make` has built are never removed.
    Prune(Prune),

    /// Remove everything of some kinds
    ///
    /// With `--all`, everything is removed except for the kernels that `ukci kernels build` has
    /// built and the tools that `make` has built.
    Clear(Clear),

    /// Write kernels, and the verdicts on them, to a file for another machine
    ///
    /// The file has the packages and the boot files of each kernel, with the digest of every file.
    /// Kernels that are not in the cache are downloaded first. Without a kernel and without a matrix,
    /// every kernel in the cache is written.
    Export(Export),

    /// Read kernels and verdicts from a file of `ukci cache export` into the cache
    ///
    /// Nothing is taken if the file is damaged, or if it has anything that `ukci cache export` does
    /// not write. The digests find damage. They do not say who made the file, so import only files
    /// that you trust as much as your own cache.
    Import(Import),
}

#[derive(Debug, Args)]
pub(crate) struct Prune {
    /// The limit, such as `5GB` or `500MiB`
    #[arg(
        long,
        env = "UKCI_CACHE_MAX_SIZE",
        hide_env = true,
        value_name = "SIZE",
        value_parser = byte_size,
        default_value = MAX_SIZE
    )]
    pub(crate) max_size: ByteSize,
}

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Run options")]
pub(crate) struct Limit {
    /// How much of the cache templates and verdicts may take, such as `5GB`
    ///
    /// After the run, those that were used least recently are removed.
    #[arg(
        long,
        env = "UKCI_CACHE_MAX_SIZE",
        hide_env = true,
        value_name = "SIZE",
        value_parser = byte_size,
        default_value = MAX_SIZE
    )]
    pub(crate) cache_max_size: ByteSize,
}

#[derive(Debug, Args)]
pub(crate) struct Clear {
    /// Kinds of things to remove, as `ukci cache list` shows them
    #[arg(value_name = "KIND")]
    pub(crate) kinds: Vec<OfKind>,

    /// Remove all kinds that a run makes or downloads again
    #[arg(long, conflicts_with = "kinds")]
    pub(crate) all: bool,
}

/// A kind of entry, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OfKind(pub(crate) Kind);

impl ValueEnum for OfKind {
    fn value_variants<'a>() -> &'a [Self] {
        const ALL: [OfKind; Kind::ALL.len()] = {
            let mut all = [OfKind(Kind::Packages); Kind::ALL.len()];
            let mut n = 0;
            while n < all.len() {
                all[n] = OfKind(Kind::ALL[n]);
                n += 1;
            }
            all
        };
        &ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.0.name()).help(self.0.what()))
    }
}

#[derive(Debug, Args)]
pub(crate) struct Export {
    /// File to write: an archive in the format `tar`, compressed with zstd
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    /// Kernel to write, by name. Can be repeated
    #[arg(short, long, value_name = "NAME")]
    pub(crate) kernel: Vec<String>,

    /// Write every kernel of a matrix
    #[arg(short, long, value_name = "NAME|FILE")]
    pub(crate) matrix: Option<String>,

    /// Architecture to write them for. Can be repeated
    #[arg(long, value_name = "ARCH", value_parser = arch::parse)]
    pub(crate) arch: Vec<Arch>,

    /// Write the remembered verdicts of cells on these kernels, too
    ///
    /// The other machine uses them for the same objects if it has the same agent, the same version of
    /// QEMU and, with KVM, the same processor.
    #[arg(long)]
    pub(crate) verdicts: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Import {
    /// File that `ukci cache export` has written
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}
