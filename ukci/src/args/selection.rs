//! Options that select the cells, the artifacts and the compilers, which `check`, `list` and `plan`
//! share.

use std::path::PathBuf;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use ukci_harness::arch::{Version, kernel_version};
use ukci_harness::compile::vmlinux;
use ukci_matrix::partition::Partition;
use ukci_schema::cell::Arch;

use super::arch;

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Cell selection")]
pub(crate) struct Selection {
    /// Matrix to run [default: quick, unless `--kernel` is given]
    ///
    /// One of quick, lts, full, quirks and archs, which are built in, or the path of a TOML file.
    /// See docs/matrix.md.
    #[arg(short, long, env = "UKCI_MATRIX", hide_env = true, value_name = "NAME|FILE", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) matrix: Option<String>,

    /// Kernel to run on, by name or path. Can be repeated
    ///
    /// A name is one that `ukci kernels list` prints, or a shorter form, such as a release
    /// (`debian-12`, `bookworm`), which means the kernel that it installs, or a version (`6.1`). A
    /// path needs a `/`, and leads to a bzImage, vmlinux or Image, to a build tree, or to a `.deb` or
    /// `.rpm` file or a directory of them. Such a file may also be on a server:
    /// `https://HOST/FILE#sha256=DIGEST`. If you also give a matrix, ukci runs only those of its
    /// kernels that this option names.
    #[arg(short, long, value_name = "NAME|PATH", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) kernel: Vec<String>,

    /// Only run on kernels of this version or newer, such as `5.10`
    #[arg(long, value_name = "VERSION", value_parser = version)]
    pub(crate) since: Option<Version>,

    /// Architecture to run on. Can be repeated
    ///
    /// `x86_64` (or `amd64`), `aarch64` (or `arm64`), or `riscv64`. With a matrix, only its cells
    /// of this architecture are run. Without one, the default is x86_64, or for `exec` and `runner`, the
    /// architecture of the program.
    #[arg(long, value_name = "ARCH", value_parser = arch::parse)]
    pub(crate) arch: Vec<Arch>,

    /// Major version of the LLVM to compile C sources with. Can be repeated
    ///
    /// The compiler is `clang-N`, or the program that `UKCI_CLANG_N` names. If the matrix names
    /// LLVMs, only its cells with this one are run. Without this option and without LLVMs in the
    /// matrix, the newest installed clang is used.
    #[arg(long, value_name = "N", value_parser = llvm)]
    pub(crate) llvm: Vec<String>,

    /// Run only one shard of the cells, such as `count:1/4`
    ///
    /// `count:M/N` deals the cells in turn, so that all N shards have the same size. `hash:M/N`
    /// uses a hash of the cell's id, so that a cell stays in its shard when other cells are added
    /// or removed.
    #[arg(long, alias = "partition", value_name = "count:M/N|hash:M/N")]
    pub(crate) shard: Option<Partition>,

    /// Directory with the modules of a user kernel. Can be repeated
    ///
    /// It is `lib/modules/<release>`, or a directory above it. If the kernel is a package, it is a
    /// further package of the same kernel.
    #[arg(long, value_name = "DIR", requires = "kernel")]
    pub(crate) modules: Vec<PathBuf>,
}

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Options for C sources")]
pub(crate) struct Compilation {
    /// Directory with headers. Can be repeated
    ///
    /// You do not need this option for the headers of libbpf. They are built into ukci, which
    /// searches them after the directories that you give here and before the system's.
    #[arg(short = 'I', long = "include", value_name = "DIR")]
    pub(crate) include: Vec<PathBuf>,

    /// Macro to define. Can be repeated
    #[arg(short = 'D', long = "define", value_name = "NAME[=VALUE]")]
    pub(crate) define: Vec<String>,

    /// Where `vmlinux.h` comes from
    ///
    /// `auto` generates it, with bpftool, from the BTF of the newest pinned kernel. Otherwise give
    /// the path of the header. Without this option, your sources must bring their own.
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

/// `FILE`, or `NAME=FILE` where NAME has no `/`.
pub(super) fn manifest(text: &str) -> Result<ManifestOf, String> {
    let (artifact, path) = match text.split_once('=') {
        Some((name, path)) if !name.contains('/') => (Some(name.to_owned()), path),
        _ => (None, text),
    };
    if path.is_empty() || artifact.as_deref() == Some("") {
        return Err("expected FILE or NAME=FILE".into());
    }
    Ok(ManifestOf {
        artifact,
        path: path.into(),
    })
}

fn llvm(text: &str) -> Result<String, String> {
    match text.parse::<u32>() {
        Ok(major) if major > 0 && text == major.to_string() => Ok(text.to_owned()),
        _ => Err("expected a major version, for example 19".to_owned()),
    }
}

/// The version of a kernel series: two numbers.
fn version(text: &str) -> Result<Version, String> {
    kernel_version(text)
        .filter(|Version(major, minor)| text == format!("{major}.{minor}"))
        .ok_or_else(|| "expected a kernel version, for example 5.10".to_owned())
}

fn vmlinux_h(text: &str) -> Result<vmlinux::Source, String> {
    match text {
        "auto" => Ok(vmlinux::Source::Auto),
        "" => Err("the path is empty".to_owned()),
        file => Ok(vmlinux::Source::File(file.into())),
    }
}
