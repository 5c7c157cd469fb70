//! Container images that umoci and skopeo made, as the root file system of a guest.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::fixture::{K61, machine, text, ukci};
use crate::vendors;

/// The tools that make the images, each with its package in Debian.
const TOOLS: [(&str, &str); 3] = [
    ("umoci", "umoci"),
    ("skopeo", "skopeo"),
    ("busybox", "busybox-static"),
];

/// An image of two layers, of which the second replaces one file and removes another one.
fn image(dir: &Path) {
    let run = |program: &str, arguments: &[&str]| {
        let output = Command::new(program)
            .current_dir(dir)
            .args(arguments)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} {arguments:?}: {said}");
    };
    run("umoci", &["init", "--layout", "image"]);
    run("umoci", &["new", "--image", "image:1"]);
    run("umoci", &["unpack", "--image", "image:1", "first"]);
    let root = dir.join("first/rootfs");
    fs::create_dir_all(root.join("bin")).unwrap();
    fs::create_dir_all(root.join("etc")).unwrap();
    run("cp", &["/bin/busybox", "first/rootfs/bin/busybox"]);
    std::os::unix::fs::symlink("busybox", root.join("bin/sh")).unwrap();
    fs::write(root.join("etc/replaced"), "first\n").unwrap();
    fs::write(root.join("etc/removed"), "first\n").unwrap();
    run("umoci", &["repack", "--image", "image:1", "first"]);

    run("umoci", &["unpack", "--image", "image:1", "second"]);
    let root = dir.join("second/rootfs");
    fs::write(root.join("etc/replaced"), "second\n").unwrap();
    fs::remove_file(root.join("etc/removed")).unwrap();
    run("umoci", &["repack", "--image", "image:2", "second"]);

    let archives = [
        ["oci:image:2", "oci-archive:oci.tar:2"],
        ["oci:image:2", "docker-archive:docker.tar:ukci.test/image:2"],
    ];
    for [from, to] in archives {
        run("skopeo", &["--insecure-policy", "copy", from, to]);
    }
}

#[test]
fn images_of_umoci_and_skopeo_are_the_root_of_a_guest() {
    let Some(_machine) = machine() else { return };
    if !vendors::are_there(&TOOLS) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    image(dir.path());
    let doing = "cat /etc/replaced; test -e /etc/removed && echo there || echo gone";
    for (name, seen) in [
        ("image@1", "first\nthere\n"),
        ("image@2", "second\ngone\n"),
        ("oci.tar", "second\ngone\n"),
        ("docker.tar", "second\ngone\n"),
    ] {
        let (root, out) = (dir.path().join(name), dir.path().join("out"));
        let of = ["exec", "--kernel", K61, "--out", text(&out)];
        let command = [&of[..], &["--rootfs", text(&root), "--"]].concat();
        let (output, stderr) = ukci(&[&command[..], &["/bin/busybox", "sh", "-c", doing]].concat());
        assert_eq!(output.status.code(), Some(0), "{name}: {stderr}");
        assert_eq!(String::from_utf8_lossy(&output.stdout), seen, "{name}");
    }
}
