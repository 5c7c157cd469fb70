//! `struct_ops` programs are attached together, by the map that names them.

use std::collections::BTreeSet;
use std::fs;

use ukci_schema::evidence::{AttachOutcome, Evidence, ProgramAttach, StepOutcome};

use super::calls;
use super::environment::Environment;
use super::stimulus::{Stimulus, run_a_program, stream_with, system_calls};
use super::{Attached, not_attempted, settle};
use crate::bpf::{Map, Object, Program};
use crate::libbpf_log::captured;
use crate::requirements::Read;

const CONGESTION_CONTROLS: &str = "/proc/sys/net/ipv4/tcp_available_congestion_control";

/// Attaches each `struct_ops` map in turn; its programs share the outcome.
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
        if members.is_empty() {
            continue;
        }
        progress(&name);
        let of: Vec<Program<'_>> = members.iter().map(|n| programs[*n]).collect();
        for (n, attach) in members
            .iter()
            .zip(attach(object, map, &name, &of, environment, counts))
        {
            evidence.programs[*n].attach = attach;
            left.remove(n);
        }
    }
    for n in left {
        evidence.programs[n].attach = not_attempted("no `struct_ops` map names it".into());
    }
}

fn attach(
    object: &Object,
    map: Map<'_>,
    name: &str,
    programs: &[Program<'_>],
    environment: &Environment<'_>,
    counts: bool,
) -> Vec<ProgramAttach> {
    let kind = object.value_type_name(map).unwrap_or_default();
    if kind == "hid_bpf_ops" {
        let reason = "the guest has no HID device to attach to";
        return programs
            .iter()
            .map(|_| not_attempted(reason.into()))
            .collect();
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
            return vec![refused; programs.len()];
        }
    };
    let new: Vec<String> = congestion_controls()
        .into_iter()
        .filter(|one| !before.contains(one))
        .collect();
    let stimuli = if kind == "tcp_congestion_ops" {
        vec![Stimulus::new("opens a TCP connection with it", move || {
            if environment.network().is_ok() {
                for name in &new {
                    stream_with(name);
                }
            }
        })]
    } else {
        vec![
            Stimulus::new("makes system calls", system_calls),
            Stimulus::new("runs a program", run_a_program),
        ]
    };
    settle(
        Attached::by(link, format!("{kind} `{name}` registered"), stimuli),
        programs,
        counts,
    )
}

fn congestion_controls() -> Vec<String> {
    let text = fs::read_to_string(CONGESTION_CONTROLS).unwrap_or_default();
    text.split_ascii_whitespace().map(str::to_owned).collect()
}
