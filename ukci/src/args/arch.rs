//! Architectures by every name that people have for them.

use ukci_schema::cell::{Arch, UnknownArch};

/// The kernel's name, or Debian's and Go's.
pub(super) fn parse(text: &str) -> Result<Arch, String> {
    match text {
        "amd64" | "x86-64" => Ok(Arch::X86_64),
        "arm64" => Ok(Arch::Aarch64),
        other => other
            .parse()
            .map_err(|error: UnknownArch| error.to_string()),
    }
}
