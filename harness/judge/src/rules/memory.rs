//! Allocations that failed.
//!
//! The input is ENOMEM, the guest's memory and the kernel's log. ENOMEM says that an allocation
//! failed. It does not say that more memory would help, because a few functions of the kernel return
//! it for limits of their own. The headline therefore says what the kernel answered, and adds what its
//! log says of an allocation. The code is always `GUEST_RESOURCES`, for which the cell is booted once
//! more with more memory.

use crate::finding::diagnosis;
use crate::text::clipped;
use ukci_schema::diagnosis::{Code, Diagnosis};
use ukci_schema::evidence::Evidence;
use ukci_schema::verdict::Stage;

/// What the kernel logs of an allocation that failed for want of memory.
const LOGGED: &[&str] = &[
    "page allocation failure",
    "Out of memory",
    "vmalloc error",
    "vmap allocation",
    "percpu: allocation failed",
];

/// The kernel answered ENOMEM to this purpose, such as "load the object".
pub(crate) fn too_little(evidence: &Evidence, purpose: &str, stage: Stage) -> Diagnosis {
    let size = match evidence.guest.memory_kib {
        0 => String::new(),
        kib => format!(" of the guest's {} MiB", kib.div_ceil(1024)),
    };
    let is_of_memory = |line: &&String| LOGGED.iter().any(|words| line.contains(words));
    let logged = evidence.kmsg.iter().find(is_of_memory);
    let logged = logged.map_or_else(String::new, |line| {
        format!("; the kernel's log says `{}`", clipped(line))
    });
    let headline =
        format!("the kernel could not allocate memory{size} to {purpose} (ENOMEM){logged}");
    let hints = vec![
        "give the guest more memory (`memory` in the matrix)".into(),
        "if it fails with much more memory too, look for another limit: a few functions of the kernel return \
         ENOMEM for limits of their own"
            .into(),
    ];
    diagnosis(Code::GuestResources, stage, headline, hints)
}
