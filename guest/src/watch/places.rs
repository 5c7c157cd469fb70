//! Where a program goes: the kind as a section names it, and the place.
//!
//! The input is numbers of the kernel, and the output is names, as a section has them.

use std::collections::BTreeMap;
use std::fs;

use libbpf_sys as sys;

use super::attributes::{Attributes, load, u32_at};
use super::object_info;
use super::program_load::ProgramLoad;
use super::stopped::Process;
use crate::bpf;
use crate::kernel::{Btf, Kernel};

/// Names of symbols of one call that are read.
const SYMBOLS: usize = 3;

/// The kind of hook of a program, by what its load says.
pub(super) fn hook(attributes: &Attributes) -> String {
    let kind = attributes.u32(load::TYPE);
    let attach = attributes.u32(load::EXPECTED_ATTACH_TYPE);
    let name = match (kind, attach) {
        (sys::BPF_PROG_TYPE_KPROBE, sys::BPF_TRACE_KPROBE_MULTI) => "kprobe.multi",
        (sys::BPF_PROG_TYPE_KPROBE, sys::BPF_TRACE_KPROBE_SESSION) => "kprobe.session",
        (sys::BPF_PROG_TYPE_KPROBE, sys::BPF_TRACE_UPROBE_MULTI) => "uprobe.multi",
        (sys::BPF_PROG_TYPE_KPROBE, _) => "kprobe",
        (sys::BPF_PROG_TYPE_TRACEPOINT, _) => "tracepoint",
        (sys::BPF_PROG_TYPE_RAW_TRACEPOINT, _) => "raw_tp",
        (sys::BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE, _) => "raw_tp.w",
        (sys::BPF_PROG_TYPE_TRACING, sys::BPF_TRACE_RAW_TP) => "tp_btf",
        (sys::BPF_PROG_TYPE_TRACING, sys::BPF_TRACE_FENTRY) => "fentry",
        (sys::BPF_PROG_TYPE_TRACING, sys::BPF_TRACE_FEXIT) => "fexit",
        (sys::BPF_PROG_TYPE_TRACING, sys::BPF_MODIFY_RETURN) => "fmod_ret",
        (sys::BPF_PROG_TYPE_TRACING, sys::BPF_TRACE_ITER) => "iter",
        (sys::BPF_PROG_TYPE_LSM, sys::BPF_LSM_CGROUP) => "lsm_cgroup",
        (sys::BPF_PROG_TYPE_LSM, _) => "lsm",
        (sys::BPF_PROG_TYPE_EXT, _) => "freplace",
        (sys::BPF_PROG_TYPE_SCHED_CLS, _) => "tc",
        (sys::BPF_PROG_TYPE_SOCKET_FILTER, _) => "socket",
        _ => return bpf::program_type_name(kind),
    };
    let sleeps = attributes.u32(load::FLAGS) & sys::BPF_F_SLEEPABLE != 0;
    let traced = matches!(kind, sys::BPF_PROG_TYPE_TRACING | sys::BPF_PROG_TYPE_LSM);
    format!("{name}{}", if sleeps && traced { ".s" } else { "" })
}

/// The name of a type of the kernel's BTF, or of the module whose BTF this descriptor is of.
pub(super) fn btf_name(kernel: &Kernel, id: u32, fd: i32) -> Option<String> {
    let vmlinux = kernel.btf()?;
    let name = match fd {
        fd if fd > 0 => Btf::of_id(object_info::btf_id(fd)?, Some(vmlinux))?.name(id),
        _ => vmlinux.name(id),
    };
    (!name.is_empty()).then_some(name)
}

/// What a program is attached to through BTF, which its load says.
pub(super) fn btf_target(kernel: &Kernel, load: &ProgramLoad) -> Option<String> {
    let id = load.attributes.u32(load::ATTACH_BTF_ID);
    if id == 0 {
        return None;
    }
    let fd = load.attributes.fd(load::ATTACH_FD);
    if load.attributes.u32(load::TYPE) == sys::BPF_PROG_TYPE_EXT {
        return None;
    }
    let name = btf_name(kernel, id, fd)?;
    let bare = ["btf_trace_", "bpf_lsm_", "bpf_iter_"]
        .iter()
        .find_map(|prefix| name.strip_prefix(prefix));
    Some(bare.unwrap_or(&name).to_owned())
}

/// An event that a program can be attached to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) kind: String,
    pub(super) place: Option<String>,
}

/// What numbers mean for `perf_event_open` on this kernel.
#[derive(Debug)]
pub(super) struct Events {
    kprobe: Option<u32>,
    uprobe: Option<u32>,
    /// The names of tracepoints by their numbers, read when the first is asked for.
    tracepoints: Option<BTreeMap<u64, String>>,
}

impl Events {
    pub(super) fn new() -> Self {
        let number = |name: &str| {
            let path = format!("/sys/bus/event_source/devices/{name}/type");
            fs::read_to_string(path).ok()?.trim().parse().ok()
        };
        Self {
            kprobe: number("kprobe"),
            uprobe: number("uprobe"),
            tracepoints: None,
        }
    }

    /// What `struct perf_event_attr` asks for.
    pub(super) fn of(&mut self, attributes: &Attributes, process: &Process) -> Event {
        let kind = attributes.u32(0);
        let config = attributes.u64(8);
        let (first, second) = (attributes.u64(56), attributes.u64(64));
        // Bit 0 says that the function's return is meant (`format/retprobe`).
        let named = |of_call: &str, of_return: &str| {
            if config & 1 == 0 { of_call } else { of_return }.to_owned()
        };
        if Some(kind) == self.kprobe {
            let symbol = process.string(first, 256).filter(|name| !name.is_empty());
            return Event {
                kind: named("kprobe", "kretprobe"),
                place: symbol.map(|symbol| with_offset(symbol, "+", second)),
            };
        }
        if Some(kind) == self.uprobe {
            return Event {
                kind: named("uprobe", "uretprobe"),
                place: (process.string(first, 4096)).map(|path| with_offset(path, ":", second)),
            };
        }
        if kind == sys::PERF_TYPE_TRACEPOINT {
            return self.tracepoint(config);
        }
        Event {
            kind: "perf_event".into(),
            place: None,
        }
    }

    /// Probes that a process made in tracefs itself come and go, so their list is read each time.
    fn tracepoint(&mut self, id: u64) -> Event {
        let made = [
            ("kprobe_events", ["kprobe", "kretprobe"]),
            ("uprobe_events", ["uprobe", "uretprobe"]),
        ];
        for (file, kinds) in made {
            let text = fs::read_to_string(format!("{TRACEFS}/{file}")).unwrap_or_default();
            let own = text.lines().filter_map(made_probe);
            for (is_return, event, place) in own {
                if event_id(event) == Some(id) {
                    return Event {
                        kind: kinds[usize::from(is_return)].to_owned(),
                        place: Some(place.to_owned()),
                    };
                }
            }
        }
        let names = self.tracepoints.get_or_insert_with(tracepoints);
        Event {
            kind: "tracepoint".into(),
            place: names.get(&id).cloned(),
        }
    }
}

const TRACEFS: &str = "/sys/kernel/tracing";

fn event_id(event: &str) -> Option<u64> {
    let text = fs::read_to_string(format!("{TRACEFS}/events/{event}/id")).ok()?;
    text.trim().parse().ok()
}

/// A line of `kprobe_events`: `p:kprobes/name do_unlinkat+4`, where `r` is for returns.
fn made_probe(line: &str) -> Option<(bool, &str, &str)> {
    let (head, rest) = line.split_once(' ')?;
    let (kind, event) = head.split_once(':')?;
    let place = rest.split(' ').next()?;
    Some((kind.starts_with('r'), event, place))
}

fn tracepoints() -> BTreeMap<u64, String> {
    let dirs = |path: &str| {
        let entries = fs::read_dir(path).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().into_string().ok())
    };
    let root = format!("{TRACEFS}/events");
    let mut found = BTreeMap::new();
    for category in dirs(&root) {
        for name in dirs(&format!("{root}/{category}")) {
            let event = format!("{category}/{name}");
            if let Some(id) = event_id(&event) {
                found.insert(id, event);
            }
        }
    }
    found
}

fn with_offset(place: String, mark: &str, offset: u64) -> String {
    match offset {
        0 if mark == "+" => place,
        offset => format!("{place}{mark}{offset:#x}"),
    }
}

/// The functions that a link of kind `kprobe.multi` names.
pub(super) fn symbols(attributes: &Attributes, process: &Process) -> Option<String> {
    let count = attributes.u32(20) as usize;
    let pointers = process.read(attributes.u64(24), count.min(SYMBOLS) * 8);
    let names: Vec<String> = pointers
        .chunks_exact(8)
        .filter_map(|pointer| {
            let low = u64::from(u32_at(pointer, 0));
            process.string(low | u64::from(u32_at(pointer, 4)) << 32, 256)
        })
        .collect();
    let more = match count.saturating_sub(names.len()) {
        0 => String::new(),
        more => format!(",… ({more} more)"),
    };
    (!names.is_empty()).then(|| names.join(",") + &more)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hooks_are_named_as_sections_are() {
        let of = |kind: u32, attach: u32, flags: u32| {
            let mut bytes = [0; 128];
            bytes[..4].copy_from_slice(&kind.to_ne_bytes());
            bytes[44..48].copy_from_slice(&flags.to_ne_bytes());
            bytes[68..72].copy_from_slice(&attach.to_ne_bytes());
            hook(&Attributes::new(&bytes))
        };
        assert_eq!(of(26, 24, 0), "fentry");
        assert_eq!(of(26, 25, 16), "fexit.s");
        assert_eq!(of(29, 27, 0), "lsm");
        assert_eq!(of(2, 0, 0), "kprobe");
        assert_eq!(of(6, 37, 0), "xdp");
    }

    #[test]
    fn probes_of_tracefs_are_read() {
        let line = "r64:kprobes/r_x_0 do_unlinkat+4 arg=$retval";
        assert_eq!(
            made_probe(line),
            Some((true, "kprobes/r_x_0", "do_unlinkat+4"))
        );
    }
}
