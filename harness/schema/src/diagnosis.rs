//! Why an artifact was refused: a code, a sentence, a source line, a log excerpt, hints.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::stage::Stage;

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// A kind of diagnosis. The names are part of the interface: matrices and reports use them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
        pub enum Code {
            $($(#[$doc])* #[serde(rename = $name)] $variant,)*
        }

        impl Code {
            /// Every code, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The name, as in `UNSUPPORTED_HELPER`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

codes! {
    /// The kernel or the object lacks the BTF that the load needs.
    MissingBtf = "MISSING_BTF",
    /// A CO-RE relocation matched nothing in the kernel's BTF.
    CoreRelocationFailure = "CORE_RELOCATION_FAILURE",
    /// The kernel has no such map type.
    UnsupportedMapType = "UNSUPPORTED_MAP_TYPE",
    /// The kernel has no such program type.
    UnsupportedProgramType = "UNSUPPORTED_PROGRAM_TYPE",
    /// The kernel has no such attach type.
    UnsupportedAttachType = "UNSUPPORTED_ATTACH_TYPE",
    /// The kernel has no such helper, or not for this program type.
    UnsupportedHelper = "UNSUPPORTED_HELPER",
    /// Neither the BTF of vmlinux nor that of a module has this kfunc.
    MissingKfunc = "MISSING_KFUNC",
    /// The kernel has the kfunc with another prototype.
    KfuncMismatch = "KFUNC_MISMATCH",
    /// The kernel knows the map's type, but refused its sizes or flags.
    MapRefused = "MAP_REFUSED",
    /// A configuration option that the artifact needs is off.
    MissingKernelConfig = "MISSING_KERNEL_CONFIG",
    /// The function, tracepoint or hook to attach to does not exist.
    AttachTargetMissing = "ATTACH_TARGET_MISSING",
    /// The target exists and the kernel refused the attachment.
    AttachRefused = "ATTACH_REFUSED",
    /// BPF is not an active LSM, so the program attaches but is never called.
    LsmInactive = "LSM_INACTIVE",
    /// The verifier rejected the program.
    VerifierRejection = "VERIFIER_REJECTION",
    /// The verifier gave up: too many instructions, states or too much time.
    VerifierLimit = "VERIFIER_LIMIT",
    /// The kernel accepts the program; it costs the verifier more than the matrix allows.
    VerifierBudget = "VERIFIER_BUDGET",
    /// A helper or kfunc is for GPL-compatible programs only.
    LicenseRequired = "LICENSE_REQUIRED",
    /// A security policy of the kernel (lockdown or an LSM) forbids it.
    PolicyDenied = "POLICY_DENIED",
    /// The loader lacks a capability.
    CapabilityFailure = "CAPABILITY_FAILURE",
    /// The guest had too little memory to load or attach the object.
    GuestResources = "GUEST_RESOURCES",
    /// The object needs its own loader to set something before it loads.
    LoaderContract = "LOADER_CONTRACT",
    /// libbpf cannot read the file as a BPF object.
    InvalidObject = "INVALID_OBJECT",
    /// The compiler refused the source.
    CompileError = "COMPILE_ERROR",
    /// A test of the manifest saw the object do something else than expected.
    FunctionalTestFailure = "FUNCTIONAL_TEST_FAILURE",
    /// A command did not end as expected.
    CommandValidationFailure = "COMMAND_VALIDATION_FAILURE",
    /// The kernel panicked.
    KernelPanic = "KERNEL_PANIC",
    /// The kernel printed a warning, an oops or a lockup.
    KernelSplat = "KERNEL_SPLAT",
    /// The kernel has no driver for the transport to the host.
    UnsupportedTransport = "UNSUPPORTED_TRANSPORT",
    /// The artifact was refused for a reason that ukci does not know. Please report it with its
    /// evidence.
    Unclassified = "UNCLASSIFIED",
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A name that is no [`Code`].
#[derive(Debug, thiserror::Error)]
#[error("unknown diagnosis code `{0}`")]
pub struct UnknownCode(pub String);

impl FromStr for Code {
    type Err = UnknownCode;

    /// Takes `UNSUPPORTED_HELPER` and `unsupported-helper` alike.
    fn from_str(name: &str) -> Result<Self, UnknownCode> {
        let wanted = name.to_ascii_uppercase().replace('-', "_");
        Self::ALL
            .iter()
            .copied()
            .find(|code| code.name() == wanted)
            .ok_or_else(|| UnknownCode(name.to_owned()))
    }
}

/// Why a compiler or a kernel refused an artifact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct Diagnosis {
    /// What kind of refusal.
    pub code: Code,
    /// The stage that failed.
    pub stage: Stage,
    /// The program that was refused, if it is only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    /// One sentence that names what is missing or wrong, such as a helper, a map, or a type and
    /// field.
    pub headline: String,
    /// The source line that the kernel refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<SourceLine>,
    /// What the kernel or libbpf printed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub excerpt: Option<Excerpt>,
    /// Actions, best first.
    #[serde(default)]
    pub hints: Vec<String>,
}

/// A place in the artifact's source, from its BTF line information.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct SourceLine {
    /// File, as the compiler wrote it.
    pub file: String,
    /// Line, counted from 1.
    pub line: u32,
    /// Column, counted from 1. It is 0 if the compiler gave none.
    pub column: u32,
    /// The line's text.
    pub text: String,
}

/// Part of a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct Excerpt {
    /// Which log: `verifier` or `libbpf`.
    pub of: String,
    /// The lines shown.
    pub lines: Vec<String>,
    /// How many lines were left out before them.
    pub omitted: usize,
}
