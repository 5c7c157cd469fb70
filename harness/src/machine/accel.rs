//! Whether guest code runs in hardware. `/dev/kvm` proves nothing: it can open and then hang or
//! abort on every stock kernel, so a real boot decides, and the answer is remembered.

use std::fs::File;
use std::io;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::AsyncReadExt;
use tokio::time::{Instant, timeout_at};
use ukci_schema::report::Choice;

use super::program::Memory;
use super::qemu::{Error, Qemu};
use super::{Boot, Ending, Guest, Machine, NoConnection};
use crate::arch;

/// How guest code runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Accel {
    /// In hardware.
    Kvm,
    /// Translated.
    Tcg,
}

impl Accel {
    /// QEMU's word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Tcg => "tcg",
        }
    }
}

/// KVM's device.
pub(super) const KVM: &str = "/dev/kvm";

/// Longest time for the boots that decide. Where KVM works the first one takes about a second.
const TRIAL: Duration = Duration::from_secs(5);

/// CPU models to try under KVM, the best first. `max` leaves out what the host has and KVM cannot
/// offer, where `host` insists.
const MODELS: [&str; 2] = ["host", "max"];

/// What was decided.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Decision {
    /// The accelerator, and why.
    pub(super) choice: Choice,
    /// With KVM: the CPU model that a kernel booted on.
    pub(super) cpu: Option<String>,
}

impl Decision {
    fn tcg(why: impl Into<String>) -> Self {
        Self {
            choice: Choice {
                name: Accel::Tcg.name().into(),
                why: why.into(),
            },
            cpu: None,
        }
    }

    fn kvm(cpu: impl Into<String>, why: impl Into<String>) -> Self {
        Self {
            choice: Choice {
                name: Accel::Kvm.name().into(),
                why: why.into(),
            },
            cpu: Some(cpu.into()),
        }
    }
}

/// What a trial found, as it is remembered.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Answer {
    /// The CPU model that a kernel booted on; none where it booted on none.
    cpu: Option<String>,
    /// Why not, in short.
    reason: String,
    /// What each attempt came to.
    attempts: String,
}

impl Answer {
    /// Adds an attempt that failed. Its first clause is the reason, QEMU's own words follow it.
    fn refused(&mut self, cpu: &str, attempt: &str) {
        attempt
            .split(':')
            .next()
            .unwrap_or(attempt)
            .clone_into(&mut self.reason);
        let and = if self.attempts.is_empty() { "" } else { "; " };
        self.attempts = format!("{}{and}with `-cpu {cpu}` {attempt}", self.attempts);
    }

    fn decision(self, asked: Option<Accel>, remembered: bool) -> Result<Decision, Error> {
        let tail = if remembered {
            "; remembered for this host"
        } else {
            ""
        };
        match (self.cpu, asked) {
            (Some(cpu), _) => {
                let why = format!("a kernel boots on `{KVM}` with `-cpu {cpu}`{tail}");
                Ok(Decision::kvm(cpu, why))
            }
            (None, Some(Accel::Kvm)) => Err(Error::Kvm {
                attempts: self.attempts,
            }),
            (None, _) => Ok(Decision::tcg(format!(
                "`{KVM}` opens, but no kernel boots on it ({}){tail}",
                self.reason
            ))),
        }
    }
}

/// Decides. `translated` is this host's QEMU under TCG; `probe` a kernel of the host's
/// architecture.
pub(super) async fn decide(
    asked: Option<Accel>,
    translated: &Qemu,
    cache: &Path,
    probe: Option<Boot>,
) -> Result<Decision, Error> {
    if asked == Some(Accel::Tcg) {
        return Ok(Decision::tcg("asked for"));
    }
    let Some(emulator) = arch::host().and_then(|host| translated.emulator(host)) else {
        return match asked {
            Some(_) => Err(Error::KvmArch),
            None => Ok(Decision::tcg("no cell is of this host's architecture")),
        };
    };
    if let Err(source) = File::options().read(true).write(true).open(KVM) {
        return match asked {
            Some(_) => Err(Error::OpenKvm { source }),
            None if source.kind() == io::ErrorKind::NotFound => {
                Ok(Decision::tcg(format!("`{KVM}` does not exist")))
            }
            None => Ok(Decision::tcg(format!("`{KVM}` does not open ({source})"))),
        };
    }
    let banner = emulator.banner.as_str();
    let program = emulator.path.to_string_lossy();
    let memory = Memory::of(
        cache,
        "kvm",
        &[&program, banner, &host_cpu(), &host_kernel()],
    );
    // Who asks for KVM wants it tried: that is how an answer is renewed.
    if asked.is_none()
        && let Some(answer) = memory.recall::<Answer>()
    {
        return answer.decision(asked, true);
    }
    let Some(probe) = probe else {
        return Ok(match asked {
            Some(_) => Decision::kvm(MODELS[0], "asked for; no kernel was at hand to try it with"),
            None => Decision::tcg(format!(
                "`{KVM}` opens, but no kernel was at hand to try it with"
            )),
        });
    };
    let answer = trial(translated, &probe).await;
    memory.remember(&answer);
    answer.decision(asked, false)
}

/// Boots `probe` on each CPU model until it says something or time is up.
async fn trial(translated: &Qemu, probe: &Boot) -> Answer {
    let deadline = Instant::now() + TRIAL;
    let mut answer = Answer {
        cpu: None,
        reason: String::new(),
        attempts: String::new(),
    };
    for cpu in MODELS {
        match timeout_at(deadline, speaks(translated.accelerated(cpu), probe.clone())).await {
            Ok(Ok(())) => {
                return Answer {
                    cpu: Some(cpu.to_owned()),
                    ..answer
                };
            }
            Ok(Err(attempt)) => answer.refused(cpu, &attempt),
            Err(_) => {
                let limit = TRIAL.as_secs();
                answer.refused(cpu, &format!("the guest said nothing within {limit} s"));
                break;
            }
        }
    }
    answer
}

/// Boots and waits for the agent's first byte; else says why there is none.
async fn speaks(machine: Qemu, probe: Boot) -> Result<(), String> {
    let mut guest = machine.boot(probe).await.map_err(|fault| fault.headline)?;
    let mut stream = guest.connect().await.map_err(|none| match none {
        NoConnection::Ended(Ending::Panicked(line) | Ending::Stalled(line)) => {
            format!("the kernel said `{line}`")
        }
        NoConnection::Ended(Ending::Exited { status, .. }) => status,
        NoConnection::Failed(why) => why,
    })?;
    stream
        .read_u8()
        .await
        .map(drop)
        .map_err(|_| "its agent hung up".to_owned())
}

/// The host's CPU, as far as KVM depends on it.
fn host_cpu() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let keys = [
        "vendor_id",
        "cpu family",
        "model",
        "stepping",
        "flags",
        "CPU implementer",
        "CPU part",
    ];
    text.lines()
        .take_while(|line| !line.is_empty())
        .filter(|line| {
            line.split(':')
                .next()
                .is_some_and(|key| keys.contains(&key.trim()))
        })
        .collect::<Vec<_>>()
        .join("\n")
}

/// The host's kernel: KVM is a part of it.
fn host_kernel() -> String {
    let uname = rustix::system::uname();
    format!(
        "{} {}",
        uname.release().to_string_lossy(),
        uname.version().to_string_lossy()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal() -> Answer {
        let mut answer = Answer {
            cpu: None,
            reason: String::new(),
            attempts: String::new(),
        };
        for cpu in MODELS {
            answer.refused(
                cpu,
                "QEMU was killed by signal 6 before the guest ran: kvm.c: failed",
            );
        }
        answer
    }

    #[test]
    fn a_refusal_is_tcg_for_who_did_not_care_and_an_error_for_who_asked() {
        let decision = refusal().decision(None, true).unwrap();
        assert_eq!(decision.cpu, None);
        insta::assert_snapshot!(decision.choice.why, @"`/dev/kvm` opens, but no kernel boots on it (QEMU was killed by signal 6 before the guest ran); remembered for this host");
        let error = refusal().decision(Some(Accel::Kvm), false).unwrap_err();
        insta::assert_snapshot!(error, @"boot a kernel under the accelerator kvm: with `-cpu host` QEMU was killed by signal 6 before the guest ran: kvm.c: failed; with `-cpu max` QEMU was killed by signal 6 before the guest ran: kvm.c: failed");
    }

    #[test]
    fn a_boot_is_kvm_on_the_model_that_booted() {
        let answer = Answer {
            cpu: Some("max".into()),
            ..refusal()
        };
        let decision = answer.decision(None, false).unwrap();
        assert_eq!(decision.cpu.as_deref(), Some("max"));
        insta::assert_snapshot!(decision.choice.why, @"a kernel boots on `/dev/kvm` with `-cpu max`");
    }

    #[test]
    fn the_host_is_known_by_its_cpu_and_kernel() {
        assert!(!host_cpu().is_empty());
        assert!(!host_kernel().trim().is_empty());
    }
}
