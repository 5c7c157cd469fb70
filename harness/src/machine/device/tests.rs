//! Pictures of whole commands.

use ukci_schema::userland::Network;

use super::*;
use crate::arch::platform;
use crate::machine::Userland;

fn command(arch: Arch, accel: Accel, cpu: &str, link: Device) -> String {
    let console = Device::Console {
        name: platform(arch).console,
        log: "/out/cell/console.log".into(),
    };
    let qmp = Device::Qmp("/run/ukci-vm.AbCdEf/qmp".into());
    let memory = match link {
        Device::VhostUserVsock(_) => Backend::Shared,
        _ => Backend::Private,
    };
    picture(
        arch,
        accel,
        cpu,
        console,
        vec![qmp, link],
        memory,
        Userland::default(),
    )
}

fn picture(
    arch: Arch,
    accel: Accel,
    cpu: &str,
    console: Device,
    links: Vec<Device>,
    memory: Backend,
    userland: Userland,
) -> String {
    let platform = platform(arch);
    let emulated = Emulated {
        sandbox: true,
        platform,
        accel,
        cpu: cpu.to_owned(),
        firmware: platform.firmware,
        tsc_khz: Some(2_596_130),
        console,
        links,
        memory,
    };
    let boot = crate::machine::Boot {
        cell: ukci_schema::cell::Cell {
            artifact: "ringbuf".into(),
            kernel: "debian-12-6.1-cloud".into(),
            llvm: None,
            arch,
            btf: None,
        },
        release: "6.1.0-56-cloud-amd64".into(),
        kernel: "/cache/vmlinux".into(),
        image: String::new(),
        no_driver_for: Vec::new(),
        template: None,
        initramfs: "/cache/initramfs".into(),
        cmdline: vec!["lsm=bpf".into()],
        memory: 256,
        cpus: 1,
        userland,
        evidence: "/out/cell".into(),
    };
    String::from_utf8(shell(
        Path::new(platform.qemu),
        &flags(&emulated.devices(&boot)),
    ))
    .unwrap()
}

fn serial() -> Device {
    Device::SerialPort("/run/ukci-vm.AbCdEf/agent".into())
}

fn vhost_user() -> Device {
    Device::VhostUserVsock("/run/ukci-vm.AbCdEf/vhost-user".into())
}

#[test]
fn x86_64_tcg_for_a_person() {
    let terminal = Device::Terminal {
        name: platform(Arch::X86_64).console,
        log: "/out/cell/console.log".into(),
    };
    insta::assert_snapshot!(picture(
        Arch::X86_64,
        Accel::Tcg,
        "qemu64",
        terminal,
        Vec::new(),
        Backend::Private,
        Userland::default(),
    ));
}

#[test]
fn x86_64_tcg_vhost_user_vsock() {
    insta::assert_snapshot!(command(
        Arch::X86_64,
        Accel::Tcg,
        "qemu64,-cx16",
        vhost_user()
    ));
}

#[test]
fn x86_64_tcg_virtio_serial() {
    insta::assert_snapshot!(command(Arch::X86_64, Accel::Tcg, "qemu64", serial()));
}

#[test]
fn x86_64_tcg_serial_line() {
    let device = platform(Arch::X86_64).serial_line;
    let path = "/run/ukci-vm.AbCdEf/agent".into();
    let line = Device::SerialLine { device, path };
    insta::assert_snapshot!(command(Arch::X86_64, Accel::Tcg, "qemu64", line));
}

#[test]
fn aarch64_tcg_serial_line() {
    let device = platform(Arch::Aarch64).serial_line;
    let path = "/run/ukci-vm.AbCdEf/agent".into();
    let line = Device::SerialLine { device, path };
    insta::assert_snapshot!(command(Arch::Aarch64, Accel::Tcg, "cortex-a76", line));
}

/// No machine of ours has `/dev/vhost-vsock`: this picture is all that keeps its device.
#[test]
fn x86_64_kvm_vhost_vsock() {
    let link = Device::VhostVsock {
        cid: 77_123,
        port: 1_024,
    };
    insta::assert_snapshot!(command(Arch::X86_64, Accel::Kvm, "host", link));
}

#[test]
fn x86_64_kvm_vhost_user_vsock() {
    insta::assert_snapshot!(command(Arch::X86_64, Accel::Kvm, "host", vhost_user()));
}

#[test]
fn aarch64_tcg_vhost_user_vsock() {
    insta::assert_snapshot!(command(
        Arch::Aarch64,
        Accel::Tcg,
        "cortex-a76",
        vhost_user()
    ));
}

#[test]
fn aarch64_tcg_virtio_serial() {
    insta::assert_snapshot!(command(Arch::Aarch64, Accel::Tcg, "cortex-a76", serial()));
}

/// On an arm64 host: no firmware and no argument of x86 may stray in.
#[test]
fn aarch64_kvm_vhost_vsock() {
    let link = Device::VhostVsock {
        cid: 77_123,
        port: 1_024,
    };
    insta::assert_snapshot!(command(Arch::Aarch64, Accel::Kvm, "host", link));
}

#[test]
fn riscv64_tcg_vhost_user_vsock() {
    insta::assert_snapshot!(command(Arch::Riscv64, Accel::Tcg, "rv64", vhost_user()));
}

#[test]
fn riscv64_tcg_virtio_serial() {
    insta::assert_snapshot!(command(Arch::Riscv64, Accel::Tcg, "rv64", serial()));
}

#[test]
fn commas_in_paths_do_not_end_an_option() {
    let flags = flags(&[Device::Qmp("/a,b/qmp".into())]);
    assert_eq!(
        flags[1],
        ("-chardev", Some("socket,id=qmp,path=/a,,b/qmp".into()))
    );
}

#[test]
fn words_are_quoted_for_a_shell() {
    assert_eq!(quote(OsStr::new("q35,usb=off")), b"q35,usb=off");
    assert_eq!(quote(OsStr::new("")), b"''");
    assert_eq!(quote(OsStr::new("it's $HOME")), b"'it'\\''s $HOME'");
    assert_eq!(quote(OsStr::new("~/x")), b"'~/x'");
}

/// A saved guest and its copy differ in how they map the memory, and in where the state comes from.
#[test]
fn a_copy_has_the_command_of_the_guest_that_was_saved() {
    let picture = |memory| {
        let console = Device::Console {
            name: platform(Arch::X86_64).console,
            log: "/out/cell/console.log".into(),
        };
        let (arch, accel) = (Arch::X86_64, Accel::Tcg);
        picture(
            arch,
            accel,
            "qemu64",
            console,
            vec![serial()],
            memory,
            Userland::default(),
        )
    };
    let saved = picture(Backend::Saved("/cache/templates/.making-1/ram".into()));
    let copied = picture(Backend::Copied("/cache/templates/1/ram".into()));
    let shown = |text: &str| {
        let object = text.lines().find(|line| line.contains("-object"));
        object.unwrap_or_default().to_owned()
    };
    insta::assert_snapshot!(shown(&saved), @r"  -object memory-backend-file,id=ram,size=256M,share=on,mem-path=/cache/templates/.making-1/ram \");
    insta::assert_snapshot!(shown(&copied), @r"  -object memory-backend-file,id=ram,size=256M,share=off,mem-path=/cache/templates/1/ram \");
    let without = |text: &str| {
        let lines = text.lines().filter(|line| !line.contains("-object"));
        let lines = lines.filter(|line| !line.contains("-incoming defer"));
        lines.collect::<Vec<_>>().join("\n")
    };
    assert_eq!(without(&saved), without(&copied));
    assert!(copied.contains("-incoming defer") && !saved.contains("-incoming"));
}

/// The card is part of the command, and so of a saved guest's key.
#[test]
fn a_network_is_a_card_without_a_rom() {
    let console = Device::Console {
        name: platform(Arch::X86_64).console,
        log: "/out/cell/console.log".into(),
    };
    let picture = |network| {
        let (arch, accel) = (Arch::X86_64, Accel::Tcg);
        let userland = Userland {
            network,
            root: None,
            host_root: false,
        };
        let (console, links) = (console.clone(), vec![serial()]);
        picture(
            arch,
            accel,
            "qemu64",
            console,
            links,
            Backend::Private,
            userland,
        )
    };
    let with = picture(Network::User);
    let without = picture(Network::None);
    let more: Vec<&str> = (with.lines())
        .filter(|line| !without.contains(line))
        .collect();
    assert_eq!(
        more,
        [
            r"  -netdev user,id=net,ipv6=off \",
            r"  -device virtio-net-pci,netdev=net,romfile= \",
        ]
    );
}
