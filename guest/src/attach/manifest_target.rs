//! Attaches programs whose target a manifest names.
//!
//! The input is the target from the contract, and the output is a link. The section of the program
//! is never used.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;

use libbpf_sys as sys;
use ukci_schema::contract::Site;

use super::calls::{self, Link, Uprobe};
use super::stimulus::Stimulus;
use super::{Attached, Attachment, Attempt, NotAttached, self_probe, tracing};
use crate::bpf::Errno;

/// The way of a program that a manifest names a place for.
pub(super) fn named<'a>(attachment: &'a Attachment<'a>) -> Attempt<'a> {
    let Some(target) = attachment.at else {
        return Err(NotAttached::NotAttempted(
            "the manifest names no target".into(),
        ));
    };
    let kind = target.kind.name();
    let text = |text: &str| CString::new(text).map_err(|_| libc::EINVAL);
    let (link, stimuli) = match &target.site {
        Site::Function { symbol, offset } => (
            function(attachment, kind, symbol, *offset)?,
            tracing::everyday(attachment),
        ),
        Site::Tracepoint { category, name } => (
            calls::tracepoint(attachment.program, &text(category)?, &text(name)?)?,
            tracing::everyday(attachment),
        ),
        Site::RawTracepoint { name } if kind == "raw_tracepoint" => (
            calls::raw_tracepoint(attachment.program, &text(name)?)?,
            tracing::everyday(attachment),
        ),
        // Set before the load.
        Site::RawTracepoint { .. } | Site::Program { .. } => (
            calls::trace(attachment.program)?,
            tracing::everyday(attachment),
        ),
        Site::User {
            file,
            symbol,
            offset,
        } => user(attachment, kind, *file, symbol.as_deref(), *offset)?,
        Site::Usdt {
            file,
            provider,
            name,
        } => {
            let path = file_of(attachment, *file)?;
            let link = calls::usdt(attachment.program, &path, &text(provider)?, &text(name)?)?;
            (link, Vec::new())
        }
    };
    Ok(Attached::by(link, attachment.section(), stimuli))
}

fn function(
    attachment: &Attachment<'_>,
    kind: &str,
    symbol: &str,
    offset: u64,
) -> Result<Link, Errno> {
    let name = CString::new(symbol).map_err(|_| libc::EINVAL)?;
    let program = attachment.program;
    match kind {
        "kprobe" | "kretprobe" => calls::kprobe(program, &name, offset, kind == "kretprobe"),
        "kprobe_multi" | "kretprobe_multi" => {
            calls::kprobe_multi(program, &name, kind == "kretprobe_multi")
        }
        "ksyscall" | "kretsyscall" => calls::ksyscall(program, &name, kind == "kretsyscall"),
        // Set before the load.
        "lsm" if program.attach_type() == sys::BPF_LSM_MAC => calls::lsm(program),
        _ => calls::trace(program),
    }
}

/// The file that a user-space probe goes into; the agent's own where the manifest names none.
fn file_of(attachment: &Attachment<'_>, file: Option<usize>) -> Result<CString, NotAttached> {
    let path = match file {
        Some(file) => attachment.terms.file(file).map(std::path::Path::to_owned),
        None => std::fs::read_link("/proc/self/exe").ok(),
    };
    let path = path.and_then(|path| CString::new(path.as_os_str().as_bytes()).ok());
    path.ok_or_else(|| NotAttached::NotAttempted("the host sent no such file".into()))
}

type Linked<'a> = (Link, Vec<Stimulus<'a>>);

fn user<'a>(
    attachment: &'a Attachment<'a>,
    kind: &str,
    file: Option<usize>,
    symbol: Option<&str>,
    offset: u64,
) -> Result<Linked<'a>, NotAttached> {
    let how = Uprobe {
        returns: kind.starts_with("uretprobe"),
        multi: kind.ends_with("_multi"),
        session: false,
    };
    if file.is_none() && symbol.is_none() && offset == 0 {
        let place = self_probe::place();
        let (path, offset) = place.ok_or_else(|| {
            NotAttached::NotAttempted("the agent could not find its own executable".into())
        })?;
        let link = calls::uprobe(attachment.program, &path, offset, how)?;
        let stimulus = Stimulus::new("calls the function", || self_probe::target());
        return Ok((link, vec![stimulus]));
    }
    let path = file_of(attachment, file)?;
    let link = match symbol {
        Some(symbol) => {
            let symbol = CString::new(symbol).map_err(|_| libc::EINVAL)?;
            calls::uprobe_of(attachment.program, &path, &symbol, offset, how)?
        }
        None => calls::uprobe(attachment.program, &path, offset, how)?,
    };
    Ok((link, Vec::new()))
}
