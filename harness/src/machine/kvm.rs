//! Decides whether guest code runs in hardware. That `/dev/kvm` opens proves nothing: every stock
//! kernel can still hang or abort on it. So a real boot decides, and the result is remembered.

use std::fs::File;
use std::io;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use ukci_schema::report::Choice;

use super::cached_answer::CachedAnswer;
use super::emulator::Emulator;
use super::error::Error;
use super::interface::{Boot, Machine};
use crate::arch::{Accel, KVM_DEVICE};
use crate::conversation::{self, GuestRequest};

/// Longest time for the boots that decide. Where KVM works the first one takes about a second.
const TRIAL: Duration = Duration::from_secs(5);

/// CPU models to try under KVM, the best first. `max` leaves out what the host has and KVM cannot
/// offer, where `host` insists.
const MODELS: [&str; 2] = ["host", "max"];

/// What runs guests' code, as it was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Accelerator {
    /// The accelerator, and why.
    pub(super) choice: Choice,
    /// With KVM: the CPU model that a kernel booted on.
    pub(super) cpu: Option<String>,
}

impl Accelerator {
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

/// The result of a trial, as it is remembered.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Answer {
    /// The CPU model that a kernel booted on, if it booted on any.
    cpu: Option<String>,
    /// Why it booted on none, in short.
    reason: String,
    /// How each attempt failed.
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

    fn decision(self, asked: Option<Accel>, remembered: bool) -> Result<Accelerator, Error> {
        let tail = if remembered {
            "; this is remembered for this host"
        } else {
            ""
        };
        match (self.cpu, asked) {
            (Some(cpu), _) => {
                let why = format!("a kernel boots on `{KVM_DEVICE}` with `-cpu {cpu}`{tail}");
                Ok(Accelerator::kvm(cpu, why))
            }
            (None, Some(Accel::Kvm)) => Err(Error::Kvm {
                attempts: self.attempts,
            }),
            (None, _) => Ok(Accelerator::tcg(format!(
                "`{KVM_DEVICE}` can be opened, but no kernel boots on it ({}){tail}",
                self.reason
            ))),
        }
    }
}

/// Decides. `native` is QEMU for this host's own architecture, where cells are of it; `probe` is a
/// kernel of that architecture; `under` makes the machine that runs it on an accelerator.
pub(super) async fn decide<M: Machine>(
    asked: Option<Accel>,
    native: Option<&Emulator>,
    cache: &Path,
    probe: Option<Boot>,
    under: impl Fn(Accelerator) -> M,
) -> Result<Accelerator, Error> {
    if asked == Some(Accel::Tcg) {
        return Ok(Accelerator::tcg("it was requested"));
    }
    let Some(emulator) = native else {
        return match asked {
            Some(_) => Err(Error::KvmArch),
            None => Ok(Accelerator::tcg("no cell is of this host's architecture")),
        };
    };
    if let Err(source) = File::options().read(true).write(true).open(KVM_DEVICE) {
        return match asked {
            Some(_) => Err(Error::OpenKvm { source }),
            None if source.kind() == io::ErrorKind::NotFound => {
                Ok(Accelerator::tcg(format!("`{KVM_DEVICE}` does not exist")))
            }
            None => Ok(Accelerator::tcg(format!(
                "`{KVM_DEVICE}` cannot be opened ({source})"
            ))),
        };
    }
    let banner = emulator.banner.as_str();
    let program = emulator.path.to_string_lossy();
    let cached = CachedAnswer::of(
        cache,
        "kvm",
        &[&program, banner, &host_cpu(), &host_kernel()],
    );
    // Requesting KVM tries it again: that is how a remembered answer is renewed.
    if asked.is_none()
        && let Some(answer) = cached.recall::<Answer>()
    {
        return answer.decision(asked, true);
    }
    let Some(probe) = probe else {
        return Ok(match asked {
            Some(_) => Accelerator::kvm(
                MODELS[0],
                "it was requested, and there was no kernel to try it with",
            ),
            None => Accelerator::tcg(format!(
                "`{KVM_DEVICE}` can be opened, but there was no kernel to try it with"
            )),
        });
    };
    let answer = trial(&probe, under).await;
    cached.remember(&answer);
    answer.decision(asked, false)
}

/// Boots `probe` on each CPU model until an agent speaks or time is up.
async fn trial<M: Machine>(probe: &Boot, under: impl Fn(Accelerator) -> M) -> Answer {
    let deadline = Instant::now() + TRIAL;
    let mut answer = Answer {
        cpu: None,
        reason: String::new(),
        attempts: String::new(),
    };
    for cpu in MODELS {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        let machine = under(Accelerator::kvm(cpu, "this boot tries it"));
        let result =
            conversation::hold(&machine, probe.clone(), GuestRequest::Hello, left, &|_| {});
        let result = result.await;
        // Whatever the agent said, a kernel booted for it to say so.
        if result.spoke {
            return Answer {
                cpu: Some(cpu.to_owned()),
                ..answer
            };
        }
        if let Some(fault) = result.fault {
            answer.refused(cpu, &fault.headline);
        }
    }
    answer
}

/// The host's CPU, as far as KVM depends on it.
pub(super) fn host_cpu() -> String {
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
pub(super) fn host_kernel() -> String {
    let uname = rustix::system::uname();
    format!(
        "{} {}",
        uname.release().to_string_lossy(),
        uname.version().to_string_lossy()
    )
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncWriteExt, DuplexStream};
    use ukci_schema::cell::{Arch, Cell};
    use ukci_schema::plan::PlannedKernel;
    use ukci_schema::verdict::{Fault, Stage};

    use super::*;
    use crate::deadline::WaitedForCpu;
    use crate::machine::interface::{Ending, Guest, Hardware, NoConnection, Usage};

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
        insta::assert_snapshot!(decision.choice.why, @"`/dev/kvm` can be opened, but no kernel boots on it (QEMU was killed by signal 6 before the guest ran); this is remembered for this host");
        let error = refusal().decision(Some(Accel::Kvm), false).unwrap_err();
        insta::assert_snapshot!(error, @"no kernel boots under the accelerator kvm: with `-cpu host` QEMU was killed by signal 6 before the guest ran: kvm.c: failed; with `-cpu max` QEMU was killed by signal 6 before the guest ran: kvm.c: failed");
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

    /// A machine on which a kernel boots with these CPU models.
    struct Host(&'static [&'static str], String);

    struct QuietGuest(Option<DuplexStream>);

    impl Machine for Host {
        type Guest = QuietGuest;

        fn hardware(&self, _: &PlannedKernel) -> Hardware {
            Hardware::default()
        }

        fn slowness(&self) -> u32 {
            1
        }

        async fn boot(&self, _: Boot) -> Result<QuietGuest, Fault> {
            if !self.0.contains(&self.1.as_str()) {
                let headline = "QEMU was killed by signal 6 before the guest ran: kvm.c: failed";
                return Err(Fault::at(Stage::Boot, headline));
            }
            let (ours, mut theirs) = tokio::io::duplex(64);
            // Whatever it says: a kernel booted for it to say so.
            theirs.write_all(b"hello\n").await.unwrap();
            Ok(QuietGuest(Some(ours)))
        }
    }

    impl Guest for QuietGuest {
        type Stream = DuplexStream;

        async fn connect(&mut self) -> Result<DuplexStream, NoConnection> {
            Ok(self.0.take().unwrap())
        }

        async fn ended(&mut self) -> Ending {
            std::future::pending().await
        }

        fn console_tail(&self) -> Vec<String> {
            Vec::new()
        }

        fn stall(&self) -> Option<String> {
            None
        }

        fn waited_for_cpu(&self) -> WaitedForCpu {
            Box::new(|| Duration::ZERO)
        }

        async fn stop(self) -> Usage {
            Usage::default()
        }
    }

    async fn tried(models: &'static [&'static str]) -> Answer {
        let cell = Cell {
            artifact: "x".into(),
            kernel: "k".into(),
            llvm: None,
            arch: Arch::X86_64,
            btf: None,
        };
        let boot = Boot {
            no_driver_for: Vec::new(),
            cell,
            release: "6.1".into(),
            kernel: "/nowhere".into(),
            image: String::new(),
            template: None,
            initramfs: "/nowhere".into(),
            cmdline: Vec::new(),
            memory: 256,
            cpus: 1,
            userland: crate::machine::Userland::default(),
            evidence: "/nowhere".into(),
        };
        trial(&boot, |accelerator| Host(models, accelerator.cpu.unwrap())).await
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_model_on_which_an_agent_speaks_is_taken() {
        assert_eq!(tried(&["host", "max"]).await.cpu.as_deref(), Some("host"));
        assert_eq!(tried(&["max"]).await.cpu.as_deref(), Some("max"));
        assert_eq!(tried(&[]).await, refusal());
    }

    #[test]
    fn the_host_is_known_by_its_cpu_and_kernel() {
        assert!(!host_cpu().is_empty());
        assert!(!host_kernel().trim().is_empty());
    }
}
