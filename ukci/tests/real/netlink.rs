//! Attachments through rtnetlink, as libbpf makes them, watched in real kernels.

use std::path::{Path, PathBuf};
use std::process::Command;

use ukci_schema::diagnosis::Code;
use ukci_schema::evidence::{AttachOutcome, Evidence};

use crate::fixture::{K510, K612, command, machine, report, root, text};
use crate::loaders::libbpf;

/// A loader of two programs: XDP and a classifier of tc, on the interface `lo`.
const SOURCE: &str = r#"
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
static int load(enum bpf_prog_type type, const char *name, int value) {
    struct bpf_insn insns[] = {{.code = 0xb7, .imm = value}, {.code = 0x95}};
    return bpf_prog_load(type, name, "GPL", insns, 2, 0);
}
int main(int argc, char **argv) {
    LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = 1, .attach_point = BPF_TC_EGRESS);
    LIBBPF_OPTS(bpf_tc_opts, classifier, .handle = 1, .priority = 1);
    int passes = load(BPF_PROG_TYPE_XDP, "passes", 2);
    int other = load(BPF_PROG_TYPE_XDP, "other", 1);
    classifier.prog_fd = load(BPF_PROG_TYPE_SCHED_CLS, "classifies", 0);
    if (passes < 0 || other < 0 || classifier.prog_fd < 0) return 90;
    if (bpf_xdp_attach(1, passes, XDP_FLAGS_SKB_MODE, 0)) return 91;
    if (bpf_xdp_attach(1, other, XDP_FLAGS_SKB_MODE | XDP_FLAGS_UPDATE_IF_NOEXIST, 0) != -EBUSY)
        return 92;
    if (bpf_tc_hook_create(&hook) || bpf_tc_attach(&hook, &classifier)) return 93;
    if (bpf_xdp_detach(1, XDP_FLAGS_SKB_MODE, 0)) return 94;
    // A software interface has no driver that could run it.
    return bpf_xdp_attach(1, other, XDP_FLAGS_DRV_MODE, 0) ? 3 : 0;
}
"#;

fn loader(dir: &Path) -> Option<PathBuf> {
    let Some(libbpf) = libbpf() else {
        eprintln!("skipped: no libbpf was built here");
        return None;
    };
    let source = dir.join("loader.c");
    std::fs::write(&source, SOURCE).unwrap();
    let loader = dir.join("loader");
    let mut cc = Command::new("cc");
    cc.arg("-I").arg(root().join("target/include"));
    cc.arg("-o").arg(&loader).arg(&source);
    cc.args(["libbpf.a", "libelf.a", "libz.a"].map(|name| libbpf.join(name)));
    match cc.status() {
        Ok(status) if status.success() => Some(loader),
        _ => {
            eprintln!("skipped: there is no C compiler");
            None
        }
    }
}

#[test]
fn attachments_through_netlink_are_seen_with_their_target_and_errno() {
    let Some(_machine) = machine() else { return };
    let dir = tempfile::tempdir().unwrap();
    let Some(loader) = loader(dir.path()) else {
        return;
    };
    let out = dir.path().join("out");
    let mut exec = command(&["exec", "--out", text(&out)]);
    exec.args([
        "--kernel",
        K510,
        "--kernel",
        K612,
        "--module",
        "sch_ingress",
    ]);
    exec.args(["--module", "cls_bpf", "--"]).arg(&loader);
    let ran = exec.output().unwrap();
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert_eq!(ran.status.code(), Some(2), "{said}");
    let cells = report(&out).cells;
    assert_eq!(cells.len(), 2, "{said}");
    for cell in cells {
        let kernel = &cell.kernel;
        let file = out.join(&cell.evidence).join("evidence.json");
        let evidence: Evidence = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        let watched = evidence.command.unwrap().watched.unwrap();
        assert_eq!(watched.incomplete, None, "{kernel}");
        let seen: Vec<(Option<&str>, String, Option<i32>)> = (watched.attachments.iter())
            .map(|one| (one.program.as_deref(), one.section(), one.errno))
            .collect();
        let expected = [
            (Some("passes"), "xdp/lo".to_owned(), None),
            (Some("other"), "xdp/lo".to_owned(), Some(16)),
            (Some("classifies"), "tc/lo egress".to_owned(), None),
            (Some("other"), "xdp/lo".to_owned(), Some(95)),
        ];
        assert_eq!(seen, expected, "{kernel}");
        let attached = cell.programs.iter().map(|program| program.attach);
        let (ok, refused) = (AttachOutcome::Attached, AttachOutcome::Refused);
        assert_eq!(attached.collect::<Vec<_>>(), [ok, refused, ok], "{kernel}");
        let diagnosis = cell.diagnosis.as_ref().unwrap();
        assert_eq!(
            diagnosis.code,
            Code::AttachRefused,
            "{kernel}: {diagnosis:?}"
        );
        assert_eq!(diagnosis.program.as_deref(), Some("other"), "{kernel}");
    }
}
