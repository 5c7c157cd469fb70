//! What the catalogue's tests stand on: a mirror with faults, and a kernel made of a few bytes.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use ukci_schema::cell::Arch;
use ukci_schema::lock::{LockedKernel, Package, Provenance, Role, Verified};

use super::digest;
use super::package::tests::deb;

/// How a mirror answers for one path.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// The file, in ranges if asked for.
    File(Vec<u8>),
    /// The file, always from its beginning.
    NoRanges(Vec<u8>),
    /// Says the whole length, sends so many bytes, and hangs up: the first time. Then as `File`.
    BreaksOff(Vec<u8>, usize),
    /// As `BreaksOff`, then as `NoRanges`.
    BreaksOffNoRanges(Vec<u8>, usize),
    /// This status and nothing else.
    Status(u16),
}

type Files = BTreeMap<String, Reply>;

/// A mirror on this host; it ends with the test's process.
#[derive(Clone, Debug)]
pub(crate) struct Mirror {
    /// Address of its root.
    pub(crate) root: String,
    files: Arc<Mutex<Files>>,
    log: Arc<Mutex<Vec<String>>>,
}

impl Mirror {
    pub(crate) fn new(files: impl IntoIterator<Item = (String, Reply)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mirror = Self {
            root: format!("http://{}", listener.local_addr().unwrap()),
            files: Arc::new(Mutex::new(files.into_iter().collect())),
            log: Arc::default(),
        };
        let (files, log) = (Arc::clone(&mirror.files), Arc::clone(&mirror.log));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (files, log) = (Arc::clone(&files), Arc::clone(&log));
                std::thread::spawn(move || answer(&stream.unwrap(), &files, &log));
            }
        });
        mirror
    }

    /// One line a request: the path, and the range that was asked for.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// Has nothing any more.
    pub(crate) fn empty(&self) {
        self.files.lock().unwrap().clear();
    }
}

/// One request, and an answer that may be wrong in the way the test wants. A client that hangs up
/// is no concern of the mirror's.
fn answer(stream: &TcpStream, files: &Mutex<Files>, log: &Mutex<Vec<String>>) -> Option<()> {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let path = lines
        .next()?
        .split(' ')
        .nth(1)?
        .trim_start_matches('/')
        .to_owned();
    let mut start = None;
    for line in lines.take_while(|line| !line.is_empty()) {
        let line = line.to_ascii_lowercase();
        if let Some(range) = line.strip_prefix("range: bytes=") {
            start = range.trim_end_matches('-').parse::<usize>().ok();
        }
    }
    let range = start.map_or(String::new(), |start| format!(" from {start}"));
    log.lock().unwrap().push(format!("{path}{range}"));
    let reply = {
        let mut files = files.lock().unwrap();
        let reply = files.get(&path).cloned().unwrap_or(Reply::Status(404));
        match reply.clone() {
            Reply::BreaksOff(bytes, _) => files.insert(path, Reply::File(bytes)),
            Reply::BreaksOffNoRanges(bytes, _) => files.insert(path, Reply::NoRanges(bytes)),
            _ => None,
        };
        reply
    };
    let mut stream = stream;
    let mut send = |status: &str, length: usize, more: &str, bytes: &[u8]| -> Option<()> {
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n{more}\r\n"
        );
        stream.write_all(head.as_bytes()).ok()?;
        stream.write_all(bytes).ok()
    };
    match (reply, start) {
        (Reply::File(bytes), Some(start)) if start < bytes.len() => {
            let range = format!(
                "Content-Range: bytes {start}-{}/{}\r\n",
                bytes.len() - 1,
                bytes.len()
            );
            send(
                "206 Partial Content",
                bytes.len() - start,
                &range,
                &bytes[start..],
            )
        }
        (Reply::File(_), Some(_)) => send("416 Range Not Satisfiable", 0, "", b""),
        (Reply::File(bytes) | Reply::NoRanges(bytes), _) => send("200 OK", bytes.len(), "", &bytes),
        (Reply::BreaksOff(bytes, at) | Reply::BreaksOffNoRanges(bytes, at), _) => {
            send("200 OK", bytes.len(), "", &bytes[..at])
        }
        (Reply::Status(status), _) => send(&format!("{status} No"), 0, "", b""),
    }
}

/// An ELF file with sections or segments that the caller laid out: just the header.
fn elf_header(kind: u16, segments: u16, section_offset: u64, sections: u16) -> Vec<u8> {
    let mut elf = b"\x7fELF\x02\x01\x01".to_vec();
    elf.resize(16, 0);
    elf.extend(kind.to_le_bytes());
    elf.extend(62_u16.to_le_bytes());
    elf.extend(1_u32.to_le_bytes());
    elf.extend(0_u64.to_le_bytes());
    elf.extend((if segments > 0 { 64_u64 } else { 0 }).to_le_bytes());
    elf.extend(section_offset.to_le_bytes());
    elf.extend(0_u32.to_le_bytes());
    for half in [64, 56, segments, 64, sections, sections.saturating_sub(1)] {
        elf.extend(half.to_le_bytes());
    }
    elf
}

/// A `vmlinux` with the note by which QEMU enters it, or without.
pub(crate) fn vmlinux(release: &str, has_pvh: bool) -> Vec<u8> {
    let mut elf = elf_header(2, 1, 0, 0);
    elf.extend(4_u32.to_le_bytes());
    elf.extend(0_u32.to_le_bytes());
    for word in [120_u64, 0, 0, 24, 24, 4] {
        elf.extend(word.to_le_bytes());
    }
    for word in [4_u32, 8, if has_pvh { 18 } else { 1 }] {
        elf.extend(word.to_le_bytes());
    }
    elf.extend(b"Xen\0\0\0\0\0\0\0\0\0");
    elf.extend(format!("Linux version %s\0Linux version {release} (x@y) #1\0").into_bytes());
    elf
}

/// A `bzImage` with this payload.
pub(crate) fn bz_image(release: &str, payload: &[u8]) -> Vec<u8> {
    let mut image = vec![0; 1024];
    image[0x1f1] = 1;
    image[0x202..0x206].copy_from_slice(b"HdrS");
    image[0x206..0x208].copy_from_slice(&0x20f_u16.to_le_bytes());
    image[0x20e..0x210].copy_from_slice(&0x100_u16.to_le_bytes());
    image[0x24c..0x250].copy_from_slice(&u32::try_from(payload.len()).unwrap().to_le_bytes());
    let version = format!("{release} (x@y) #1\0");
    image[0x300..0x300 + version.len()].copy_from_slice(version.as_bytes());
    image.extend_from_slice(payload);
    image
}

/// A `bzImage` as a package has it.
pub(crate) fn vmlinuz(release: &str) -> Vec<u8> {
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(&vmlinux(release, true)).unwrap();
    bz_image(release, &gz.finish().unwrap())
}

/// A kernel module: an ELF file with a `.modinfo`.
pub(crate) fn module(depends: &str, release: &str) -> Vec<u8> {
    let modinfo = format!("license=GPL\0depends={depends}\0vermagic={release} SMP mod_unload \0");
    let names = b"\0.modinfo\0.shstrtab\0";
    let data = 64 + modinfo.len() + names.len();
    let mut elf = elf_header(1, 0, u64::try_from(data).unwrap(), 3);
    elf.extend(modinfo.as_bytes());
    elf.extend(names);
    elf.extend([0; 64]);
    for (name, kind, offset, size) in [
        (1_u32, 1_u32, 64, modinfo.len()),
        (10, 3, 64 + modinfo.len(), names.len()),
    ] {
        elf.extend(name.to_le_bytes());
        elf.extend(kind.to_le_bytes());
        for word in [0, 0, offset as u64, size as u64, 0, 1, 0] {
            elf.extend(word.to_le_bytes());
        }
    }
    elf
}

/// The one package of a kernel whose transports are modules but for `virtio_console`.
pub(crate) fn kernel_package(release: &str) -> Vec<u8> {
    let xz = |bytes: Vec<u8>| {
        let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
        xz.write_all(&bytes).unwrap();
        xz.finish().unwrap()
    };
    let modules = format!("./usr/lib/modules/{release}");
    let kernel = format!("{modules}/kernel");
    // `hv_sock`-like: its name does not say that it is in the closure.
    let odd = xz(module("", release));
    let pci = xz(module("virtio,virtio_ring,odd-dep", release));
    let files: Vec<(String, Vec<u8>)> = vec![
        (format!("./boot/vmlinuz-{release}"), vmlinuz(release)),
        (
            format!("./boot/config-{release}"),
            b"CONFIG_BPF=y\n".to_vec(),
        ),
        (
            format!("./boot/System.map-{release}"),
            b"The real one is elsewhere\n".to_vec(),
        ),
        (
            format!("{modules}/modules.builtin"),
            b"kernel/drivers/char/virtio_console.ko\n".to_vec(),
        ),
        (format!("{kernel}/odd-dep.ko.xz"), odd),
        (
            format!("{kernel}/virtio.ko"),
            module("virtio_ring", release),
        ),
        (format!("{kernel}/virtio_pci.ko.xz"), pci),
        (format!("{kernel}/virtio_ring.ko"), module("", release)),
        (
            format!("{kernel}/vmw_vsock_virtio_transport.ko"),
            module("vsock", release),
        ),
        (format!("{kernel}/vsock.ko"), module("", release)),
        (format!("{kernel}/other.ko"), module("", release)),
    ];
    let files: Vec<(&str, &[u8])> = files
        .iter()
        .map(|(name, bytes)| (name.as_str(), bytes.as_slice()))
        .collect();
    deb(&files, ".xz")
}

/// The lock's entry for such a package.
pub(crate) fn locked(release: &str, version: &str, package: &[u8]) -> LockedKernel {
    LockedKernel {
        name: "debian-12-6.1".into(),
        distro: "debian".into(),
        release: "12".into(),
        series: "6.1".into(),
        flavour: String::new(),
        arch: Arch::X86_64,
        uname: release.into(),
        packages: vec![Package {
            roles: vec![Role::Image, Role::Modules, Role::Config],
            name: format!("linux-image-{release}"),
            version: version.into(),
            archive: "debian".into(),
            path: format!("pool/linux-image-{release}.deb"),
            size: package.len() as u64,
            sha256: digest::of(package),
        }],
        provenance: Provenance {
            source: "apt-signed".into(),
            suite: "bookworm".into(),
            date: "2026-11-21".into(),
            inrelease: BTreeMap::new(),
        },
        verified: Verified::Metadata,
    }
}
