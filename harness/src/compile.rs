//! Compiles `*.bpf.c` to objects, once per LLVM and architecture, with the clang of that LLVM.
//!
//! Objects are cached by the content of everything that the compiler read. The preprocessor runs
//! each time (about 50 ms), and its output and the files that it names (`-MD`) are part of the key.
//! So a header that appears in front of another, or a changed answer of `__has_include`, is never
//! missed. A changed comment is not missed either, because BTF's line information repeats comments.

pub mod libbpf_headers;
pub(crate) mod refusal;
pub mod vmlinux;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::fs::{Access, access};
use ukci_schema::cell::Arch;
use ukci_schema::diagnosis::Diagnosis;
use ukci_schema::plan::FileRef;

use crate::catalogue::checked_file;
use crate::catalogue::digest;

/// The LLVM majors that are looked for where nobody names one, newest first.
const KNOWN: std::ops::RangeInclusive<u32> = 12..=29;

/// How sources are compiled, beside what `ukci` says itself.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Directories for `-I`, in this order.
    pub include: Vec<PathBuf>,
    /// Macros for `-D`: `NAME` or `NAME=VALUE`.
    pub define: Vec<String>,
    /// The `vmlinux.h` of each architecture, in a directory of its own.
    pub vmlinux_h: BTreeMap<Arch, PathBuf>,
    /// The directory with libbpf's headers as `bpf/…`, which is searched after all of these and
    /// before the system's: what compiles does not depend on the libbpf that a host has installed.
    pub libbpf: Option<PathBuf>,
    /// Where objects are kept: the cache directory.
    pub cache: PathBuf,
}

/// A clang.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clang {
    /// The major version of its LLVM.
    pub major: String,
    /// The program.
    pub path: PathBuf,
    /// The first line of `clang --version`.
    pub banner: String,
}

/// What a source came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Compiled {
    /// An object.
    Object(FileRef),
    /// The compiler refused it.
    Refused {
        /// Why.
        diagnosis: Box<Diagnosis>,
        /// Everything that the compiler printed.
        log: String,
    },
}

/// A source could not be compiled for a reason that is not its own.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no clang of this major version.
    #[error("`clang-{major}` is not installed")]
    NoClang {
        /// The LLVM major.
        major: String,
        /// Those that are there.
        found: Vec<String>,
    },
    /// A variable or a name leads to a clang of another version.
    #[error("`{}` is not LLVM {major}: it says `{said}`", path.display())]
    OtherClang {
        /// The program.
        path: PathBuf,
        /// The wanted LLVM major.
        major: String,
        /// What it says of itself.
        said: String,
    },
    /// There is no clang at all.
    #[error("no clang is installed to compile `{}` with", _0.display())]
    NoClangAtAll(PathBuf),
    /// A program could not be run.
    #[error("failed to run `{}`", program.display())]
    Run {
        /// The program.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The compiler died, which says nothing about the source.
    #[error("`{}` died while it compiled `{}`: {status}", program.display(), path.display())]
    Died {
        /// The source.
        path: PathBuf,
        /// The compiler.
        program: PathBuf,
        /// How it ended.
        status: String,
    },
    /// A file could not be read or written.
    #[error("failed to {action} `{}`", path.display())]
    Io {
        /// The verb.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is no `vmlinux.h` to be had.
    #[error(transparent)]
    Vmlinux(#[from] vmlinux::Error),
}

impl Error {
    /// An action that may help.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoClang { major, found } => {
                let mut hint = format!(
                    "install it, for example with `apt-get install clang-{major}`, or set `{}` to its path",
                    variable(major)
                );
                if !found.is_empty() {
                    hint.push_str(&format!("; LLVM {} is installed", found.join(", ")));
                }
                Some(hint)
            }
            Self::OtherClang { major, .. } => Some(format!(
                "set `{}` to the path of a clang of LLVM {major}",
                variable(major)
            )),
            Self::NoClangAtAll(_) => {
                Some("install one, for example with `apt-get install clang-19`, or set `UKCI_CLANG_19` to its path".to_owned())
            }
            Self::Vmlinux(error) => error.hint(),
            Self::Run { .. } | Self::Died { .. } | Self::Io { .. } => None,
        }
    }
}

fn variable(major: &str) -> String {
    format!("UKCI_CLANG_{major}")
}

/// The clang of an LLVM major: where `UKCI_CLANG_<major>` says, else `clang-<major>` in `PATH`,
/// else a `clang` there that is of this major.
pub fn find(major: &str) -> Result<Clang, Error> {
    let named = std::env::var_os(variable(major)).filter(|named| !named.is_empty());
    let path = std::env::var_os("PATH").unwrap_or_default();
    search(major, named, &path)?.ok_or_else(|| Error::NoClang {
        major: major.to_owned(),
        found: at_hand(&path),
    })
}

/// The newest installed clang, for a source that nobody named an LLVM for.
pub fn newest(source: &Path) -> Result<Clang, Error> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    for major in KNOWN.rev() {
        let major = major.to_string();
        let named = std::env::var_os(variable(&major)).filter(|named| !named.is_empty());
        if let Some(clang) = search(&major, named, &path)? {
            return Ok(clang);
        }
    }
    Err(Error::NoClangAtAll(source.to_owned()))
}

fn search(major: &str, named: Option<OsString>, path: &OsString) -> Result<Option<Clang>, Error> {
    if let Some(named) = named {
        return ask(major, PathBuf::from(named)).map(Some);
    }
    if let Some(program) = in_path(path, &format!("clang-{major}")) {
        return ask(major, program).map(Some);
    }
    // One without a number may be of any version.
    Ok(in_path(path, "clang").and_then(|program| ask(major, program).ok()))
}

fn in_path(path: &OsString, name: &str) -> Option<PathBuf> {
    std::env::split_paths(path)
        .map(|dir| dir.join(name))
        .find(|file| file.is_file() && access(file, Access::EXEC_OK).is_ok())
}

fn at_hand(path: &OsString) -> Vec<String> {
    KNOWN
        .map(|major| major.to_string())
        .filter(|major| in_path(path, &format!("clang-{major}")).is_some())
        .collect()
}

/// Asks a program whether it is the clang it should be.
fn ask(major: &str, path: PathBuf) -> Result<Clang, Error> {
    let output = Command::new(&path)
        .arg("--version")
        .stdin(Stdio::null())
        .output()
        .map_err(|source| Error::Run {
            program: path.clone(),
            source,
        })?;
    let text = String::from_utf8_lossy(&output.stdout);
    let banner = text.lines().next().unwrap_or_default().trim().to_owned();
    let of = banner.split_once("clang version ").map(|(_, rest)| rest);
    let is = of.and_then(|rest| rest.split(['.', ' ']).next());
    if is != Some(major) {
        return Err(Error::OtherClang {
            path,
            major: major.to_owned(),
            said: banner,
        });
    }
    Ok(Clang {
        major: major.to_owned(),
        path,
        banner,
    })
}

/// The macro by which libbpf's headers know whose registers a `pt_regs` has.
const fn target_arch(arch: Arch) -> &'static str {
    match arch {
        Arch::X86_64 => "__TARGET_ARCH_x86",
        Arch::Aarch64 => "__TARGET_ARCH_arm64",
        Arch::Riscv64 => "__TARGET_ARCH_riscv",
    }
}

/// The flags of every compilation. `-target bpf` knows no directory of an architecture, where
/// Debian has `<asm/types.h>`: the cross compiler's, else the host's, which differ in nothing that
/// the BPF headers use.
fn flags(arch: Arch, options: &Options) -> Vec<OsString> {
    let mut flags: Vec<OsString> = ["-g", "-O2", "-Wall", "-target", "bpf"]
        .map(OsString::from)
        .to_vec();
    flags.push(format!("-D{}", target_arch(arch)).into());
    // Paths stand in the object as they were given, and nothing of where it was made.
    flags.push("-fdebug-compilation-dir=.".into());
    flags.extend(
        options
            .define
            .iter()
            .map(|define| format!("-D{define}").into()),
    );
    if options.vmlinux_h.contains_key(&arch) {
        // Recent kernels are built with them: in the BTF of 7.3 `struct filename` has all but its
        // last member from a struct that it holds without a name, which C11 does not know.
        flags.extend(["-fms-extensions", "-Wno-microsoft-anon-tag"].map(OsString::from));
    }
    for dir in options.include.iter().chain(options.vmlinux_h.get(&arch)) {
        flags.push("-I".into());
        flags.push(dir.into());
    }
    if let Some(dir) = &options.libbpf {
        flags.push("-isystem".into());
        flags.push(dir.into());
        // The object must not say where the cache is.
        let mut map = OsString::from("-ffile-prefix-map=");
        map.push(dir);
        map.push("=libbpf");
        flags.push(map);
    }
    let host = std::env::consts::ARCH;
    let system = [
        format!("/usr/include/{arch}-linux-gnu"),
        format!("/usr/{arch}-linux-gnu/include"),
        format!("/usr/include/{host}-linux-gnu"),
    ];
    if let Some(dir) = system.iter().find(|dir| Path::new(dir).is_dir()) {
        flags.push("-idirafter".into());
        flags.push(dir.into());
    }
    flags
}

/// What the clang of LLVM `major` says of a source that it refuses for `arch`, as a diagnosis.
pub fn refused(major: &str, arch: Arch, said: &str) -> Diagnosis {
    refusal::diagnosis(major, arch, said)
}

/// Compiles a source, or takes the object from an earlier time.
pub fn compile(
    source: &Path,
    clang: &Clang,
    arch: Arch,
    options: &Options,
) -> Result<Compiled, Error> {
    let dir = options.cache.join("compiled");
    let on = |action, path: &Path| {
        let path = path.to_owned();
        move |source| Error::Io {
            action,
            path,
            source,
        }
    };
    std::fs::create_dir_all(&dir).map_err(on("create", &dir))?;
    let scratch = tempfile::tempdir_in(&dir).map_err(on("create", &dir))?;
    let flags = flags(arch, options);
    let run = |arguments: &[&str], output: &Path| {
        let mut command = Command::new(&clang.path);
        command.args(&flags).args(arguments).arg("-o").arg(output);
        command.arg(source).env("LC_ALL", "C").stdin(Stdio::null());
        let output = command.output().map_err(|source| Error::Run {
            program: clang.path.clone(),
            source,
        })?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        match output.status.code() {
            Some(0) => Ok(None),
            Some(1) => {
                let refusal = refused(&clang.major, arch, &said);
                Ok(Some(Compiled::Refused {
                    diagnosis: Box::new(refusal),
                    log: said,
                }))
            }
            _ => Err(Error::Died {
                path: source.to_owned(),
                program: clang.path.clone(),
                status: output.status.to_string(),
            }),
        }
    };

    let (text, list) = (scratch.path().join("text"), scratch.path().join("list"));
    let list_name = list.to_string_lossy().into_owned();
    let preprocess = ["-E", "-MD", "-MF", &list_name, "-MT", "object"];
    if let Some(refused) = run(&preprocess, &text)? {
        return Ok(refused);
    }
    let mut key = digest::Hasher::default();
    key.field(clang.banner.as_bytes());
    for flag in &flags {
        key.field(flag.as_encoded_bytes());
    }
    key.field(&std::fs::read(&text).map_err(on("read", &text))?);
    let list = std::fs::read_to_string(&list).map_err(on("read", &list))?;
    for path in read_files(&list) {
        key.field(path.as_os_str().as_encoded_bytes());
        key.field(&std::fs::read(&path).map_err(on("read", &path))?);
    }
    let object = dir.join(format!("{}.bpf.o", key.finish()));
    if !checked_file::is_whole(&object) {
        let made = scratch.path().join("object");
        if let Some(refused) = run(&["-c"], &made)? {
            return Ok(refused);
        }
        let bytes = std::fs::read(&made).map_err(on("read", &made))?;
        checked_file::write(&object, &[&bytes]).map_err(on("write", &object))?;
    }
    let bytes = std::fs::read(&object).map_err(on("read", &object))?;
    Ok(Compiled::Object(FileRef {
        path: object,
        sha256: digest::of(&bytes),
    }))
}

/// The files of a rule for `make`: `object: a.c b.h \`, with spaces in names escaped.
fn read_files(rule: &str) -> Vec<PathBuf> {
    let rule = rule.split_once(':').map_or(rule, |(_, files)| files);
    let mut files = Vec::new();
    let mut name = String::new();
    let mut letters = rule.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' if letters.peek() == Some(&'\n') => {}
            '\\' if matches!(letters.peek(), Some(' ' | '#')) => name.extend(letters.next()),
            '$' if letters.peek() == Some(&'$') => name.extend(letters.next()),
            letter if letter.is_whitespace() => {
                if !name.is_empty() {
                    files.push(PathBuf::from(std::mem::take(&mut name)));
                }
            }
            letter => name.push(letter),
        }
    }
    if !name.is_empty() {
        files.push(name.into());
    }
    files
}

#[cfg(test)]
mod tests;
