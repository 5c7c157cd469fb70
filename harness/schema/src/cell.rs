//! Cells and the axes they stand on.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A machine architecture, in the words of `uname -m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub enum Arch {
    /// 64-bit x86: Debian's `amd64`.
    #[serde(rename = "x86_64")]
    X86_64,
    /// 64-bit Arm: Debian's `arm64`.
    #[serde(rename = "aarch64")]
    Aarch64,
    /// 64-bit RISC-V.
    #[serde(rename = "riscv64")]
    Riscv64,
}

impl Arch {
    /// Every architecture, in the order reports show them.
    pub const ALL: [Self; 3] = [Self::X86_64, Self::Aarch64, Self::Riscv64];

    /// The name that `uname -m` prints.
    pub const fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
            Self::Riscv64 => "riscv64",
        }
    }

    /// The name that Debian gives it in package files, and Go and container images give it, too.
    pub const fn debian(self) -> &'static str {
        match self {
            Self::X86_64 => "amd64",
            Self::Aarch64 => "arm64",
            Self::Riscv64 => "riscv64",
        }
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A name that is no architecture of `ukci`'s.
#[derive(Debug, thiserror::Error)]
#[error("unknown architecture `{0}`; it is one of x86_64, aarch64, riscv64")]
pub struct UnknownArch(pub String);

impl FromStr for Arch {
    type Err = UnknownArch;

    fn from_str(name: &str) -> Result<Self, UnknownArch> {
        Self::ALL
            .into_iter()
            .find(|arch| arch.name() == name)
            .ok_or_else(|| UnknownArch(name.to_owned()))
    }
}

/// One (artifact, kernel, toolchain, arch, external BTF): what is booted once and judged once.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cell {
    /// Name of the artifact: its file name without `.bpf.o` or `.bpf.c`.
    pub artifact: String,
    /// Name of the kernel in the catalogue, e.g. `debian-12-6.1-cloud`.
    pub kernel: String,
    /// LLVM major that compiles the artifact; `None` for a prebuilt object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub llvm: Option<String>,
    /// Architecture of the guest.
    pub arch: Arch,
    /// File name of the BTF that CO-RE uses instead of the kernel's own; `None` for the kernel's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub btf: Option<String>,
}

impl Cell {
    /// The readable identity: `execsnoop/debian-12-6.1/x86_64/llvm-22`, without the last part for
    /// a prebuilt object. With an external BTF, it ends in `/btf-` and the name of that file.
    pub fn id(&self) -> String {
        let mut id = format!("{}/{}/{}", self.artifact, self.kernel, self.arch);
        if let Some(llvm) = &self.llvm {
            id.push_str("/llvm-");
            id.push_str(llvm);
        }
        if let Some(btf) = &self.btf {
            id.push_str("/btf-");
            id.push_str(btf);
        }
        id
    }

    /// Kernel and architecture, `debian-12-6.1/x86_64`: one name is locked for several.
    pub fn kernel_key(&self) -> String {
        kernel_key(&self.kernel, self.arch)
    }

    /// Artifact, LLVM and architecture, `execsnoop/llvm-22/x86_64`: the object that a source is
    /// compiled to, for all kernels. None for a prebuilt object.
    pub fn object_key(&self) -> Option<String> {
        let llvm = self.llvm.as_ref()?;
        Some(format!("{}/llvm-{llvm}/{}", self.artifact, self.arch))
    }
}

/// What plans and reports name a kernel's files by: `debian-12-6.1/x86_64`.
pub fn kernel_key(kernel: &str, arch: Arch) -> String {
    format!("{kernel}/{arch}")
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.id())
    }
}

#[cfg(test)]
mod tests {
    use super::{Arch, Cell};

    fn cell(artifact: &str, llvm: Option<&str>) -> Cell {
        Cell {
            artifact: artifact.into(),
            kernel: "debian-12-6.1".into(),
            llvm: llvm.map(Into::into),
            arch: Arch::X86_64,
            btf: None,
        }
    }

    #[test]
    fn an_id_is_readable() {
        assert_eq!(
            cell("execsnoop", Some("22")).id(),
            "execsnoop/debian-12-6.1/x86_64/llvm-22"
        );
        assert_eq!(
            cell("execsnoop", None).id(),
            "execsnoop/debian-12-6.1/x86_64"
        );
        let external = Cell {
            btf: Some("4.14.btf".into()),
            ..cell("execsnoop", Some("22"))
        };
        assert_eq!(
            external.id(),
            "execsnoop/debian-12-6.1/x86_64/llvm-22/btf-4.14.btf"
        );
    }
}
