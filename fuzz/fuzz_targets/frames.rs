//! Reads any bytes as the frames and messages that a guest sends. They are read or refused, and a
//! message that is cut into frames is the same again when the frames are joined.
#![no_main]

use std::fmt::Debug;
use std::future::Future;
use std::io::{self, Read, Write};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use libfuzzer_sys::fuzz_target;
use serde::Serialize;
use serde::de::DeserializeOwned;
use ukci_schema::message::{
    FRAME_LIMIT, FrameKind, FromGuest, FromHost, HEADER, MESSAGE_LIMIT, decode_header, frames,
};

fuzz_target!(|bytes: &[u8]| {
    read_stream(bytes);
    channels(bytes);
    for last in [FrameKind::Json, FrameKind::Bytes] {
        let mut message = Vec::new();
        let mut ended = false;
        for (header, payload) in frames(last, bytes) {
            let (kind, length) = decode_header(header).expect("our own header");
            assert_eq!(length, payload.len());
            assert!(!ended, "a frame after the last");
            ended = kind == last;
            message.extend_from_slice(payload);
        }
        assert!(ended);
        assert_eq!(message, bytes);
    }
});

/// A guest's end of a connection: what the host says, and nothing that is heard.
struct Said<'a>(&'a [u8]);

impl Read for Said<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Said<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Both ends of a conversation, each of which the other may say anything to.
fn channels(bytes: &[u8]) {
    let mut guest = ukci_guest::channel::Channel::new(Said(bytes));
    while guest.hear().is_ok() {}
    let mut guest = ukci_guest::channel::Channel::new(Said(bytes));
    while guest.take().is_ok() {}
    let stream = tokio::io::join(bytes, tokio::io::sink());
    let mut host = ukci_harness::channel::Channel::new(stream);
    // Nothing ever waits: the bytes are there, and then they end.
    let mut context = Context::from_waker(Waker::noop());
    loop {
        match pin!(host.receive()).poll(&mut context) {
            Poll::Ready(Ok(_)) => {}
            Poll::Ready(Err(error)) => {
                let error = error.to_string();
                assert!(!error.chars().any(char::is_control), "{error:?}");
                return;
            }
            Poll::Pending => panic!("it waits"),
        }
    }
}

/// Reads frames as the host does: whole messages until something is wrong.
fn read_stream(mut bytes: &[u8]) {
    let mut message = Vec::new();
    while let Some((header, rest)) = bytes.split_first_chunk::<HEADER>() {
        let Ok((kind, length)) = decode_header(*header) else {
            return;
        };
        assert!(length <= FRAME_LIMIT);
        let Some((payload, rest)) = rest.split_at_checked(length) else {
            return;
        };
        bytes = rest;
        message.extend_from_slice(payload);
        assert!(
            message.len() <= MESSAGE_LIMIT,
            "inputs are smaller than a message may be"
        );
        match kind {
            FrameKind::More | FrameKind::Ack => {}
            FrameKind::Bytes | FrameKind::Stdout | FrameKind::Stderr => message.clear(),
            FrameKind::Json => {
                said::<FromGuest>(&message);
                said::<FromHost>(&message);
                message.clear();
            }
        }
    }
}

/// A message that is one survives its own JSON.
fn said<T: Serialize + DeserializeOwned + PartialEq + Debug>(message: &[u8]) {
    if let Ok(said) = serde_json::from_slice::<T>(message) {
        let json = serde_json::to_vec(&said).expect("JSON of a message");
        assert_eq!(
            serde_json::from_slice::<T>(&json).expect("its own JSON"),
            said
        );
    }
}
