//! Commands in scripted guests: what passes in both directions while one runs, and how it ends.

use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::mpsc;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::watch;
use ukci_harness::catalogue::digest;
use ukci_harness::command::{self, StdinReader, StreamName};
use ukci_harness::event::Event;
use ukci_harness::machine::Ending;
use ukci_schema::command::{
    Command, CommandEvidence, CommandFile, CommandRequest, Content, Ended, Stdin,
};
use ukci_schema::contract::Contract;
use ukci_schema::diagnosis::Code;
use ukci_schema::evidence::{Evidence, GuestFacts};
use ukci_schema::message::{
    FRAME_LIMIT, FrameKind, FromGuest, FromHost, HEADER, decode_header, encode_header,
};
use ukci_schema::plan::{Plan, PlannedArtifact};
use ukci_schema::report::CellReport;
use ukci_schema::verdict::{Stage, VerdictKind};

use crate::fixture::{CLOSE, Ran, run_with};
use crate::scripted::{Script, exited, panicked};
use crate::wire::{hear, say};

/// The guest's part, after the host has asked for a command.
pub(crate) async fn play(
    script: Script,
    request: &CommandRequest,
    mut stream: DuplexStream,
    end: &watch::Sender<Option<Ending>>,
) {
    assert_eq!(request.entropy.len(), 64);
    assert_eq!(request.command.environment["UKCI_KERNEL"], "k");
    if script == Script::RefusesFiles {
        return refuse(&mut stream).await;
    }
    for (sha256, size) in request.command.contents() {
        let mut bytes = Vec::new();
        while (bytes.len() as u64) < size {
            let (kind, piece) = hear(&mut stream).await;
            assert_eq!(kind, FrameKind::Bytes);
            bytes.extend(piece);
        }
        assert_eq!(digest::of(&bytes), sha256);
    }
    let begun = FromGuest::Progress {
        stage: Stage::Behave,
        doing: "command".into(),
    };
    say(&mut stream, &begun).await;
    let mut seen = CommandEvidence {
        arguments: request.command.arguments.clone(),
        ..CommandEvidence::default()
    };
    match script {
        Script::Restarts => {
            write(&mut stream, FrameKind::Stderr, b"bye\n").await;
            drop(stream);
            return drop(end.send(Some(exited("QEMU", Some("guest-reset"), None))));
        }
        Script::PanicAtLoad => {
            hear(&mut stream).await;
            drop(stream);
            return drop(end.send(Some(panicked())));
        }
        Script::ReadsAndLacksMemory => {
            hear(&mut stream).await;
            let trouble = FromGuest::Trouble {
                message: "start the command: Cannot allocate memory".into(),
                out_of_memory: true,
            };
            return write_message(&mut stream, &trouble).await;
        }
        Script::EndsBeforeItReads => {
            // The input has arrived, and is acknowledged after the end.
            unacknowledged(&mut stream).await;
            write_message(&mut stream, &FromGuest::Ended).await;
            let header = encode_header(FrameKind::Ack, 0);
            stream.write_all(&header).await.unwrap();
        }
        Script::WritesUntilClosed => {
            while !write(&mut stream, FrameKind::Stdout, CLOSE)
                .await
                .contains(&closed())
            {}
            seen.ended = Ended::Signaled { signal: 13 };
        }
        Script::RunsForEver => seen.ended = until_killed(&mut stream).await,
        _ => copy(&mut stream).await,
    }
    // What the host had sent before it knew of the end is answered.
    if script != Script::EndsBeforeItReads {
        write_message(&mut stream, &FromGuest::Ended).await;
    }
    if script == Script::Copies {
        let name = "../../evil".to_owned();
        say(&mut stream, &file(name, 4)).await;
        write(&mut stream, FrameKind::Bytes, b"left").await;
        seen.out.push("../../evil".into());
        seen.out_refused.push("pipe: it is a pipe".into());
    }
    if script == Script::FileTooLong {
        let name = "x".to_owned();
        say(&mut stream, &file(name, 1)).await;
        write(&mut stream, FrameKind::Bytes, b"left").await;
    }
    let evidence = Evidence {
        schema: ukci_schema::evidence::SCHEMA.into(),
        guest: GuestFacts::default(),
        command: Some(seen),
        ..Evidence::default()
    };
    let evidence = Box::new(evidence);
    say(&mut stream, &FromGuest::Reply { evidence }).await;
    say(&mut stream, &FromGuest::Done).await;
}

fn file(name: String, size: u64) -> FromGuest {
    FromGuest::File {
        name,
        size,
        executable: true,
    }
}

fn closed() -> Vec<u8> {
    serde_json::to_vec(&FromHost::CloseStdout).unwrap()
}

/// Gives up when the first file has begun to arrive, as the agent does: it drops what still comes until
/// that was heard.
async fn refuse(stream: &mut DuplexStream) {
    let trouble = FromGuest::Trouble {
        message: "load the module `nosuch`: it is missing".into(),
        out_of_memory: false,
    };
    let mut header = [0; HEADER];
    stream.read_exact(&mut header).await.unwrap();
    let (kind, length) = decode_header(header).unwrap();
    assert_eq!(kind, FrameKind::More, "the file needs several frames");
    stream.read_exact(&mut vec![0; length]).await.unwrap();
    write_message(stream, &trouble).await;
}

/// Reads one message and does not acknowledge it.
async fn unacknowledged(stream: &mut DuplexStream) {
    loop {
        let mut header = [0; HEADER];
        stream.read_exact(&mut header).await.unwrap();
        let (kind, length) = decode_header(header).unwrap();
        stream.read_exact(&mut vec![0; length]).await.unwrap();
        if kind != FrameKind::More {
            return;
        }
    }
}

/// Copies the input to the output until the input ends.
async fn copy(stream: &mut DuplexStream) {
    let mut ended = false;
    let mut waiting: Vec<Vec<u8>> = Vec::new();
    while !ended {
        let piece = match waiting.pop() {
            Some(piece) => piece,
            None => hear(stream).await.1,
        };
        ended = piece.is_empty();
        if !ended {
            waiting.extend(write(stream, FrameKind::Stdout, &piece).await);
        }
    }
}

async fn until_killed(stream: &mut DuplexStream) -> Ended {
    loop {
        let (kind, text) = hear(stream).await;
        if kind == FrameKind::Json {
            let FromHost::Kill { seconds } = serde_json::from_slice(&text).unwrap() else {
                panic!("a command is only killed")
            };
            return Ended::TimedOut { seconds };
        }
    }
}

async fn write_message(stream: &mut DuplexStream, message: &FromGuest) {
    let text = serde_json::to_vec(message).unwrap();
    write(stream, FrameKind::Json, &text).await;
}

/// Sends one frame and reads until it was acknowledged. What else came is acknowledged and returned.
async fn write(stream: &mut DuplexStream, kind: FrameKind, bytes: &[u8]) -> Vec<Vec<u8>> {
    let header = encode_header(kind, bytes.len());
    stream.write_all(&header).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut others = Vec::new();
    loop {
        let mut header = [0; HEADER];
        if stream.read_exact(&mut header).await.is_err() {
            // The host has given up.
            return others;
        }
        let (kind, length) = decode_header(header).unwrap();
        if kind == FrameKind::Ack {
            return others;
        }
        let mut other = vec![0; length];
        stream.read_exact(&mut other).await.unwrap();
        let header = encode_header(FrameKind::Ack, 0);
        stream.write_all(&header).await.unwrap();
        others.push(other);
    }
}

fn input() -> Vec<u8> {
    (0..5 * FRAME_LIMIT + 7)
        .map(|n| n.to_le_bytes()[0])
        .collect()
}

/// A command with one file, and an input that needs several frames; or the input of ukci itself.
fn planned(dir: &Path, is_stream: bool) -> PlannedArtifact {
    let file = |name: &str, bytes: &[u8]| {
        let path = dir.join(name);
        std::fs::write(&path, bytes).unwrap();
        (digest::of(bytes), path.display().to_string())
    };
    let program = vec![9; 3 * FRAME_LIMIT];
    let (sha256, source) = file("program", &program);
    let content = Content::Bytes {
        sha256,
        size: program.len() as u64,
        mode: 0o755,
        source,
    };
    let (sha256, source) = file("input", &input());
    let command = Command {
        schema: ukci_schema::command::SCHEMA.into(),
        name: "x".into(),
        program: "/program".into(),
        arguments: vec!["program".into()],
        workdir: "/".into(),
        files: vec![CommandFile {
            path: "/program".into(),
            content,
        }],
        stdin: if is_stream {
            Stdin::Stream
        } else {
            Stdin::File { sha256, source }
        },
        out: "/out".into(),
        ..Command::default()
    };
    command::planned(&command, "./program", Vec::new(), &[])
}

async fn run(script: Script) -> (CellReport, Ran) {
    run_with_input(script, None).await
}

/// What ukci itself reads: one piece or an error, and then the end.
struct Source(Option<io::Result<Vec<u8>>>, mpsc::Sender<()>);

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(next) = self.0.take() else {
            // Whoever reads for a guest has handed the first piece over.
            let _ = self.1.send(());
            return Ok(0);
        };
        let bytes = next?;
        buffer[..bytes.len()].copy_from_slice(&bytes);
        Ok(bytes.len())
    }
}

/// A reader that has the first piece of its source: under a paused clock, a deadline would not wait for
/// the thread that reads it.
fn reader(input: io::Result<Vec<u8>>) -> StdinReader {
    let (sender, ready) = mpsc::channel();
    let reader = StdinReader::of(Source(Some(input), sender));
    // A source whose thread has ended is ready too.
    let _ = ready.recv();
    reader
}

async fn run_with_input(script: Script, stdin: Option<StdinReader>) -> (CellReport, Ran) {
    let (_keep, cancel) = watch::channel(false);
    let adjust = |plan: &mut Plan, options: &mut ukci_harness::run::Options| {
        let dir = options.out.parent().unwrap().to_owned();
        plan.artifacts
            .insert("x".into(), planned(&dir, stdin.is_some()));
        options.stdin = stdin;
        plan.cells[0].contract = Contract::default();
    };
    let ran = run_with(&[("k", script)], adjust, cancel).await;
    (ran.report.cells[0].clone(), ran)
}

fn written(ran: &Ran, stream: StreamName) -> Vec<u8> {
    let chunks = ran.events.iter().filter_map(|event| match event {
        Event::Output { cell, chunk, .. } if chunk.stream == stream => {
            assert_eq!(cell.id(), "x/k/x86_64");
            Some(chunk.bytes.clone())
        }
        _ => None,
    });
    chunks.flatten().collect()
}

#[tokio::test(start_paused = true)]
async fn input_and_output_pass_whole_and_files_come_back_under_names_that_lead_nowhere() {
    let (cell, ran) = run(Script::Copies).await;
    assert_eq!(cell.verdict, VerdictKind::Pass, "{:?}", cell.fault);
    assert_eq!(cell.stage, Stage::Behave);
    assert_eq!(written(&ran, StreamName::Stdout), input());
    let out = ran.dir.path().join("out");
    let evidence = out.join(&cell.evidence);
    assert_eq!(std::fs::read(evidence.join("stdout.log")).unwrap(), input());
    let left: Vec<_> = walk(&evidence.join("out"));
    assert_eq!(left.len(), 1, "{left:?}");
    assert!(left[0].starts_with(evidence.join("out")), "{left:?}");
    assert_eq!(std::fs::read(&left[0]).unwrap(), b"left");
    let mode = std::fs::metadata(&left[0]).unwrap().permissions().mode();
    assert_eq!(mode & 0o100, 0o100, "it stays executable");
    assert_eq!(cell.command.unwrap().out_refused, ["pipe: it is a pipe"]);
    assert!(out.join("artifacts/x.command.json").exists());
}

fn walk(dir: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    paths
        .flat_map(|path| {
            if path.is_dir() {
                walk(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_command_may_end_before_it_has_taken_its_input() {
    let (cell, _ran) = run(Script::EndsBeforeItReads).await;
    assert_eq!(cell.verdict, VerdictKind::Pass, "{:?}", cell.fault);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_while_files_are_sent_is_an_error_in_the_words_of_the_agent() {
    let (cell, _ran) = run(Script::RefusesFiles).await;
    assert_eq!(cell.verdict, VerdictKind::Error, "{:?}", cell.diagnosis);
    insta::assert_snapshot!(cell.fault.unwrap().headline, @"the agent could not do its work: load the module `nosuch`: it is missing");
}

#[tokio::test(start_paused = true)]
async fn an_output_that_nobody_reads_any_more_is_closed_for_the_command() {
    let (cell, _ran) = run(Script::WritesUntilClosed).await;
    let ended = cell.command.unwrap().ended;
    assert_eq!(ended, Ended::Signaled { signal: 13 }, "{:?}", cell.fault);
}

#[tokio::test(start_paused = true)]
async fn a_command_whose_time_is_up_is_killed_and_that_is_its_failure() {
    let (cell, _ran) = run(Script::RunsForEver).await;
    let diagnosis = cell.diagnosis.unwrap();
    assert_eq!(diagnosis.code, Code::CommandValidationFailure);
    insta::assert_snapshot!(diagnosis.headline, @"expected exit status 0 from `program`, but it had not ended after 120 s and was killed");
}

#[tokio::test(start_paused = true)]
async fn a_command_that_restarts_the_guest_has_failed() {
    let (cell, ran) = run(Script::Restarts).await;
    let diagnosis = cell.diagnosis.unwrap();
    assert_eq!(diagnosis.code, Code::CommandValidationFailure);
    insta::assert_snapshot!(diagnosis.headline, @"expected exit status 0 from `program`, but the guest was restarted while it ran");
    assert_eq!(written(&ran, StreamName::Stderr), b"bye\n");
    assert_eq!(cell.boots, 1);
}

#[tokio::test(start_paused = true)]
async fn a_guest_that_sends_more_than_it_announced_is_not_believed() {
    let (cell, _ran) = run(Script::FileTooLong).await;
    assert_eq!(cell.verdict, VerdictKind::Error);
    insta::assert_snapshot!(cell.fault.unwrap().headline, @"the agent sent more of a file, but what it announced was expected");
}

#[tokio::test(start_paused = true)]
async fn input_that_is_gone_is_not_replaced_by_less() {
    for (script, code) in [
        (Script::PanicAtLoad, Code::KernelPanic),
        (Script::ReadsAndLacksMemory, Code::GuestResources),
    ] {
        let stdin = reader(Ok(b"once".to_vec()));
        let (cell, _ran) = run_with_input(script, Some(stdin)).await;
        assert_eq!((cell.verdict, cell.boots), (VerdictKind::Error, 1));
        let fault = cell.fault.unwrap();
        assert_eq!(fault.code, Some(code));
        let gone = "and the command cannot run again, because what it was given of ukci's standard \
                    input cannot be given again";
        assert!(fault.headline.ends_with(gone), "{}", fault.headline);
        let hints = fault.hints.join(" ");
        assert!(hints.contains("--stdin FILE"), "{hints}");
        let is_memory = code == Code::GuestResources;
        assert_eq!(hints.contains("--memory"), is_memory, "{hints}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_file_and_an_empty_input_are_given_to_each_boot() {
    for stdin in [None, Some(reader(Ok(Vec::new())))] {
        let (cell, _ran) = run_with_input(Script::PanicAtLoad, stdin).await;
        assert_eq!((cell.verdict, cell.boots), (VerdictKind::Fail, 2));
    }
}

#[tokio::test(start_paused = true)]
async fn input_that_cannot_be_read_is_an_error_and_no_end_of_the_input() {
    let stdin = reader(Err(io::ErrorKind::IsADirectory.into()));
    let (cell, _ran) = run_with_input(Script::Copies, Some(stdin)).await;
    assert_eq!((cell.verdict, cell.boots), (VerdictKind::Error, 1));
    insta::assert_snapshot!(cell.fault.unwrap().headline, @"failed to read the command's standard input: is a directory");
}
