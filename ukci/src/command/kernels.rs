//! `ukci kernels`: what the catalogue has, and what of it is at hand.

use std::fmt::Write;

use ukci_harness::catalogue::{Catalogue, Prepared};
use ukci_harness::resolve;
use ukci_schema::authored::instead_of;
use ukci_schema::lock::{LockedKernel, Verified};

use super::fetching::Fetching;
use crate::args::{Fetch, Kernels};
use crate::diagnostic::Failure;
use crate::exit::Exit;
use crate::output::{GOOD, Output, WARN, data, paint};

/// Runs the command.
pub(crate) fn run(kernels: &Kernels, output: Output) -> Result<Exit, Failure> {
    match kernels {
        Kernels::List => list(),
        Kernels::Fetch(fetch) => self::fetch(fetch, output),
        Kernels::Show { name } => show(name),
    }
}

fn list() -> Result<Exit, Failure> {
    let catalogue = super::catalogue(false)?;
    let kernels = &catalogue.lock().kernels;
    let width = kernels
        .iter()
        .map(|kernel| kernel.name.len())
        .max()
        .unwrap_or(0);
    let mut text = String::new();
    for kernel in kernels {
        let bytes: u64 = kernel.packages.iter().map(|package| package.size).sum();
        let at_hand = if catalogue.is_prepared(kernel) {
            "at hand"
        } else {
            ""
        };
        let line = format!(
            "{:<width$}  {:<7}  {:<32}  {:>4} MB  {at_hand}",
            kernel.name,
            kernel.arch,
            kernel.uname,
            bytes / 1_000_000,
        );
        let _ = writeln!(text, "{}", line.trim_end());
    }
    print(&text)
}

fn print(text: &str) -> Result<Exit, Failure> {
    data(text).map_err(|error| {
        Failure::plain(Exit::NoVerdict, &format!("failed to write: {error}"), None)
    })?;
    Ok(Exit::Met)
}

fn find<'a>(catalogue: &'a Catalogue, name: &str) -> Result<Vec<&'a LockedKernel>, Failure> {
    let lock = catalogue.lock();
    let found: Vec<&LockedKernel> = lock.kernels.iter().filter(|k| k.name == name).collect();
    if found.is_empty() {
        let names: Vec<&str> = lock.names().collect();
        let hint =
            instead_of(name, &names).or_else(|| Some("`ukci kernels list` names them".into()));
        return Err(Failure::plain(
            Exit::Usage,
            &format!("unknown kernel `{name}`"),
            hint,
        ));
    }
    Ok(found)
}

fn fetch(fetch: &Fetch, output: Output) -> Result<Exit, Failure> {
    let catalogue = super::catalogue(fetch.locked)?;
    let mut names = fetch.names.clone();
    if let Some(matrix) = &fetch.matrix {
        let matrix = resolve::matrix(matrix).map_err(|error| super::unresolved(&error))?;
        let known = resolve::known(catalogue.lock());
        names.extend(matrix.kernels(&known).into_iter().map(str::to_owned));
    }
    if names.is_empty() {
        let hint = "`ukci kernels fetch --matrix quick`".to_owned();
        return Err(Failure::plain(
            Exit::Usage,
            "no kernel was named",
            Some(hint),
        ));
    }
    let fetching = Fetching::new(output);
    for name in &names {
        for kernel in find(&catalogue, name)? {
            let at_hand = catalogue.is_prepared(kernel);
            let prepared = prepare(&catalogue, kernel, &fetching)?;
            for warning in &prepared.warnings {
                output.say(&format!("{} {warning}", paint(WARN, "warning:")));
            }
            let word = if at_hand { "At hand" } else { "Ready" };
            if output.chatty {
                output.say(&format!(
                    "{} {} ({})",
                    paint(GOOD, format_args!("{word:>12}")),
                    kernel.name,
                    prepared.kernel.release
                ));
            }
        }
    }
    Ok(Exit::Met)
}

fn prepare(
    catalogue: &Catalogue,
    kernel: &LockedKernel,
    fetching: &Fetching,
) -> Result<Prepared, Failure> {
    catalogue
        .prepare(kernel, &|progress| fetching.show(progress))
        .map_err(|error| Failure::new(Exit::NoVerdict, &error, error.hint()))
}

fn show(name: &str) -> Result<Exit, Failure> {
    let catalogue = super::catalogue(false)?;
    let mut text = String::new();
    for kernel in find(&catalogue, name)? {
        let verified = match kernel.verified {
            Verified::Never => "only written down",
            Verified::Metadata => "the signed index vouches for it",
            Verified::Booted => "fetched, unpacked and booted",
        };
        let _ = writeln!(text, "name        {}", kernel.name);
        let _ = writeln!(text, "arch        {}", kernel.arch);
        let _ = writeln!(text, "release     {}", kernel.uname);
        let _ = writeln!(text, "verified    {verified}");
        let from = &kernel.provenance;
        let _ = writeln!(
            text,
            "provenance  {}, {}, {}",
            from.source, from.suite, from.date
        );
        for package in &kernel.packages {
            let roles: Vec<String> = package
                .roles
                .iter()
                .map(|role| format!("{role:?}").to_lowercase())
                .collect();
            let _ = writeln!(text, "\npackage     {} {}", package.name, package.version);
            let _ = writeln!(text, "  roles     {}", roles.join(", "));
            let _ = writeln!(text, "  archive   {}", package.archive);
            let _ = writeln!(text, "  path      {}", package.path);
            let _ = writeln!(text, "  size      {}", package.size);
            let _ = writeln!(text, "  sha256    {}", package.sha256);
        }
        if catalogue.is_prepared(kernel) {
            let prepared = catalogue
                .prepare(kernel, &|_| {})
                .map_err(|error| Failure::new(Exit::NoVerdict, &error, error.hint()))?;
            let _ = writeln!(
                text,
                "\nimage       {}",
                prepared.kernel.image.path.display()
            );
            let _ = writeln!(
                text,
                "segment     {}",
                prepared.kernel.segment.path.display()
            );
        }
    }
    print(&text)
}
