//! Asking a kernel what it offers, against scripted guests; and the pictures of the answer.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use ukci_harness::kernel_features::{Probe, of};
use ukci_harness::machine::{
    Boot, Ending, Guest, Hardware, Machine, NoConnection, Usage, WaitedForCpu,
};
use ukci_harness::render::{self, Shown};
use ukci_schema::cell::Arch;
use ukci_schema::evidence::GuestFacts;
use ukci_schema::features::{KernelFeatures, Kind, Offered, SCHEMA};
use ukci_schema::message::{
    FrameKind, FromGuest, FromHost, HEADER, PROTOCOL, decode_header, encode_header, frames,
};
use ukci_schema::plan::{FileRef, PlannedKernel};
use ukci_schema::verdict::Fault;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Script {
    Good,
    Silent,
    Panics,
    OldProtocol,
    OtherAnswer,
    OtherSchema,
    NeverDone,
}

struct Scripted(Script, Arc<AtomicUsize>);

struct ScriptedGuest {
    stream: Option<DuplexStream>,
    script: Script,
    task: tokio::task::JoinHandle<()>,
}

impl Machine for Scripted {
    type Guest = ScriptedGuest;

    fn hardware(&self, _: &PlannedKernel) -> Hardware {
        Hardware::default()
    }

    fn slowness(&self) -> u32 {
        1
    }

    async fn boot(&self, boot: Boot) -> Result<ScriptedGuest, Fault> {
        assert!(boot.evidence.is_dir());
        self.1.fetch_add(1, Ordering::SeqCst);
        let (ours, theirs) = tokio::io::duplex(4096);
        Ok(ScriptedGuest {
            stream: Some(ours),
            script: self.0,
            task: tokio::spawn(play(self.0, theirs)),
        })
    }
}

impl Guest for ScriptedGuest {
    type Stream = DuplexStream;

    async fn connect(&mut self) -> Result<DuplexStream, NoConnection> {
        Ok(self.stream.take().expect("connect is called once"))
    }

    async fn ended(&mut self) -> Ending {
        if self.script != Script::Panics {
            return std::future::pending().await;
        }
        Ending::Panicked("Kernel panic - not syncing: no working init".into())
    }

    fn console_tail(&self) -> Vec<String> {
        vec!["[    0.1] the last words".into()]
    }

    fn stall(&self) -> Option<String> {
        None
    }

    fn waited_for_cpu(&self) -> WaitedForCpu {
        Box::new(|| Duration::ZERO)
    }

    async fn stop(self) -> Usage {
        self.task.abort();
        Usage::default()
    }
}

async fn say(stream: &mut DuplexStream, message: &FromGuest) {
    let text = serde_json::to_vec(message).unwrap();
    for (header, payload) in frames(FrameKind::Json, &text) {
        stream.write_all(&header).await.unwrap();
        stream.write_all(payload).await.unwrap();
    }
    let mut ack = [0; HEADER];
    stream.read_exact(&mut ack).await.unwrap();
    assert_eq!(decode_header(ack), Ok((FrameKind::Ack, 0)));
}

async fn play(script: Script, mut stream: DuplexStream) {
    if matches!(script, Script::Silent | Script::Panics) {
        return std::future::pending().await;
    }
    let protocol = PROTOCOL + u32::from(script == Script::OldProtocol);
    let hello = FromGuest::Hello {
        protocol,
        agent: "0.1.0".into(),
        libbpf: "v1.7".into(),
        facts: Box::default(),
    };
    say(&mut stream, &hello).await;
    let mut header = [0; HEADER];
    stream.read_exact(&mut header).await.unwrap();
    let (kind, length) = decode_header(header).unwrap();
    assert_eq!(kind, FrameKind::Json);
    let mut text = vec![0; length];
    stream.read_exact(&mut text).await.unwrap();
    let asked: FromHost = serde_json::from_slice(&text).unwrap();
    assert_eq!(asked, FromHost::Features);
    let ack = encode_header(FrameKind::Ack, 0);
    stream.write_all(&ack).await.unwrap();
    let mut features = Box::new(answer());
    if script == Script::OtherSchema {
        features.schema = "ukci.features/0".into();
    }
    let answer = match script {
        Script::OtherAnswer => FromGuest::Reply {
            evidence: Box::default(),
        },
        _ => FromGuest::Features { features },
    };
    say(&mut stream, &answer).await;
    if script == Script::NeverDone {
        return std::future::pending().await;
    }
    say(&mut stream, &FromGuest::Done).await;
}

fn offered(kind: Kind, name: &str, id: Option<u32>, callers: &[&str]) -> Offered {
    Offered {
        kind,
        name: name.into(),
        id,
        present: Some(true),
        program_types: callers.iter().map(|&caller| caller.into()).collect(),
        module: None,
        source: "libbpf-probe".into(),
        mainline: None,
    }
}

fn answer() -> KernelFeatures {
    let absent = |kind, name, id| Offered {
        present: Some(false),
        ..offered(kind, name, id, &[])
    };
    KernelFeatures {
        schema: SCHEMA.into(),
        kernel: String::new(),
        libbpf: "v1.7".into(),
        guest: GuestFacts {
            release: "6.1.0-56".into(),
            config: BTreeMap::from([("BPF_LSM".into(), "y".into())]),
            lsm: Some(vec!["lockdown".into(), "bpf".into()]),
            jit: Some("1".into()),
            ..GuestFacts::default()
        },
        features: vec![
            offered(Kind::Helper, "bpf_loop", Some(181), &["kprobe", "xdp"]),
            offered(
                Kind::Helper,
                "bpf_map_lookup_elem",
                Some(1),
                &["kprobe", "socket_filter", "tracing", "xdp"],
            ),
            offered(Kind::MapType, "array", Some(2), &[]),
            absent(Kind::MapType, "arena", Some(33)),
            Offered {
                present: None,
                ..offered(Kind::LinkType, "kprobe_multi", Some(8), &[])
            },
            Offered {
                module: Some("nf_conntrack".into()),
                ..offered(Kind::Kfunc, "bpf_ct_release", None, &["sched_cls", "xdp"])
            },
        ],
    }
}

fn kernel(name: &str) -> PlannedKernel {
    let file = FileRef {
        path: "/nowhere".into(),
        sha256: "11".repeat(32),
    };
    PlannedKernel {
        name: name.into(),
        release: "6.1.0-56".into(),
        arch: Arch::X86_64,
        image: file.clone(),
        segment: file,
        cmdline: Vec::new(),
        sysctl: Vec::new(),
        modules: None,
        no_driver_for: Vec::new(),
        hermetic: true,
        packages: BTreeMap::new(),
    }
}

async fn ask(script: Script, cache: &Path) -> (Result<KernelFeatures, Fault>, usize) {
    let boots = Arc::new(AtomicUsize::new(0));
    let agent = FileRef {
        path: "/nowhere".into(),
        sha256: "22".repeat(32),
    };
    let kernel = kernel("debian-12-6.1");
    let probe = Probe {
        kernel: &kernel,
        agent: &agent,
        initramfs: "/nowhere".into(),
        timeout: Duration::from_mins(1),
    };
    let machine = Scripted(script, Arc::clone(&boots));
    let told = of(&machine, &probe, cache).await;
    (told, boots.load(Ordering::SeqCst))
}

#[tokio::test(start_paused = true)]
async fn the_answer_is_dated_and_kept() {
    let cache = tempfile::tempdir().unwrap();
    let (told, boots) = ask(Script::Good, cache.path()).await;
    let told = told.unwrap();
    assert_eq!((boots, told.kernel.as_str()), (1, "debian-12-6.1"));
    let names: Vec<_> = told.features.iter().map(|f| f.name.as_str()).collect();
    let sorted = ["array", "arena", "bpf_map_lookup_elem", "bpf_loop"];
    assert_eq!(names[..4], sorted, "by kind, then by number");
    assert_eq!(told.features[3].mainline.as_deref(), Some("5.17"));
    // A silent guest would be waited for: the answer comes from the store.
    let (again, boots) = ask(Script::Silent, cache.path()).await;
    assert_eq!((again.unwrap(), boots), (told, 0));
    let left = std::fs::read_dir(cache.path().join("features")).unwrap();
    assert_eq!(left.count(), 1, "only the answer is left");
}

#[tokio::test(start_paused = true)]
async fn what_is_no_answer_is_told_and_not_kept() {
    let expected = [
        (Script::Silent, "no hello from the guest within 60s"),
        (Script::Panics, "the guest's kernel panicked: Kernel panic"),
        (Script::OldProtocol, "speaks protocol"),
        (
            Script::OtherAnswer,
            "sent evidence, but a list of features was expected",
        ),
        (
            Script::OtherSchema,
            "the agent answers in `ukci.features/0`",
        ),
        (Script::NeverDone, "no last word from the agent within 60s"),
    ];
    for (script, words) in expected {
        let cache = tempfile::tempdir().unwrap();
        let (told, _) = ask(script, cache.path()).await;
        let fault = told.unwrap_err();
        assert!(fault.headline.contains(words), "{script:?}: {fault:?}");
        let left = std::fs::read_dir(cache.path().join("features")).unwrap();
        assert_eq!(left.count(), 0, "{script:?}");
    }
}

#[test]
fn the_answer_is_readable() {
    let mut old = answer();
    old.kernel = "debian-12-6.1".into();
    old.date();
    let settings = old.settings();
    insta::assert_snapshot!(
        "one",
        render::features(&Shown::of(&old), &Shown::of(&settings))
    );
    let mut new = old.clone();
    new.kernel = "debian-13-6.12".into();
    new.guest.jit = Some("0".into());
    for feature in &mut new.features {
        feature.present = Some(true);
        if feature.name == "bpf_loop" {
            feature.program_types.push("tracing".into());
        }
    }
    let differences = old.differences(&new);
    let settings = [&Shown::of(&settings), &Shown::of(&new.settings())];
    let kernels = [&Shown::of(&old), &Shown::of(&new)];
    insta::assert_snapshot!(
        "two",
        render::differences(kernels, settings, &Shown::of(&differences))
    );
}
