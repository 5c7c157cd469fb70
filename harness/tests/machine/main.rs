//! Real kernels in a real QEMU, with a guest of our own in place of the agent.
//!
//! They need a kernel: an entry of the store, or the one that `UKCI_TEST_KERNEL` names. Without
//! one each test says that it was skipped, unless `UKCI_TEST_REAL` is set, as `make test` does:
//! then it fails. Guests are translated, so that the tests run everywhere.

mod fixture;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use ukci_harness::arch::Accel;
use ukci_harness::machine::qemu::Qemu;
use ukci_harness::machine::{Ending, Guest, Machine, NoConnection, QemuGuest};
use ukci_harness::transport::{Stream, Transport};

use fixture::{Fixture, PATIENCE, settings};

/// The fixture, or the end of the test with the reason.
macro_rules! fixture {
    () => {
        match Fixture::get() {
            Ok(fixture) => fixture,
            Err(why) => return fixture::skip(&why),
        }
    };
}

/// QEMU with this transport, or nothing where the host lacks it, which skips the test.
async fn qemu(fixture: &Fixture, transport: Transport) -> Option<Qemu> {
    let wanted = settings(&fixture.cache(), Some(Accel::Tcg), Some(transport));
    let detected = Qemu::detect(wanted, None).await;
    if let Err(error) = &detected {
        fixture::skip(&format!("{error} (`make tools` builds the vsock device)"));
    }
    detected.ok()
}

/// Boots a guest that does `what`.
async fn boot(machine: &Qemu, fixture: &Fixture, what: &str, evidence: &Path) -> QemuGuest {
    machine
        .boot(fixture.boot(what, evidence))
        .await
        .unwrap_or_else(|fault| panic!("{fault:?}"))
}

/// Boots a guest that talks, and waits for its connection.
///
/// On a busy host vhost-device-vsock 0.3 does not serve every guest, and the guest powers off. It is
/// booted again then, as a cell's guest is.
async fn connected(machine: &Qemu, fixture: &Fixture, evidence: &Path) -> (QemuGuest, Stream) {
    let mut boots = 1;
    loop {
        let mut guest = boot(machine, fixture, "hello", evidence).await;
        let connected = timeout(PATIENCE, guest.connect()).await;
        match connected.expect("it should dial") {
            Ok(stream) => return (guest, stream),
            Err(NoConnection::Ended(Ending::Exited(exited)))
                if exited.reason.as_deref() == Some("guest-shutdown") && boots < 3 =>
            {
                fixture::note(&format!("unheard: {:?}", guest.console_tail()));
                boots += 1;
            }
            Err(none) => panic!("{none:?}\n{:?}", guest.console_tail()),
        }
    }
}

/// Talks with a guest as far as its power-off.
async fn converse(machine: &Qemu, fixture: &Fixture, evidence: &Path) {
    let (mut guest, mut stream) = connected(machine, fixture, evidence).await;
    let mut hello = [0; 6];
    stream.read_exact(&mut hello).await.unwrap();
    assert_eq!(&hello, b"hello\n");
    // More than a frame, so that a transport that cuts shows it.
    let bytes: Vec<u8> = (0..40_000_u32)
        .map(|n| b'a' + u8::try_from(n % 16).unwrap())
        .collect();
    let (mut read, mut write) = tokio::io::split(stream);
    let (sent, echo) = tokio::join!(write.write_all(&bytes), async {
        let mut echo = vec![0; bytes.len()];
        read.read_exact(&mut echo).await.map(|_| echo)
    });
    sent.unwrap();
    assert!(echo.unwrap() == bytes, "the echo is another");
    write.write_all(b"q").await.unwrap();
    let ending = timeout(PATIENCE, guest.ended())
        .await
        .expect("it should power off");
    let Ending::Exited(exited) = ending else {
        panic!("{ending:?}")
    };
    assert_eq!(exited.reason.as_deref(), Some("guest-shutdown"));
    assert_eq!(
        exited.to_string(),
        "QEMU exited with status 0 (guest-shutdown)"
    );
    assert_eq!(exited.complaint, None);
    let usage = guest.stop().await;
    assert!(usage.cpu_seconds > 0.2, "{usage:?}");
    assert!(usage.peak_kib > 50 * 1024, "{usage:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_talks_over_a_virtio_serial_port() {
    let fixture = fixture!();
    let evidence = tempfile::tempdir().unwrap();
    let Some(machine) = qemu(fixture, Transport::VirtioSerial).await else {
        return;
    };
    converse(&machine, fixture, evidence.path()).await;
    let command = std::fs::read_to_string(evidence.path().join("command.txt")).unwrap();
    assert!(command.contains("ukci.transport=serial"), "{command}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_talks_over_vhost_user_vsock() {
    let fixture = fixture!();
    let evidence = tempfile::tempdir().unwrap();
    let Some(machine) = qemu(fixture, Transport::VhostUserVsock).await else {
        return;
    };
    converse(&machine, fixture, evidence.path()).await;
    assert!(
        !evidence.path().join("vhost-device-vsock.log").exists(),
        "it had nothing to say"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_ends_the_guest_at_once_and_is_shown() {
    let fixture = fixture!();
    for (what, words) in [
        (
            "exit",
            "Kernel panic - not syncing: Attempted to kill init!",
        ),
        ("crash", "Kernel panic - not syncing: sysrq triggered crash"),
    ] {
        let evidence = tempfile::tempdir().unwrap();
        let Some(machine) = qemu(fixture, Transport::VirtioSerial).await else {
            return;
        };
        let mut guest = boot(&machine, fixture, what, evidence.path()).await;
        let none = timeout(PATIENCE, guest.connect())
            .await
            .expect("it should panic")
            .unwrap_err();
        let NoConnection::Ended(Ending::Panicked(line)) = &none else {
            panic!("{none:?}")
        };
        assert!(line.starts_with(words), "{line}");
        let tail = guest.console_tail();
        let at = tail
            .iter()
            .position(|text| text.contains(words))
            .expect("the tail has the line");
        assert!(tail.len() > at + 5, "and the trace behind it: {tail:#?}");
        drop(guest);
        let log = std::fs::read_to_string(evidence.path().join("console.log")).unwrap();
        assert!(log.contains(words), "the evidence outlives the guest");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_never_stops_writing_is_stopped_and_its_log_is_cut() {
    const MOST: u64 = 16 << 20;
    let fixture = fixture!();
    let evidence = tempfile::tempdir().unwrap();
    let Some(machine) = qemu(fixture, Transport::VirtioSerial).await else {
        return;
    };
    let mut guest = boot(&machine, fixture, "hang", evidence.path()).await;
    let log = evidence.path().join("console.log");
    // As if the guest had written it, which would take minutes.
    let file = std::fs::File::options().write(true).open(&log).unwrap();
    file.set_len(MOST + 1000).unwrap();
    let ending = timeout(PATIENCE, guest.ended()).await.expect("it ends");
    let Ending::Exited(exited) = ending else {
        panic!("{ending:?}")
    };
    assert_eq!(
        exited.to_string(),
        "QEMU was stopped: the guest wrote more than 16 MiB to its console"
    );
    guest.stop().await;
    let length = std::fs::metadata(&log).unwrap().len();
    assert!((MOST..MOST + 100).contains(&length), "{length}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_powers_off_unheard_did_not_panic() {
    let fixture = fixture!();
    let evidence = tempfile::tempdir().unwrap();
    let Some(machine) = qemu(fixture, Transport::VirtioSerial).await else {
        return;
    };
    let mut guest = boot(&machine, fixture, "poweroff", evidence.path()).await;
    let none = timeout(PATIENCE, guest.connect())
        .await
        .expect("it should end")
        .unwrap_err();
    let NoConnection::Ended(Ending::Exited(exited)) = none else {
        panic!("{none:?}")
    };
    assert_eq!(exited.reason.as_deref(), Some("guest-shutdown"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_hangs_is_killed_and_nothing_is_left() {
    let fixture = fixture!();
    let evidence = tempfile::tempdir().unwrap();
    let Some(machine) = qemu(fixture, Transport::VhostUserVsock).await else {
        return;
    };
    let mut guest = boot(&machine, fixture, "hang", evidence.path()).await;
    assert!(
        timeout(Duration::from_secs(2), guest.ended())
            .await
            .is_err(),
        "it has not ended"
    );
    let sockets = fixture::sockets(evidence.path());
    assert!(sockets.exists());
    let asked = Instant::now();
    let usage = guest.stop().await;
    assert!(
        asked.elapsed() < Duration::from_secs(10),
        "{:?}",
        asked.elapsed()
    );
    assert!(usage.cpu_seconds > 0.2, "{usage:?}");
    assert!(!sockets.exists());
    assert_eq!(fixture::processes(evidence.path(), &sockets), [0; 0]);
}

/// Who ended is said, and it is not QEMU.
#[tokio::test(flavor = "multi_thread")]
async fn a_vsock_device_that_dies_ends_the_guest_by_its_own_name() {
    let fixture = fixture!();
    let evidence = tempfile::tempdir().unwrap();
    let Some(machine) = qemu(fixture, Transport::VhostUserVsock).await else {
        return;
    };
    let mut guest = boot(&machine, fixture, "hang", evidence.path()).await;
    let sockets = fixture::sockets(evidence.path());
    let processes = fixture::processes(evidence.path(), &sockets);
    let mut devices = processes.into_iter().filter(|pid| {
        let program = std::fs::read_link(format!("/proc/{pid}/exe")).unwrap();
        program.ends_with("vhost-device-vsock")
    });
    let device = devices.next().unwrap().cast_signed();
    let device = rustix::process::Pid::from_raw(device).unwrap();
    rustix::process::kill_process(device, rustix::process::Signal::KILL).unwrap();
    let ending = timeout(PATIENCE, guest.ended()).await.unwrap();
    let Ending::Exited(exited) = ending else {
        panic!("{ending:?}")
    };
    assert_eq!(
        exited.to_string(),
        "vhost-device-vsock was killed by signal 9"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_a_guest_leaves_nothing() {
    let fixture = fixture!();
    let evidence = tempfile::tempdir().unwrap();
    let Some(machine) = qemu(fixture, Transport::VhostUserVsock).await else {
        return;
    };
    let guest = boot(&machine, fixture, "hang", evidence.path()).await;
    let sockets = fixture::sockets(evidence.path());
    assert_eq!(
        fixture::processes(evidence.path(), &sockets).len(),
        2,
        "QEMU and its vsock device"
    );
    drop(guest);
    assert_eq!(fixture::processes(evidence.path(), &sockets), [0; 0]);
    assert!(!sockets.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_guests_run_at_once() {
    let fixture = fixture!();
    let Some(machine) = qemu(fixture, Transport::VhostUserVsock).await else {
        return;
    };
    let mut guests = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let machine = machine.clone();
        guests.spawn(async move {
            let evidence = tempfile::tempdir().unwrap();
            converse(&machine, fixture, evidence.path()).await;
        });
    }
    while let Some(done) = guests.join_next().await {
        done.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_qemu_cannot_make_is_a_fault_with_its_words() {
    let fixture = fixture!();
    let evidence = tempfile::tempdir().unwrap();
    let Some(machine) = qemu(fixture, Transport::VirtioSerial).await else {
        return;
    };
    let mut boot = fixture.boot("hello", evidence.path());
    boot.kernel = "/nonexistent".into();
    let fault = machine.boot(boot).await.unwrap_err();
    assert!(fault.headline.contains("/nonexistent"), "{fault:?}");
    // Where QEMU runs as a user of its own, ukci opens the files for it.
    let starts = ["cannot run `", "QEMU exited with status 1"];
    assert!(
        starts.iter().any(|start| fault.headline.starts_with(start)),
        "{fault:?}"
    );
}

/// What a killed ukci leaves: this test runs itself in a process of its own and kills it.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_parent_takes_its_guests_along() {
    const CHILD: &str = "UKCI_TEST_EVIDENCE";
    let fixture = fixture!();
    let Some(machine) = qemu(fixture, Transport::VhostUserVsock).await else {
        return;
    };
    if let Some(evidence) = std::env::var_os(CHILD) {
        let (guest, stream) = connected(&machine, fixture, Path::new(&evidence)).await;
        fixture::note("the guest is up");
        let () = std::future::pending().await;
        drop((stream, guest));
        return;
    }
    let evidence = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "a_killed_parent_takes_its_guests_along",
            "--nocapture",
        ])
        .env(CHILD, evidence.path())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let stderr = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut said = Vec::new();
    for line in stderr.map_while(Result::ok) {
        said.push(line);
        if said.last().is_some_and(|line| line == "the guest is up") {
            break;
        }
    }
    let last = said.last().map(String::as_str);
    assert_eq!(last, Some("the guest is up"), "{said:#?}");
    let sockets = fixture::sockets(evidence.path());
    assert_eq!(fixture::processes(evidence.path(), &sockets).len(), 2);
    child.kill().unwrap();
    child.wait().unwrap();
    fixture::until("QEMU and its vsock device are gone", || {
        fixture::processes(evidence.path(), &sockets).is_empty()
    });
    // Nobody was left to remove the sockets: the next start does, here or in another test.
    assert!(qemu(fixture, Transport::VhostUserVsock).await.is_some());
    assert!(!sockets.exists());
}

/// `/dev/kvm` may open here or not, and boot kernels or not: whatever it is, it is found out in
/// time, said, and remembered.
#[tokio::test(flavor = "multi_thread")]
async fn the_accelerator_is_decided_by_a_boot_in_time_and_remembered() {
    let fixture = fixture!();
    let evidence = tempfile::tempdir().unwrap();
    let cache = tempfile::tempdir().unwrap();
    let detect = || {
        let wanted = settings(cache.path(), None, Some(Transport::VirtioSerial));
        Qemu::detect(wanted, Some(fixture.boot("hello", evidence.path())))
    };
    let began = Instant::now();
    let first = detect().await.unwrap();
    // Five seconds, which a host without CPUs to spare stretches to four times as many.
    assert!(
        began.elapsed() < Duration::from_secs(30),
        "{:?}",
        began.elapsed()
    );
    let began = Instant::now();
    let second = detect().await.unwrap();
    assert!(
        began.elapsed() < Duration::from_secs(1),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(first.accel().name, second.accel().name);
    fixture::note(&format!("{}: {}", second.accel().name, second.accel().why));
    if std::fs::File::options()
        .read(true)
        .write(true)
        .open("/dev/kvm")
        .is_ok()
    {
        assert!(
            second
                .accel()
                .why
                .ends_with("; this is remembered for this host")
        );
    }
}
