//! `ukci kernels`: the catalogue, the lock, and what a kernel offers to eBPF.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand, ValueEnum};
use ukci_harness::kernel_build::Setting;
use ukci_schema::cell::Arch;

use super::machine::duration;
use super::{Accel, Transport, arch};

#[derive(Debug, Subcommand)]
pub(crate) enum Kernels {
    /// List the known kernels, and which of them have been downloaded
    List,

    /// Show the packages, digests and files of a kernel
    Show(Show),

    /// Boot a kernel and list its eBPF features. Given two kernels, show the differences
    #[command(after_help = FEATURES_HELP)]
    Features(Features),

    /// Download and unpack kernels, so that later runs need no network
    Fetch(Fetch),

    /// Build a kernel from source, with everything that eBPF offers and little else
    ///
    /// The path of the image is printed on stdout, for `--kernel`. An image in the cache is used
    /// again if the source, the configuration and the compiler are the same. After a change, make
    /// compiles only what the change affects.
    #[command(after_help = BUILD_HELP)]
    Build(Build),

    /// Add kernels to a lock file, with the digests from the distribution's signed index
    Add(Add),

    /// Pin the newest version of the kernels in a lock file
    Update(Update),

    /// Show which kernels of a report, or of the lock, have newer versions by now
    ///
    /// ukci reads the distributions' signed indices and compares them with the packages that were
    /// booted. It downloads only the indices, and writes nothing.
    #[command(after_help = FRESHNESS_HELP)]
    Freshness(Freshness),

    /// Mark locked kernels as verified, based on reports of successful boots
    Booted(Booted),

    /// Make the boot files of a kernel from its packages
    ///
    /// It uses neither the network nor the cache, so that it can run in a build sandbox. The files
    /// have the same bytes as those that `ukci check` makes in its cache.
    Unpack(Unpack),

    /// Make the initramfs of a kernel from an agent and the kernel's boot files
    Initramfs(Initramfs),
}

pub(super) const HELP: &str = "\
Examples:
  ukci kernels list
  ukci kernels fetch --matrix lts
  ukci kernels features debian-12-6.1 debian-13-6.12 --only helpers
  ukci kernels add debian-13-6.12-cloud --arch aarch64
  ukci kernels build ~/linux@v6.18";

const FEATURES_HELP: &str = "\
Examples:
  ukci kernels features debian-12-6.1
  ukci kernels features debian-12-6.1 --only helpers --name ringbuf
  ukci kernels features debian-12-6.1 debian-13-6.12 --only kfuncs,map-types
  ukci kernels features ./bzImage --modules ./lib/modules --format json

The number beside a name is the mainline release that introduced it. Distributions backport \
features, so only a probe shows what a kernel has. Helpers and kfuncs are followed by the \
program types that can call them. With two kernels, the features that only one of them has come \
first. The result is kept in the cache until the kernel or the agent changes.";

#[derive(Debug, Args)]
pub(crate) struct Show {
    /// Name of the kernel, as `ukci kernels list` prints it
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
}

#[derive(Debug, Args)]
pub(crate) struct Features {
    /// One or two kernels, each by name or path
    ///
    /// A path needs a `/`, and is a bzImage, vmlinux or Image of your own. `NAME/ARCH` is the
    /// kernel of that architecture. Without `/ARCH`, ukci uses the kernel for this host's
    /// architecture.
    #[arg(value_name = "NAME|PATH", required = true, num_args = 1..=2, value_parser = NonEmptyStringValueParser::new())]
    pub(crate) kernels: Vec<String>,

    /// Directory with the modules of a user kernel. Can be repeated
    ///
    /// It is `lib/modules/<release>`, or a directory above it.
    #[arg(long, value_name = "DIR")]
    pub(crate) modules: Vec<PathBuf>,

    /// Only print these kinds of features, separated by commas
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    pub(crate) only: Vec<Offer>,

    /// Only print features with this text in their name, such as `ringbuf`
    #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) name: Option<String>,

    /// How to print the features
    #[arg(short, long, default_value = "text")]
    pub(crate) format: FeaturesFormat,

    /// Give up on a kernel after this time, such as `90s` or `2m`
    ///
    /// With the accelerator tcg, which emulates the CPU, the limit is five times as long.
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = duration, help_heading = "Machine options")]
    pub(crate) timeout: Duration,

    /// How to run the guest's CPU
    #[arg(long, default_value = "auto", help_heading = "Machine options")]
    pub(crate) accel: Accel,

    /// How guests connect to the host
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
    /// Kernels to download, by name
    ///
    /// `NAME/ARCH` is the kernel of that architecture. Without `/ARCH` and `--arch`, ukci downloads
    /// the kernel for this host's architecture. If the kernel exists only for another architecture,
    /// ukci downloads that one.
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<String>,

    /// Architecture to download them for. Can be repeated
    #[arg(long, value_name = "ARCH", value_parser = arch::parse)]
    pub(crate) arch: Vec<Arch>,

    /// Download every kernel of a matrix
    ///
    /// They are downloaded for the architectures that the matrix names, or for those of `--arch`.
    #[arg(short, long, value_name = "NAME|FILE")]
    pub(crate) matrix: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Unpack {
    /// Name of the kernel (omit with `--image`)
    #[arg(
        value_name = "NAME",
        required_unless_present = "image",
        conflicts_with = "image"
    )]
    pub(crate) name: Option<String>,

    /// The packages that the lock pins for the kernel, in any order
    #[arg(value_name = "PACKAGE", required_unless_present = "image")]
    pub(crate) packages: Vec<PathBuf>,

    /// Architecture of the kernel
    #[arg(long, value_name = "ARCH", default_value = "x86_64", value_parser = arch::parse)]
    pub(crate) arch: Arch,

    /// User kernel to use instead of a named one: a bzImage, vmlinux or Image
    #[arg(long, value_name = "PATH")]
    pub(crate) image: Option<PathBuf>,

    /// Directory with the modules of the user kernel. Can be repeated
    ///
    /// It is `lib/modules/<release>`, or a directory above it.
    #[arg(long, value_name = "DIR", requires = "image")]
    pub(crate) modules: Vec<PathBuf>,

    /// Directory for the boot files, which must not exist yet
    #[arg(short, long, value_name = "DIR")]
    pub(crate) out: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Initramfs {
    /// Directory with the boot files of the kernel, as `ukci kernels unpack` writes it
    #[arg(value_name = "DIR")]
    pub(crate) kernel: PathBuf,

    /// The static agent for the kernel's architecture
    #[arg(long, value_name = "FILE")]
    pub(crate) agent: PathBuf,

    /// File to write the initramfs to
    #[arg(short, long, value_name = "FILE")]
    pub(crate) out: PathBuf,
}

const BUILD_HELP: &str = "\
Examples:
  ukci kernels build ~/linux                          the files as they are now
  ukci kernels build ~/linux@v6.18                    a tag, branch or commit
  ukci kernels build linux-7.3-rc1.tar.gz --arch aarch64
  ukci kernels build linux-source-6.1 --debug kasan   Debian's package
  ukci check x.bpf.o --kernel $(ukci kernels build -q ~/bpf-next@master)

The tree itself is not touched. The configuration of ukci is in kernels/config. An option that a kernel does not have is left out, and \
the last line says how many are. The host needs what every build of a kernel needs: gcc (for another \
architecture, its cross compiler), make, flex, bison, bc, pahole, and the headers of libelf and \
OpenSSL. A clean build of Linux 6.1 takes 17 minutes of CPU time and 3 GB of the cache. To free it: \
`ukci cache clear kernel-builds`.

The exit status is 2 if the kernel does not compile, and 1 or 64 if something else is wrong. \
docs/versions.md shows how `git bisect run` uses this.";

#[derive(Debug, Args)]
pub(crate) struct Build {
    /// Source tree, tarball, `GITDIR@REF`, or a package such as `linux-source-6.1`
    #[arg(value_name = "SOURCE", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) source: String,

    /// Configuration: `bpf`, which is ukci's own, or a file
    ///
    /// A file is a whole configuration, such as `/boot/config-6.1.0-13-amd64`. Options that it does not
    /// have take the kernel's defaults. Only what is built in (`=y`) gets into the image: modules are
    /// not built.
    #[arg(long, value_name = "bpf|FILE", default_value = "bpf")]
    pub(crate) config: String,

    /// Architecture of the kernel [default: that of this host]
    #[arg(long, value_name = "ARCH", value_parser = arch::parse)]
    pub(crate) arch: Option<Arch>,

    /// Checks to build into the kernel, separated by commas
    ///
    /// A report of a check is a warning in the kernel's log, and becomes the diagnosis
    /// `KERNEL_SPLAT`. Such a kernel is slower, and needs more memory.
    #[arg(long, value_name = "CHECK", value_delimiter = ',')]
    pub(crate) debug: Vec<DebugCheck>,

    /// Set an option of the configuration, such as `SHMEM=n`. Can be repeated
    ///
    /// It is an error if the kernel's build changes the value, for example because the option depends
    /// on another one.
    #[arg(long, value_name = "OPTION=VALUE")]
    pub(crate) set: Vec<Setting>,

    /// How many compilers run at once [default: the number of cores]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) jobs: Option<u16>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DebugCheck {
    /// KASAN: reads and writes outside of an object, and of freed memory
    Kasan,
    /// The order in which locks are taken
    Lockdep,
}

#[derive(Debug, Args)]
pub(crate) struct Add {
    /// Kernels to add: `debian-<release>-<series>[-<flavor>]`
    #[arg(value_name = "NAME", required = true)]
    pub(crate) names: Vec<String>,

    /// Architecture to add them for. Can be repeated [default: `x86_64`]
    #[arg(long, value_name = "ARCH", value_parser = arch::parse)]
    pub(crate) arch: Vec<Arch>,

    /// Only look in this suite, for example while a mirror is being updated
    #[arg(long, value_name = "SUITE")]
    pub(crate) suite: Option<String>,

    #[command(flatten)]
    pub(crate) lock: LockFile,
}

#[derive(Debug, Args)]
pub(crate) struct Update {
    /// Kernels of Debian and streams of other distributions to update [default: all]
    ///
    /// A kernel is named as in the lock, such as `debian-12-6.1-cloud`. A stream is named by its
    /// distribution, its release and its flavor, such as `fedora-43` or `ubuntu-24.04-aws`. Its
    /// newest kernel becomes an entry of the lock. The pin that it replaces is kept as history.
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<String>,

    /// Only update kernels of this architecture. Can be repeated
    #[arg(long, value_name = "ARCH", value_parser = arch::parse)]
    pub(crate) arch: Vec<Arch>,

    /// Pin the older versions that the mirrors still have, instead of the newest
    ///
    /// Debian's mirrors keep several versions of a kernel for a while. They go into the history of
    /// the lock, where `--kernel NAME@VERSION`, `ukci sweep` and `ukci bisect` find them. The present
    /// pins stay as they are. You can also name a kernel that is not in the lock, such as one of a
    /// series that only backports have: it is pinned for `x86_64`, or for the architectures of
    /// `--arch`. Of some versions, the mirrors have only the image: see docs/versions.md.
    #[arg(long, conflicts_with_all = ["streams", "suite"])]
    pub(crate) history: bool,

    /// Read the streams from this file instead of the built-in ones
    #[arg(long, value_name = "FILE")]
    pub(crate) streams: Option<PathBuf>,

    /// Only look in this suite, for example while a mirror is being updated
    #[arg(long, value_name = "SUITE")]
    pub(crate) suite: Option<String>,

    #[command(flatten)]
    pub(crate) lock: LockFile,
}

const FRESHNESS_HELP: &str = "\
Examples:
  ukci kernels freshness
  ukci kernels freshness ukci-out --fail-on-stale
  ukci kernels freshness ukci-out --offline --print json";

#[derive(Debug, Args)]
pub(crate) struct Freshness {
    /// Report of a run, or the directory that holds it [default: the kernels of the lock]
    #[arg(value_name = "REPORT")]
    pub(crate) report: Option<PathBuf>,

    /// End with status 2 if a kernel has a newer version, and with 1 if one could not be compared
    #[arg(long)]
    pub(crate) fail_on_stale: bool,

    /// Compare with the versions that the lock pins, and use no network
    #[arg(long)]
    pub(crate) offline: bool,

    /// How to print the result
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) print: FreshnessFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FreshnessFormat {
    /// A line for each kernel
    Text,
    /// One JSON document
    Json,
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
    /// The lock file to read and write
    #[arg(
        long,
        env = "UKCI_LOCK",
        hide_env = true,
        value_name = "FILE",
        default_value = "kernels/lock.json"
    )]
    pub(crate) lock: PathBuf,
}
