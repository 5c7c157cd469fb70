//! A mirror on this host, with faults, for tests. It stands alone: the tests of `ukci-pin` use it,
//! too.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// How a mirror answers for one path.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// The file, in ranges if requested.
    File(Vec<u8>),
    /// The file, always from its beginning.
    NoRanges(Vec<u8>),
    /// Says the whole length, sends so many bytes, and hangs up: the first time. Then as `File`.
    BreaksOff(Vec<u8>, usize),
    /// As `BreaksOff`, then as `NoRanges`.
    BreaksOffNoRanges(Vec<u8>, usize),
    /// A file of unknown length that does not end.
    Endless,
    /// This status and nothing else.
    Status(u16),
}

type Files = BTreeMap<String, Reply>;

/// A mirror on this host; it ends with the test's process.
#[derive(Clone, Debug)]
pub(crate) struct Mirror {
    /// Address of its root.
    pub(crate) root: String,
    files: Arc<Mutex<Files>>,
    log: Arc<Mutex<Vec<String>>>,
}

impl Mirror {
    pub(crate) fn new(files: impl IntoIterator<Item = (String, Reply)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mirror = Self {
            root: format!("http://{}", listener.local_addr().unwrap()),
            files: Arc::new(Mutex::new(files.into_iter().collect())),
            log: Arc::default(),
        };
        let (files, log) = (Arc::clone(&mirror.files), Arc::clone(&mirror.log));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (files, log) = (Arc::clone(&files), Arc::clone(&log));
                std::thread::spawn(move || answer(&stream.unwrap(), &files, &log));
            }
        });
        mirror
    }

    /// One line per request: the path, and the range that was requested.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }
}

/// One request, and an answer that may be wrong in the way the test wants. A client that hangs up
/// is no concern of the mirror's.
fn answer(stream: &TcpStream, files: &Mutex<Files>, log: &Mutex<Vec<String>>) -> Option<()> {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let path = lines
        .next()?
        .split(' ')
        .nth(1)?
        .trim_start_matches('/')
        .to_owned();
    let mut start = None;
    for line in lines.take_while(|line| !line.is_empty()) {
        let line = line.to_ascii_lowercase();
        if let Some(range) = line.strip_prefix("range: bytes=") {
            start = range.trim_end_matches('-').parse::<usize>().ok();
        }
    }
    let range = start.map_or(String::new(), |start| format!(" from {start}"));
    log.lock().unwrap().push(format!("{path}{range}"));
    let reply = {
        let mut files = files.lock().unwrap();
        let reply = files.get(&path).cloned().unwrap_or(Reply::Status(404));
        match reply.clone() {
            Reply::BreaksOff(bytes, _) => files.insert(path, Reply::File(bytes)),
            Reply::BreaksOffNoRanges(bytes, _) => files.insert(path, Reply::NoRanges(bytes)),
            _ => None,
        };
        reply
    };
    let mut stream = stream;
    let mut send = |status: &str, length: usize, more: &str, bytes: &[u8]| -> Option<()> {
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n{more}\r\n"
        );
        stream.write_all(head.as_bytes()).ok()?;
        stream.write_all(bytes).ok()
    };
    match (reply, start) {
        (Reply::File(bytes), Some(start)) if start < bytes.len() => {
            let range = format!(
                "Content-Range: bytes {start}-{}/{}\r\n",
                bytes.len() - 1,
                bytes.len()
            );
            send(
                "206 Partial Content",
                bytes.len() - start,
                &range,
                &bytes[start..],
            )
        }
        (Reply::File(_), Some(_)) => send("416 Range Not Satisfiable", 0, "", b""),
        (Reply::File(bytes) | Reply::NoRanges(bytes), _) => send("200 OK", bytes.len(), "", &bytes),
        (Reply::BreaksOff(bytes, at) | Reply::BreaksOffNoRanges(bytes, at), _) => {
            send("200 OK", bytes.len(), "", &bytes[..at])
        }
        (Reply::Endless, _) => {
            let mut stream = stream;
            let head = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
            stream.write_all(head).ok()?;
            loop {
                stream.write_all(&[0; 4096]).ok()?;
            }
        }
        (Reply::Status(status), _) => send(&format!("{status} No"), 0, "", b""),
    }
}
