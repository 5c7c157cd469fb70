//! Attaches programs of network devices and routes. It uses a private network namespace, and never
//! a device of the guest itself.

use libbpf_sys as sys;
use rustix::net::{AddressFamily, SocketType, netdevice::name_to_index, socket};

use super::calls::{self, Clsact};
use super::netlink::{self, LOOPBACK, TunnelRoute};
use super::stimulus::{Stimulus, datagram_to, sockets};
use super::{Attached, Attachment, Attempt, NotAttached};
use crate::bpf::{Errno, attach_type_name};

fn talk<'a>() -> Vec<Stimulus<'a>> {
    vec![Stimulus::new("talks over the device", sockets)]
}

/// The loopback in generic mode, or an entry of a device or CPU map.
pub(super) fn xdp<'a>(attachment: &'a Attachment<'a>) -> Attempt<'a> {
    attachment.network()?;
    match attachment.program.attach_type() {
        sys::BPF_XDP_DEVMAP => in_map(attachment, sys::BPF_MAP_TYPE_DEVMAP, LOOPBACK),
        // The map's value begins with the length of the CPU's queue.
        sys::BPF_XDP_CPUMAP => in_map(attachment, sys::BPF_MAP_TYPE_CPUMAP, 64),
        _ => {
            let link =
                calls::xdp(attachment.program, LOOPBACK).map_err(
                    |errno| match map_with_programs(attachment).filter(|_| errno == libc::EINVAL) {
                        Some(map) => NotAttached::NotAttempted(without_generic(&map)),
                        None => errno.into(),
                    },
                )?;
            Ok(Attached::by(link, "xdp generic on the loopback", talk()))
        }
    }
}

/// A map of the program whose entries can have programs of their own. `generic_xdp_install` refuses a program
/// that uses such a map, from 5.8 on and for some releases; the native mode of a driver takes it.
fn map_with_programs(attachment: &Attachment<'_>) -> Option<String> {
    const KINDS: [u32; 3] = [
        sys::BPF_MAP_TYPE_DEVMAP,
        sys::BPF_MAP_TYPE_DEVMAP_HASH,
        sys::BPF_MAP_TYPE_CPUMAP,
    ];
    let mut maps = attachment.object.maps().into_iter();
    let found = maps.find(|map| {
        let (_, value_size, ..) = map.shape();
        KINDS.contains(&map.kind()) && value_size == 8 && attachment.maps.contains(&map.name())
    })?;
    Some(found.name())
}

fn without_generic(map: &str) -> String {
    format!(
        "the loopback has only generic XDP, which this kernel refuses for a program that uses a map whose \
         entries can have programs (`{map}`); on a device with native XDP it can be attached"
    )
}

/// The first entry of a map: a number, and the program (5.8, 5.9).
fn in_map<'a>(attachment: &'a Attachment<'a>, kind: u32, number: i32) -> Attempt<'a> {
    let map = calls::create_map(kind, 4, 8)?;
    let fd = std::os::fd::AsRawFd::as_raw_fd(&map);
    let key = [0; 4];
    let value = [number.to_ne_bytes(), attachment.fd.to_ne_bytes()].concat();
    calls::update_map(fd, &key, &value)?;
    let mut entry = [0; 8];
    calls::look_up(fd, &key, &mut entry)?;
    let method = format!("an entry of a {}", crate::bpf::map_type_name(kind));
    let mut attached = Attached::without_link(method, Vec::new(), move || {
        drop(map);
        Ok(())
    });
    // What is read back is the program's id.
    attached.found = Some(u32::from_ne_bytes([entry[4], entry[5], entry[6], entry[7]]));
    Ok(attached)
}

/// tcx and netkit for their own sections, else a filter of the clsact qdisc.
///
/// libbpf reads `tc/ingress` and `tc/egress` as tcx, and attaches none of these by itself. A loader that
/// attaches with `bpf_tc_attach` needs no tcx for them.
pub(super) fn classifier<'a>(attachment: &'a Attachment<'a>) -> Attempt<'a> {
    attachment.network()?;
    match attachment.program.attach_type() {
        sys::BPF_NETKIT_PRIMARY | sys::BPF_NETKIT_PEER => netkit(attachment),
        side @ (sys::BPF_TCX_INGRESS | sys::BPF_TCX_EGRESS) => {
            let link = match calls::tcx(attachment.program, LOOPBACK) {
                Err(libc::EINVAL) if attachment.hook == "tc" => {
                    return match side {
                        sys::BPF_TCX_EGRESS => clsact(attachment, EGRESS),
                        _ => clsact(attachment, INGRESS),
                    };
                }
                made => made?,
            };
            let hook = attach_type_name(side).unwrap_or_default();
            Ok(Attached::by(
                link,
                format!("{hook} on the loopback"),
                talk(),
            ))
        }
        _ => clsact(attachment, INGRESS),
    }
}

/// A side of the clsact qdisc, and its name.
type Side = (u32, &'static str);
const INGRESS: Side = (sys::BPF_TC_INGRESS, "ingress");
const EGRESS: Side = (sys::BPF_TC_EGRESS, "egress");

fn clsact<'a>(attachment: &'a Attachment<'a>, (side, name): Side) -> Attempt<'a> {
    for (module, option) in [
        ("sch_ingress", "NET_SCH_INGRESS"),
        ("cls_bpf", "NET_CLS_BPF"),
    ] {
        attachment
            .environment
            .need(module, option)
            .map_err(NotAttached::NotAttempted)?;
    }
    let hook = Clsact {
        device: LOOPBACK,
        side,
        priority: u32::try_from(attachment.fd).unwrap_or(1),
    };
    if let Err(errno) = hook.attach(attachment.fd) {
        let why = attachment.environment.blame("NET_SCH_INGRESS");
        let why = why.or_else(|| attachment.environment.blame("NET_CLS_BPF"));
        return Err(NotAttached::Refused(errno, why));
    }
    let method = format!("tc clsact {name} on the loopback");
    let mut attached = Attached::without_link(method, talk(), move || hook.detach());
    attached.found = hook.program_id().ok();
    Ok(attached)
}

const NETKIT: &str = "ukci-primary";
const NETKIT_PEER: &str = "ukci-peer";

fn netkit<'a>(attachment: &'a Attachment<'a>) -> Attempt<'a> {
    attachment
        .environment
        .need("netkit", "NETKIT")
        .map_err(NotAttached::NotAttempted)?;
    if let Err(errno) = netlink::add_netkit(NETKIT, NETKIT_PEER) {
        let why = attachment.environment.blame("NETKIT");
        let why = why.unwrap_or_else(|| "no netkit device could be made".into());
        return Err(NotAttached::Refused(errno, Some(why)));
    }
    let result = on_netkit(attachment);
    if result.is_err() {
        let _ = index_of(NETKIT).and_then(netlink::delete_link);
    }
    result
}

fn on_netkit<'a>(attachment: &'a Attachment<'a>) -> Attempt<'a> {
    let device = index_of(NETKIT)?;
    let peer = index_of(NETKIT_PEER)?;
    // RFC 2544's addresses for tests.
    netlink::add_address(device, [198, 18, 0, 1])?;
    netlink::add_address(peer, [198, 18, 1, 1])?;
    netlink::bring_up(device)?;
    netlink::bring_up(peer)?;
    // Both sides' programs are attached to the primary device.
    let link = calls::netkit(attachment.program, device)?;
    let send = Stimulus::new("sends through both devices", || {
        datagram_to([198, 18, 0, 2]);
        datagram_to([198, 18, 1, 2]);
    });
    let hook = attach_type_name(attachment.program.attach_type()).unwrap_or_default();
    let mut attached = Attached::by(link, format!("{hook} on a netkit device"), vec![send]);
    // The pair goes with one of them.
    attached.undo = Some(Box::new(move || netlink::delete_link(device)));
    Ok(attached)
}

fn index_of(name: &str) -> Result<i32, Errno> {
    let code = |error: rustix::io::Errno| error.raw_os_error();
    let any = socket(AddressFamily::INET, SocketType::DGRAM, None).map_err(code)?;
    let index = name_to_index(&any, name).map_err(code)?;
    i32::try_from(index).map_err(|_| libc::EOVERFLOW)
}

/// A traffic control action of its own; no filter refers to it.
pub(super) fn action<'a>(attachment: &'a Attachment<'a>) -> Attempt<'a> {
    attachment.network()?;
    attachment
        .environment
        .need("act_bpf", "NET_ACT_BPF")
        .map_err(NotAttached::NotAttempted)?;
    if let Err(errno) = netlink::add_action(attachment.fd) {
        return Err(NotAttached::Refused(
            errno,
            attachment.environment.blame("NET_ACT_BPF"),
        ));
    }
    Ok(Attached::without_link(
        "a tc action",
        Vec::new(),
        netlink::delete_action,
    ))
}

/// A route whose lightweight tunnel is the program.
pub(super) fn tunnel<'a>(attachment: &'a Attachment<'a>) -> Attempt<'a> {
    attachment.network()?;
    let route = match attachment.program.kind() {
        sys::BPF_PROG_TYPE_LWT_IN => TunnelRoute::Bpf { hook: 1 },
        sys::BPF_PROG_TYPE_LWT_OUT => TunnelRoute::Bpf { hook: 2 },
        sys::BPF_PROG_TYPE_LWT_XMIT => TunnelRoute::Bpf { hook: 3 },
        _ => TunnelRoute::Seg6Local,
    };
    if let Err(errno) = route.add(attachment.fd) {
        let option = match route {
            TunnelRoute::Bpf { .. } => "LWTUNNEL_BPF",
            TunnelRoute::Seg6Local => "IPV6_SEG6_LWTUNNEL",
        };
        return Err(NotAttached::Refused(
            errno,
            attachment.environment.blame(option),
        ));
    }
    let stimuli = match route {
        TunnelRoute::Bpf { .. } => {
            vec![Stimulus::new("sends along the route", || {
                datagram_to([192, 0, 2, 1]);
            })]
        }
        TunnelRoute::Seg6Local => Vec::new(),
    };
    let method = format!(
        "{} on the route to {}",
        attachment.hook,
        route.destination()
    );
    Ok(Attached::without_link(method, stimuli, move || {
        route.delete()
    }))
}
