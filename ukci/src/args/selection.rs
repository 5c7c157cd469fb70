//! Which cells, of what, compiled how: what `check`, `list` and `plan` share.

use std::path::PathBuf;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use ukci_harness::compile::vmlinux;
use ukci_matrix::partition::Partition;
use ukci_schema::cell::Arch;

use super::arch;

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Cell selection")]
pub(crate) struct Selection {
    /// Matrix to run: quick, lts, full, quirks, archs, or a path to a TOML file [default: quick, without `--kernel`]
    #[arg(short, long, env = "UKCI_MATRIX", value_name = "NAME|FILE", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) matrix: Option<String>,

    /// Kernel to run on: a name of the catalogue, or the path of a bzImage, vmlinux or Image of your own
    /// (with a `/`); with a matrix, keep only this kernel of it; repeatable
    #[arg(short, long, value_name = "NAME|PATH", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) kernel: Vec<String>,

    /// Architecture to run on: `x86_64`, `aarch64` or `riscv64`; with a matrix, keep only this one
    /// of it; repeatable [default: `x86_64`, with `--kernel NAME`]
    #[arg(long, value_name = "ARCH", value_parser = arch)]
    pub(crate) arch: Vec<Arch>,

    /// LLVM major to compile sources with, by `clang-N` or the program that `UKCI_CLANG_N` names;
    /// with a matrix that names some, keep only this one; repeatable [default: the newest at hand]
    #[arg(long, value_name = "N", value_parser = llvm)]
    pub(crate) llvm: Vec<String>,

    /// Keep only a share of the cells, in turn or by a hash of their ids, for the m-th of n runners
    #[arg(long, alias = "partition", value_name = "count:M/N|hash:M/N")]
    pub(crate) shard: Option<Partition>,

    /// Modules of your own kernel: `lib/modules/<release>`, or a directory above it; repeatable
    #[arg(long, value_name = "DIR", requires = "kernel")]
    pub(crate) modules: Vec<PathBuf>,
}

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Options for C sources")]
pub(crate) struct Compilation {
    /// Directory of headers; repeatable
    #[arg(short = 'I', long = "include", value_name = "DIR")]
    pub(crate) include: Vec<PathBuf>,

    /// Macro to define; repeatable
    #[arg(short = 'D', long = "define", value_name = "NAME[=VALUE]")]
    pub(crate) define: Vec<String>,

    /// Where `vmlinux.h` comes from: `auto` makes one of the BTF of the newest locked kernel
    #[arg(long, value_name = "auto|FILE", value_parser = vmlinux_h)]
    pub(crate) vmlinux_h: Option<vmlinux::Source>,
}

/// A manifest, and the artifact that it is for.
#[derive(Clone, Debug)]
pub(crate) struct ManifestOf {
    /// The artifact's name; none for the only one.
    pub(crate) artifact: Option<String>,
    pub(crate) path: PathBuf,
}

impl std::fmt::Display for ManifestOf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(artifact) = &self.artifact {
            write!(f, "{artifact}=")?;
        }
        write!(f, "{}", self.path.display())
    }
}

/// `FILE`, or `NAME=FILE` where NAME has no `/`.
pub(super) fn manifest(text: &str) -> Result<ManifestOf, String> {
    let (artifact, path) = match text.split_once('=') {
        Some((name, path)) if !name.contains('/') => (Some(name.to_owned()), path),
        _ => (None, text),
    };
    if path.is_empty() || artifact.as_deref() == Some("") {
        return Err("it is FILE, or NAME=FILE".into());
    }
    Ok(ManifestOf {
        artifact,
        path: path.into(),
    })
}

fn llvm(text: &str) -> Result<String, String> {
    match text.parse::<u32>() {
        Ok(major) if major > 0 && text == major.to_string() => Ok(text.to_owned()),
        _ => Err("it is a major version, e.g. 19".to_owned()),
    }
}

fn vmlinux_h(text: &str) -> Result<vmlinux::Source, String> {
    match text {
        "auto" => Ok(vmlinux::Source::Auto),
        "" => Err("the path is empty".to_owned()),
        file => Ok(vmlinux::Source::File(file.into())),
    }
}
