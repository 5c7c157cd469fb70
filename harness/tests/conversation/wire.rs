//! The agent's end of a connection.

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use ukci_schema::message::{FrameKind, FromGuest, HEADER, decode_header, encode_header, frames};

pub(crate) async fn say(stream: &mut DuplexStream, message: &FromGuest) {
    let text = serde_json::to_vec(message).unwrap();
    for (header, payload) in frames(FrameKind::Json, &text) {
        stream.write_all(&header).await.unwrap();
        stream.write_all(payload).await.unwrap();
    }
    let mut ack = [0; HEADER];
    stream.read_exact(&mut ack).await.unwrap();
    assert_eq!(decode_header(ack), Ok((FrameKind::Ack, 0)));
}

pub(crate) async fn hear(stream: &mut DuplexStream) -> (FrameKind, Vec<u8>) {
    let mut message = Vec::new();
    loop {
        let mut header = [0; HEADER];
        stream.read_exact(&mut header).await.unwrap();
        let (kind, length) = decode_header(header).unwrap();
        let start = message.len();
        message.resize(start + length, 0);
        stream.read_exact(&mut message[start..]).await.unwrap();
        if kind != FrameKind::More {
            stream
                .write_all(&encode_header(FrameKind::Ack, 0))
                .await
                .unwrap();
            return (kind, message);
        }
    }
}
