//! What a guest may have beside the files of a command: a network, and a root file system.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;

use ukci_schema::report::Report;
use ukci_schema::userland::Network;

use crate::fixture::{K61, K510, machine, object, report, text, ukci};

/// A server on this host's loopback device, which answers every request with this text.
fn server(answer: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let mut line = String::new();
            while stream.read_line(&mut line).is_ok_and(|read| read > 2) {
                line.clear();
            }
            let length = answer.len();
            let head = format!("HTTP/1.0 200 OK\r\nContent-Length: {length}\r\n\r\n");
            let answer = [head.as_bytes(), answer.as_bytes()].concat();
            stream.get_mut().write_all(&answer).unwrap();
        }
    });
    port
}

fn exec(out: &Path, options: &[&str]) -> (Option<i32>, String, String, Report) {
    let arguments = [&["exec", "--out", text(out)], options].concat();
    let (output, stderr) = ukci(&arguments);
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(out.join("report.json").exists(), "no report:\n{stderr}");
    (output.status.code(), stdout, stderr, report(out))
}

#[test]
fn a_guest_reaches_this_host_if_it_is_given_a_network_and_only_then() {
    let Some(_machine) = machine() else { return };
    let dir = tempfile::tempdir().unwrap();
    let fetch = format!("wget -qO- http://10.0.2.2:{}/", server("from the host"));

    let out = dir.path().join("with");
    let options = ["--kernel", K61, "--kernel", K510, "--net", "user"];
    let (status, stdout, stderr, with) = exec(&out, &[&options[..], &["--shell", &fetch]].concat());
    assert_eq!(status, Some(0), "{stderr}");
    assert_eq!(stdout.matches("from the host").count(), 2, "{stdout}");
    assert!(!with.run.hermetic);
    for cell in &with.cells {
        assert!(
            !cell.hermetic && cell.network == Network::User,
            "{}",
            cell.id
        );
    }
    let command = out.join(&with.cells[0].evidence).join("command.txt");
    let command = std::fs::read_to_string(command).unwrap();
    assert!(command.contains("virtio-net-pci"), "{command}");

    // The cell's id is enough to give it the network again.
    let (output, stderr) = ukci(&[
        "rerun",
        text(&out),
        "--out",
        text(&dir.path().join("again")),
        &with.cells[0].id,
    ]);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert!(report(&dir.path().join("again")).cells[0].network == Network::User);

    let out = dir.path().join("without");
    let (status, _, stderr, without) = exec(&out, &["--kernel", K61, "--shell", &fetch]);
    assert_eq!(status, Some(2));
    // Text for the shell has no words of a command after it.
    let again = stderr.lines().find(|line| line.contains("rerun "));
    assert!(
        again.is_some_and(|line| line.contains("--shell") && !line.trim_end().ends_with("--")),
        "{stderr}"
    );
    assert!(without.run.hermetic && without.cells[0].network.is_none());
}

#[test]
fn a_shell_has_the_network_that_is_asked_for() {
    let Some(_machine) = machine() else { return };
    let out = tempfile::tempdir().unwrap();
    let ran = crate::fixture::check(out.path(), |command| {
        command.arg(object("ringbuf")).args(["--kernel", K61]);
    });
    let fetch = format!("wget -qO- http://10.0.2.2:{}/", server("for a person"));
    let (output, stderr) = ukci(&[
        "shell",
        &ran.report.cells[0].id,
        "--report",
        text(out.path()),
        "--net",
        "user",
        "-c",
        &fetch,
    ]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}\n{stderr}");
    assert!(said.contains("for a person"), "{said}");
}

/// Boots the cell of an object that passed on 6.1, and returns its id.
fn cell_of_61(out: &Path) -> String {
    let ran = crate::fixture::check(out, |command| {
        command.arg(object("ringbuf")).args(["--kernel", K61]);
    });
    ran.report.cells[0].id.clone()
}

#[test]
fn a_shell_has_the_files_and_the_root_file_system_that_are_named() {
    let Some(_machine) = machine() else { return };
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let cell = cell_of_61(&out);
    let sent = dir.path().join("sent.txt");
    std::fs::write(&sent, "sent\n").unwrap();
    let file = format!("{}:/srv/sent.txt", sent.display());
    let shell = |options: &[&str], text_of: &str| {
        let start = ["shell", &cell, "--report", text(&out), "--file", &file];
        let (output, stderr) = ukci(&[&start[..], options, &["-c", text_of]].concat());
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(7), "{said}\n{stderr}");
        said
    };
    // A program of this host finds its libraries.
    let with_program = ["--file", "/bin/cat:/opt/cat"];
    let said = shell(&with_program, "/opt/cat /srv/sent.txt && exit 7");
    assert!(said.contains("sent"), "{said}");

    let root = root(dir.path());
    let doing = "cat /etc/os-release /srv/sent.txt; touch /etc/new && mount; ls /dev/pts /cell; \
                 ukci-guest check; exit 7";
    let said = shell(&["--rootfs", text(&root)], doing);
    for wanted in [
        "ID=small",
        "sent",
        "overlay on / type overlay",
        "ptmx",
        "ringbuf.bpf.o",
        "attach ok",
    ] {
        assert!(said.contains(wanted), "{wanted}: {said}");
    }
}

/// A root file system with one static program, which is busybox of the lock, and a link to it.
fn root(dir: &Path) -> std::path::PathBuf {
    let root = dir.join("root");
    std::fs::create_dir_all(root.join("usr/bin")).unwrap();
    std::fs::create_dir_all(root.join("etc")).unwrap();
    let out = dir.join("busybox");
    let arguments = ["exec", "--kernel", K61, "--out", text(&out)];
    let copy = ["--shell", "cp /bin/busybox $UKCI_OUT/"];
    let (output, stderr) = ukci(&[&arguments[..], &copy].concat());
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    let ran = report(&dir.join("busybox"));
    let busybox = dir
        .join("busybox")
        .join(&ran.cells[0].evidence)
        .join("out/busybox");
    let to = root.join("usr/bin/busybox");
    std::fs::copy(busybox, &to).unwrap();
    std::fs::set_permissions(&to, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    for link in ["sh", "cat", "mount", "touch"] {
        std::os::unix::fs::symlink("busybox", root.join("usr/bin").join(link)).unwrap();
    }
    std::os::unix::fs::symlink("usr/bin", root.join("bin")).unwrap();
    std::fs::write(root.join("etc/os-release"), "ID=small\n").unwrap();
    root
}

#[test]
fn a_command_runs_in_its_root_file_system_and_can_write_to_it() {
    let Some(_machine) = machine() else { return };
    let dir = tempfile::tempdir().unwrap();
    let root = root(dir.path());
    let sent = dir.path().join("sent.txt");
    std::fs::write(&sent, "sent\n").unwrap();
    let file = format!("{}:/srv/sent.txt", sent.display());
    let doing = "cat /etc/os-release /srv/sent.txt; touch /etc/new && mount; \
                 echo back > $UKCI_OUT/back; test ! -e /init && test ! -e /bin/ls";
    let options = [
        "--kernel",
        K61,
        "--kernel",
        K510,
        "--rootfs",
        text(&root),
        "--file",
        &file,
    ];
    let out = dir.path().join("out");
    let (status, stdout, stderr, ran) =
        exec(&out, &[&options[..], &["--", "sh", "-c", doing]].concat());
    assert_eq!(status, Some(0), "{stdout}\n{stderr}");
    for said in [
        "ID=small",
        "sent",
        "overlay on / type overlay",
        "proc on /proc",
        "tracefs on",
    ] {
        assert_eq!(stdout.matches(said).count() / 2, 1, "{said}: {stdout}");
    }
    for cell in &ran.cells {
        assert_eq!(
            cell.root.as_ref().map(|root| root.source.as_str()),
            Some(text(&root))
        );
        let back = out.join(&cell.evidence).join("out/back");
        assert_eq!(std::fs::read_to_string(back).unwrap(), "back\n");
    }

    // The same bytes again, and no others.
    let again = dir.path().join("again");
    let rerun = || {
        let (output, stderr) =
            ukci(&["rerun", text(&out), "--out", text(&again), &ran.cells[0].id]);
        (output.status.code(), stderr)
    };
    let (status, stderr) = rerun();
    assert_eq!(status, Some(0), "{stderr}");
    std::fs::write(root.join("etc/os-release"), "ID=other\n").unwrap();
    let (status, stderr) = rerun();
    assert_eq!(status, Some(1), "{stderr}");
    assert!(stderr.contains("changed since the earlier run"), "{stderr}");
}

/// `/etc/os-release` and `/bin/sh` are those of this host, whatever distribution it is.
#[test]
fn a_command_runs_with_the_files_of_this_host_and_cannot_change_them() {
    let Some(_machine) = machine() else { return };
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(
        dir.path(),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    let here = dir.path().join("here.txt");
    std::fs::write(&here, "of this host\n").unwrap();
    std::fs::set_permissions(&here, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let doing = format!(
        "cat /etc/os-release {here}; echo changed > {here} && cat {here}; touch {dir}/new; ls {dir}; \
         mount | grep ' / '; echo root=$(ls -A /root | wc -l); echo back > $UKCI_OUT/back; \
         mount -o remount,rw /.ukci/image; test -d /proc/1 && test -e /dev/null",
        here = here.display(),
        dir = dir.path().display(),
    );
    let out = dir.path().join("out");
    let options = ["--kernel", K61, "--kernel", K510, "--host-root"];
    let (status, stdout, stderr, ran) =
        exec(&out, &[&options[..], &["--", "sh", "-c", &doing]].concat());
    assert_eq!(status, Some(0), "{stdout}\n{stderr}");
    let release = std::fs::read_to_string("/etc/os-release").unwrap();
    for said in [
        release.lines().next().unwrap(),
        "of this host",
        "changed",
        "here.txt",
        "new",
        "overlay on / type overlay",
        "root=0",
    ] {
        assert!(stdout.matches(said).count() >= 2, "{said}: {stdout}");
    }
    assert_eq!(std::fs::read_to_string(&here).unwrap(), "of this host\n");
    assert!(!dir.path().join("new").exists());
    assert!(!ran.run.hermetic);
    for cell in &ran.cells {
        assert!(cell.host_root && !cell.hermetic, "{}", cell.id);
        let back = out.join(&cell.evidence).join("out/back");
        assert_eq!(std::fs::read_to_string(back).unwrap(), "back\n");
        let why = "shares this host's files cannot be saved";
        assert!(
            cell.notes.iter().any(|note| note.contains(why)),
            "{:?}",
            cell.notes
        );
    }
    let again = dir.path().join("again");
    let (output, stderr) = ukci(&["rerun", text(&out), "--out", text(&again), &ran.cells[0].id]);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert!(report(&again).cells[0].host_root);
}

#[test]
fn a_host_without_virtiofsd_says_what_to_do() {
    let Some(_machine) = machine() else { return };
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let arguments = ["exec", "--out", text(&out), "--kernel", K61, "--host-root"];
    let mut without = crate::fixture::command(&[&arguments[..], &["--", "true"]].concat());
    let ran = without
        .env("UKCI_VIRTIOFSD", "/nonexistent")
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&ran.stderr);
    assert_eq!(ran.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("`UKCI_VIRTIOFSD`"), "{stderr}");
    assert!(stderr.contains("use `--rootfs` instead"), "{stderr}");
}
