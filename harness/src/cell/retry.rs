//! Decides when a cell is booted again: after a load that failed because the guest lacked memory,
//! after a panic while the kernel had the artifact, and after a guest that never reached the host.

use ukci_judge::Judgement;
use ukci_schema::diagnosis::Code;
use ukci_schema::evidence::MapEvidence;
use ukci_schema::verdict::{Fault, Stage, Verdict};

use crate::conversation::{Answer, BootResult};

/// Most guest memory that a retry asks for, in MiB.
const MEMORY_CEILING: u64 = 8 * 1024;

/// Whether the kernel died while it had the artifact.
pub(super) fn died_with_artifact(result: &BootResult) -> bool {
    let fault = result.fault.as_ref();
    fault.is_some_and(|fault| fault.code == Some(Code::KernelPanic) && fault.stage >= Stage::Open)
}

/// Why a cell deserves another boot, and with how much memory.
pub(super) fn second_chance(
    result: &BootResult,
    judgement: &Judgement,
    memory: u32,
) -> Option<(String, u32)> {
    if died_with_artifact(result) {
        return Some((
            "the kernel panicked, so it boots again to see if that repeats".into(),
            memory,
        ));
    }
    // Now and then, on a loaded host, vhost-device-vsock 0.3 never serves its guest: 3 of 153 boots
    // were seen to end so. It says nothing of the artifact, which the guest did not have yet.
    if result.powered_off_early {
        let why = "the guest powered off before it said hello, so it boots again";
        return Some((why.into(), memory));
    }
    if judgement.verdict.code() == Some(Code::GuestResources) {
        let maps = match &result.answer {
            Some(Answer::Evidence(evidence)) => &evidence.maps[..],
            _ => &[],
        };
        let cpus = result.hello.as_ref().map_or(1, |hello| hello.facts.cpus);
        let more = enough_memory(maps, cpus, memory);
        return (more > memory).then(|| {
            (
                format!("{memory} MiB of guest memory were not enough, so it boots again with {more} MiB"),
                more,
            )
        });
    }
    None
}

/// The fault of a cell that deserves another boot and cannot have it, because its command was given
/// input that nobody has any more. With less input, the command might end otherwise.
pub(super) fn input_is_gone(result: &BootResult, judgement: &Judgement) -> Fault {
    let first = match (&result.fault, &judgement.verdict) {
        (Some(fault), _) | (None, Verdict::Error { fault }) => fault.clone(),
        (None, Verdict::Fail { diagnosis }) => Fault {
            code: Some(diagnosis.code),
            ..Fault::at(diagnosis.stage, diagnosis.headline.clone())
        },
        (None, _) => Fault::at(Stage::Behave, "the guest ended without evidence"),
    };
    let headline = format!(
        "{}, and the command cannot run again, because what it was given of ukci's standard input \
         cannot be given again",
        first.headline
    );
    let mut hints = Vec::new();
    if judgement.verdict.code() == Some(Code::GuestResources) {
        hints.push("give the guest more memory from the start with `--memory`".to_owned());
    }
    hints.push(
        "give the input as a file with `ukci exec --stdin FILE`, which every boot gets whole"
            .to_owned(),
    );
    Fault {
        headline,
        hints,
        ..first
    }
}

/// Guest memory that holds these maps twice over, in MiB: at least double what there was.
fn enough_memory(maps: &[MapEvidence], cpus: u32, memory: u32) -> u32 {
    let bytes: u64 = maps
        .iter()
        .map(|map| {
            let copies = if map.map_type.contains("percpu") {
                u64::from(cpus.max(1))
            } else {
                1
            };
            if map.map_type.contains("ringbuf") {
                u64::from(map.max_entries)
            } else {
                // A hash table's element carries some 64 bytes of its own.
                u64::from(map.max_entries)
                    .saturating_mul(u64::from(map.value_size).div_ceil(8) * 8 * copies)
                    .saturating_add(
                        u64::from(map.max_entries).saturating_mul(u64::from(map.key_size) + 64),
                    )
            }
        })
        .fold(0, u64::saturating_add);
    let wanted = u64::from(memory).saturating_mul(2).max(
        (bytes / (1024 * 1024))
            .saturating_mul(2)
            .saturating_add(u64::from(memory)),
    );
    u32::try_from(wanted.min(MEMORY_CEILING))
        .unwrap_or(memory)
        .max(memory)
}

#[cfg(test)]
mod tests {
    use ukci_schema::evidence::MapEvidence;

    use super::enough_memory;

    #[test]
    fn a_retry_has_room_for_the_maps_and_stays_below_the_ceiling() {
        let map = |map_type: &str, max_entries, value_size| MapEvidence {
            map_type: map_type.into(),
            key_size: 4,
            value_size,
            max_entries,
            ..MapEvidence::default()
        };
        assert_eq!(enough_memory(&[], 1, 256), 512);
        let gib = enough_memory(&[map("array", 1 << 20, 1024)], 1, 256);
        assert!((2304..4096).contains(&gib), "{gib}");
        let percpu = enough_memory(&[map("percpu_array", 1 << 20, 256)], 4, 256);
        assert!(percpu > 2000, "{percpu}");
        assert_eq!(
            enough_memory(&[map("array", u32::MAX, u32::MAX)], 1, 256),
            8192
        );
    }
}
