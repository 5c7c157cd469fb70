//! `ukci kernels features`: what kernels say they offer.

use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use ukci_schema::features::{KernelFeatures, Kind};

use crate::fixture::{
    K61, K510, K612, command, machine, machines, own_cache, text, ukci, wait_until,
};

/// What `ukci kernels features` prints for these arguments.
fn features(args: &[&str]) -> String {
    let (output, stderr) = ukci(&[&["kernels", "features", "--timeout", "2m"], args].concat());
    assert!(output.status.success(), "{stderr}");
    String::from_utf8(output.stdout).unwrap()
}

/// Each of these is known of mainline, and none of Debian's configurations contradicts it.
#[test]
fn kernels_say_what_they_offer_and_are_right() {
    let Some(_machine) = machine() else { return };
    let of = |kernel: &str| -> KernelFeatures {
        serde_json::from_str(&features(&[kernel, "--format", "json"])).unwrap()
    };
    let [old, new] = [K510, K612].map(of);
    let offered = |kernel: &KernelFeatures, kind, name: &str| {
        let mut all = kernel.features.iter();
        let found = all.find(|f| f.kind == kind && f.name == name).cloned();
        found.unwrap_or_else(|| panic!("{} says nothing of {name}", kernel.kernel))
    };
    let present = |kernel, kind, name| offered(kernel, kind, name).present;
    for kernel in [&old, &new] {
        for name in ["array", "hash", "ringbuf"] {
            assert_eq!(present(kernel, Kind::MapType, name), Some(true), "{name}");
        }
        for name in ["xdp", "tracing", "lsm", "ext", "struct_ops"] {
            assert_eq!(present(kernel, Kind::ProgramType, name), Some(true));
        }
        let lirc = present(kernel, Kind::ProgramType, "lirc_mode2");
        assert_eq!(lirc, Some(false), "CONFIG_BPF_LIRC_MODE2 is off");
        let lookup = offered(kernel, Kind::Helper, "bpf_map_lookup_elem");
        for caller in ["xdp", "kprobe", "tp_btf", "fentry", "iter", "lsm"] {
            assert!(lookup.program_types.iter().any(|t| t == caller), "{caller}");
        }
        let adjust = offered(kernel, Kind::Helper, "bpf_xdp_adjust_head");
        assert_eq!(adjust.program_types, ["xdp"]);
        assert_eq!(adjust.mainline.as_deref(), Some("4.10"));
        assert_eq!(
            present(kernel, Kind::StructOps, "tcp_congestion_ops"),
            Some(true)
        );
        let unknown = kernel.features.iter().filter(|f| f.present.is_none());
        assert!(unknown.count() < 8, "{}", kernel.kernel);
    }
    let news = [
        (Kind::Helper, "bpf_loop"),
        (Kind::MapType, "bloom_filter"),
        (Kind::ProgramType, "netfilter"),
        (Kind::LinkType, "kprobe_multi"),
        (Kind::LinkType, "perf_event"),
        (Kind::Command, "token_create"),
    ];
    for (kind, name) in news {
        assert_eq!(present(&old, kind, name), Some(false), "{name}");
        assert_eq!(present(&new, kind, name), Some(true), "{name}");
    }
    // On 5.10 there is a function `tcp_slow_start`, and no kfunc of any name.
    assert_eq!(
        old.features
            .iter()
            .filter(|f| f.kind == Kind::Kfunc)
            .count(),
        0
    );
    let kfunc = |name| offered(&new, Kind::Kfunc, name).program_types;
    assert_eq!(kfunc("tcp_slow_start"), ["struct_ops"]);
    assert_eq!(kfunc("bpf_dynptr_from_xdp"), ["xdp"]);
    // No device is bound to a trial, so nothing is known of who may call it.
    assert!(kfunc("bpf_xdp_metadata_rx_hash").is_empty());
    assert!(!old.settings()["lsm"].split(',').any(|lsm| lsm == "bpf"));
    assert!(new.settings()["lsm"].split(',').any(|lsm| lsm == "bpf"));

    // The header of 6.1 names it, for the kernel's own use.
    let middle = of(K61);
    assert_eq!(present(&middle, Kind::LinkType, "struct_ops"), Some(false));
    assert_eq!(present(&new, Kind::LinkType, "struct_ops"), Some(true));

    let told = features(&[K510, K612, "--only", "helpers", "--name", "bpf_loop"]);
    assert!(told.contains("  no   yes  bpf_loop  5.17"), "{told}");
    let same = features(&[K612, K612]);
    assert!(same.contains("no difference"), "{same}");
}

/// As a closed window, `timeout` and a job that is canceled end it.
#[test]
fn a_signal_ends_the_question_and_leaves_nothing() {
    let Some(_machine) = machine() else { return };
    // An answer that is kept would need no machine.
    let cache = own_cache();
    for signal in [Signal::HUP, Signal::TERM, Signal::INT, Signal::QUIT] {
        let dir = tempfile::tempdir().unwrap();
        let mut ask = command(&["kernels", "features", K612]);
        ask.env("TMPDIR", dir.path()).env_remove("XDG_RUNTIME_DIR");
        ask.env("XDG_CACHE_HOME", cache.path());
        ask.stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = ask.spawn().unwrap();
        let marker = text(dir.path());
        wait_until("a machine is up", Duration::from_mins(1), || {
            !machines(marker).is_empty()
        });
        kill_process(Pid::from_child(&child), signal).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(130), "{signal:?}");
        assert_eq!(machines(marker), Vec::<String>::new(), "{signal:?}");
        let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().collect();
        assert!(left.is_empty(), "{signal:?}: {left:?}");
    }
}
