//! The HTTP client, and downloads of files that are small enough for memory.

use std::io::Read;
use std::time::Duration;

use ureq::tls::{RootCerts, TlsConfig};

/// Largest index file that is read into memory; sid's `Packages.xz` has 11 MB.
const MAX_INDEX: u64 = 256 << 20;

/// An HTTP client in which nothing waits forever: a mirror that is silent for half a minute has
/// failed.
pub fn client() -> ureq::Agent {
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

/// What a mirror said about a small file.
#[derive(Clone, Debug)]
pub enum Answer {
    /// Its bytes.
    Found(Vec<u8>),
    /// It is not there; anything else is an `Err` with the reason.
    NotFound,
}

/// All of a small file.
pub fn get(client: &ureq::Agent, url: &str) -> Result<Answer, String> {
    let response = client.get(url).call().map_err(|error| error.to_string())?;
    match response.status().as_u16() {
        200 => {
            let mut bytes = Vec::new();
            let mut body = response.into_body().into_reader().take(MAX_INDEX);
            body.read_to_end(&mut bytes)
                .map_err(|error| error.to_string())?;
            Ok(Answer::Found(bytes))
        }
        404 | 410 => Ok(Answer::NotFound),
        status => Err(format!("HTTP status {status}")),
    }
}

/// Whether a file is there; it is not fetched.
pub fn exists(client: &ureq::Agent, url: &str) -> Result<bool, String> {
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
