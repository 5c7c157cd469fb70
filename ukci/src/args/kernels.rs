//! `ukci kernels`: the catalogue, the lock, and what a kernel offers.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand, ValueEnum};
use ukci_schema::cell::Arch;

use super::machine::duration;
use super::{Accel, Transport, arch};

#[derive(Debug, Subcommand)]
pub(crate) enum Kernels {
    /// List the kernels of the catalogue, and which are at hand
    List,
    /// Show one kernel: its packages, digests and files
    Show(Show),
    /// Boot a kernel and show what it offers to eBPF; of two, what they do not have in common
    #[command(after_help = FEATURES_HELP)]
    Features(Features),
    /// Fetch and unpack kernels, so that a later run needs no network
    Fetch(Fetch),
    /// Add kernels to a lock, pinned by the distribution's signed index
    Add(Add),
    /// Pin the newest version of a lock's kernels
    Update(Update),
    /// Mark the kernels of a lock that reports saw booted
    Booted(Booted),
    /// Make a kernel's boot files from its packages alone: no network, no cache
    Unpack(Unpack),
    /// Make the initramfs that a kernel boots with from an agent and the kernel's boot files
    Initramfs(Initramfs),
}

pub(super) const HELP: &str = "\
Examples:
  ukci kernels list
  ukci kernels fetch --matrix lts
  ukci kernels features debian-12-6.1 debian-13-6.12 --only helpers
  ukci kernels add debian-13-6.12-cloud --arch aarch64";

const FEATURES_HELP: &str = "\
Examples:
  ukci kernels features debian-12-6.1
  ukci kernels features debian-12-6.1 --only helpers --name ringbuf
  ukci kernels features debian-12-6.1 debian-13-6.12 --only kfuncs,map-types
  ukci kernels features ./bzImage --modules ./lib/modules --format json

The number beside a name is the mainline release that brought it: vendors backport, so only the
probe says what a kernel has. Helpers and kfuncs are followed by the program types that may call
them. Answers are kept in the cache until the kernel or the agent changes.";

#[derive(Debug, Args)]
pub(crate) struct Show {
    /// Name in the catalogue
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
}

#[derive(Debug, Args)]
pub(crate) struct Features {
    /// Name in the catalogue, or the path of a bzImage or vmlinux of your own (with a `/`)
    #[arg(value_name = "NAME|PATH", required = true, num_args = 1..=2, value_parser = NonEmptyStringValueParser::new())]
    pub(crate) kernels: Vec<String>,

    /// Modules of your own kernel: `lib/modules/<release>`, or a directory above it; repeatable
    #[arg(long, value_name = "DIR")]
    pub(crate) modules: Vec<PathBuf>,

    /// Keep only these kinds
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    pub(crate) only: Vec<Offer>,

    /// Keep only what has this in its name, e.g. `ringbuf`
    #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) name: Option<String>,

    /// How to write it
    #[arg(short, long, default_value = "text")]
    pub(crate) format: FeaturesFormat,

    /// Give up on a kernel after this long; five times longer under tcg
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = duration, help_heading = "Machine options")]
    pub(crate) timeout: Duration,

    /// How to run guests: kvm needs a host on which a kernel really boots, tcg needs nothing
    #[arg(long, default_value = "auto", help_heading = "Machine options")]
    pub(crate) accel: Accel,

    /// How guests reach the host
    #[arg(long, default_value = "auto", help_heading = "Machine options")]
    pub(crate) transport: Transport,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Offer {
    Settings,
    ProgramTypes,
    MapTypes,
    Helpers,
    Kfuncs,
    StructOps,
    LinkTypes,
    Commands,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FeaturesFormat {
    Text,
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct Fetch {
    /// Names in the catalogue
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<String>,

    /// Architecture to fetch them for; repeatable [default: those of the matrix, all of a NAME]
    #[arg(long, value_name = "ARCH", value_parser = arch)]
    pub(crate) arch: Vec<Arch>,

    /// Fetch every kernel of a matrix
    #[arg(short, long, value_name = "NAME|FILE")]
    pub(crate) matrix: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Unpack {
    /// Name in the catalogue; with `--image`, none
    #[arg(
        value_name = "NAME",
        required_unless_present = "image",
        conflicts_with = "image"
    )]
    pub(crate) name: Option<String>,

    /// The packages that the lock pins, in any order
    #[arg(value_name = "PACKAGE", required_unless_present = "image")]
    pub(crate) packages: Vec<PathBuf>,

    /// Architecture
    #[arg(long, value_name = "ARCH", default_value = "x86_64")]
    pub(crate) arch: Arch,

    /// Kernel of your own in place of the catalogue's: a bzImage, vmlinux or Image
    #[arg(long, value_name = "PATH")]
    pub(crate) image: Option<PathBuf>,

    /// Modules of your own kernel: `lib/modules/<release>`, or a directory above it; repeatable
    #[arg(long, value_name = "DIR", requires = "image")]
    pub(crate) modules: Vec<PathBuf>,

    /// Directory for the boot files; it must not be there yet
    #[arg(short, long, value_name = "DIR")]
    pub(crate) out: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Initramfs {
    /// Directory with the kernel's boot files, as `kernels unpack` fills it
    #[arg(value_name = "DIR")]
    pub(crate) kernel: PathBuf,

    /// The static agent
    #[arg(long, value_name = "FILE")]
    pub(crate) agent: PathBuf,

    /// The archive to write
    #[arg(short, long, value_name = "FILE")]
    pub(crate) out: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Add {
    /// What to follow: `debian-<release>-<series>[-<flavour>]`
    #[arg(value_name = "NAME", required = true)]
    pub(crate) names: Vec<String>,

    /// Architecture to add it for; repeatable [default: `x86_64`]
    #[arg(long, value_name = "ARCH", value_parser = arch)]
    pub(crate) arch: Vec<Arch>,

    /// Look in this suite alone, e.g. where a mirror serves another one's index half
    #[arg(long, value_name = "SUITE")]
    pub(crate) suite: Option<String>,

    #[command(flatten)]
    pub(crate) lock: LockFile,
}

#[derive(Debug, Args)]
pub(crate) struct Update {
    /// Names in the lock; all of them without one
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<String>,

    /// Look in this suite alone, e.g. where a mirror serves another one's index half
    #[arg(long, value_name = "SUITE")]
    pub(crate) suite: Option<String>,

    #[command(flatten)]
    pub(crate) lock: LockFile,
}

#[derive(Debug, Args)]
pub(crate) struct Booted {
    /// Reports of runs on the locked kernels
    #[arg(value_name = "report.json", required = true)]
    pub(crate) reports: Vec<PathBuf>,

    #[command(flatten)]
    pub(crate) lock: LockFile,
}

#[derive(Debug, Args)]
pub(crate) struct LockFile {
    /// The lock to write
    #[arg(
        long,
        env = "UKCI_LOCK",
        value_name = "FILE",
        default_value = "kernels/lock.json"
    )]
    pub(crate) lock: PathBuf,
}
