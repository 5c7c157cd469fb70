//! Loads programs of a few instructions, to learn what the verifier says about one call in them.
//!
//! The input is a program type and a helper or kfunc. The output is whether such a program may call
//! it, or `None` if the verifier did not reach the call. libbpf's own probe cannot do this for
//! program types that must name a target (`tracing`, `lsm`, `struct_ops`), nor for kfuncs. These
//! programs are never run.
#![expect(unsafe_code, reason = "libbpf is a C library")]

use std::ffi::{CStr, c_char};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr;

use libbpf_sys as sys;

use crate::kernel::Btf;

/// A kind of program that calls are tried in.
#[derive(Clone, Debug)]
pub(crate) struct Host {
    /// libbpf's word for the type, or the section's, where there is more than one to a type.
    pub(crate) name: &'static str,
    kind: u32,
    expected_attach_type: u32,
    attach_btf_id: u32,
    flags: u32,
}

impl Host {
    const fn plain(name: &'static str, kind: u32) -> Self {
        Self {
            name,
            kind,
            expected_attach_type: 0,
            attach_btf_id: 0,
            flags: 0,
        }
    }
}

/// Targets of tracing programs: section, attach type, what is attached to and its kind in BTF.
/// What helpers a program may call depends on the way in which it is attached.
const TRACED: &[(&str, u32, &str, u32)] = &[
    (
        "tp_btf",
        sys::BPF_TRACE_RAW_TP,
        "btf_trace_sched_switch",
        sys::BTF_KIND_TYPEDEF,
    ),
    (
        "fentry",
        sys::BPF_TRACE_FENTRY,
        "vfs_read",
        sys::BTF_KIND_FUNC,
    ),
    (
        "fexit",
        sys::BPF_TRACE_FEXIT,
        "vfs_read",
        sys::BTF_KIND_FUNC,
    ),
    (
        "fmod_ret",
        sys::BPF_MODIFY_RETURN,
        "security_file_open",
        sys::BTF_KIND_FUNC,
    ),
    (
        "iter",
        sys::BPF_TRACE_ITER,
        "bpf_iter_task",
        sys::BTF_KIND_FUNC,
    ),
];

/// The hosts whose target this kernel has: those that libbpf's probe of helpers cannot use.
pub(crate) fn targeted(btf: &Btf) -> Vec<Host> {
    let mut hosts = Vec::new();
    for (name, attach_type, target, kind) in TRACED {
        if let Some(id) = btf.find(target, *kind) {
            hosts.push(Host {
                expected_attach_type: *attach_type,
                attach_btf_id: id,
                ..Host::plain(name, sys::BPF_PROG_TYPE_TRACING)
            });
        }
    }
    // `file_open` may sleep from 5.11 on only; `bprm_committed_creds` as long as any hook may.
    let hooks = [
        ("lsm", "bpf_lsm_file_open", 0),
        (
            "lsm.s",
            "bpf_lsm_bprm_committed_creds",
            sys::BPF_F_SLEEPABLE,
        ),
    ];
    for (name, hook, flags) in hooks {
        if let Some(id) = btf.find(hook, sys::BTF_KIND_FUNC) {
            hosts.push(Host {
                expected_attach_type: sys::BPF_LSM_MAC,
                attach_btf_id: id,
                flags,
                ..Host::plain(name, sys::BPF_PROG_TYPE_LSM)
            });
        }
    }
    let ops = btf.find("tcp_congestion_ops", sys::BTF_KIND_STRUCT);
    let member = ops.and_then(|id| {
        let members = btf.members(id);
        members.iter().position(|(name, _)| name == "ssthresh")
    });
    if let Some((id, member)) = ops.zip(member.and_then(|n| u32::try_from(n).ok())) {
        hosts.push(Host {
            expected_attach_type: member,
            attach_btf_id: id,
            ..Host::plain("struct_ops", sys::BPF_PROG_TYPE_STRUCT_OPS)
        });
    }
    hosts
}

/// The hosts that kfuncs are tried in: one a hook that kfuncs are registered for
/// (`enum btf_kfunc_hook`, `bpf_prog_type_to_kfunc_hook`).
pub(crate) fn of_kfuncs(btf: &Btf) -> Vec<Host> {
    let mut hosts = vec![
        Host::plain("socket_filter", sys::BPF_PROG_TYPE_SOCKET_FILTER),
        Host::plain("kprobe", sys::BPF_PROG_TYPE_KPROBE),
        Host::plain("sched_cls", sys::BPF_PROG_TYPE_SCHED_CLS),
        Host::plain("xdp", sys::BPF_PROG_TYPE_XDP),
        Host::plain("perf_event", sys::BPF_PROG_TYPE_PERF_EVENT),
        Host::plain("tracepoint", sys::BPF_PROG_TYPE_TRACEPOINT),
        Host::plain("cgroup_skb", sys::BPF_PROG_TYPE_CGROUP_SKB),
        Host::plain("lwt_in", sys::BPF_PROG_TYPE_LWT_IN),
        Host::plain("sock_ops", sys::BPF_PROG_TYPE_SOCK_OPS),
        Host::plain("sk_skb", sys::BPF_PROG_TYPE_SK_SKB),
        Host {
            expected_attach_type: sys::BPF_CGROUP_INET4_CONNECT,
            ..Host::plain("cgroup_sock_addr", sys::BPF_PROG_TYPE_CGROUP_SOCK_ADDR)
        },
        Host {
            expected_attach_type: sys::BPF_NETFILTER,
            ..Host::plain("netfilter", sys::BPF_PROG_TYPE_NETFILTER)
        },
        Host {
            flags: sys::BPF_F_SLEEPABLE,
            ..Host::plain("syscall", sys::BPF_PROG_TYPE_SYSCALL)
        },
    ];
    hosts.extend(targeted(btf));
    hosts
}

/// A function of the kernel or of a module.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Function<'a> {
    /// Its id in the BTF that has it.
    pub(crate) id: u32,
    /// The descriptor of the module's BTF; none for vmlinux.
    pub(crate) module: Option<&'a OwnedFd>,
}

/// Whether programs like `host` may call a helper; `None` if the verifier never saw the call.
pub(crate) fn may_call_helper(host: &Host, id: u32) -> Option<bool> {
    let Loaded::Refused(said) = load(host, call(0, id, 0), &[]) else {
        return Some(true);
    };
    // The three sentences that libbpf's probe knows.
    let refused = ["invalid func ", "unknown func ", "cannot use helper "];
    if refused.iter().any(|words| said.contains(words)) {
        return Some(false);
    }
    saw_call(&said).then_some(true)
}

/// Whether programs like `host` may call this function as a kfunc; `None` if the verifier never
/// saw the call (`metadata kfuncs require device-bound program`).
///
/// `Some(false)` only in the kernel's own words ("calling kernel function … is not allowed", since
/// 5.13): the caller tries a function that is no kfunc to see whether this kernel says them.
pub(crate) fn may_call_kfunc(host: &Host, function: Function<'_>) -> Option<bool> {
    // Index 0 of the array would be vmlinux, whatever stands there. Before 5.14 there is none.
    let fds = function.module.map(|fd| [-1, fd.as_raw_fd()]);
    let offset = i16::from(function.module.is_some());
    let Loaded::Refused(said) = load(
        host,
        call(sys::BPF_PSEUDO_KFUNC_CALL, function.id, offset),
        fds.as_ref().map_or(&[], |fds| &fds[..]),
    ) else {
        return Some(true);
    };
    if said.contains("calling kernel function") && said.contains("not allowed") {
        return Some(false);
    }
    saw_call(&said).then_some(true)
}

/// The trace shows an instruction before it is checked; `85` is the call.
fn saw_call(said: &str) -> bool {
    said.contains("(85) call")
}

/// What came of a load.
enum Loaded {
    Well,
    Refused(String),
}

/// Loads a call and an exit. The words are empty where the verifier was not even asked.
fn load(host: &Host, call: sys::bpf_insn, fds: &[i32]) -> Loaded {
    let code = [
        call,
        insn(sys::BPF_ALU64 | sys::BPF_MOV, 0, 0),
        insn(sys::BPF_JMP | sys::BPF_EXIT, 0, 0),
    ];
    let mut log = vec![0_u8; 16 * 1024];
    let mut opts = sys::bpf_prog_load_opts {
        sz: size_of::<sys::bpf_prog_load_opts>() as sys::size_t,
        expected_attach_type: host.expected_attach_type,
        attach_btf_id: host.attach_btf_id,
        prog_flags: host.flags,
        fd_array: if fds.is_empty() {
            ptr::null()
        } else {
            fds.as_ptr()
        },
        log_level: 1,
        log_size: u32::try_from(log.len()).unwrap_or(0),
        log_buf: log.as_mut_ptr().cast::<c_char>(),
        ..Default::default()
    };
    // SAFETY: code, log and descriptors outlive the call; the descriptor that comes back is ours.
    let loaded = unsafe {
        let fd = sys::bpf_prog_load(
            host.kind,
            ptr::null(),
            c"GPL".as_ptr(),
            code.as_ptr(),
            code.len() as sys::size_t,
            &raw mut opts,
        );
        (fd >= 0).then(|| OwnedFd::from_raw_fd(fd))
    };
    if loaded.is_some() {
        return Loaded::Well;
    }
    let said = CStr::from_bytes_until_nul(&log);
    Loaded::Refused(said.map_or_else(
        |_| String::new(),
        |text| text.to_string_lossy().into_owned(),
    ))
}

fn insn(code: u32, register: u8, imm: i32) -> sys::bpf_insn {
    let mut insn = sys::bpf_insn {
        code: u8::try_from(code).unwrap_or(0),
        imm,
        ..Default::default()
    };
    insn.set_dst_reg(register);
    insn
}

fn call(source: u32, id: u32, offset: i16) -> sys::bpf_insn {
    let mut call = insn(sys::BPF_JMP | sys::BPF_CALL, 0, id.cast_signed());
    call.set_src_reg(u8::try_from(source).unwrap_or(0));
    call.off = offset;
    call
}

/// The descriptor of a loaded module's BTF.
pub(crate) fn module_btf(name: &str) -> Option<OwnedFd> {
    let mut id = 0;
    loop {
        // SAFETY: numbers and a place for one; a descriptor that comes back is ours.
        let fd = unsafe {
            if sys::bpf_btf_get_next_id(id, &raw mut id) < 0 {
                return None;
            }
            let fd = sys::bpf_btf_get_fd_by_id(id);
            if fd < 0 {
                continue;
            }
            OwnedFd::from_raw_fd(fd)
        };
        let mut text = [0_u8; 64];
        let mut info = sys::bpf_btf_info {
            name: text.as_mut_ptr() as u64,
            name_len: 64,
            ..Default::default()
        };
        let mut length = u32::try_from(size_of::<sys::bpf_btf_info>()).ok()?;
        // SAFETY: the kernel writes at most `length` bytes of info and 64 of the name.
        let result =
            unsafe { sys::bpf_btf_get_info_by_fd(fd.as_raw_fd(), &raw mut info, &raw mut length) };
        let said = CStr::from_bytes_until_nul(&text).ok()?;
        if result == 0 && info.kernel_btf != 0 && said.to_bytes() == name.as_bytes() {
            return Some(fd);
        }
    }
}

/// Whether the kernel knows `BPF_TOKEN_CREATE`: it refuses one in the first user namespace in its
/// own way (EOPNOTSUPP, since 6.9); a command that it does not know is EINVAL.
pub(crate) fn has_token() -> Option<bool> {
    let bpffs = std::fs::File::open("/sys/fs/bpf").ok()?;
    // SAFETY: a descriptor and no options; a descriptor that comes back is ours.
    let fd = unsafe { sys::bpf_token_create(bpffs.as_raw_fd(), ptr::null_mut()) };
    if fd >= 0 {
        // SAFETY: as above.
        drop(unsafe { OwnedFd::from_raw_fd(fd) });
        return Some(true);
    }
    match -fd {
        libc::EOPNOTSUPP => Some(true),
        libc::EINVAL => Some(false),
        _ => None,
    }
}
