//! A guest for the machine tests: PID 1, without libbpf and without anything of the agent's.
//!
//! Built by `rustc` when the tests run (see `main.rs`), so it has only `std` and the C library
//! that `std` links. It does what `ukci.test=` on the kernel command line says.

use std::ffi::{CString, c_int, c_long, c_ulong, c_void};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd};

unsafe extern "C" {
    fn mount(
        source: *const i8,
        target: *const i8,
        kind: *const i8,
        flags: c_ulong,
        data: *const c_void,
    ) -> c_int;
    fn reboot(command: c_int) -> c_int;
    fn socket(domain: c_int, kind: c_int, protocol: c_int) -> c_int;
    fn connect(socket: c_int, address: *const SockaddrVm, length: u32) -> c_int;
    fn syscall(number: c_long, ...) -> c_long;
}

/// `struct sockaddr_vm` of `linux/vm_sockets.h`.
#[repr(C)]
struct SockaddrVm {
    family: u16,
    reserved: u16,
    port: u32,
    cid: u32,
    zero: [u8; 4],
}

const AF_VSOCK: u16 = 40;
const SOCK_STREAM: c_int = 1;
const RB_POWER_OFF: c_int = 0x4321_fedc;
const SYS_FINIT_MODULE: c_long = 313;

fn mount_on(kind: &str, target: &str) {
    let (kind, target) = (CString::new(kind).unwrap(), CString::new(target).unwrap());
    let _ = fs::create_dir_all(target.to_str().unwrap());
    // SAFETY: three strings that live through the call, no data.
    unsafe {
        mount(
            kind.as_ptr(),
            target.as_ptr(),
            kind.as_ptr(),
            0,
            std::ptr::null(),
        )
    };
}

/// Loads the modules of a transport, which the kernel's segment has in load order by name.
fn load_modules(transport: &str) {
    let mut paths: Vec<_> = fs::read_dir(format!("/lib/ukci/{transport}"))
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    for path in paths {
        let file = File::open(&path).unwrap();
        // SAFETY: an open file, an empty parameter string, no flags.
        let done = unsafe { syscall(SYS_FINIT_MODULE, file.as_raw_fd(), c"".as_ptr(), 0) };
        if done != 0 {
            println!("guest: {}: {}", path.display(), io::Error::last_os_error());
        }
    }
}

fn dial(transport: &str, port: u32) -> io::Result<File> {
    if transport == "serial" {
        // The kernel makes the port on a work queue, and its node is there a moment before the
        // port can be found: ENOENT, then ENXIO, then a port.
        loop {
            match OpenOptions::new()
                .read(true)
                .write(true)
                .open("/dev/vport0p1")
            {
                Err(error) if matches!(error.raw_os_error(), Some(2 | 6)) => {
                    std::thread::yield_now();
                }
                opened => return opened,
            }
        }
    }
    // SAFETY: plain system calls; the new descriptor is owned by the file alone.
    unsafe {
        let fd = socket(c_int::from(AF_VSOCK), SOCK_STREAM, 0);
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        let file = File::from_raw_fd(fd);
        let host = SockaddrVm {
            family: AF_VSOCK,
            reserved: 0,
            port,
            cid: 2,
            zero: [0; 4],
        };
        if connect(fd, &raw const host, 16) != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(file)
    }
}

fn converse(cmdline: &str) -> io::Result<()> {
    let mut stream = dial(value(cmdline, "ukci.transport"), 5470)?;
    stream.write_all(b"hello\n")?;
    let mut byte = [0];
    // Echoes what it hears until it hears a `q`.
    while byte != *b"q" {
        if stream.read(&mut byte)? == 1 {
            stream.write_all(&byte)?;
        }
    }
    Ok(())
}

fn value<'a>(cmdline: &'a str, key: &str) -> &'a str {
    cmdline
        .split_ascii_whitespace()
        .find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
        .unwrap_or_default()
}

fn main() {
    mount_on("proc", "/proc");
    mount_on("devtmpfs", "/dev");
    let cmdline = fs::read_to_string("/proc/cmdline").unwrap_or_default();
    match value(&cmdline, "ukci.test") {
        "exit" => return,
        "crash" => {
            let _ = fs::write("/proc/sysrq-trigger", "c");
        }
        "hang" => loop {
            println!("guest: hangs");
            std::thread::park();
        },
        "poweroff" => {}
        _ => {
            load_modules(value(&cmdline, "ukci.transport"));
            if let Err(error) = converse(&cmdline) {
                println!("guest: {error}");
            }
        }
    }
    // SAFETY: no memory is involved.
    unsafe { reboot(RB_POWER_OFF) };
}
