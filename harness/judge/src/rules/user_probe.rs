//! User-space probes that libbpf does not attach, because of the object or of the file that the
//! section names. No kernel was asked in these cases.
//!
//! The input is libbpf's log and the errno of the attachment. The guest has already checked that the
//! file exists: it does not attempt to attach to a file that the guest does not have.

use crate::case::Case;
use crate::errno::{ENOENT, ESRCH};
use crate::finding::diagnosis;
use crate::said::Said;
use ukci_schema::diagnosis::{Code, Diagnosis};
use ukci_schema::verdict::Stage;

/// The object or the file lacks what libbpf needs to attach the probe.
pub(crate) fn refused(case: &Case<'_>) -> Option<Diagnosis> {
    without_maps(case)
        .or_else(|| no_symbol(case))
        .or_else(|| no_usdt_probe(case))
        .or_else(|| no_match(case))
}

/// libbpf passes the arguments of a USDT probe through two maps of the object. It says that they are
/// missing only once: of the object's further programs, it fails without a word.
fn without_maps(case: &Case<'_>) -> Option<Diagnosis> {
    let maps = &case.evidence.maps;
    let silent = case.section().starts_with("usdt")
        && case.program.attach.errno == Some(ESRCH)
        && !maps.iter().any(|map| map.name == "__bpf_usdt_specs");
    if !silent && !case.said.contains(&Said::NoUsdtMaps) {
        return None;
    }
    let headline = format!(
        "libbpf cannot attach {} (`{}`): the object lacks the maps of `<bpf/usdt.bpf.h>`",
        case.name(),
        case.section()
    );
    let hints = vec![
        "write `#include <bpf/usdt.bpf.h>` in the program's source: it defines the maps \
         `__bpf_usdt_specs` and `__bpf_usdt_ip_to_spec_id`"
            .to_owned(),
        "or let the loader attach the program as a uprobe at the address of the USDT probe"
            .to_owned(),
    ];
    Some(diagnosis(
        Code::LoaderContract,
        Stage::Attach,
        headline,
        hints,
    ))
}

/// The file has no such symbol.
fn no_symbol(case: &Case<'_>) -> Option<Diagnosis> {
    let (symbol, file) = case.heard_alone(|said| match *said {
        Said::NoSymbol { symbol, file } => Some((symbol, file)),
        _ => None,
    })?;
    let headline = format!(
        "`{file}` has no symbol `{symbol}` to attach {} to (`{}`)",
        case.name(),
        case.section()
    );
    let hint = "name a function that the file exports (`nm -D`), or its offset; stripped files keep \
                only those";
    Some(missing(headline, hint))
}

/// The file has no such USDT probe, or none at all.
fn no_usdt_probe(case: &Case<'_>) -> Option<Diagnosis> {
    let (file, probe) = place(case, "usdt")?;
    let none = case.heard_alone(|said| match *said {
        Said::NoUsdtProbes(file) => Some(file),
        _ => None,
    });
    if none.is_none() && !found_nothing(case) {
        return None;
    }
    let headline = match none {
        Some(file) => format!(
            "`{file}` has no USDT probes, and {} (`{}`) is for `{probe}`",
            case.name(),
            case.section()
        ),
        None => format!(
            "`{file}` has no USDT probe `{probe}` to attach {} to (`{}`)",
            case.name(),
            case.section()
        ),
    };
    let hint = "compare the provider and the name with the probes that the file has \
                (`readelf --notes`)";
    Some(missing(headline, hint))
}

/// No function of the file matches a pattern.
fn no_match(case: &Case<'_>) -> Option<Diagnosis> {
    let (file, pattern) = place(case, "uprobe.multi")
        .or_else(|| place(case, "uretprobe.multi"))
        .or_else(|| place(case, "uprobe.session"))?;
    if !found_nothing(case) {
        return None;
    }
    let headline = format!(
        "no function of `{file}` matches `{pattern}`, which {} (`{}`) is for",
        case.name(),
        case.section()
    );
    let hint = "compare the pattern with the functions that the file exports (`nm -D`); stripped \
                files keep only those";
    Some(missing(headline, hint))
}

/// libbpf searched the file and found nothing: it then prints nothing, where it prints what else
/// fails.
fn found_nothing(case: &Case<'_>) -> bool {
    let printed = case.program.attach.libbpf.lines();
    case.program.attach.errno == Some(ENOENT)
        && printed.into_iter().all(|line| line.trim().is_empty())
}

/// `FILE` and what follows of the section `HOOK/FILE:…`.
fn place<'a>(case: &Case<'a>, hook: &str) -> Option<(&'a str, &'a str)> {
    let rest = case.section().strip_prefix(hook)?;
    let rest = rest.strip_prefix(".s").unwrap_or(rest);
    rest.strip_prefix('/')?.split_once(':')
}

fn missing(headline: String, hint: &str) -> Diagnosis {
    diagnosis(
        Code::AttachTargetMissing,
        Stage::Attach,
        headline,
        vec![hint.to_owned()],
    )
}
