//! The agent.
//!
//! As PID 1 it mounts file systems, loads its modules, connects to the host, says hello, probes one
//! artifact, answers, and powers off. For `ukci shell`, it runs a shell for a person, in which
//! `ukci-guest check` does what the cell did. Developers can run `ukci-guest probe FILE
//! [load|attach]` by hand, which prints the evidence of the running kernel as JSON.

mod command;
mod init;
mod network;
mod print;
mod prober;
mod serial_line;
mod shell;
mod system;
mod vsock_stream;

use std::collections::BTreeMap;
use std::io::Write;

use ukci_guest::channel::{Arrived, Channel};
use ukci_guest::contract::{Terms, keep_files};
use ukci_guest::guest_facts::Identity;
use ukci_guest::kernel_files::KernelFiles;
use ukci_guest::probe::probe;
use ukci_guest::request::ProbeRequest;
use ukci_guest::{
    bpf, child, feature_probe, guest_facts, kernel_features, kernel_needs, kmsg, libbpf_log,
    modules, requirements,
};
use ukci_schema::contract::Contract;
use ukci_schema::evidence::{Evidence, GuestFacts, Mode};
use ukci_schema::message::{FrameKind, FromGuest, FromHost, ModuleFile, PROTOCOL};

use ukci_schema::verdict::Stage;

use crate::init::{Stream, Transport};
use crate::prober::{Asked, Failure, Parked, Pass, Prober};

fn main() {
    libbpf_log::silence();
    if std::process::id() == 1 {
        child::report_panics();
        agent();
        child::power_off();
    }
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match args.as_slice() {
        ["probe", path] | ["probe", path, "attach"] => probe_file(path, Mode::Attach),
        ["probe", path, "load"] => probe_file(path, Mode::Load),
        ["check"] => check().map(|evidence| print::text(&evidence)),
        ["check", "--json"] => check().and_then(|evidence| json(&evidence)),
        _ => fail(USAGE, 64),
    };
    let written = done.and_then(|text| {
        let written = std::io::stdout().write_all(text.as_bytes());
        written.map_err(|error| error.to_string())
    });
    if let Err(message) = written {
        fail(&format!("error: {message}"), 1);
    }
}

const USAGE: &str = "usage: ukci-guest probe FILE [load|attach]
       ukci-guest check [--json]    in `ukci shell`: do what the cell did";

/// The evidence of one object on the running kernel.
fn probe_file(path: &str, mode: Mode) -> Result<String, String> {
    let object = std::fs::read(path).map_err(|error| format!("read {path}: {error}"))?;
    let contract = Contract::default();
    let probe_request = ProbeRequest {
        object: &object,
        name: path,
        terms: &Terms::new(&contract, Vec::new(), path),
        mode,
        isolation: None,
        spared: &BTreeMap::new(),
    };
    let facts = guest_facts::gather(BTreeMap::new(), Vec::new());
    json(&probe(probe_request, facts, |_, _| {})?)
}

/// The evidence of the cell that the host laid into this machine.
fn check() -> Result<Evidence, String> {
    let shell::Cell {
        request,
        object,
        files,
    } = shell::Cell::read()?;
    let facts = guest_facts::gather(BTreeMap::new(), Vec::new());
    let text = serde_json::to_vec(&FromHost::Request(Box::new(request.clone())));
    let asked = Asked {
        text: &text.map_err(|error| error.to_string())?,
        request: &request,
        object: &object,
        files: &files,
        identity: Identity::default(),
        log: KernelFiles::open().log,
    };
    let (reply, _parked) = answer(
        Prober::start(&facts, || {})?,
        &facts,
        asked,
        &mut |_| Ok(()),
    )?;
    Ok(*prober::evidence_in(&reply)?)
}

fn json(evidence: &Evidence) -> Result<String, String> {
    let text = serde_json::to_string_pretty(evidence).map_err(|error| error.to_string())?;
    Ok(text + "\n")
}

fn fail(message: &str, status: i32) -> ! {
    let _ = writeln!(std::io::stderr(), "{message}");
    std::process::exit(status)
}

/// PID 1, from the first mount to the last word.
fn agent() {
    // Without a way to the host the console is all there is.
    let (mut channel, facts) = match start() {
        Ok(Place::Cell(channel, facts)) => (channel, *facts),
        Ok(Place::Shell(shell)) => {
            if let Err(message) = shell.run() {
                shell::complain(&message);
            }
            return;
        }
        Err(message) => return child::console(&format!("ukci-guest: {message}")),
    };
    let said = match serve(&mut channel, facts) {
        Ok(()) => Ok(()),
        Err(message) => channel.refuse(&FromGuest::Trouble {
            // The file system is in memory.
            out_of_memory: message.contains(kmsg::OUT_OF_MEMORY)
                || message.contains("No space left on device"),
            message,
        }),
    };
    if let Err(error) = said {
        child::console(&format!(
            "ukci-guest: the connection to the host is lost: {error}"
        ));
    }
}

type HostChannel = Channel<Box<dyn Stream>>;

/// What the machine is for.
enum Place {
    Cell(HostChannel, Box<GuestFacts>),
    Shell(shell::Shell),
}

fn start() -> Result<Place, String> {
    let missing = init::mounts()?;
    // 5.10 charges BPF memory to this limit; memory control groups do from 5.11 on.
    system::lift_memory_lock();
    let cmdline = std::fs::read_to_string("/proc/cmdline").map_err(|e| e.to_string())?;
    if let Some(shell) = shell::Shell::of(&cmdline) {
        return Ok(Place::Shell(shell));
    }
    let transport = Transport::of(&cmdline)?;
    let modules = init::load_modules(transport);
    let broken: Vec<String> = modules
        .iter()
        .filter_map(|module| Some(format!("{}: {}", module.name, module.error.as_ref()?)))
        .collect();
    let stream = init::dial(transport).map_err(|error| match broken.as_slice() {
        [] => error,
        broken => format!("{error} (modules that failed: {})", broken.join("; ")),
    })?;
    // The channel keeps the stream, and its descriptor, until the machine is off.
    child::tell_panics_to(stream.as_raw_fd());
    let facts = guest_facts::gather(missing, modules);
    Ok(Place::Cell(Channel::new(stream), Box::new(facts)))
}

/// What an error of the connection is reported as.
#[expect(clippy::needless_pass_by_value, reason = "as `map_err` hands it over")]
fn lost(error: std::io::Error) -> String {
    format!("talk to the host: {error}")
}

/// From hello to done. After hello the agent is ready and holds nothing of a cell.
fn serve(channel: &mut HostChannel, facts: GuestFacts) -> Result<(), String> {
    // In place of the hello: such a kernel is asked nothing.
    if let Some(sentence) = kernel_needs::sentence(&facts.unmet) {
        return Err(sentence);
    }
    channel
        .say(&FromGuest::Hello {
            protocol: PROTOCOL,
            agent: env!("CARGO_PKG_VERSION").into(),
            libbpf: bpf::libbpf_version(),
            facts: Box::new(facts.clone()),
        })
        .map_err(lost)?;
    let mut ready = None;
    let mut kernel_files = None;
    let (request, text) = loop {
        let (said, text) = channel.hear().map_err(lost)?;
        if matches!(said, FromHost::Settle) {
            // Its copies find all of this done.
            ready = Some(Prober::start(&facts, prepare)?);
            let files = kernel_files.insert(KernelFiles::open());
            system::settle(files.random.as_ref());
        }
        channel.acknowledge().map_err(lost)?;
        match said {
            FromHost::Request(request) => break (request, text),
            FromHost::Settle => {}
            FromHost::Command(request) => {
                // The command is to find no process but its own.
                drop(ready);
                let files = kernel_files.unwrap_or_else(KernelFiles::open);
                return command::serve(channel, &request, facts, files);
            }
            FromHost::Kill { .. }
            | FromHost::Resize { .. }
            | FromHost::CloseStdout
            | FromHost::CloseStderr => {
                return Err("no command is running".into());
            }
            FromHost::Features => {
                let features = Box::new(kernel_features::probe(facts));
                channel
                    .say(&FromGuest::Features { features })
                    .map_err(lost)?;
                return channel.say(&FromGuest::Done).map_err(lost);
            }
        }
    };
    // First of all: nothing may see a template's clock, or draw its numbers.
    system::set_clock(request.time);
    let kernel_files = kernel_files.unwrap_or_else(KernelFiles::open);
    system::add_entropy(kernel_files.random.as_ref(), &request.entropy);
    let identity = Identity::draw(kernel_files.boot_id);
    let object = receive(channel, "the object", Some(request.size))?;
    let mut files = Vec::new();
    for name in &request.contract.files {
        files.push(receive(channel, &format!("the file `{name}`"), None)?);
    }
    for ModuleFile { name, size } in &request.modules {
        let module = receive(channel, &format!("the module `{name}`"), Some(*size))?;
        modules::keep(name, &module)?;
    }
    let prober = match ready {
        Some(prober) => prober,
        None => Prober::start(&facts, || {})?,
    };
    let asked = Asked {
        text: &text,
        request: &request,
        object: &object,
        files: &files,
        identity,
        log: kernel_files.log,
    };
    let (reply, _parked) = answer(prober, &facts, asked, &mut |progress| {
        channel.send(FrameKind::Json, progress).map_err(lost)
    })?;
    channel.send(FrameKind::Json, &reply).map_err(lost)?;
    channel.say(&FromGuest::Done).map_err(lost)
}

/// What the child of a guest that is to be saved does before there is a request.
fn prepare() {
    bpf::prepare();
    // Last: what the other needed is there then.
    system::populate();
}

/// The plain bytes of `what`, of which the request has said how many there are.
fn receive(channel: &mut HostChannel, what: &str, size: Option<u64>) -> Result<Vec<u8>, String> {
    let arrived = channel.receive();
    match arrived.map_err(|error| format!("talk to the host: {error}"))? {
        Arrived::Bytes(bytes) if size.is_none_or(|size| size == bytes.len() as u64) => Ok(bytes),
        Arrived::Bytes(bytes) => Err(format!(
            "{} bytes of {what} arrived, and the host announced {}",
            bytes.len(),
            size.unwrap_or_default()
        )),
        Arrived::Json(_) => Err(format!("expected {what}, received a message")),
    }
}

/// Does what a request asks for, up to the [`FromGuest::Reply`] as JSON. `pass` is handed each
/// [`FromGuest::Progress`]. The child lives until what is returned with the reply is dropped.
fn answer(
    prober: Prober,
    facts: &GuestFacts,
    mut asked: Asked<'_>,
    pass: &mut Pass<'_>,
) -> Result<(Vec<u8>, Parked), String> {
    let request = asked.request;
    let files = keep_files(asked.files)?;
    let mut kernel = kmsg::Recorder::from_now(asked.log.take(), Stage::Connect, "settings");
    let edits = set(&request.sysctl)?;
    let mut spared = BTreeMap::new();
    let mut answered = prober.probe(&asked, (&files, &edits, &spared), &mut kernel, pass);
    while let Err(Failure {
        attaching: Some((program, end)),
        ..
    }) = &answered
        && sends_signals(asked.object, program)
        && !spared.contains_key(program)
    {
        spared.insert(program.clone(), after_its_signal(end));
        let again = Prober::start(facts, || {})?;
        answered = again.probe(&asked, (&files, &edits, &spared), &mut kernel, pass);
    }
    let said = kernel.finish();
    let (reply, parked) = answered.map_err(|Failure { message, .. }| match said.telling() {
        None => message,
        // A child that was killed was often killed by the kernel, which says why.
        Some(line) => format!("{message}; the kernel's last warning: {line}"),
    })?;
    if said.lines.is_empty() {
        // To read it and to write it again would take as long as to load a small object.
        return Ok((reply, parked));
    }
    let mut evidence = prober::evidence_in(&reply)?;
    evidence.kmsg = said.lines;
    evidence.kmsg_marks = said.marks;
    let reply = serde_json::to_vec(&FromGuest::Reply { evidence });
    Ok((reply.map_err(|error| error.to_string())?, parked))
}

/// Whether a program of an object calls what sends a signal to the process that it runs in.
fn sends_signals(object: &[u8], program: &str) -> bool {
    let read = requirements::read(object);
    let needs = read.functions.get(program);
    needs.is_some_and(|needs| {
        let helper = |id: &u32| feature_probe::helper_name(*id).starts_with("bpf_send_signal");
        let kfunc = |name: &String| name.starts_with("bpf_send_signal");
        needs.helpers.iter().any(helper) || needs.kfuncs.iter().any(kfunc)
    })
}

/// Why a program is spared: it ended the process that attached it.
fn after_its_signal(end: &str) -> String {
    format!(
        "it was attached and called `bpf_send_signal`: the agent's process, which made it run, {end}"
    )
}

/// Makes the settings, each `key=value`. Returns the edits.
fn set(sysctl: &[String]) -> Result<Vec<String>, String> {
    let mut edits = Vec::new();
    for setting in sysctl {
        let (key, value) = setting
            .split_once('=')
            .ok_or_else(|| format!("sysctl `{setting}` is not `key=value`"))?;
        let path = format!("/proc/sys/{}", key.trim().replace('.', "/"));
        std::fs::write(&path, value.trim()).map_err(|error| format!("write {path}: {error}"))?;
        edits.push(format!("sysctl {}={}", key.trim(), value.trim()));
    }
    Ok(edits)
}
