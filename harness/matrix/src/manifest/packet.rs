//! Packets that a manifest describes by their headers.
//!
//! A [`Packet`] goes in, and the bytes of an Ethernet frame come out, with lengths and checksums as a
//! network card would hand it over.

use std::net::{Ipv4Addr, Ipv6Addr};

use etherparse::{
    EtherType, Ethernet2Header, IpHeaders, IpNumber, Ipv4Extensions, Ipv4Header, Ipv6Extensions,
    Ipv6FlowLabel, Ipv6Header, PacketBuilder, PacketBuilderStep, TcpHeader, VlanId,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use ukci_schema::behavior::{bytes_of, raw};

/// An Ethernet frame.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Packet {
    /// Its addresses; without them those of a made-up network card.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ethernet: Option<Ethernet>,
    /// The number of its VLAN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vlan: Option<u16>,
    /// An IPv4 header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv4: Option<Ipv4>,
    /// An IPv6 header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv6: Option<Ipv6>,
    /// A TCP header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcp: Option<Tcp>,
    /// A UDP header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub udp: Option<Udp>,
    /// An echo request of ICMP, or of `ICMPv6` in an IPv6 packet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub echo: Option<Echo>,
    /// What follows the headers: a text, or `{ bytes = "…" }`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Value>,
}

/// An Ethernet header.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ethernet {
    /// The sender, such as `02:00:00:00:00:01`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The receiver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination: Option<String>,
}

/// An IPv4 header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ipv4 {
    /// The sender.
    pub source: Ipv4Addr,
    /// The receiver.
    pub destination: Ipv4Addr,
    /// The time to live.
    #[serde(default = "time_to_live")]
    pub ttl: u8,
    /// The protocol's number, if no other header follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<u8>,
}

/// An IPv6 header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ipv6 {
    /// The sender.
    pub source: Ipv6Addr,
    /// The receiver.
    pub destination: Ipv6Addr,
    /// The hop limit.
    #[serde(default = "time_to_live")]
    pub hop_limit: u8,
    /// The number of the next header, if no other of these follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_header: Option<u8>,
}

const fn time_to_live() -> u8 {
    64
}

/// A TCP header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tcp {
    /// The sender's port.
    pub source: u16,
    /// The receiver's port.
    pub destination: u16,
    /// Its flags: `syn`, `ack`, `fin`, `rst`, `psh`, `urg`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<Flag>,
    /// The sequence number.
    #[serde(default)]
    pub sequence: u32,
    /// The acknowledgment number.
    #[serde(default)]
    pub acknowledgment: u32,
    /// The window.
    #[serde(default = "window")]
    pub window: u16,
}

const fn window() -> u16 {
    65535
}

/// A flag of a TCP header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flag {
    /// Synchronize sequence numbers.
    Syn,
    /// The acknowledgment number counts.
    Ack,
    /// The sender has no more data.
    Fin,
    /// Reset the connection.
    Rst,
    /// Hand the data over at once.
    Psh,
    /// There is urgent data.
    Urg,
}

/// A UDP header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Udp {
    /// The sender's port.
    pub source: u16,
    /// The receiver's port.
    pub destination: u16,
}

/// An echo request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Echo {
    /// Its identifier.
    #[serde(default)]
    pub id: u16,
    /// Its number in a row.
    #[serde(default)]
    pub sequence: u16,
}

/// Which key of a packet is wrong, and in what.
pub(super) type Wrong = (&'static str, String);

impl Packet {
    /// The bytes of the frame.
    pub(super) fn bytes(&self) -> Result<Vec<u8>, Wrong> {
        let payload = self.payload()?;
        let transports = [
            ("tcp", self.tcp.is_some()),
            ("udp", self.udp.is_some()),
            ("echo", self.echo.is_some()),
        ];
        let given: Vec<&'static str> = transports
            .into_iter()
            .filter_map(|(key, is_given)| is_given.then_some(key))
            .collect();
        if let [_, second, ..] = given[..] {
            let what = "a packet has one of `tcp`, `udp` and `echo`: this one has more";
            return Err((second, what.into()));
        }
        let mut frame = Vec::new();
        let Some(headers) = self.ip_headers(&given)? else {
            let [source, destination] = self.addresses()?;
            let ethernet = Ethernet2Header {
                source,
                destination,
                // Local Experimental Ethertype 1 of IEEE 802.
                ether_type: EtherType(0x88b5),
            };
            frame.extend_from_slice(&ethernet.to_bytes());
            frame.extend_from_slice(&payload);
            return Ok(frame);
        };
        let protocol = self.protocol();
        let step = self.below(headers)?;
        let written = if let Some(tcp) = &self.tcp {
            step.tcp_header(tcp.header()).write(&mut frame, &payload)
        } else if let Some(udp) = &self.udp {
            step.udp(udp.source, udp.destination)
                .write(&mut frame, &payload)
        } else if let Some(echo) = &self.echo {
            if self.ipv6.is_some() {
                step.icmpv6_echo_request(echo.id, echo.sequence)
                    .write(&mut frame, &payload)
            } else {
                step.icmpv4_echo_request(echo.id, echo.sequence)
                    .write(&mut frame, &payload)
            }
        } else {
            step.write(&mut frame, protocol, &payload)
        };
        // Writing to memory cannot fail: what can is a payload that is too long.
        written.map_err(|error| ("payload", error.to_string()))?;
        Ok(frame)
    }

    fn payload(&self) -> Result<Vec<u8>, Wrong> {
        match &self.payload {
            None => Ok(Vec::new()),
            Some(Value::String(text)) => Ok(text.clone().into_bytes()),
            Some(value) => raw(value).and_then(bytes_of).ok_or_else(|| {
                let what = "expected a text, or `{ bytes = \"…\" }` with hexadecimal digits";
                ("payload", what.to_owned())
            }),
        }
    }

    /// The protocol of a packet in which no header follows that of IP: one for experiments.
    fn protocol(&self) -> IpNumber {
        let given = (self.ipv4.as_ref().and_then(|ip| ip.protocol))
            .or_else(|| self.ipv6.as_ref().and_then(|ip| ip.next_header));
        IpNumber(given.unwrap_or(253))
    }

    fn ip_headers(&self, transports: &[&'static str]) -> Result<Option<IpHeaders>, Wrong> {
        let number = self.protocol();
        Ok(Some(match (&self.ipv4, &self.ipv6) {
            (Some(_), Some(_)) => {
                let what = "a packet has one of `ipv4` and `ipv6`: this one has both";
                return Err(("ipv6", what.into()));
            }
            (None, None) => {
                return match transports.first() {
                    None => Ok(None),
                    Some(key) => {
                        Err((key, format!("`{key}` in a packet without `ipv4` or `ipv6`")))
                    }
                };
            }
            (Some(ip), None) => {
                let (source, destination) = (ip.source.octets(), ip.destination.octets());
                let header = Ipv4Header::new(0, ip.ttl, number, source, destination);
                let header = header.map_err(|error| ("ipv4", error.to_string()))?;
                IpHeaders::Ipv4(header, Ipv4Extensions::default())
            }
            (None, Some(ip)) => IpHeaders::Ipv6(
                Ipv6Header {
                    traffic_class: 0,
                    flow_label: Ipv6FlowLabel::ZERO,
                    payload_length: 0,
                    next_header: number,
                    hop_limit: ip.hop_limit,
                    source: ip.source.octets(),
                    destination: ip.destination.octets(),
                },
                Ipv6Extensions::default(),
            ),
        }))
    }

    /// The frame up to the header of IP.
    fn below(&self, headers: IpHeaders) -> Result<PacketBuilderStep<IpHeaders>, Wrong> {
        let [source, destination] = self.addresses()?;
        let ethernet = PacketBuilder::ethernet2(source, destination);
        let Some(id) = self.vlan else {
            return Ok(ethernet.ip(headers));
        };
        let id = VlanId::try_new(id).map_err(|error| ("vlan", error.to_string()))?;
        Ok(ethernet.single_vlan(id).ip(headers))
    }

    /// Those of sender and receiver.
    fn addresses(&self) -> Result<[[u8; 6]; 2], Wrong> {
        let given = self.ethernet.clone().unwrap_or_default();
        let of = |text: Option<String>, last: u8| match text {
            // Administered locally, so they are no vendor's.
            None => Ok([2, 0, 0, 0, 0, last]),
            Some(text) => mac(&text).ok_or_else(|| {
                let what = format!("expected an address like `02:00:00:00:00:01`, found `{text}`");
                ("ethernet", what)
            }),
        };
        Ok([of(given.source, 1)?, of(given.destination, 2)?])
    }
}

impl Tcp {
    fn header(&self) -> TcpHeader {
        let mut header = TcpHeader::new(self.source, self.destination, self.sequence, self.window);
        header.acknowledgment_number = self.acknowledgment;
        for flag in &self.flags {
            match flag {
                Flag::Syn => header.syn = true,
                Flag::Ack => header.ack = true,
                Flag::Fin => header.fin = true,
                Flag::Rst => header.rst = true,
                Flag::Psh => header.psh = true,
                Flag::Urg => header.urg = true,
            }
        }
        header
    }
}

/// The six bytes of an Ethernet address.
fn mac(text: &str) -> Option<[u8; 6]> {
    let parts: Vec<&str> = text.split(':').collect();
    let byte = |part: &&str| {
        (part.len() == 2)
            .then(|| u8::from_str_radix(part, 16).ok())
            .flatten()
    };
    let bytes: Vec<u8> = parts.iter().map(byte).collect::<Option<_>>()?;
    bytes.try_into().ok()
}

#[cfg(test)]
mod tests {
    use ukci_schema::behavior::hex_of;

    use super::Packet;

    fn bytes(text: &str) -> Result<String, String> {
        let packet: Packet = toml::from_str(text).unwrap();
        let made = packet.bytes();
        made.map(|bytes| hex_of(&bytes))
            .map_err(|(key, what)| format!("{key}: {what}"))
    }

    /// The checksums were computed by hand and by scapy's rules (RFC 1071).
    #[test]
    fn a_datagram_has_its_lengths_and_checksums() {
        let udp = "ipv4 = { source = '10.0.0.1', destination = '10.0.0.2' }\n\
                   udp = { source = 1, destination = 9 }\npayload = 'hi'";
        insta::assert_snapshot!(bytes(udp).unwrap());
        let tcp = "vlan = 5\nipv6 = { source = '::1', destination = '::2', hop_limit = 3 }\n\
                   tcp = { source = 1, destination = 80, flags = ['syn', 'ack'] }\n\
                   ethernet = { destination = 'ff:ff:ff:ff:ff:ff' }\n";
        insta::assert_snapshot!(bytes(tcp).unwrap());
        let raw = "payload = { bytes = 'c0de' }";
        assert_eq!(bytes(raw).unwrap(), "02000000000202000000000188b5c0de");
    }

    #[test]
    fn what_cannot_be_a_packet_is_refused() {
        let ip = "ipv4 = { source = '10.0.0.1', destination = '10.0.0.2' }\n";
        for (text, wrong) in [
            ("udp = { source = 1, destination = 9 }".to_owned(), "udp: "),
            (
                format!("{ip}ipv6 = {{ source = '::1', destination = '::2' }}"),
                "ipv6: ",
            ),
            (
                format!("{ip}udp = {{ source = 1, destination = 9 }}\necho = {{}}"),
                "echo: ",
            ),
            (format!("{ip}payload = 7"), "payload: "),
            (format!("{ip}vlan = 5000"), "vlan: "),
            ("ethernet = { source = '02:00' }".to_owned(), "ethernet: "),
        ] {
            let made = bytes(&text).unwrap_err();
            assert!(made.starts_with(wrong), "{text}: {made}");
        }
    }
}
