//! The agent. As PID 1: mounts, loads its modules, dials the host, says hello, probes one
//! artifact, answers, powers off. By hand, `ukci-guest probe FILE [load|attach]` prints the
//! evidence of the running kernel as JSON: a developer's tool.

mod init;
mod kmsg;
mod system;

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::net::UnixStream;

use ukci_guest::probe::{Asked, probe};
use ukci_guest::serve::{Arrived, Channel};
use ukci_guest::{bpf, child, facts, offer};
use ukci_schema::evidence::{Evidence, GuestFacts, Mode};
use ukci_schema::message::{FrameKind, FromGuest, FromHost, PROTOCOL, Request};

use crate::init::{Stream, Transport};

fn main() {
    if std::process::id() == 1 {
        child::report_panics();
        agent();
        child::power_off();
    }
    let mut args = std::env::args_os().skip(1);
    let (Some(command), Some(path)) = (args.next(), args.next()) else {
        usage()
    };
    if command != "probe" {
        usage();
    }
    let mode = match args.next() {
        None => Mode::Attach,
        Some(word) if word == "attach" => Mode::Attach,
        Some(word) if word == "load" => Mode::Load,
        Some(_) => usage(),
    };
    let result = std::fs::read(&path).map_err(|error| format!("read {}: {error}", path.display()));
    let result = result.and_then(|object| {
        let name = path.to_string_lossy();
        let asked = Asked {
            object: &object,
            name: &name,
            mode,
        };
        let evidence = probe(asked, facts::gather(BTreeMap::new(), Vec::new()), |_, _| {});
        let mut text = serde_json::to_vec_pretty(&evidence).map_err(|error| error.to_string())?;
        text.push(b'\n');
        std::io::stdout()
            .write_all(&text)
            .map_err(|error| error.to_string())
    });
    if let Err(message) = result {
        fail(&format!("error: {message}"), 1);
    }
}

fn usage() -> ! {
    fail("usage: ukci-guest probe FILE [load|attach]", 64)
}

fn fail(message: &str, status: i32) -> ! {
    let _ = writeln!(std::io::stderr(), "{message}");
    std::process::exit(status)
}

/// PID 1, from the first mount to the last word.
fn agent() {
    // Without a way to the host the console is all there is.
    let (mut channel, facts) = match meet_host() {
        Ok(met) => met,
        Err(message) => return child::console(&format!("ukci-guest: {message}")),
    };
    let said = match serve(&mut channel, facts) {
        Ok(()) => Ok(()),
        Err(message) => channel.say(&FromGuest::Trouble { message }),
    };
    if let Err(error) = said {
        child::console(&format!("ukci-guest: the host is gone: {error}"));
    }
}

type HostChannel = Channel<Box<dyn Stream>>;

fn meet_host() -> Result<(HostChannel, GuestFacts), String> {
    let missing = init::mounts()?;
    // 5.10 charges BPF memory to this limit; memory control groups do from 5.11 on.
    system::lift_memory_lock();
    let cmdline = std::fs::read_to_string("/proc/cmdline").map_err(|e| e.to_string())?;
    let transport = Transport::of(&cmdline)?;
    let modules = init::load_modules(transport);
    let broken: Vec<String> = modules
        .iter()
        .filter_map(|module| Some(format!("{}: {}", module.name, module.error.as_ref()?)))
        .collect();
    let stream = init::dial(transport)
        .map_err(|error| format!("{error} (modules that failed: {})", broken.join("; ")))?;
    // The channel keeps the stream, and its descriptor, until the machine is off.
    child::tell_panics_to(stream.as_raw_fd());
    Ok((Channel::new(stream), facts::gather(missing, modules)))
}

/// From hello to done. After hello the agent is ready and holds nothing of a cell.
fn serve(channel: &mut HostChannel, facts: GuestFacts) -> Result<(), String> {
    let lost = |error: std::io::Error| format!("talk to the host: {error}");
    channel
        .say(&FromGuest::Hello {
            protocol: PROTOCOL,
            agent: env!("CARGO_PKG_VERSION").into(),
            libbpf: bpf::libbpf_version(),
            facts: Box::new(facts.clone()),
        })
        .map_err(lost)?;
    let request = match channel.hear().map_err(lost)? {
        FromHost::Request(request) => request,
        FromHost::Features => {
            let features = Box::new(offer::probe(facts));
            channel
                .say(&FromGuest::Features { features })
                .map_err(lost)?;
            return channel.say(&FromGuest::Done).map_err(lost);
        }
    };
    let object = match channel.receive().map_err(lost)? {
        Arrived::Bytes(bytes) if bytes.len() as u64 == request.size => bytes,
        Arrived::Bytes(bytes) => {
            return Err(format!(
                "{} bytes of an object of {} arrived",
                bytes.len(),
                request.size
            ));
        }
        Arrived::Json(_) => return Err("a message where the object was due".into()),
    };
    let warnings = kmsg::Warnings::from_now();
    let edits = prepare(&request)?;
    let probed = probe_in_child(channel, &request, &object, facts);
    let warnings = warnings.collect();
    let mut evidence = probed.map_err(|message| match warnings.as_slice() {
        [] => message,
        // A child that was killed was often killed by the kernel, which says why.
        [.., newest] => format!("{message}; the kernel's last warning: {newest}"),
    })?;
    evidence.edits.splice(0..0, edits);
    evidence.kmsg = warnings;
    channel
        .say(&FromGuest::Reply {
            evidence: Box::new(evidence),
        })
        .map_err(lost)?;
    channel.say(&FromGuest::Done).map_err(lost)
}

/// Time, entropy and settings of the request. Returns the edits.
fn prepare(request: &Request) -> Result<Vec<String>, String> {
    system::set_clock(request.time);
    system::add_entropy(&request.entropy);
    let mut edits = Vec::new();
    for setting in &request.sysctl {
        let (key, value) = setting
            .split_once('=')
            .ok_or_else(|| format!("sysctl `{setting}` is not `key=value`"))?;
        let path = format!("/proc/sys/{}", key.trim().replace('.', "/"));
        std::fs::write(&path, value.trim()).map_err(|error| format!("write {path}: {error}"))?;
        edits.push(format!("sysctl {}={}", key.trim(), value.trim()));
    }
    Ok(edits)
}

/// Probes in a child, so that a crash of libbpf is told apart from one of the kernel. What the
/// child says is passed on to the host; its evidence is kept.
fn probe_in_child(
    host: &mut HostChannel,
    request: &Request,
    object: &[u8],
    facts: GuestFacts,
) -> Result<Evidence, String> {
    let (ours, theirs) = UnixStream::pair().map_err(|error| format!("make a socket: {error}"))?;
    let forked = child::fork(ours, theirs, |theirs| {
        let mut channel = Channel::new(theirs);
        let asked = Asked {
            object,
            name: &request.name,
            mode: request.mode,
        };
        let evidence = probe(asked, facts, |stage, doing| {
            let doing = doing.to_owned();
            let _ = channel.say(&FromGuest::Progress { stage, doing });
        });
        let _ = channel.say(&FromGuest::Reply {
            evidence: Box::new(evidence),
        });
    });
    let (pid, ours) = forked.map_err(|error| format!("fork: {error}"))?;
    let mut channel = Channel::new(ours);
    let mut doing = "starting".to_owned();
    let evidence = loop {
        let Ok(Arrived::Json(text)) = channel.receive() else {
            break None;
        };
        match serde_json::from_slice(&text) {
            Ok(FromGuest::Reply { evidence }) => break Some(*evidence),
            Ok(FromGuest::Progress { stage, doing: what }) => {
                doing = format!("{stage} ({what})");
                host.send(FrameKind::Json, &text)
                    .map_err(|e| format!("talk to the host: {e}"))?;
            }
            Ok(FromGuest::Trouble { message }) => {
                child::wait(pid);
                return Err(format!("{message} (during {doing})"));
            }
            _ => break None,
        }
    };
    let ended = child::wait(pid);
    evidence.ok_or_else(|| format!("the probe {ended} during {doing}"))
}
