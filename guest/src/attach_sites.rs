//! Finds the functions of the running kernel that programs can be attached to: ftrace's sites and
//! the blacklist of kprobes.
//!
//! The input is files of tracefs and debugfs, which are read once and only if a refusal is
//! examined. The output is names. Why a function is not there is decided by the judge, and not
//! here.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct AttachSites {
    traceable: OnceCell<Option<BTreeSet<String>>>,
    blacklist: OnceCell<Option<BTreeSet<String>>>,
}

impl AttachSites {
    /// The functions that have an ftrace site; `None` if this kernel does not say.
    pub(crate) fn traceable(&self) -> Option<&BTreeSet<String>> {
        let read = || {
            let roots = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];
            let text = roots
                .iter()
                .find_map(|root| fs::read(format!("{root}/available_filter_functions")).ok())?;
            let names = first_words(&String::from_utf8_lossy(&text));
            (!names.is_empty()).then_some(names)
        };
        self.traceable.get_or_init(read).as_ref()
    }

    /// The functions that no kprobe may be put into; `None` if this kernel does not say.
    pub(crate) fn blacklist(&self) -> Option<&BTreeSet<String>> {
        self.blacklist.get_or_init(blacklist).as_ref()
    }

    /// Whether a function can be offered in the place of another: nothing that the kernel makes
    /// while it runs, no padding, no trampoline, and where ftrace says so, a function with a site.
    pub(crate) fn is_attachable(&self, name: &str) -> bool {
        is_function(name)
            && self
                .traceable()
                .is_none_or(|traceable| traceable.contains(name))
    }
}

/// Whether a symbol is a function that somebody wrote in C, under its own name.
///
/// `bpf_prog_*` are programs as the JIT made them, this object's among them; `__SCT__` and `__SCK__` static calls,
/// `__pfx_` and `__cfi_` paddings, `__traceiter_` and the like the insides of tracepoints, `__ia32_` the 32-bit entries
/// of system calls, `_R…` mangled names of Rust, names with a dot copies of a function.
pub(crate) fn is_function(symbol: &str) -> bool {
    let made = [
        "bpf_prog_",
        "bpf_trampoline_",
        "bpf_dispatcher_",
        "__SCT__",
        "__SCK__",
        "__pfx_",
        "__cfi_",
        "__traceiter_",
        "__probestub_",
        "__bpf_trace_",
        "__ia32_",
        "perf_trace_",
        "trace_event_raw_event_",
        "_RN",
        "_RI",
        "_RM",
        "_RX",
        "_RY",
    ];
    !symbol.contains('.') && !made.iter().any(|start| symbol.starts_with(start))
}

/// `NAME` or `NAME [MODULE]`, a line each.
fn first_words(text: &str) -> BTreeSet<String> {
    text.lines()
        .filter_map(|line| line.split_ascii_whitespace().next())
        .filter(|name| !name.starts_with("__ftrace_invalid_address"))
        .map(str::to_owned)
        .collect()
}

/// `0xffffffff81000000-0xffffffff81000010 NAME`, a line each.
fn second_words(text: &str) -> BTreeSet<String> {
    text.lines()
        .filter_map(|line| line.split_ascii_whitespace().nth(1))
        .map(str::to_owned)
        .collect()
}

const BLACKLIST: &str = "kprobes/blacklist";

/// debugfs is not mounted in a guest, since libbpf and the kernel behave differently where it is; it
/// is mounted beside everything for as long as it takes to read one file.
fn blacklist() -> Option<BTreeSet<String>> {
    let mounted = Path::new("/sys/kernel/debug").join(BLACKLIST);
    if let Ok(text) = fs::read_to_string(mounted) {
        return Some(second_words(&text));
    }
    let dir = Path::new("/run").join(format!("ukci-debugfs-{}", std::process::id()));
    fs::create_dir(&dir).ok()?;
    let text = mount("debugfs", &dir, "debugfs", MountFlags::RDONLY, None)
        .ok()
        .and_then(|()| {
            let text = fs::read_to_string(dir.join(BLACKLIST)).ok();
            let _ = unmount(&dir, UnmountFlags::DETACH);
            text
        });
    let _ = fs::remove_dir(&dir);
    text.map(|text| second_words(&text))
}

#[cfg(test)]
mod tests {
    use super::{first_words, is_function, second_words};

    #[test]
    fn what_the_kernel_makes_is_no_function() {
        for made in [
            "bpf_prog_591d6db59a454bb0_account_page_dirtied",
            "bpf_trampoline_6442510321",
            "__SCT__tp_func_add_device_to_group",
            "__SCK__might_resched",
            "__pfx_vfs_read",
            "__cfi_vfs_read",
            "_RNvYNCNvNvMs6_NtNtCsbZfwWpAStWS_4core4task4wake",
            "vfs_read.part.0",
        ] {
            assert!(!is_function(made), "{made}");
        }
        for function in ["vfs_read", "bpf_progs_are_fine", "__x64_sys_bpf", "_Retry"] {
            assert!(is_function(function), "{function}");
        }
    }

    #[test]
    fn the_kernels_lists_are_read() {
        let functions = first_words(
            "vfs_read\nnf_conntrack_in [nf_conntrack]\n\
                                     __ftrace_invalid_address___64\n",
        );
        let names: Vec<&str> = functions.iter().map(String::as_str).collect();
        assert_eq!(names, ["nf_conntrack_in", "vfs_read"]);
        let list = second_words("0x0000000000000000-0x0000000000000000\tirq_entries_start\n");
        assert!(list.contains("irq_entries_start"));
    }
}
