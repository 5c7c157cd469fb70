//! The running kernel, and the modules that the agent loaded.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Facts about the running kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GuestFacts {
    /// `uname -r`.
    pub release: String,
    /// `uname -v`.
    pub version: String,
    /// `uname -m`.
    pub machine: String,
    /// `/proc/cmdline`.
    pub cmdline: String,
    /// Size of `/sys/kernel/btf/vmlinux` in bytes; absent if it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub btf_bytes: Option<u64>,
    /// `/sys/kernel/security/lsm`, split at commas; absent if securityfs is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lsm: Option<Vec<String>>,
    /// The bracketed word of `/sys/kernel/security/lockdown`: `none`, `integrity`, `confidentiality`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lockdown: Option<String>,
    /// `net.core.bpf_jit_enable` as the kernel booted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jit: Option<String>,
    /// `kernel.unprivileged_bpf_disabled`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unprivileged_bpf_disabled: Option<String>,
    /// The kernel's configuration options that matter to BPF, without `CONFIG_`; `n` where unset.
    #[serde(default)]
    pub config: BTreeMap<String, String>,
    /// Optional mounts that failed: target and reason.
    #[serde(default)]
    pub mounts_missing: BTreeMap<String, String>,
    /// Modules that the agent loaded, in order, with the reason a load failed.
    #[serde(default)]
    pub modules: Vec<Module>,
    /// `MemTotal` in KiB.
    #[serde(default)]
    pub memory_kib: u64,
    /// Online CPUs.
    #[serde(default)]
    pub cpus: u32,
    /// The capabilities that loading and attaching may ask for and the agent lacks, as
    /// `CAP_BPF`. None in ukci's guests.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capabilities_missing: Vec<String>,
    /// What the agent needs of any kernel and this one lacks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unmet: Vec<UnmetNeed>,
    /// `/proc/sys/kernel/random/boot_id`, which no two guests share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot_id: Option<String>,
    /// The guest's wall clock when the cell began, in seconds since the epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<u64>,
}

/// Something that the agent or libbpf needs of any kernel, and that this one lacks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnmetNeed {
    /// The call or file system: `memfd_create(2)`, `procfs`.
    pub what: String,
    /// The option that brings it, without `CONFIG_`.
    pub option: String,
    /// What the kernel answered.
    pub error: String,
}

/// A kernel module that the agent loaded, or tried to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Module {
    /// Its name.
    pub name: String,
    /// Why it could not be loaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The targets and kfuncs of the object that it was loaded for, because it defines them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub wanted_for: Vec<String>,
    /// Other available modules that define one of those names too, and were not loaded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also_in: Vec<String>,
}
