//! What passes between a command and the person who runs it, while it runs.

use std::collections::BTreeSet;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{Mutex, mpsc, watch};
use ukci_schema::command::WindowSize;

/// One of a command's two outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StreamName {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl StreamName {
    /// The name of its file beside the evidence.
    pub const fn file(self) -> &'static str {
        match self {
            Self::Stdout => "stdout.log",
            Self::Stderr => "stderr.log",
        }
    }
}

/// Bytes that a command wrote, in the order in which the guest's agent read them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Where it wrote them.
    pub stream: StreamName,
    /// They.
    pub bytes: Vec<u8>,
}

/// Where a cell's output goes: the place of the cell in the plan, the bytes, and what closes it. It has
/// room for a few only, so that a command waits for whoever reads.
pub(crate) type Sender = mpsc::Sender<(usize, Chunk, Closer)>;

/// Closes the outputs of a command that runs, for whoever shows them and has nobody left to show them to.
#[derive(Clone, Debug)]
pub struct Closer(Arc<watch::Sender<BTreeSet<StreamName>>>);

impl Closer {
    /// Closes one. The command sees what a program sees whose reader has gone: SIGPIPE, or `EPIPE`.
    pub fn close(&self, stream: StreamName) {
        self.0.send_if_modified(|closed| closed.insert(stream));
    }
}

/// The outputs that were closed and of which the guest was not told yet.
#[derive(Debug)]
pub(super) struct Closed {
    closed: watch::Receiver<BTreeSet<StreamName>>,
    told: BTreeSet<StreamName>,
}

impl Closed {
    /// Nothing is closed yet.
    pub(super) fn begin() -> (Closer, Self) {
        let (sender, closed) = watch::channel(BTreeSet::new());
        let told = BTreeSet::new();
        (Closer(Arc::new(sender)), Self { closed, told })
    }

    /// The next output that is closed. If it is dropped while it waits, nothing is lost.
    pub(super) async fn next(&mut self) -> StreamName {
        loop {
            let new = (self
                .closed
                .borrow_and_update()
                .difference(&self.told)
                .next())
            .copied();
            if let Some(stream) = new {
                self.told.insert(stream);
                return stream;
            }
            if self.closed.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

/// Bytes for a command's standard input, as they are read, and the size of the terminal's window if
/// they are typed into one.
#[derive(Clone, Debug)]
pub struct StdinReader {
    pieces: Arc<Mutex<mpsc::Receiver<io::Result<Vec<u8>>>>>,
    /// Whether a guest was given anything of it. Nobody has those bytes any more.
    taken: Arc<AtomicBool>,
    window: Option<watch::Receiver<WindowSize>>,
}

/// Most bytes of input in one message, which is one frame.
const PIECE: usize = 8 * 1024;

impl StdinReader {
    /// Reads `source` to its end in a thread of its own, which waits while nobody takes anything. A cell
    /// whose command would be given what comes after an error has no verdict.
    pub fn of(mut source: impl Read + Send + 'static) -> Self {
        let (sender, receiver) = mpsc::channel(1);
        std::thread::spawn(move || {
            let mut buffer = vec![0; PIECE];
            loop {
                match source.read(&mut buffer) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Ok(0) => return,
                    Ok(read) => {
                        if sender.blocking_send(Ok(buffer[..read].to_vec())).is_err() {
                            return;
                        }
                    }
                    Err(error) => {
                        // Nobody is left to tell when the run has ended.
                        let _ = sender.blocking_send(Err(error));
                        return;
                    }
                }
            }
        });
        Self {
            pieces: Arc::new(Mutex::new(receiver)),
            taken: Arc::default(),
            window: None,
        }
    }

    /// The same, with the size of the terminal's window, as it changes.
    #[must_use]
    pub fn in_window(self, window: watch::Receiver<WindowSize>) -> Self {
        Self {
            window: Some(window),
            ..self
        }
    }
}

/// A cell's standard input.
#[derive(Clone, Debug)]
pub enum Stdin {
    /// These bytes; none: the end at once.
    Bytes(Arc<[u8]>),
    /// What comes.
    Stream(StdinReader),
}

impl Stdin {
    /// Whether another guest would get less of it than the first one was given.
    pub(crate) fn was_taken(&self) -> bool {
        match self {
            Self::Bytes(_) => false,
            Self::Stream(reader) => reader.taken.load(Ordering::Relaxed),
        }
    }
}

/// Hands out a standard input piece by piece.
#[derive(Debug)]
pub(super) struct Pieces {
    stdin: Stdin,
    at: usize,
}

impl Pieces {
    pub(super) fn of(stdin: Stdin) -> Self {
        Self { stdin, at: 0 }
    }

    /// The next piece; an empty one is the end. If it is dropped while it waits, nothing is lost. The
    /// error is that of whoever reads the input.
    pub(super) async fn next(&mut self) -> io::Result<Vec<u8>> {
        Ok(match &self.stdin {
            Stdin::Bytes(bytes) => {
                let end = bytes.len().min(self.at + PIECE);
                let piece = bytes[self.at..end].to_vec();
                self.at = end;
                piece
            }
            Stdin::Stream(StdinReader { pieces, taken, .. }) => {
                let piece = pieces.lock().await.recv().await;
                let piece = piece.transpose()?.unwrap_or_default();
                // An input that was empty ends at once for the next guest too.
                if !piece.is_empty() {
                    taken.store(true, Ordering::Relaxed);
                }
                piece
            }
        })
    }
}

/// The sizes of a terminal's window that a guest was not told of yet.
#[derive(Debug)]
pub(super) struct Window(Option<watch::Receiver<WindowSize>>);

impl Window {
    /// That of a standard input, which the command has had since it was planned.
    pub(super) fn of(stdin: &Stdin) -> Self {
        Self(match stdin {
            Stdin::Stream(StdinReader { window, .. }) => window.clone(),
            Stdin::Bytes(_) => None,
        })
    }

    /// The next size; it never comes if there is no terminal.
    pub(super) async fn next(&mut self) -> WindowSize {
        if let Some(window) = &mut self.0
            && window.changed().await.is_ok()
        {
            return *window.borrow_and_update();
        }
        std::future::pending().await
    }
}

#[cfg(test)]
mod tests {
    use super::{PIECE, Pieces, Stdin, StdinReader};

    #[tokio::test]
    async fn input_comes_in_pieces_and_then_ends() {
        let bytes: Vec<u8> = (0..3 * PIECE + 5).map(|n| n.to_le_bytes()[0]).collect();
        let sources = [
            Stdin::Bytes(bytes.clone().into()),
            Stdin::Stream(StdinReader::of(std::io::Cursor::new(bytes.clone()))),
        ];
        for source in sources {
            let mut pieces = Pieces::of(source);
            let mut all = Vec::new();
            loop {
                let piece = pieces.next().await.unwrap();
                if piece.is_empty() {
                    break;
                }
                assert!(piece.len() <= PIECE);
                all.extend(piece);
            }
            assert_eq!(all, bytes);
            assert!(pieces.next().await.unwrap().is_empty(), "it has ended");
        }
    }
}
