//! Registers `struct_ops` maps. The map that names the programs attaches all of them together. A
//! map without programs is registered like any other.
//!
//! The input is a loaded object. The output is how each registration ended. Every map that was
//! created is registered.

use std::collections::BTreeSet;
use std::fs;

use ukci_schema::evidence::{
    AttachOutcome, Evidence, ProgramAttach, StepOutcome, StructOpsEvidence,
};

use super::calls;
use super::environment::Environment;
use super::stimulus::{Stimulus, run_a_program, stream_with, system_calls};
use super::{Attached, not_attempted, settle};
use crate::bpf::{Map, Object, Program};
use crate::libbpf_log::captured;
use crate::requirements::Read;

const CONGESTION_CONTROLS: &str = "/proc/sys/net/ipv4/tcp_available_congestion_control";

/// Registers each `struct_ops` map in turn, with programs or without; its programs share the
/// outcome.
pub(super) fn attach_all(
    object: &Object,
    read: &Read,
    evidence: &mut Evidence,
    environment: &Environment<'_>,
    counts: bool,
    progress: &mut impl FnMut(&str),
) {
    let programs = object.programs();
    let is_one = |n: &usize| {
        programs[*n].kind() == libbpf_sys::BPF_PROG_TYPE_STRUCT_OPS
            && evidence.programs[*n].load.outcome == StepOutcome::Ok
    };
    let mut left: BTreeSet<usize> = (0..programs.len()).filter(is_one).collect();
    for map in object.maps() {
        let name = map.name();
        let (Some(members), Some(_)) = (read.struct_ops.get(&name), map.fd()) else {
            continue;
        };
        let members: Vec<usize> = left
            .iter()
            .copied()
            .filter(|n| members.contains(&programs[*n].name()))
            .collect();
        progress(&name);
        let of: Vec<Program<'_>> = members.iter().map(|n| programs[*n]).collect();
        let operations = object.value_type_name(map).unwrap_or_default();
        let values = object.struct_ops_values(map);
        let (outcome, fired) = attach(map, &name, &operations, &of, environment, counts);
        for (at, n) in members.iter().enumerate() {
            evidence.programs[*n].attach = ProgramAttach {
                fired: fired.get(at).copied().flatten(),
                ..outcome.clone()
            };
            left.remove(n);
        }
        evidence.struct_ops.push(StructOpsEvidence {
            map: name,
            operations,
            programs: of.iter().map(Program::name).collect(),
            values,
            attach: outcome,
        });
    }
    for n in left {
        evidence.programs[n].attach = not_attempted("no `struct_ops` map names it".into());
    }
}

/// The outcome of one map, and how often each of its programs fired.
fn attach(
    map: Map<'_>,
    name: &str,
    operations: &str,
    programs: &[Program<'_>],
    environment: &Environment<'_>,
    counts: bool,
) -> (ProgramAttach, Vec<Option<u64>>) {
    if operations == "hid_bpf_ops" {
        let reason = "the guest has no HID device to attach to";
        return (not_attempted(reason.into()), Vec::new());
    }
    let before = congestion_controls();
    let (result, libbpf) = captured(|| calls::struct_ops(map));
    let link = match result {
        Ok(link) => link,
        Err(errno) => {
            let refused = ProgramAttach {
                outcome: AttachOutcome::Refused,
                errno: Some(errno),
                libbpf,
                ..ProgramAttach::default()
            };
            return (refused, Vec::new());
        }
    };
    let new: Vec<String> = congestion_controls()
        .into_iter()
        .filter(|one| !before.contains(one))
        .collect();
    let stimuli = if operations == "tcp_congestion_ops" {
        vec![Stimulus::new("opens a TCP connection with it", move || {
            if environment.network().is_ok() {
                for name in &new {
                    stream_with(name);
                }
            }
        })]
    } else {
        let mut stimuli = Vec::from(system_calls());
        stimuli.push(Stimulus::new("runs a program", run_a_program));
        stimuli
    };
    settle(
        Attached::by(link, format!("{operations} `{name}` registered"), stimuli),
        programs,
        counts,
    )
}

fn congestion_controls() -> Vec<String> {
    let text = fs::read_to_string(CONGESTION_CONTROLS).unwrap_or_default();
    text.split_ascii_whitespace().map(str::to_owned).collect()
}
