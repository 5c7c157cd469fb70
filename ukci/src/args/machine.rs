//! Which machines run the cells, how many at once, and for how long.

use std::time::Duration;

use bytesize::ByteSize;
use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};
use ukci_harness::run::Copies;
use ukci_harness::{arch, transport};

/// How long a cell may take under KVM.
const TIMEOUT: Duration = Duration::from_mins(1);

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Machine options")]
pub(crate) struct Machines {
    /// How many machines to run at once [default: as many as cores and memory allow]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) jobs: Option<u16>,

    /// Most memory for all machines together, such as `4GiB` [default: what is available]
    ///
    /// A machine counts with its guest's memory and 150 MiB for QEMU. Cells wait until there is
    /// room for them. A cell that needs more than this runs alone. With `--jobs` and without this
    /// option, the memory is not limited.
    #[arg(long, value_name = "SIZE", env = "UKCI_MAX_MEMORY", hide_env = true, value_parser = size)]
    pub(crate) max_memory: Option<ByteSize>,

    /// Give up on a cell after this time, such as `90s` or `2m` [default: 60s]
    ///
    /// With the accelerator tcg, which emulates the CPU, the limit is five times as long.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) timeout: Option<Duration>,

    /// How to run the guest's CPU
    #[arg(long, default_value = "auto")]
    pub(crate) accel: Accel,

    /// How guests connect to the host
    ///
    /// With `auto`, copies of saved guests always use virtio-serial.
    #[arg(long, default_value = "auto")]
    pub(crate) transport: Transport,

    /// Boot the kernel for every cell
    ///
    /// By default, a kernel that several cells run on boots once. Its guest is saved in the cache,
    /// and every cell gets a copy of its own. A copy of an emulated guest needs about a sixth of the
    /// CPU time of a boot, and gives the same evidence. Cells with another transport than
    /// virtio-serial always boot.
    #[arg(long)]
    pub(crate) cold: bool,

    /// Whether other invocations with the same guest follow.
    #[arg(skip)]
    pub(crate) others_follow: bool,
}

impl Machines {
    /// One machine, for so long.
    pub(crate) fn one(timeout: Duration, accel: Accel, transport: Transport) -> Self {
        Self {
            cold: false,
            others_follow: false,
            jobs: Some(1),
            max_memory: None,
            timeout: Some(timeout),
            accel,
            transport,
        }
    }

    /// The defaults, with this accelerator.
    pub(crate) fn with_accel(accel: Accel) -> Self {
        Self {
            jobs: None,
            max_memory: None,
            timeout: None,
            accel,
            transport: Transport::Auto,
            cold: false,
            others_follow: false,
        }
    }

    /// How long a cell may take.
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout.unwrap_or(TIMEOUT)
    }

    /// The options on which the end of a cell may depend, as a command line has them.
    pub(crate) fn options(&self) -> Vec<String> {
        let name = |value: PossibleValue| value.get_name().to_owned();
        let timeout = self.timeout.map(|timeout| {
            // `1m 30s` is two words.
            humantime::format_duration(timeout)
                .to_string()
                .replace(' ', "")
        });
        let accel = Some(self.accel).filter(|accel| *accel != Accel::Auto);
        let accel = accel.and_then(|accel| accel.to_possible_value());
        let transport = Some(self.transport).filter(|transport| *transport != Transport::Auto);
        let transport = transport.and_then(|transport| transport.to_possible_value());
        let mut options = Vec::new();
        for (option, value) in [
            ("--timeout", timeout),
            ("--accel", accel.map(name)),
            ("--transport", transport.map(name)),
        ] {
            options.extend(
                value
                    .into_iter()
                    .flat_map(|value| [option.to_owned(), value]),
            );
        }
        options.extend(self.cold.then(|| "--cold".to_owned()));
        options
    }

    /// The same, with what an earlier run was given where this one was given nothing.
    pub(crate) fn like(self, earlier: &Self) -> Self {
        Self {
            timeout: self.timeout.or(earlier.timeout),
            accel: if self.accel == Accel::Auto {
                earlier.accel
            } else {
                self.accel
            },
            transport: if self.transport == Transport::Auto {
                earlier.transport
            } else {
                self.transport
            },
            cold: self.cold || earlier.cold,
            ..self
        }
    }

    /// The name of the requested transport, if no copy of a saved guest has it: then every cell boots.
    pub(crate) fn booting_transport(&self) -> Option<&'static str> {
        let requested = self.transport.chosen().filter(|_| !self.cold);
        let other = requested.filter(|of| *of != transport::Transport::VirtioSerial);
        other.map(transport::Transport::name)
    }

    /// Which cells start as copies of saved guests.
    pub(crate) fn copies(&self) -> Copies {
        match (self.cold, self.others_follow) {
            (true, _) => Copies::Never,
            (false, false) => Copies::WhenShared,
            (false, true) => Copies::Always,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Accel {
    /// kvm if a kernel boots with it on this host, otherwise tcg
    Auto,
    /// Hardware virtualization, which needs `/dev/kvm`
    Kvm,
    /// Emulation by QEMU, which works on every host
    Tcg,
}

impl Accel {
    /// The one that was named.
    pub(crate) fn chosen(self) -> Option<arch::Accel> {
        match self {
            Self::Auto => None,
            Self::Kvm => Some(arch::Accel::Kvm),
            Self::Tcg => Some(arch::Accel::Tcg),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Transport {
    /// The first of the following that works on this host and with the kernel
    Auto,
    /// vsock through the host's kernel, which needs `/dev/vhost-vsock`
    VhostVsock,
    /// vsock through the program vhost-device-vsock, which needs no privileges
    VhostUserVsock,
    /// A virtio-serial port, which needs nothing on the host
    VirtioSerial,
    /// A serial line, which needs no driver of virtio in the kernel, and is slower
    Serial,
}

impl Transport {
    /// The one that was named.
    pub(crate) fn chosen(self) -> Option<transport::Transport> {
        match self {
            Self::Auto => None,
            Self::VhostVsock => Some(transport::Transport::VhostVsock),
            Self::VhostUserVsock => Some(transport::Transport::VhostUserVsock),
            Self::VirtioSerial => Some(transport::Transport::VirtioSerial),
            Self::Serial => Some(transport::Transport::Serial),
        }
    }
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if duration.is_zero() {
        return Err("must be greater than zero".into());
    }
    Ok(duration)
}

/// A size, in bytes unless it has a unit.
pub(super) fn byte_size(text: &str) -> Result<ByteSize, String> {
    // The parser's own words are about its grammar.
    text.parse()
        .map_err(|_| "give a number and a unit, such as `5GB` or `512MiB`".into())
}

/// A size with its unit. One without is bytes, which nobody means for memory.
fn size(text: &str) -> Result<ByteSize, String> {
    if text.ends_with(|c: char| c.is_ascii_digit()) {
        return Err("give a unit, such as `4GiB` or `512MiB`".into());
    }
    let size = byte_size(text)?;
    if size.as_u64() < 1 << 20 {
        return Err("must be at least 1MiB".into());
    }
    Ok(size)
}
