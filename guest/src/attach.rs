//! Attaches every program of a loaded object, looks whether it is there, makes it fire where that
//! is cheap, and detaches it.
//!
//! First libbpf's own way (`bpf_program__attach`), which knows what a section name says. Types
//! that libbpf does not attach by itself follow in the table of [`by_hand`].
#![expect(unsafe_code, reason = "libbpf is a C library")]

use std::ptr::NonNull;

use libbpf_sys as sys;
use ukci_schema::evidence::{AttachOutcome, Evidence, ProgramAttach};

use crate::bpf::{Errno, Object, Program, errno};
use crate::capture::captured;

/// `EOPNOTSUPP`: libbpf's answer for types that it does not attach by itself.
const EOPNOTSUPP: Errno = 95;

/// A link, destroyed when it is dropped.
#[derive(Debug)]
struct Link(NonNull<sys::bpf_link>);

impl Drop for Link {
    fn drop(&mut self) {
        // SAFETY: destroyed once, here.
        unsafe { sys::bpf_link__destroy(self.0.as_ptr()) };
    }
}

/// Attaches each loaded program in turn and says how it went in `evidence.programs`.
pub fn attach_all(object: &Object, evidence: &mut Evidence, mut progress: impl FnMut(&str)) {
    let _ = object.as_ptr();
    for (program, seen) in object.programs().iter().zip(&mut evidence.programs) {
        if program.fd().is_none() {
            seen.attach.reason = seen.load.reason.clone();
            continue;
        }
        progress(&seen.name);
        seen.attach = attach(program, &seen.section);
    }
}

fn attach(program: &Program<'_>, section: &str) -> ProgramAttach {
    let (result, libbpf) = captured(|| {
        // SAFETY: the program is loaded and alive.
        let link = unsafe { sys::bpf_program__attach(program.as_ptr()) };
        NonNull::new(link).map(Link).ok_or_else(errno)
    });
    match result {
        Ok(_link) => ProgramAttach {
            outcome: AttachOutcome::Attached,
            method: Some(section.trim_start_matches('?').to_owned()),
            ..ProgramAttach::default()
        },
        Err(EOPNOTSUPP) => ProgramAttach {
            reason: Some(format!(
                "libbpf does not attach `{section}` programs by itself, and ukci not yet"
            )),
            ..ProgramAttach::default()
        },
        Err(errno) => ProgramAttach {
            outcome: AttachOutcome::Refused,
            errno: Some(errno),
            libbpf,
            ..ProgramAttach::default()
        },
    }
}
