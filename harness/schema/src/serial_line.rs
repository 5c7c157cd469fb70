//! Carries a byte stream over a serial line that may lose, change or invent bytes.
//!
//! A UART has no flow control that both QEMU and every kernel honor. A guest that does not read in
//! time loses what arrives, and a kernel that looks for its UARTs sends bytes of its own. So each side
//! cuts its stream into numbered packets with a checksum, keeps them until the other side has
//! confirmed them, and sends them again if it has not. What arrives is the same stream, or nothing.
//!
//! | Bytes | Of a packet |
//! |---|---|
//! | 2 | [`MARK`] |
//! | 1 | what it is: data, a confirmation, or the request to send again |
//! | 2 | the number of this packet of data; little-endian, as all numbers |
//! | 2 | the number of the packet of data that its sender waits for: all before it have arrived |
//! | 2 | length of the data, at most [`PACKET_LIMIT`] |
//! | 4 | CRC-32 of the rest, without the mark |
//! | … | the data |
//!
//! At most [`WINDOW`] packets are on their way in one direction: with 8 KiB, fewer than the 64 KiB
//! that a Linux tty keeps for a reader that is late. A receiver takes packets only in their order
//! (Go-Back-N). Nothing is read or written here, and the clock is the caller's.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How a packet begins.
const MARK: [u8; 2] = [0xd5, 0x2a];

/// Bytes before the data.
const HEADER: usize = 13;

/// Most bytes of data in one packet.
const PACKET_LIMIT: usize = 1024;

/// Most packets of one direction that are not confirmed yet.
const WINDOW: usize = 8;

/// Most bytes that wait to be sent or to be taken by this side. Beyond it nothing more is accepted.
const BACKLOG: usize = 64 * 1024;

/// How long a packet may stay unconfirmed before it is sent again. Twice as long each time, up to the
/// second: a guest on a busy host may stand still for seconds.
const PATIENCE: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(8)];

/// What a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Kind {
    Data = 1,
    /// Nothing but the number that is waited for.
    Confirmation = 2,
    /// A packet is missing: send from the number that is waited for.
    Again = 3,
}

/// What is owed to the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owed {
    Nothing,
    Confirmation,
    Again,
}

/// One end of a serial line.
#[derive(Debug)]
pub struct SerialLine {
    /// What this side sends and has not put into packets yet.
    outbox: VecDeque<u8>,
    /// The data of the packets that are not confirmed, oldest first.
    unconfirmed: VecDeque<Vec<u8>>,
    /// How many of them have been sent in this turn.
    sent: usize,
    /// The number of the oldest unconfirmed packet.
    oldest: u16,
    patience: Duration,
    /// When the unconfirmed packets are sent again.
    deadline: Option<Instant>,
    /// What arrived and is not cut into packets yet.
    raw: Vec<u8>,
    /// What arrived in order and was not taken yet.
    inbox: VecDeque<u8>,
    /// The number of the packet that this side waits for.
    awaited: u16,
    owed: Owed,
    /// Whether the other side was asked to send from `awaited` already.
    asked_again: bool,
}

impl Default for SerialLine {
    fn default() -> Self {
        Self {
            outbox: VecDeque::new(),
            unconfirmed: VecDeque::new(),
            sent: 0,
            oldest: 0,
            patience: PATIENCE[0],
            deadline: None,
            raw: Vec::new(),
            inbox: VecDeque::new(),
            awaited: 0,
            owed: Owed::Nothing,
            asked_again: false,
        }
    }
}

impl SerialLine {
    /// How many bytes [`queue`](Self::queue) takes.
    pub fn room(&self) -> usize {
        BACKLOG.saturating_sub(self.outbox.len())
    }

    /// Takes bytes to send, which [`speak`](Self::speak) puts on the line.
    pub fn queue(&mut self, bytes: &[u8]) {
        self.outbox.extend(bytes);
    }

    /// The bytes of the other side, in its order and without gaps. Whoever reads them drains them.
    pub fn inbox(&mut self) -> &mut VecDeque<u8> {
        &mut self.inbox
    }

    /// When [`speak`](Self::speak) has something to send again, if nothing arrives before.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Takes what came in on the line.
    pub fn hear(&mut self, bytes: &[u8], now: Instant) {
        self.raw.extend_from_slice(bytes);
        let mut at = 0;
        while let Some(mark) = find_mark(&self.raw[at..]) {
            at += mark;
            match Packet::parse(&self.raw[at..]) {
                Parsed::Packet(packet) => {
                    at += HEADER + packet.data.len();
                    let (kind, number, awaited) = (packet.kind, packet.number, packet.awaited);
                    let data = packet.data.to_vec();
                    self.confirm(awaited, kind == Kind::Again, now);
                    if kind == Kind::Data {
                        self.take(number, &data);
                    }
                }
                Parsed::Short => break,
                // A mark by chance, or a packet that has lost bytes: the next may begin in it.
                Parsed::Wrong => at += 1,
            }
        }
        if find_mark(&self.raw[at..]).is_none() {
            // Its last byte may be the first half of a mark.
            at = self.raw.len().saturating_sub(1).max(at);
        }
        self.raw.drain(..at);
    }

    /// The other side waits for packet `awaited`, so that all before it have arrived.
    fn confirm(&mut self, awaited: u16, again: bool, now: Instant) {
        let confirmed = usize::from(awaited.wrapping_sub(self.oldest));
        if confirmed > self.unconfirmed.len() {
            // Of a packet that was never sent.
            return;
        }
        if confirmed > 0 {
            self.unconfirmed.drain(..confirmed);
            self.oldest = awaited;
            self.sent = self.sent.saturating_sub(confirmed);
            self.patience = PATIENCE[0];
            self.deadline = (self.sent > 0).then_some(now + self.patience);
        }
        if again {
            self.sent = 0;
        }
    }

    /// A packet of data has arrived.
    fn take(&mut self, number: u16, data: &[u8]) {
        let ahead = number.wrapping_sub(self.awaited);
        if ahead == 0 && self.inbox.len() <= BACKLOG {
            self.inbox.extend(data);
            self.awaited = self.awaited.wrapping_add(1);
            self.asked_again = false;
            self.owed = Owed::Confirmation;
        } else if ahead > 0 && ahead < u16::MAX / 2 {
            // One request is enough for a gap, although more packets follow it. Should it be lost,
            // the other side's patience ends.
            if !self.asked_again {
                self.asked_again = true;
                self.owed = Owed::Again;
            }
        } else if ahead != 0 && self.owed == Owed::Nothing {
            // It has arrived before, and its confirmation was lost.
            self.owed = Owed::Confirmation;
        }
    }

    /// The bytes to put on the line now. They must all be put there, in their order.
    pub fn speak(&mut self, now: Instant) -> Vec<u8> {
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            self.sent = 0;
            self.patience = (self.patience * 2).min(PATIENCE[1]);
        }
        let mut line = Vec::new();
        if self.owed == Owed::Again {
            line.extend(self.packet(Kind::Again, self.awaited, &[]));
            self.owed = Owed::Nothing;
        }
        while self.unconfirmed.len() < WINDOW && !self.outbox.is_empty() {
            let length = self.outbox.len().min(PACKET_LIMIT);
            self.unconfirmed
                .push_back(self.outbox.drain(..length).collect());
        }
        for (ahead, data) in (0..).zip(&self.unconfirmed).skip(self.sent) {
            line.extend(self.packet(Kind::Data, self.oldest.wrapping_add(ahead), data));
            self.owed = Owed::Nothing;
        }
        if self.sent < self.unconfirmed.len() {
            self.sent = self.unconfirmed.len();
            self.deadline = Some(now + self.patience);
        }
        if self.owed == Owed::Confirmation {
            line.extend(self.packet(Kind::Confirmation, self.awaited, &[]));
            self.owed = Owed::Nothing;
        }
        line
    }

    fn packet(&self, kind: Kind, number: u16, data: &[u8]) -> Vec<u8> {
        let mut packet = Vec::with_capacity(HEADER + data.len());
        packet.extend(MARK);
        packet.push(kind as u8);
        packet.extend(number.to_le_bytes());
        packet.extend(self.awaited.to_le_bytes());
        packet.extend(u16::try_from(data.len()).unwrap_or(u16::MAX).to_le_bytes());
        let checksum = checksum(&packet[MARK.len()..], data);
        packet.extend(checksum.to_le_bytes());
        packet.extend(data);
        packet
    }
}

/// A packet as it arrived.
struct Packet<'a> {
    kind: Kind,
    number: u16,
    awaited: u16,
    data: &'a [u8],
}

enum Parsed<'a> {
    Packet(Packet<'a>),
    /// The rest of it has not arrived.
    Short,
    Wrong,
}

impl<'a> Packet<'a> {
    /// Parses the packet at the beginning of `bytes`, which begin with the mark.
    fn parse(bytes: &'a [u8]) -> Parsed<'a> {
        let Some((header, rest)) = bytes.split_first_chunk::<HEADER>() else {
            return Parsed::Short;
        };
        let [_, _, kind, n0, n1, a0, a1, l0, l1, c0, c1, c2, c3] = *header;
        let kind = match kind {
            1 => Kind::Data,
            2 => Kind::Confirmation,
            3 => Kind::Again,
            _ => return Parsed::Wrong,
        };
        let length = usize::from(u16::from_le_bytes([l0, l1]));
        if length > PACKET_LIMIT {
            return Parsed::Wrong;
        }
        let Some(data) = rest.get(..length) else {
            return Parsed::Short;
        };
        if checksum(&header[MARK.len()..HEADER - 4], data) != u32::from_le_bytes([c0, c1, c2, c3]) {
            return Parsed::Wrong;
        }
        Parsed::Packet(Self {
            kind,
            number: u16::from_le_bytes([n0, n1]),
            awaited: u16::from_le_bytes([a0, a1]),
            data,
        })
    }
}

/// Where the next mark begins; the first half of one at the end counts.
fn find_mark(bytes: &[u8]) -> Option<usize> {
    bytes.windows(MARK.len()).position(|pair| pair == MARK)
}

fn checksum(header: &[u8], data: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(header);
    crc.update(data);
    crc.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line that loses, changes and invents bytes, by a generator with a fixed seed.
    struct Noise {
        state: u64,
        /// How often, in 1 of so many bytes; none: never.
        one_in: Option<u64>,
    }

    impl Noise {
        fn draw(&mut self) -> u64 {
            // Marsaglia's xorshift64.
            self.state ^= self.state << 13;
            self.state ^= self.state >> 7;
            self.state ^= self.state << 17;
            self.state
        }

        fn pass(&mut self, bytes: Vec<u8>) -> Vec<u8> {
            let Some(one_in) = self.one_in else {
                return bytes;
            };
            let mut passed = Vec::new();
            for byte in bytes {
                match self.draw() % (one_in * 3) {
                    0 => {}
                    1 => passed.push(byte ^ 0x10),
                    2 => passed.extend([byte, MARK[0], MARK[1]]),
                    _ => passed.push(byte),
                }
            }
            passed
        }
    }

    /// Sends both ways over the noise, and returns what arrived on both sides and how long it took.
    fn converse(noise: &mut Noise, messages: [&[u8]; 2]) -> ([Vec<u8>; 2], Duration) {
        let start = Instant::now();
        let mut now = start;
        let mut ends = [SerialLine::default(), SerialLine::default()];
        let mut left = messages;
        let mut arrived = [Vec::new(), Vec::new()];
        while arrived[1].len() < messages[0].len() || arrived[0].len() < messages[1].len() {
            assert!(now - start < Duration::from_hours(1), "it never ends");
            let mut quiet = true;
            for side in [0, 1] {
                let take = ends[side].room().min(left[side].len());
                let (head, tail) = left[side].split_at(take);
                ends[side].queue(head);
                left[side] = tail;
                let spoken = ends[side].speak(now);
                quiet &= spoken.is_empty();
                assert!(spoken.len() <= (WINDOW + 2) * (PACKET_LIMIT + HEADER));
                let passed = noise.pass(spoken);
                // As a UART hands it over.
                for part in passed.chunks(16) {
                    ends[1 - side].hear(part, now);
                }
                arrived[1 - side].extend(ends[1 - side].inbox().drain(..));
            }
            if quiet {
                let deadlines = ends.iter().filter_map(SerialLine::deadline);
                now = deadlines.min().expect("somebody must be waiting").max(now);
            }
        }
        (arrived, now - start)
    }

    fn bytes(length: usize) -> Vec<u8> {
        // Every byte value, and many marks.
        let values = (0..=u8::MAX)
            .cycle()
            .flat_map(|value| [MARK[0], MARK[1], value, value, value]);
        values.take(length).collect()
    }

    #[test]
    fn a_quiet_line_carries_every_byte_and_waits_for_nothing() {
        let (there, back) = (bytes(300_000), bytes(100_001));
        let mut quiet = Noise {
            state: 1,
            one_in: None,
        };
        let (arrived, took) = converse(&mut quiet, [&there, &back]);
        assert!(
            arrived[1] == there && arrived[0] == back,
            "other bytes arrived"
        );
        assert_eq!(took, Duration::ZERO);
    }

    #[test]
    fn what_is_lost_changed_or_invented_is_sent_again() {
        let (there, back) = (bytes(120_000), bytes(40_000));
        for state in 1..=4 {
            let mut noise = Noise {
                state,
                one_in: Some(700),
            };
            let (arrived, _) = converse(&mut noise, [&there, &back]);
            assert!(
                arrived[1] == there && arrived[0] == back,
                "seed {state}: other bytes arrived"
            );
        }
    }

    #[test]
    fn a_line_that_is_silent_is_asked_ever_more_rarely() {
        let mut end = SerialLine::default();
        let start = Instant::now();
        end.queue(b"x");
        let first = end.speak(start);
        assert_eq!(end.speak(start), b"");
        let mut times = Vec::new();
        for _ in 0..7 {
            let deadline = end.deadline().unwrap();
            times.push((deadline - start).as_millis());
            assert_eq!(end.speak(deadline), first);
        }
        assert_eq!(times, [500, 1500, 3500, 7500, 15500, 23500, 31500]);
    }

    #[test]
    fn a_side_that_does_not_read_accepts_no_more_than_its_backlog() {
        let (mut sender, mut receiver) = (SerialLine::default(), SerialLine::default());
        let mut now = Instant::now();
        let mut queued = 0;
        for _ in 0..200 {
            let part = bytes(sender.room());
            queued += part.len();
            sender.queue(&part);
            receiver.hear(&sender.speak(now), now);
            sender.hear(&receiver.speak(now), now);
            now += Duration::from_secs(10);
        }
        assert!(receiver.inbox().len() <= BACKLOG + PACKET_LIMIT);
        assert!(queued < 3 * BACKLOG);
        // Once it reads, the rest follows.
        let mut arrived = 0;
        while arrived < queued {
            arrived += receiver.inbox().drain(..).len();
            receiver.hear(&sender.speak(now), now);
            sender.hear(&receiver.speak(now), now);
            now += Duration::from_secs(10);
        }
        assert_eq!(arrived, queued);
    }

    #[test]
    fn a_hostile_peer_confirms_nothing_that_was_not_sent_and_fills_no_memory() {
        let mut end = SerialLine::default();
        let now = Instant::now();
        end.queue(&bytes(3 * PACKET_LIMIT));
        end.speak(now);
        let peer = SerialLine {
            awaited: 4,
            ..SerialLine::default()
        };
        end.hear(&peer.packet(Kind::Confirmation, 0, &[]), now);
        assert_eq!((end.oldest, end.unconfirmed.len()), (0, 3));
        end.hear(&peer.packet(Kind::Again, 0, &[]), now);
        assert_eq!((end.oldest, end.unconfirmed.len(), end.sent), (0, 3, 3));
        for _ in 0..1000 {
            end.hear(&[MARK[0]; 1000], now);
            end.hear(&bytes(999), now);
        }
        assert!(
            end.raw.len() <= 2 * (HEADER + PACKET_LIMIT),
            "{}",
            end.raw.len()
        );
    }
}
