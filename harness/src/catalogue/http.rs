//! The HTTP client, and downloads of files that are small enough for memory.

use std::io::{self, Read};
use std::time::{Duration, Instant};

use ureq::tls::{RootCerts, TlsConfig};

/// Largest index file that is read into memory; sid's `Packages.xz` has 11 MB.
const MAX_INDEX: u64 = 256 << 20;

/// A client, which can be used from several threads.
pub type Client = ureq::Agent;

/// An HTTP client in which nothing waits forever: a mirror that is silent for half a minute has
/// failed.
pub fn client() -> Client {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .user_agent(concat!("ukci/", env!("CARGO_PKG_VERSION")))
        .tls_config(
            TlsConfig::builder()
                .root_certs(RootCerts::PlatformVerifier)
                .build(),
        )
        .timeout_connect(Some(Duration::from_secs(15)))
        .timeout_recv_response(Some(Duration::from_secs(30)))
        .timeout_per_read(Some(Duration::from_secs(30)))
        .build()
        .new_agent()
}

/// How long a mirror may be slower than [`LEAST`].
const WINDOW: Duration = Duration::from_mins(1);
/// Least bytes in each [`WINDOW`]: a modem's rate. A mirror that drips bytes is never silent for as
/// long as a read may wait, and would never end.
const LEAST: u64 = 60 << 10;

/// A body that has to come at a least rate.
pub(crate) struct Paced<R, C> {
    body: R,
    now: C,
    /// The window that runs, and what has come in it.
    since: Instant,
    bytes: u64,
}

impl<R: Read, C: FnMut() -> Instant> Paced<R, C> {
    pub(crate) fn new(body: R, mut now: C) -> Self {
        Self {
            body,
            since: now(),
            now,
            bytes: 0,
        }
    }
}

impl<R: Read, C: FnMut() -> Instant> Read for Paced<R, C> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.body.read(buffer)?;
        self.bytes += read as u64;
        let now = (self.now)();
        if now.duration_since(self.since) >= WINDOW {
            // The end is an end, however long it took to come.
            if self.bytes < LEAST && read > 0 {
                let message = format!(
                    "it sent {} bytes in {} s, and less than {} is too slow",
                    self.bytes,
                    now.duration_since(self.since).as_secs(),
                    LEAST
                );
                return Err(io::Error::new(io::ErrorKind::TimedOut, message));
            }
            (self.since, self.bytes) = (now, 0);
        }
        Ok(read)
    }
}

/// What a mirror said about a small file.
#[derive(Clone, Debug)]
pub enum Answer {
    /// Its bytes.
    Found(Vec<u8>),
    /// It is not there; anything else is an `Err` with the reason.
    NotFound,
}

/// All of a file that is small enough for memory.
pub fn get(client: &Client, url: &str) -> Result<Answer, String> {
    get_at_most(client, url, MAX_INDEX)
}

/// All of a file of at most `limit` bytes; a longer one is an error.
pub fn get_at_most(client: &Client, url: &str, limit: u64) -> Result<Answer, String> {
    let response = client.get(url).call().map_err(|error| error.to_string())?;
    match response.status().as_u16() {
        200 => {
            let mut bytes = Vec::new();
            let body = Paced::new(response.into_body().into_reader(), Instant::now);
            let mut body = body.take(limit.saturating_add(1));
            body.read_to_end(&mut bytes)
                .map_err(|error| error.to_string())?;
            if bytes.len() as u64 > limit {
                return Err(format!("it has more than {limit} bytes"));
            }
            Ok(Answer::Found(bytes))
        }
        404 | 410 => Ok(Answer::NotFound),
        status => Err(format!("HTTP status {status}")),
    }
}

/// Whether a file is there; it is not fetched.
pub fn exists(client: &Client, url: &str) -> Result<bool, String> {
    let response = client.head(url).call().map_err(|error| error.to_string())?;
    match response.status().as_u16() {
        200 => Ok(true),
        404 | 410 => Ok(false),
        status => Err(format!("HTTP status {status}")),
    }
}

/// Whether a partial answer begins where it was asked to.
pub(crate) fn is_from(headers: &ureq::http::HeaderMap, start: u64) -> bool {
    headers
        .get("content-range")
        .and_then(|value| {
            value
                .to_str()
                .ok()?
                .strip_prefix("bytes ")?
                .split('-')
                .next()
        })
        .is_some_and(|first| first == start.to_string())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::io::{ErrorKind, Read, repeat};
    use std::time::{Duration, Instant};

    use super::{LEAST, Paced};

    /// How a body ends of which `at_once` bytes come every five seconds.
    fn read(at_once: u64, total: u64) -> Result<u64, ErrorKind> {
        let start = Instant::now();
        let reads = Cell::new(0);
        let clock = || {
            reads.set(reads.get() + 1);
            start + Duration::from_secs(5) * reads.get()
        };
        let mut body = Paced::new(repeat(1).take(total), clock);
        let mut buffer = vec![0; usize::try_from(at_once).unwrap()];
        let mut come = 0;
        loop {
            match body.read(&mut buffer) {
                Ok(0) => return Ok(come),
                Ok(read) => come += read as u64,
                Err(error) => return Err(error.kind()),
            }
        }
    }

    #[test]
    fn a_mirror_that_drips_is_given_up_and_a_slow_one_is_not() {
        assert_eq!(read(1, 1000), Err(ErrorKind::TimedOut));
        assert_eq!(read(LEAST / 24, 1 << 20), Err(ErrorKind::TimedOut));
        assert_eq!(read(LEAST / 10, 1 << 20), Ok(1 << 20));
        // A small file may take as long as it likes to end.
        assert_eq!(read(1, 11), Ok(11));
    }
}
