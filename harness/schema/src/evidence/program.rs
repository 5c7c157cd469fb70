//! How the load and the attachment of each program ended.

use serde::{Deserialize, Serialize};

use super::{Log, StepOutcome, is_zero};
use crate::diagnosis::SourceLine;

/// One program of the object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProgramEvidence {
    /// The C function.
    pub name: String,
    /// The ELF section, e.g. `kprobe/do_unlinkat`.
    pub section: String,
    /// libbpf's word for its type, e.g. `kprobe`.
    #[serde(rename = "type")]
    pub program_type: String,
    /// libbpf's word for its expected attach type, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attach_type: Option<String>,
    /// The function, tracepoint or hook that the section names, or the manifest in its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Where the manifest sends it, as a section would say it: `kprobe/do_unlinkat`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attach_to: Option<String>,
    /// False where the section or the manifest switches it off (`?` prefix, `autoload`).
    pub autoload: bool,
    /// Instructions in its own function, before any subprogram is added.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub insns: u64,
    /// Names of the helpers it calls, its subprograms' included, as the object has them.
    #[serde(default)]
    pub helpers: Vec<String>,
    /// Names of the kfuncs it calls.
    #[serde(default)]
    pub kfuncs: Vec<String>,
    /// Names of the maps it refers to.
    #[serde(default)]
    pub maps: Vec<String>,
    /// How its load ended.
    pub load: ProgramLoad,
    /// How its attachment ended.
    pub attach: ProgramAttach,
}

impl ProgramLoad {
    /// How the reason begins of a program that was not tried alone because the time for that was over.
    /// A host that is less busy may have got to it.
    pub const TIME_WAS_OVER: &str = "not tried alone: the time limit";

    /// The reason of a load that a process of a command was refused, and that the kernel accepted
    /// from the agent, which has all rights and no limits.
    pub const ACCEPTED_FROM_AGENT: &str =
        "the kernel accepted the same load from the agent, which has all rights and no limits";
}

/// How a program's load ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProgramLoad {
    /// In the whole object if that loaded, else alone in a copy of the object.
    pub outcome: StepOutcome,
    /// True where `outcome` is of the program alone. It never counts towards a pass.
    #[serde(default)]
    pub isolated: bool,
    /// The positive errno.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errno: Option<i32>,
    /// Why it was not attempted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What the verifier counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verifier: Option<VerifierStats>,
    /// The source line of the last instruction the verifier looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<SourceLine>,
    /// The verifier's log: statistics of a success, the trace of a refusal.
    #[serde(default, skip_serializing_if = "Log::is_empty")]
    pub log: Log,
    /// What libbpf printed while it loaded the program alone.
    #[serde(default, skip_serializing_if = "Log::is_empty")]
    pub libbpf: Log,
}

/// The verifier's figures for one program. Figures that the kernel does not report are 0.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct VerifierStats {
    /// Instructions processed.
    pub insns: u64,
    /// The limit for the program: 1,000,000 with privileges since 5.2.
    pub limit: u64,
    /// Most states kept for one instruction.
    pub max_states_per_insn: u64,
    /// States in all.
    pub total_states: u64,
    /// Most states at one time.
    pub peak_states: u64,
    /// Bytes of stack on the deepest path.
    pub stack_depth: u64,
    /// Verification time in microseconds, in the guest.
    pub micros: u64,
    /// Bytes of BPF instructions after the verifier's rewrites.
    pub xlated_bytes: u64,
    /// Bytes of machine code, or 0 if the JIT is off.
    pub jited_bytes: u64,
}

impl ProgramAttach {
    /// The reason of a program that was attached in a copy of an object that was refused as a whole.
    pub const ATTACHES_ALONE: &str = "it attaches alone; the object as a whole was refused";
    /// The reason of a program that was not attached alone because the time for that was over. A host
    /// that is less busy may have got to it.
    pub const TIME_WAS_OVER: &str = "there was no time left to try it";
}

/// How a program's attachment ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProgramAttach {
    /// Attached, refused, or not attempted.
    pub outcome: AttachOutcome,
    /// True where it was tried in a copy of an object that was refused as a whole. It never counts
    /// towards a pass.
    #[serde(default, skip_serializing_if = "is_false")]
    pub isolated: bool,
    /// What was attached to, and how: `kprobe do_unlinkat`, `xdp generic on lo`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The positive errno of a refusal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errno: Option<i32>,
    /// Why it was not attempted, or what else there is to say of the outcome.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How often the kernel ran it while it was attached (`run_cnt`), where it was counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fired: Option<u64>,
    /// What was done to make it fire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stimulus: Option<String>,
    /// What libbpf printed.
    #[serde(default, skip_serializing_if = "Log::is_empty")]
    pub libbpf: Log,
}

/// See [`ProgramAttach::outcome`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub enum AttachOutcome {
    /// Never a pass.
    // Reports and evidence of the first protocols spell it with an underscore.
    #[default]
    #[serde(alias = "not_attempted")]
    NotAttempted,
    /// The program was attached, and has been detached.
    Attached,
    /// The kernel or libbpf refused it.
    Refused,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_false(flag: &bool) -> bool {
    !*flag
}

#[cfg(test)]
mod tests {
    use super::{AttachOutcome, ProgramAttach};

    #[test]
    fn the_old_spelling_of_an_outcome_is_read_and_the_new_one_written() {
        let old: ProgramAttach = serde_json::from_str(r#"{"outcome":"not_attempted"}"#).unwrap();
        assert_eq!(old.outcome, AttachOutcome::NotAttempted);
        let text = serde_json::to_string(&old).unwrap();
        assert_eq!(text, r#"{"outcome":"not-attempted"}"#);
    }
}
