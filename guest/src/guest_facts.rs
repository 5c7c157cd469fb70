//! Collects facts about the running kernel.
//!
//! The input is procfs, sysfs, securityfs, and the configuration in the initramfs. The output is
//! `GuestFacts`. What cannot be read is left out and never guessed. Nothing is changed.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use ukci_schema::evidence::{GuestFacts, Module};

use crate::kernel_needs;

/// The configuration options that matter to BPF, without `CONFIG_`.
const OPTIONS: &[&str] = &[
    "64BIT",
    "ARM64_4K_PAGES",
    "BPF",
    "BPF_EVENTS",
    "BPF_JIT",
    "BPF_JIT_ALWAYS_ON",
    "BPF_JIT_DEFAULT_ON",
    "BPF_KPROBE_OVERRIDE",
    "BPF_LIRC_MODE2",
    "BPF_LSM",
    "BPF_STREAM_PARSER",
    "BPF_SYSCALL",
    "BPF_UNPRIV_DEFAULT_OFF",
    "CGROUPS",
    "CGROUP_BPF",
    "CRYPTO",
    "DEBUG_INFO_BTF",
    "DEBUG_INFO_BTF_MODULES",
    "DYNAMIC_FTRACE",
    "DYNAMIC_FTRACE_WITH_DIRECT_CALLS",
    "FPROBE",
    "FS_VERITY",
    "FTRACE_SYSCALLS",
    "FUNCTION_ERROR_INJECTION",
    "FUNCTION_TRACER",
    "HAVE_EBPF_JIT",
    "HID_BPF",
    "HZ",
    "IA32_EMULATION",
    "IKCONFIG",
    "INET",
    "IPV6",
    "IPV6_SEG6_BPF",
    "IPV6_SEG6_LWTUNNEL",
    "KALLSYMS",
    "KALLSYMS_ALL",
    "KEYS",
    "KPROBES",
    "KPROBES_ON_FTRACE",
    "KPROBE_EVENTS",
    "LSM",
    "LWTUNNEL_BPF",
    "MODULES",
    "NETFILTER_BPF_LINK",
    "NETKIT",
    "NET_ACT_BPF",
    "NET_CLS_ACT",
    "NET_CLS_BPF",
    "NET_FOU",
    "NET_SCH_BPF",
    "NET_SCH_INGRESS",
    "NET_SOCK_MSG",
    "NF_CONNTRACK",
    "NF_FLOW_TABLE",
    "NF_NAT",
    "NR_CPUS",
    "PREEMPT",
    "PREEMPT_RT",
    "RANDOMIZE_BASE",
    "SCHED_CLASS_EXT",
    "SECURITY",
    "SECURITY_LOCKDOWN_LSM",
    "SYSTEM_DATA_VERIFICATION",
    "TCP_CONG_BBR",
    "TCP_CONG_CUBIC",
    "TCP_CONG_DCTCP",
    "TRACING",
    "UPROBE_EVENTS",
    "XDP_SOCKETS",
    "XFRM_INTERFACE",
];

/// Gathers them. What was missed at start is the caller's to tell.
pub fn gather(mounts_missing: BTreeMap<String, String>, modules: Vec<Module>) -> GuestFacts {
    let uname = rustix::system::uname();
    let release = uname.release().to_string_lossy().into_owned();
    GuestFacts {
        config: config(&release),
        version: uname.version().to_string_lossy().into_owned(),
        machine: uname.machine().to_string_lossy().into_owned(),
        cmdline: read("/proc/cmdline").unwrap_or_default(),
        btf_bytes: fs::metadata("/sys/kernel/btf/vmlinux")
            .ok()
            .map(|meta| meta.len()),
        lsm: read("/sys/kernel/security/lsm")
            .map(|list| list.split(',').map(str::to_owned).collect()),
        lockdown: read("/sys/kernel/security/lockdown").and_then(|text| bracketed(&text)),
        jit: read("/proc/sys/net/core/bpf_jit_enable"),
        unprivileged_bpf_disabled: read("/proc/sys/kernel/unprivileged_bpf_disabled"),
        memory_kib: memory_kib(),
        cpus: u32::try_from(std::thread::available_parallelism().map_or(1, usize::from))
            .unwrap_or(1),
        release,
        mounts_missing,
        modules,
        capabilities_missing: read("/proc/self/status")
            .map_or_else(Vec::new, |status| capabilities_missing(&status)),
        unmet: kernel_needs::unmet(),
        boot_id: None,
        clock: None,
    }
}

/// What tells this guest from another copy of the same saved guest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// As the kernel writes it.
    pub boot_id: Option<String>,
    /// Seconds since 1970.
    pub clock: Option<u64>,
}

impl Identity {
    /// Draws it. The kernel draws the boot id when its file is first read, so nothing may read that
    /// before the guest has entropy of its own.
    pub fn draw(boot_id: Option<fs::File>) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            boot_id: boot_id.and_then(|file| {
                let text = io::read_to_string(file).ok()?;
                Some(text.trim().to_owned())
            }),
            clock: now.ok().map(|time| time.as_secs()),
        }
    }

    /// Adds it to facts that were gathered before.
    pub fn tell(self, facts: &mut GuestFacts) {
        facts.boot_id = self.boot_id;
        facts.clock = self.clock;
    }
}

/// `linux/capability.h`. Kernels below 5.8 have neither `CAP_PERFMON` nor `CAP_BPF`, and ask for
/// `CAP_SYS_ADMIN` instead.
const CAPABILITIES: &[(u32, &str)] = &[
    (12, "CAP_NET_ADMIN"),
    (21, "CAP_SYS_ADMIN"),
    (38, "CAP_PERFMON"),
    (39, "CAP_BPF"),
];

/// Those of [`CAPABILITIES`] that are not in the effective set of `/proc/self/status`.
/// `CAP_SYS_ADMIN` includes the two newer ones.
pub(crate) fn capabilities_missing(status: &str) -> Vec<String> {
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let Some(effective) = effective.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()) else {
        return Vec::new();
    };
    let has = |bit: u32| effective >> bit & 1 == 1;
    let is_included = |bit: u32| bit > 37 && has(21);
    let lacks = CAPABILITIES
        .iter()
        .filter(|(bit, _)| !(has(*bit) || is_included(*bit)));
    lacks.map(|(_, name)| (*name).to_owned()).collect()
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(path)
        .ok()
        .map(|text| text.trim().to_owned())
}

/// `b` of `a [b] c`.
pub(crate) fn bracketed(text: &str) -> Option<String> {
    let (_, rest) = text.split_once('[')?;
    Some(rest.split_once(']')?.0.to_owned())
}

fn memory_kib() -> u64 {
    let text = read("/proc/meminfo").unwrap_or_default();
    text.lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))
        .and_then(|rest| rest.split_ascii_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}

/// From `/boot/config-<release>`, which the initramfs carries; `n` where an option is unset.
/// Empty where there is no such file, for then nothing is known.
fn config(release: &str) -> BTreeMap<String, String> {
    match read(&format!("/boot/config-{release}")) {
        Some(text) => chosen(&text),
        None => BTreeMap::new(),
    }
}

/// The options of a configuration that matter. It has some 8,000 lines, and each costs an emulated
/// guest time before its hello.
pub(crate) fn chosen(text: &str) -> BTreeMap<String, String> {
    let unset = OPTIONS
        .iter()
        .map(|name| ((*name).to_owned(), "n".to_owned()));
    let mut options: BTreeMap<String, String> = unset.collect();
    for line in text.lines() {
        let set = line.strip_prefix("CONFIG_");
        let Some((name, value)) = set.and_then(|set| set.split_once('=')) else {
            continue;
        };
        if OPTIONS.binary_search(&name).is_ok() {
            options.insert(name.to_owned(), value.trim_matches('"').to_owned());
        }
    }
    options
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_word_in_brackets_is_the_one_in_force() {
        assert_eq!(
            super::bracketed("none [integrity] confidentiality").as_deref(),
            Some("integrity")
        );
        assert_eq!(super::bracketed("nothing"), None);
        assert!(super::OPTIONS.is_sorted());
    }

    #[test]
    fn a_missing_capability_is_named_unless_sys_admin_stands_for_it() {
        let of = |hex: &str| super::capabilities_missing(&format!("Name:\tx\nCapEff:\t{hex}\n"));
        assert!(of("000001ffffffffff").is_empty());
        // Below 5.8 the newer two do not exist.
        assert!(of("0000003fffffffff").is_empty());
        assert_eq!(
            of("0000000000000000"),
            ["CAP_NET_ADMIN", "CAP_SYS_ADMIN", "CAP_PERFMON", "CAP_BPF"]
        );
        assert_eq!(of("000000c000001000"), ["CAP_SYS_ADMIN"]);
        assert!(super::capabilities_missing("Name:\tx\n").is_empty());
    }

    #[test]
    fn only_the_options_that_matter_are_kept() {
        let text = "# comment\nCONFIG_BPF=y\nCONFIG_LSM=\"lockdown,bpf\"\nCONFIG_BPFX=y\n\
                    # CONFIG_BPF_LSM is not set\nCONFIG_HZ=250\n";
        let options = super::chosen(text);
        assert_eq!(options.len(), super::OPTIONS.len());
        let of = |name: &str| options[name].as_str();
        assert_eq!((of("BPF"), of("LSM")), ("y", "lockdown,bpf"));
        assert_eq!((of("BPF_LSM"), of("HZ")), ("n", "250"));
        assert!(!options.contains_key("BPFX"));
    }

    #[test]
    fn this_host_has_facts() {
        let facts = super::gather(std::collections::BTreeMap::new(), Vec::new());
        assert!(!facts.release.is_empty() && facts.memory_kib > 0 && facts.cpus > 0);
    }
}
