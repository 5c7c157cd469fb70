//! The traits of the harness: [`Machine`] boots a cell, and [`Guest`] is a booted cell.
//!
//! QEMU implements them in `qemu_guest.rs`. Tests implement guests over `tokio::io::duplex`.

use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use ukci_schema::cell::{Arch, Cell};
use ukci_schema::message::FromGuest;
use ukci_schema::plan::PlannedKernel;
use ukci_schema::verdict::Fault;

use super::template::Template;
use super::userland::Userland;
use crate::deadline::WaitedForCpu;
use crate::timeline::CpuTime;

/// What a machine must boot.
#[derive(Clone, Debug)]
pub struct Boot {
    /// The cell it is for.
    pub cell: Cell,
    /// Upstream version of the kernel, e.g. `6.12.117+deb13-cloud-amd64`: the CPU model depends
    /// on it.
    pub release: String,
    /// What QEMU's `-kernel` takes.
    pub kernel: PathBuf,
    /// SHA-256 of the image.
    pub image: String,
    /// The whole initramfs: agent and kernel segment.
    pub initramfs: PathBuf,
    /// The ways to the host for which the kernel has no driver.
    pub no_driver_for: Vec<String>,
    /// Kernel arguments beyond those of the devices.
    pub cmdline: Vec<String>,
    /// Guest memory in MiB.
    pub memory: u32,
    /// Virtual CPUs.
    pub cpus: u32,
    /// What its guest has beside memory and CPUs.
    pub userland: Userland,
    /// Existing directory for `command.txt`, `console.log` and `qemu.log`.
    pub evidence: PathBuf,
    /// The guest that is copied in place of booting one. It must be of this very boot.
    pub template: Option<Template>,
}

impl Boot {
    /// A kernel with an initramfs on the smallest machine.
    pub fn of(kernel: &PlannedKernel, cell: Cell, initramfs: PathBuf, evidence: PathBuf) -> Self {
        Self {
            cell,
            release: kernel.release.clone(),
            kernel: kernel.image.path.clone(),
            image: kernel.image.sha256.clone(),
            initramfs,
            no_driver_for: kernel.no_driver_for.clone(),
            cmdline: kernel.cmdline.clone(),
            memory: 256,
            cpus: 1,
            userland: Userland::default(),
            evidence,
            template: None,
        }
    }
}

/// What a report says of the machine that ran a cell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hardware {
    /// `kvm` or `tcg`.
    pub accel: String,
    /// QEMU's `-cpu`.
    pub cpu: String,
    /// `vhost-vsock`, `vhost-user-vsock`, `virtio-serial` or `serial`.
    pub transport: String,
    /// The version of the program that runs the guest, as it states it.
    pub emulator: String,
    /// The model of the host's processor, if guests run on it and not on an emulated one: they can
    /// see it then. Empty under emulation.
    pub processor: String,
}

/// How a guest ended, other than by being told to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The console shows a panic; its first line.
    Panicked(String),
    /// A process that the guest cannot do without is gone.
    Exited(Exited),
}

/// How a process ended. QEMU's status says nothing: it exits 0 on panic and on power-off alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exited {
    /// `QEMU`, or the name of the program beside it.
    pub program: String,
    /// In words that follow the name: `exited with status 1`.
    pub how: String,
    /// QMP's `SHUTDOWN` reason, e.g. `guest-reset`, where one was seen.
    pub reason: Option<String>,
    /// The last line that the process printed.
    pub complaint: Option<String>,
}

impl fmt::Display for Exited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.program, self.how)?;
        match &self.reason {
            Some(reason) => write!(f, " ({reason})"),
            None => Ok(()),
        }
    }
}

/// Why no agent dialled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoConnection {
    /// The guest ended first.
    Ended(Ending),
    /// The host could not listen any longer.
    Failed(String),
}

/// What a guest cost.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// User and system seconds of QEMU and the processes beside it.
    pub cpu_seconds: f64,
    /// Peak resident memory of QEMU in KiB.
    pub peak_kib: u64,
}

/// Something that can boot a cell.
pub trait Machine: Send + Sync + 'static {
    /// One booted cell.
    type Guest: Guest;

    /// What a guest of this kernel runs on.
    fn hardware(&self, kernel: &PlannedKernel) -> Hardware;

    /// How much longer than on bare hardware everything takes: deadlines are multiplied by it.
    fn slowness(&self) -> u32;

    /// Starts a guest. Returns as soon as it runs, long before it is up; a copy is up already.
    fn boot(&self, boot: Boot) -> impl Future<Output = Result<Self::Guest, Fault>> + Send;

    /// The template of guests that boot like this, if there is one.
    fn find_template(&self, _: &Boot) -> impl Future<Output = Option<Template>> + Send {
        async { None }
    }

    /// Makes the template of guests that boot like this, unless there is one: boots one to its ready
    /// point within the limit, and saves it. `rests` is told when the guest has booted: from then on
    /// it mostly waits until its kernel has nothing left to do.
    fn make_template(
        &self,
        _: &Boot,
        _limit: Duration,
        _rests: &(dyn Fn() + Sync),
    ) -> impl Future<Output = Result<Template, NoTemplate>> + Send {
        async { Err(NoTemplate::Failed("this machine saves no guest".into())) }
    }
}

/// Why guests cannot be copied and have to boot.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoTemplate {
    /// Another transport than that of copies was requested, or is the only one that the kernel has.
    #[error("its guest uses the transport {0}, and a copy of a guest needs virtio-serial")]
    Transport(&'static str),
    /// The emulator does not restore all of a guest. QEMU does not start the timers of a RISC-V
    /// machine's ACLINT again (seen with 7.2: the guest waits for its next tick for ever).
    #[error("QEMU does not restart the timers of a {0} guest")]
    Timers(Arch),
    /// The disk of the cache is too full.
    #[error("`{}` has only {available} MiB free, and a saved guest needs {needed} MiB", path.display())]
    NoRoom {
        /// The directory of templates.
        path: PathBuf,
        /// In MiB.
        available: u64,
        /// In MiB.
        needed: u64,
    },
    /// The guest did not become ready, or could not be saved.
    #[error("the guest could not be saved: {0}")]
    Failed(String),
}

/// One booted cell. Dropping it kills the guest and everything started for it.
pub trait Guest: Send + 'static {
    /// The connection that the agent dials.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send;

    /// What the agent said before the guest was saved, of which this is a copy. It waits for a
    /// request. None if the guest boots.
    fn resumed(&self) -> Option<&FromGuest> {
        None
    }

    /// Waits for the agent to dial, or for the guest to end before it did. Has no deadline of
    /// its own.
    fn connect(&mut self) -> impl Future<Output = Result<Self::Stream, NoConnection>> + Send;

    /// Waits until the guest ends by itself, which it does when its kernel panics.
    fn ended(&mut self) -> impl Future<Output = Ending> + Send;

    /// The last lines of its console, oldest first, without control characters.
    fn console_tail(&self) -> Vec<String>;

    /// The first line with which its kernel reported a stall: a lockup, or a task or RCU that
    /// makes no progress. It ends nothing, because a busy host can cause it.
    fn stall(&self) -> Option<String>;

    /// The first line of a panic on its console, if it shows one. A program can write the same words: if
    /// the guest does not end, only its silence shows that they are the kernel's.
    fn panic(&self) -> Option<String> {
        None
    }

    /// How long the host has kept it waiting for a CPU until now; can be asked when the guest is
    /// borrowed or gone.
    fn waited_for_cpu(&self) -> WaitedForCpu;

    /// The CPU time that it has taken until now; can be asked when the guest is borrowed or gone. A
    /// guest that is no process takes none that could be measured.
    fn cpu_time(&self) -> CpuTime {
        Box::new(|| None)
    }

    /// Kills it, and reaps it and what was started for it.
    fn stop(self) -> impl Future<Output = Usage> + Send;
}
