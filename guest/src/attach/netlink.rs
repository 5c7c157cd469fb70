//! Sends the few rtnetlink requests that attaching needs: devices, addresses, routes and actions.
//!
//! The input is numbers and names, and the output is the errno of the kernel's answer. Nothing else
//! in the answer is parsed.

use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto, socket_with,
};

use crate::bpf::Errno;

/// The loopback device of a fresh network namespace.
pub(super) const LOOPBACK: i32 = 1;

const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;
const NLM_F_EXCL: u16 = 0x200;
const NLM_F_CREATE: u16 = 0x400;
const NLMSG_ERROR: u16 = 2;
const NLA_F_NESTED: u16 = 0x8000;

const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_NEWADDR: u16 = 20;
const RTM_NEWROUTE: u16 = 24;
const RTM_DELROUTE: u16 = 25;
const RTM_NEWACTION: u16 = 48;
const RTM_DELACTION: u16 = 49;

const IFLA_IFNAME: u16 = 3;
const IFLA_LINKINFO: u16 = 18;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_ENCAP_TYPE: u16 = 21;
const RTA_ENCAP: u16 = 22;

/// A request that is being written.
struct Request(Vec<u8>);

impl Request {
    fn new(kind: u16, flags: u16, body: &[u8]) -> Self {
        let mut bytes = vec![0; 16];
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes[6..8].copy_from_slice(&(NLM_F_REQUEST | NLM_F_ACK | flags).to_ne_bytes());
        bytes.extend_from_slice(body);
        Self(bytes).padded()
    }

    fn padded(mut self) -> Self {
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    fn attribute(mut self, kind: u16, value: &[u8]) -> Self {
        let length = u16::try_from(4 + value.len()).unwrap_or(u16::MAX);
        self.0.extend_from_slice(&length.to_ne_bytes());
        self.0.extend_from_slice(&kind.to_ne_bytes());
        self.0.extend_from_slice(value);
        self.padded()
    }

    fn text(self, kind: u16, value: &str) -> Self {
        self.attribute(kind, &[value.as_bytes(), b"\0"].concat())
    }

    fn number(self, kind: u16, value: u32) -> Self {
        self.attribute(kind, &value.to_ne_bytes())
    }

    /// An attribute made of attributes.
    fn nest(mut self, kind: u16, inside: impl FnOnce(Self) -> Self) -> Self {
        let start = self.0.len();
        self.0.extend_from_slice(&[0; 2]);
        self.0
            .extend_from_slice(&(kind | NLA_F_NESTED).to_ne_bytes());
        let mut all = inside(self);
        let length = u16::try_from(all.0.len() - start).unwrap_or(u16::MAX);
        all.0[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        all
    }

    /// Sends it and waits for the kernel's answer, which is there when the call returns.
    fn ask(mut self) -> Result<(), Errno> {
        let length = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        self.0[..4].copy_from_slice(&length.to_ne_bytes());
        let code = |error: rustix::io::Errno| error.raw_os_error();
        let socket = socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            None,
        )
        .map_err(code)?;
        let kernel = SocketAddrNetlink::new(0, 0);
        sendto(&socket, &self.0, SendFlags::empty(), &kernel).map_err(code)?;
        let mut answer = [0; 4096];
        let (length, _) = recv(&socket, &mut answer[..], RecvFlags::DONTWAIT).map_err(code)?;
        // A header of 16 bytes, then the negated errno; 0 is an acknowledgement.
        if length < 20 || u16::from_ne_bytes([answer[4], answer[5]]) != NLMSG_ERROR {
            return Err(libc::EPROTO);
        }
        match i32::from_ne_bytes([answer[16], answer[17], answer[18], answer[19]]) {
            0 => Ok(()),
            error => Err(-error),
        }
    }
}

/// `struct ifinfomsg`: the device, brought up or left as it is.
fn ifinfomsg(device: i32, up: bool) -> [u8; 16] {
    let mut message = [0; 16];
    message[4..8].copy_from_slice(&device.to_ne_bytes());
    // linux/if.h: IFF_UP, as value and as mask.
    let flag = u32::from(up).to_ne_bytes();
    message[8..12].copy_from_slice(&flag);
    message[12..16].copy_from_slice(&flag);
    message
}

/// Brings a device up.
pub(super) fn bring_up(device: i32) -> Result<(), Errno> {
    Request::new(RTM_NEWLINK, 0, &ifinfomsg(device, true)).ask()
}

/// Makes a pair of netkit devices.
pub(super) fn add_netkit(name: &str, peer: &str) -> Result<(), Errno> {
    const IFLA_INFO_KIND: u16 = 1;
    const IFLA_INFO_DATA: u16 = 2;
    const IFLA_NETKIT_PEER_INFO: u16 = 1;
    Request::new(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &ifinfomsg(0, false))
        .text(IFLA_IFNAME, name)
        .nest(IFLA_LINKINFO, |info| {
            info.text(IFLA_INFO_KIND, "netkit")
                .nest(IFLA_INFO_DATA, |data| {
                    data.nest(IFLA_NETKIT_PEER_INFO, |mut other| {
                        other.0.extend_from_slice(&ifinfomsg(0, false));
                        other.text(IFLA_IFNAME, peer)
                    })
                })
        })
        .ask()
}

/// Takes a device away.
pub(super) fn delete_link(device: i32) -> Result<(), Errno> {
    Request::new(RTM_DELLINK, 0, &ifinfomsg(device, false)).ask()
}

/// Gives a device an IPv4 address in a /24.
pub(super) fn add_address(device: i32, address: [u8; 4]) -> Result<(), Errno> {
    const IFA_ADDRESS: u16 = 1;
    const IFA_LOCAL: u16 = 2;
    // struct ifaddrmsg: AF_INET, prefix length, flags, scope, device.
    let mut message = [2, 24, 0, 0, 0, 0, 0, 0];
    message[4..].copy_from_slice(&device.to_ne_bytes());
    Request::new(RTM_NEWADDR, NLM_F_CREATE, &message)
        .attribute(IFA_LOCAL, &address)
        .attribute(IFA_ADDRESS, &address)
        .ask()
}

/// A route through the loopback device whose lightweight tunnel is a program.
#[derive(Clone, Copy, Debug)]
pub(super) enum TunnelRoute {
    /// 192.0.2.0/24, with a program of `LWT_BPF_IN` (1), `_OUT` (2) or `_XMIT` (3).
    Bpf { hook: u16 },
    /// `2001:db8::/32`, with a program as action `End.BPF`.
    Seg6Local,
}

impl TunnelRoute {
    /// What it routes to.
    pub(super) fn destination(self) -> &'static str {
        match self {
            Self::Bpf { .. } => "192.0.2.0/24",
            Self::Seg6Local => "2001:db8::/32",
        }
    }

    fn request(self, kind: u16, flags: u16) -> Request {
        let (family, length, destination): (u8, u8, &[u8]) = match self {
            Self::Bpf { .. } => (2, 24, &[192, 0, 2, 0]),
            Self::Seg6Local => (
                10,
                32,
                &[0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            ),
        };
        // struct rtmsg: family, lengths, tos, RT_TABLE_MAIN, RTPROT_STATIC, RT_SCOPE_LINK,
        // RTN_UNICAST, flags.
        let message = [family, length, 0, 0, 254, 4, 253, 1, 0, 0, 0, 0];
        Request::new(kind, flags, &message)
            .attribute(RTA_DST, destination)
            .number(RTA_OIF, LOOPBACK.unsigned_abs())
    }

    /// Adds the route, with a program.
    pub(super) fn add(self, program: i32) -> Result<(), Errno> {
        // linux/lwtunnel.h and linux/seg6_local.h.
        const LWTUNNEL_ENCAP_BPF: u16 = 6;
        const LWTUNNEL_ENCAP_SEG6_LOCAL: u16 = 7;
        const PROGRAM_FD: u16 = 1;
        const PROGRAM_NAME: u16 = 2;
        const SEG6_LOCAL_ACTION: u16 = 1;
        const SEG6_LOCAL_ACTION_END_BPF: u32 = 15;
        const SEG6_LOCAL_BPF: u16 = 8;
        let named = |of: Request| {
            of.number(PROGRAM_FD, program.unsigned_abs())
                .text(PROGRAM_NAME, "ukci")
        };
        let route = self.request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL);
        match self {
            Self::Bpf { hook } => route
                .attribute(RTA_ENCAP_TYPE, &LWTUNNEL_ENCAP_BPF.to_ne_bytes())
                .nest(RTA_ENCAP, |tunnel| tunnel.nest(hook, named)),
            Self::Seg6Local => route
                .attribute(RTA_ENCAP_TYPE, &LWTUNNEL_ENCAP_SEG6_LOCAL.to_ne_bytes())
                .nest(RTA_ENCAP, |tunnel| {
                    tunnel
                        .number(SEG6_LOCAL_ACTION, SEG6_LOCAL_ACTION_END_BPF)
                        .nest(SEG6_LOCAL_BPF, named)
                }),
        }
        .ask()
    }

    /// Takes the route away.
    pub(super) fn delete(self) -> Result<(), Errno> {
        self.request(RTM_DELROUTE, 0).ask()
    }
}

const TCA_ROOT_TAB: u16 = 1;
const TCA_ACT_KIND: u16 = 1;
const TCA_ACT_OPTIONS: u16 = 2;
const TCA_ACT_INDEX: u16 = 3;
/// The number of our only action.
const ACTION: u32 = 1;

/// Makes a traffic control action of a program.
pub(super) fn add_action(program: i32) -> Result<(), Errno> {
    const TCA_ACT_BPF_PARMS: u16 = 2;
    const TCA_ACT_BPF_FD: u16 = 5;
    const TCA_ACT_BPF_NAME: u16 = 6;
    // struct tc_act_bpf: index, and four more numbers.
    let mut parameters = [0; 20];
    parameters[..4].copy_from_slice(&ACTION.to_ne_bytes());
    Request::new(RTM_NEWACTION, NLM_F_CREATE | NLM_F_EXCL, &[0; 4])
        .nest(TCA_ROOT_TAB, |table| {
            table.nest(1, |action| {
                action
                    .text(TCA_ACT_KIND, "bpf")
                    .nest(TCA_ACT_OPTIONS, |options| {
                        options
                            .attribute(TCA_ACT_BPF_PARMS, &parameters)
                            .number(TCA_ACT_BPF_FD, program.unsigned_abs())
                            .text(TCA_ACT_BPF_NAME, "ukci")
                    })
            })
        })
        .ask()
}

/// Takes the action away.
pub(super) fn delete_action() -> Result<(), Errno> {
    Request::new(RTM_DELACTION, 0, &[0; 4])
        .nest(TCA_ROOT_TAB, |table| {
            table.nest(1, |action| {
                action
                    .text(TCA_ACT_KIND, "bpf")
                    .number(TCA_ACT_INDEX, ACTION)
            })
        })
        .ask()
}

#[cfg(test)]
mod tests {
    use super::{IFLA_IFNAME, Request};

    #[test]
    fn attributes_are_padded_and_nests_know_their_length() {
        let request = Request::new(7, 0, &[]).nest(1, |n| n.text(IFLA_IFNAME, "ab").number(2, 9));
        let nest = &request.0[16..];
        assert_eq!(
            nest,
            [
                20, 0, 1, 0x80, 7, 0, 3, 0, b'a', b'b', 0, 0, 8, 0, 2, 0, 9, 0, 0, 0
            ]
        );
    }
}
