//! A disk that is full at any write.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::{Attack, KERNEL, assert_orderly, ended, report, start};

/// Larger than everything that a run writes outside of the cache: initramfs and evidence.
const LARGEST: usize = 12 << 20;

#[test]
fn a_full_disk_leaves_a_whole_report_or_none() {
    let Some(mut attack) = Attack::begin("disk", 10) else {
        return;
    };
    let mount = attack.path("small");
    fs::create_dir(&mount).unwrap();
    if let Err(why) = mounted(&mount, LARGEST) {
        eprintln!("skipped: no small file system can be mounted: {why}");
        return;
    }
    // It boots nothing: what is written before and after a boot is what matters.
    let qemu = attack.path("qemu");
    let real = "qemu-system-x86_64";
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in *--version*|*-L*help*|*-sandbox*help*) exec {real} \"$@\";; esac\nexit 1\n"
    );
    fs::write(&qemu, script).unwrap();
    fs::set_permissions(&qemu, fs::Permissions::from_mode(0o755)).unwrap();
    let object = attack.object();
    let mut runs = 0;
    while attack.goes_on() {
        let size = attack.random.below(LARGEST) + 4096;
        unmount(&mount);
        mounted(&mount, size).unwrap();
        let places = ["tmp", "out", "cache"];
        let full = *attack.random.one(&places);
        let what = format!("{full} on {size} bytes");
        for name in places {
            fs::create_dir(mount.join(name)).unwrap();
        }
        let out = if full == "out" { "small/out" } else { "out" };
        let mut command = attack.ukci(&["check", object.to_str().unwrap(), "--kernel", KERNEL]);
        command.args(["--out", out, "--format", "html", "--format", "junit"]);
        command.env("UKCI_QEMU_X86_64", &qemu);
        match full {
            "tmp" => {
                command.env("TMPDIR", mount.join("tmp"));
            }
            "cache" => {
                // The packages are there, and what is made of them does not fit.
                let packages = mount.join("cache/ukci");
                fs::create_dir(&packages).unwrap();
                let from = super::cache().join("ukci/packages");
                std::os::unix::fs::symlink(from, packages.join("packages")).unwrap();
                command.env("XDG_CACHE_HOME", mount.join("cache"));
            }
            _ => {}
        }
        let output = ended(start(&mut command), Duration::from_mins(5), &what);
        assert_orderly(&output, &what);
        attack.assert_no_process(&what);
        report(&attack.path(out), &what);
        attack.assert_swept(&what);
        runs += 1;
    }
    unmount(&mount);
    eprintln!("full disks: {runs}");
}

fn mounted(on: &Path, size: usize) -> Result<(), String> {
    let option = format!("size={size}");
    let mut mount = Command::new("mount");
    let mount = mount.args(["-t", "tmpfs", "-o", &option, "tmpfs"]).arg(on);
    let output = mount.output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
}

fn unmount(on: &Path) {
    let unmounted = Command::new("umount").arg(on).status().unwrap();
    assert!(unmounted.success(), "{} stays mounted", on.display());
}
