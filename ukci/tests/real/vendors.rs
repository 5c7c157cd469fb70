//! The layouts and repositories of other distributions, each made by its own tools around a real
//! kernel: updated, fetched, unpacked and booted.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use ukci_schema::lock::{Lock, Verified};
use ukci_schema::verdict::VerdictKind;

use crate::fixture::{K61, command, machine, object, report, root, text};

/// The tools that the script needs, each with its package in Debian.
const TOOLS: [(&str, &str); 10] = [
    ("rpmbuild", "rpm"),
    ("rpmsign", "rpm"),
    ("createrepo_c", "createrepo-c"),
    ("repo-add", "pacman-package-manager"),
    ("bsdtar", "libarchive-tools"),
    ("dpkg-scanpackages", "dpkg-dev"),
    ("gpg", "gnupg"),
    ("openssl", "openssl"),
    ("xz", "xz-utils"),
    ("zstd", "zstd"),
];

/// The streams of the script, each with the name of the kernel that it pins.
const STREAMS: [(&str, &str); 8] = [
    ("almalinux-1", "almalinux-1-6.1"),
    ("oracle-1", "oracle-1-6.1"),
    ("amazon-1", "amazon-1-6.1"),
    ("azurelinux-1", "azurelinux-1-6.1"),
    ("opensuse-1", "opensuse-1-6.1"),
    ("arch-1", "arch-1-6.1"),
    ("alpine-1", "alpine-1-6.1"),
    ("ubuntu-1", "ubuntu-1-6.1"),
];

#[test]
fn the_kernels_of_every_family_are_updated_fetched_and_booted() {
    let Some(_machine) = machine() else { return };
    let Some(kernel) = tools_and_kernel() else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let served = format!("http://{}", listener.local_addr().unwrap());
    let made = Command::new("sh")
        .arg(root().join("ukci/tests/real/vendors.sh"))
        .args([&kernel, dir.path()])
        .arg(&served)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&made.stderr);
    assert!(made.status.success(), "{said}");
    serve(listener, dir.path().join("www"));

    let lock = dir.path().join("lock.json");
    std::fs::write(&lock, "{\"schema\": \"ukci.lock/1\", \"kernels\": []}").unwrap();
    let ukci = |args: &[&str]| {
        let mut command = command(args);
        command
            .env("UKCI_LOCK", &lock)
            .env("UKCI_KEYRINGS", dir.path().join("keys"))
            .env("UKCI_MIRROR_TEST", &served)
            .env("UKCI_MIRROR_TEST_UBUNTU", format!("{served}/ubuntu"))
            .env("XDG_CACHE_HOME", dir.path().join("cache"));
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), said)
    };
    let streams = dir.path().join("streams.toml");
    let names = STREAMS.map(|(stream, _)| stream);
    let update = [
        &["kernels", "update", "--streams", text(&streams)],
        names.as_slice(),
    ]
    .concat();
    let (status, said) = ukci(&update);
    assert_eq!(status, Some(0), "{said}");
    let changes = std::fs::read_to_string(dir.path().join("CHANGES.md")).unwrap();
    assert_eq!(changes.matches(", new").count(), STREAMS.len(), "{changes}");
    // Once more, nothing is new.
    let (status, said) = ukci(&update);
    assert_eq!(status, Some(0), "{said}");
    assert_eq!(said.matches("Unchanged").count(), STREAMS.len(), "{said}");

    let out = dir.path().join("out");
    let mut check = vec!["check", "--out", text(&out), "--timeout", "5m"];
    let ringbuf = object("ringbuf");
    check.push(text(&ringbuf));
    for (_, kernel) in STREAMS {
        check.extend(["--kernel", kernel]);
    }
    let (status, said) = ukci(&check);
    assert_eq!(status, Some(0), "{said}");
    let report = report(&out);
    for (_, kernel) in STREAMS {
        let cell = report
            .cells
            .iter()
            .find(|cell| cell.kernel == kernel)
            .unwrap();
        assert_eq!(cell.verdict, VerdictKind::Pass, "{kernel}: {said}");
        assert!(
            report.kernels[&cell.cell().kernel_key()].hermetic,
            "{kernel}"
        );
    }
    let (status, said) = ukci(&["kernels", "booted", text(&out.join("report.json"))]);
    assert_eq!(status, Some(0), "{said}");
    let amazon = std::fs::read(dir.path().join("lock/amazon.json")).unwrap();
    let amazon: Lock = serde_json::from_slice(&amazon).unwrap();
    assert_eq!(amazon.kernels[0].verified, Verified::Booted);
    assert!(amazon.kernels[0].verified_on.is_some());
}

/// The package of a real kernel in the cache, if the tools are there to put it into others. In
/// `make vendors`, it is a failure if they are not.
fn tools_and_kernel() -> Option<PathBuf> {
    if !are_there(&TOOLS) {
        return None;
    }
    let lock: Lock = serde_json::from_str(ukci_harness::resolve::LOCK).unwrap();
    let kernel = lock.kernel(K61, ukci_schema::cell::Arch::X86_64).unwrap();
    let package = ukci_harness::catalogue::cache_dir()
        .join(format!("packages/{}.deb", kernel.packages[0].sha256));
    if package.exists() {
        return Some(package);
    }
    skip(&format!(
        "`{}` is missing; `ukci kernels fetch {K61}` fetches it",
        package.display()
    ));
    None
}

/// Whether this host has all of these tools, which are given with their packages in Debian. In
/// `make vendors`, it is a failure if it has not.
pub(crate) fn are_there(tools: &[(&str, &str)]) -> bool {
    let is_there = |tool: &str| {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).any(|dir| dir.join(tool).is_file())
    };
    let missing = tools.iter().find(|(tool, _)| !is_there(tool));
    if let Some((tool, package)) = missing {
        skip(&format!("no `{tool}`; Debian's package `{package}` has it"));
    }
    missing.is_none()
}

#[expect(clippy::print_stderr, reason = "a skip is told to people")]
fn skip(reason: &str) {
    assert!(std::env::var_os("UKCI_TEST_VENDORS").is_none(), "{reason}");
    eprintln!("skipped: {reason}");
}

/// Serves the files of a directory, each connection in a thread of its own.
fn serve(listener: TcpListener, directory: PathBuf) {
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let directory = directory.clone();
            std::thread::spawn(move || answer(&stream, &directory));
        }
    });
}

/// One request. A client that hangs up is no concern of the server's.
fn answer(mut stream: &TcpStream, directory: &Path) -> Option<()> {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let request = lines.next()?;
    let mut words = request.split(' ');
    let (method, path) = (words.next()?, words.next()?);
    lines.take_while(|line| !line.is_empty()).for_each(drop);
    let (status, bytes) = match std::fs::read(directory.join(path.trim_start_matches('/'))) {
        Ok(bytes) => ("200 OK", bytes),
        Err(_) => ("404 Not Found", Vec::new()),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        bytes.len()
    );
    stream.write_all(head.as_bytes()).ok()?;
    if method != "HEAD" {
        stream.write_all(&bytes).ok()?;
    }
    Some(())
}
