//! What `sweep` and `bisect` need to run one artifact on versions of a kernel.

use clap::Args;
use clap::builder::FalseyValueParser;
use ukci_schema::cell::Arch;

use super::cache::Limit;
use super::selection::{Compilation, ManifestOf, manifest};
use super::{Machines, Mode, Outputs, arch};

#[derive(Clone, Debug, Args)]
pub(crate) struct OnVersions {
    /// Manifest that describes what the object's own loader does, as for `ukci check`
    #[arg(long, value_name = "FILE", value_parser = manifest)]
    pub(crate) manifest: Option<ManifestOf>,

    /// Architecture to run on
    #[arg(long, value_name = "ARCH", default_value = "x86_64", value_parser = arch::parse, help_heading = "Cell selection")]
    pub(crate) arch: Arch,

    /// Include versions of which the mirrors have only the image
    ///
    /// Such a kernel has no modules and no configuration. An object that attaches to a function of a
    /// module, or that reads the configuration, fails there, although the kernel is not at fault.
    #[arg(long, help_heading = "Cell selection")]
    pub(crate) images_only: bool,

    #[command(flatten)]
    pub(crate) compilation: Compilation,

    #[command(flatten)]
    pub(crate) cells: Cells,
}

/// How the cells of an object on several kernels are run, which a search chooses.
#[derive(Clone, Debug, Args)]
pub(crate) struct Cells {
    /// How far each cell goes
    #[arg(long, default_value = "behave", help_heading = "Verdict options")]
    pub(crate) mode: Mode,

    /// Boot every cell, even if the cache has its evidence
    #[arg(long, env = "UKCI_NO_CACHE", hide_env = true, value_parser = FalseyValueParser::new(), help_heading = "Run options")]
    pub(crate) no_cache: bool,

    #[command(flatten)]
    pub(crate) limit: Limit,

    #[command(flatten)]
    pub(crate) machines: Machines,

    #[command(flatten)]
    pub(crate) outputs: Outputs,
}
