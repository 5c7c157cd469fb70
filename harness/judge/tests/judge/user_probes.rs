//! Attachments of user-space probes by hand.

use ukci_schema::diagnosis::Code;

use crate::hand::{attaching, fails, unattached};

#[test]
fn a_usdt_program_without_libbpfs_maps_is_the_loaders_business() {
    let log = "libbpf: usdt: failed to find USDT support BPF maps, did you forget to include \
               bpf/usdt.bpf.h?\n";
    let found = fails(
        &attaching(unattached("usdt", "kprobe", 3, log)),
        Code::LoaderContract,
    );
    assert!(found.headline.contains("<bpf/usdt.bpf.h>"), "{found:?}");
    assert!(found.hints[0].contains("__bpf_usdt_specs"), "{found:?}");
    // libbpf says it once; the object's maps tell it of the other programs.
    let mut silent = attaching(unattached("usdt", "kprobe", 3, ""));
    fails(&silent, Code::LoaderContract);
    silent.maps = vec![crate::hand::map("__bpf_usdt_specs", "array", 256, 0)];
    fails(&silent, Code::AttachRefused);
}

#[test]
fn a_file_without_the_usdt_probe_or_a_matching_function_is_told_from_a_refusal() {
    let notes = "libbpf: usdt: no USDT notes section (.note.stapsdt) found in '/bin/x'\n";
    for (section, errno, log, words) in [
        ("usdt//bin/x:p:n", 2, notes, "has no USDT probes"),
        ("usdt//bin/x:p:n", 2, "", "no USDT probe `p:n`"),
        ("usdt.s//bin/x:p:n", 2, "", "no USDT probe `p:n`"),
        (
            "uprobe.multi//bin/x:read_*",
            2,
            "",
            "no function of `/bin/x` matches `read_*`",
        ),
    ] {
        let evidence = attaching(unattached(section, "kprobe", errno, log));
        let found = fails(&evidence, Code::AttachTargetMissing);
        assert!(found.headline.contains(words), "{}", found.headline);
    }
    for (section, errno) in [("usdt//bin/x:p:n", 22), ("uprobe.multi//bin/x:a*", 22)] {
        let evidence = attaching(unattached(section, "kprobe", errno, ""));
        fails(&evidence, Code::AttachRefused);
    }
}
