//! What PID 1 does before there is a cell: it mounts file systems, loads modules and connects to
//! the host.
//!
//! The output is the stream to the host, and a list of what went wrong. It never handles an object,
//! because none is in the guest yet.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::mount::{MountFlags, mount};
use ukci_guest::modules;
use ukci_schema::evidence::Module;
use ukci_schema::message::{PORT, SERIAL_PORT};

use crate::{serial_line, vsock_stream};

/// One file system: source, target, type, and the option without which the kernel lacks it where the
/// agent cannot do without.
struct Mount(
    &'static str,
    &'static str,
    &'static str,
    Option<&'static str>,
);

const OPTIONAL: Option<&str> = None;

const MOUNTS: &[Mount] = &[
    Mount("proc", "/proc", "proc", Some("PROC_FS")),
    Mount("sysfs", "/sys", "sysfs", Some("SYSFS")),
    Mount("devtmpfs", "/dev", "devtmpfs", Some("DEVTMPFS")),
    Mount("tmpfs", "/tmp", "tmpfs", OPTIONAL),
    Mount("tmpfs", "/run", "tmpfs", OPTIONAL),
    Mount("bpf", "/sys/fs/bpf", "bpf", OPTIONAL),
    Mount("cgroup2", "/sys/fs/cgroup", "cgroup2", OPTIONAL),
    // No debugfs: where it is mounted, libbpf takes the tracing directory in it, and kernels from
    // 6.17 on warn of that ("Automounting of tracing to debugfs is deprecated").
    Mount("tracefs", "/sys/kernel/tracing", "tracefs", OPTIONAL),
    Mount("securityfs", "/sys/kernel/security", "securityfs", OPTIONAL),
];

/// Mounts what there is. Returns the optional ones that failed and why.
pub(crate) fn mounts() -> Result<BTreeMap<String, String>, String> {
    let mut missing = BTreeMap::new();
    for Mount(source, target, kind, option) in MOUNTS {
        // It exists already in all but the initramfs's own directories.
        let _ = fs::create_dir(target);
        match mount(*source, *target, *kind, MountFlags::empty(), None) {
            // The kernel mounts devtmpfs itself where it is so configured.
            Ok(()) | Err(rustix::io::Errno::BUSY) => {}
            Err(error) => match option {
                Some(option) => {
                    return Err(format!(
                        "the kernel could not mount {kind} at {target} (CONFIG_{option}): {error}"
                    ));
                }
                None => drop(missing.insert((*target).to_owned(), error.to_string())),
            },
        }
    }
    Ok(missing)
}

/// How the kernel arguments tell the agent to reach the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Vsock,
    /// A virtio-serial port.
    Serial,
    /// A serial line beside the console.
    Uart,
}

impl Transport {
    /// `ukci.transport=vsock`, `serial` or `uart`, as the machine's device asks for.
    pub(crate) fn of(cmdline: &str) -> Result<Self, String> {
        let value = cmdline
            .split_ascii_whitespace()
            .find_map(|word| word.strip_prefix("ukci.transport="));
        match value {
            Some("vsock") => Ok(Self::Vsock),
            Some("serial") => Ok(Self::Serial),
            Some("uart") => Ok(Self::Uart),
            other => Err(format!("kernel argument ukci.transport is {other:?}")),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Vsock => "vsock",
            Self::Serial => "serial",
            Self::Uart => "uart",
        }
    }
}

/// Loads the modules that the transport needs, in the order of their file names.
pub(crate) fn load_modules(transport: Transport) -> Vec<Module> {
    let dir = format!("/lib/ukci/{}", transport.name());
    let mut files: Vec<_> = fs::read_dir(dir)
        .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default();
    files.sort();
    files.iter().map(|path| load_module(path)).collect()
}

/// Loads one module file, named `NN-name.ko`.
fn load_module(path: &Path) -> Module {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let name = stem
        .split_once('-')
        .map_or(&*stem, |(_, name)| name)
        .to_owned();
    Module {
        name,
        error: modules::insert(path).err(),
        ..Module::default()
    }
}

/// Bytes to and from the host.
pub(crate) trait Stream: io::Read + io::Write + AsRawFd {}
impl<S: io::Read + io::Write + AsRawFd> Stream for S {}

/// Dials the host.
pub(crate) fn dial(transport: Transport) -> Result<Box<dyn Stream>, String> {
    match transport {
        Transport::Vsock => vsock_stream::dial()
            .map(|stream| Box::new(stream) as Box<dyn Stream>)
            .map_err(|error| {
                format!(
                    "dial the host on vsock port {PORT} (CONFIG_VSOCKETS and \
                     CONFIG_VIRTIO_VSOCKETS): {error}"
                )
            }),
        Transport::Serial => {
            let device = serial_device()?;
            let file = fs::File::options().read(true).write(true).open(&device);
            file.map(|file| Box::new(SerialPort(file)) as Box<dyn Stream>)
                .map_err(|error| format!("open {device}: {error}"))
        }
        Transport::Uart => serial_line::dial().map(|stream| Box::new(stream) as Box<dyn Stream>),
    }
}

/// How long the host's port may take to appear, or to answer.
const PORT_DEADLINE: Duration = Duration::from_secs(20);

/// The device of the port that the host named. Its name comes in a message of the device's own,
/// which the driver handles some time after it was loaded: a guest on a loaded host gets here
/// first.
fn serial_device() -> Result<String, String> {
    let class = "/sys/class/virtio-ports";
    let start = Instant::now();
    loop {
        for port in fs::read_dir(class).into_iter().flatten().flatten() {
            let name = fs::read_to_string(port.path().join("name")).unwrap_or_default();
            if name.trim() == SERIAL_PORT {
                return Ok(format!("/dev/{}", port.file_name().to_string_lossy()));
            }
        }
        if start.elapsed() > PORT_DEADLINE {
            return Err(format!(
                "no port in {class} (CONFIG_VIRTIO_CONSOLE) is named {SERIAL_PORT} after {} s",
                PORT_DEADLINE.as_secs()
            ));
        }
        wait_a_moment();
    }
}

/// A virtio-serial port. It reads nothing, not an end, while the host is away.
struct SerialPort(fs::File);

impl io::Read for SerialPort {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.0.read(buffer) {
                Ok(0) if !buffer.is_empty() => wait_a_moment(),
                other => return other,
            }
        }
    }
}

impl io::Write for SerialPort {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsRawFd for SerialPort {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// The port has no event for "the host came": poll(2) reports a hang-up at once, again and again.
fn wait_a_moment() {
    std::thread::sleep(Duration::from_millis(2));
}

#[cfg(test)]
mod tests {
    use super::Transport;

    #[test]
    fn the_transport_is_a_kernel_argument() {
        assert_eq!(
            Transport::of("quiet ukci.transport=vsock x"),
            Ok(Transport::Vsock)
        );
        assert_eq!(
            Transport::of("ukci.transport=serial"),
            Ok(Transport::Serial)
        );
        assert_eq!(Transport::of("ukci.transport=uart"), Ok(Transport::Uart));
        assert!(Transport::of("quiet").is_err());
        assert!(Transport::of("ukci.transport=pigeon").is_err());
    }
}
