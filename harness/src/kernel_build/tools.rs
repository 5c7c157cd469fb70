//! The programs and headers that a kernel's build needs on this host.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use ukci_schema::cell::Arch;

use super::Error;
use super::config;
use super::source::Source;
use crate::command::program_path;

/// What every build runs, and the package of Debian that has it.
const PROGRAMS: [(&str, &str); 5] = [
    ("make", "make"),
    ("gcc", "gcc"),
    ("flex", "flex"),
    ("bison", "bison"),
    ("bc", "bc"),
];

/// Compilers of one architecture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Compiler {
    /// `CROSS_COMPILE`: what the names of its programs begin with. Empty for the host's own.
    pub(super) prefix: &'static str,
    package: &'static str,
}

impl Compiler {
    /// The name of one of its programs.
    pub(super) fn program(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }
}

/// The compiler for an architecture, which must be there.
pub(super) fn compiler(arch: Arch) -> Result<Compiler, Error> {
    let (prefix, package) = match arch {
        _ if arch.name() == std::env::consts::ARCH => ("", "gcc"),
        Arch::X86_64 => ("x86_64-linux-gnu-", "gcc-x86-64-linux-gnu"),
        Arch::Aarch64 => ("aarch64-linux-gnu-", "gcc-aarch64-linux-gnu"),
        Arch::Riscv64 => ("riscv64-linux-gnu-", "gcc-riscv64-linux-gnu"),
    };
    let compiler = Compiler { prefix, package };
    let gcc = compiler.program("gcc");
    if on_path(&gcc).is_none() {
        return Err(missing(
            &format!("`{gcc}`, the compiler for {arch}"),
            package,
        ));
    }
    Ok(compiler)
}

/// What the image depends on beside its source and configuration: the first lines of the versions of
/// the compiler and, where there is one, of pahole.
pub(super) fn versions(compiler: &Compiler) -> Result<String, Error> {
    let gcc = compiler.program("gcc");
    let version =
        first_line(&gcc).ok_or_else(|| missing(&format!("a working `{gcc}`"), compiler.package))?;
    Ok(match first_line("pahole") {
        Some(pahole) => format!("{version}, pahole {pahole}"),
        None => version,
    })
}

/// A program of this host.
fn on_path(name: &str) -> Option<PathBuf> {
    program_path::find(name, &std::env::var_os("PATH").unwrap_or_default())
}

fn first_line(program: &str) -> Option<String> {
    let output = Command::new(program).arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    Some(text.lines().next()?.trim().to_owned()).filter(|line| !line.is_empty())
}

/// Whether all that a kernel of this configuration needs is there.
pub(super) fn check(compiler: &Compiler, config: &str, source: &Source) -> Result<(), Error> {
    for (program, package) in PROGRAMS {
        if on_path(program).is_none() {
            return Err(missing(&format!("the program `{program}`"), package));
        }
    }
    let ld = compiler.program("ld");
    if on_path(&ld).is_none() {
        return Err(missing(&format!("the program `{ld}`"), "binutils"));
    }
    if config::has(config, "CONFIG_DEBUG_INFO_BTF") {
        if on_path("pahole").is_none() {
            return Err(missing(
                "the program `pahole`, which makes its BTF",
                "dwarves",
            ));
        }
        // Of `resolve_btfids`, and on x86 of `objtool`.
        header(
            "gelf.h",
            "libelf, of which `gelf.h` was not found",
            "libelf-dev",
        )?;
    }
    if config::has(config, "CONFIG_SYSTEM_TRUSTED_KEYRING") {
        let what = "OpenSSL, of which `openssl/opensslv.h` was not found";
        header("openssl/opensslv.h", what, "libssl-dev")?;
    }
    if source.is_git() && on_path("git").is_none() {
        return Err(missing("the program `git`", "git"));
    }
    Ok(())
}

/// Whether the host's compiler finds a header.
fn header(name: &str, what: &str, package: &'static str) -> Result<(), Error> {
    let mut compiler = Command::new("gcc")
        .args(["-E", "-x", "c", "-o", "/dev/null", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(Error::on("run", Path::new("gcc")))?;
    if let Some(mut stdin) = compiler.stdin.take() {
        // A compiler that ends early says so by its status.
        let _ = writeln!(stdin, "#include <{name}>");
    }
    match compiler
        .wait()
        .map_err(Error::on("run", Path::new("gcc")))?
    {
        status if status.success() => Ok(()),
        _ => Err(missing(what, package)),
    }
}

fn missing(what: &str, package: &'static str) -> Error {
    Error::Tool {
        what: what.to_owned(),
        package,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_that_is_missing_is_named_with_its_package() {
        header("stdio.h", "the C library", "libc6-dev").unwrap();
        let error = header(
            "ukci/none.h",
            "libnone, of which `none.h` was not found",
            "libnone-dev",
        )
        .unwrap_err();
        insta::assert_snapshot!(error, @"the kernel cannot be built without libnone, of which `none.h` was not found");
        insta::assert_snapshot!(error.hint().unwrap(), @"install it, on Debian and Ubuntu with `apt-get install libnone-dev`");
    }
}
