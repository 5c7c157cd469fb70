//! `ukci kernels`: what the catalogue has, and what of it is at hand.

use std::fmt::Write;

use ukci_harness::catalogue::{Catalogue, Prepared};
use ukci_harness::resolve;
use ukci_matrix::authored::instead_of;
use ukci_schema::cell::Cell;
use ukci_schema::lock::{Lock, LockedKernel, Verified};

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
        Kernels::Unpack(unpack) => super::unpack::run(unpack, output),
        Kernels::Initramfs(initramfs) => super::unpack::initramfs(initramfs),
        Kernels::Show { name } => show(name),
        Kernels::Add(add) => super::lock::add(add, output),
        Kernels::Update(update) => super::lock::update(update, output),
        Kernels::Booted(booted) => super::lock::booted(booted, output),
        Kernels::Features(asked) => super::features::run(asked, output),
    }
}

fn list() -> Result<Exit, Failure> {
    let catalogue = super::catalogue()?;
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

pub(super) fn print(text: &str) -> Result<Exit, Failure> {
    data(text).map_err(|error| Failure::failed_to("write to stdout", &error))?;
    Ok(Exit::Met)
}

pub(crate) fn find<'a>(
    catalogue: &'a Catalogue,
    name: &str,
) -> Result<Vec<&'a LockedKernel>, Failure> {
    let lock = catalogue.lock();
    let found: Vec<&LockedKernel> = lock.kernels.iter().filter(|k| k.name == name).collect();
    if found.is_empty() {
        return Err(unknown(name, lock));
    }
    Ok(found)
}

/// No kernel of this name is locked.
pub(crate) fn unknown(name: &str, lock: &Lock) -> Failure {
    let mut names: Vec<&str> = lock.names().collect();
    names.dedup();
    let hint = instead_of(name, &names).or_else(|| Some("`ukci kernels list` names them".into()));
    Failure::says(Exit::Usage, &format!("unknown kernel `{name}`"), hint)
}

fn fetch(fetch: &Fetch, output: Output) -> Result<Exit, Failure> {
    let catalogue = super::catalogue()?;
    let mut kernels: Vec<&LockedKernel> = Vec::new();
    if fetch.matrix.is_some() || !fetch.names.is_empty() {
        kernels = wanted(fetch, &catalogue)?;
    }
    if kernels.is_empty() {
        let hint = "`ukci kernels fetch --matrix quick`".to_owned();
        return Err(Failure::says(
            Exit::Usage,
            "no kernel was named",
            Some(hint),
        ));
    }
    let fetching = Fetching::new(output);
    for kernel in kernels {
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
    Ok(Exit::Met)
}

/// The kernels that are named, and those of the matrix, for the architectures that are asked for.
fn wanted<'a>(fetch: &Fetch, catalogue: &'a Catalogue) -> Result<Vec<&'a LockedKernel>, Failure> {
    let mut wanted: Vec<&LockedKernel> = Vec::new();
    for name in &fetch.names {
        wanted.extend(find(catalogue, name)?);
    }
    wanted.retain(|kernel| fetch.arch.is_empty() || fetch.arch.contains(&kernel.arch));
    if let Some(matrix) = &fetch.matrix {
        let selection = resolve::Selection {
            matrix: Some(matrix.clone()),
            arches: fetch.arch.clone(),
            ..resolve::Selection::default()
        };
        let artifacts = [super::list::any()];
        let selected = resolve::select(
            &selection,
            &artifacts,
            &resolve::Manifests::new(),
            catalogue,
        )
        .map_err(|error| super::unresolved(&error))?;
        let locked = |cell: &Cell| catalogue.lock().kernel(&cell.kernel, cell.arch);
        wanted.extend(selected.cells.iter().filter_map(|p| locked(&p.cell)));
    }
    let mut seen = std::collections::BTreeSet::new();
    wanted.retain(|kernel| seen.insert((&kernel.name, kernel.arch)));
    Ok(wanted)
}

pub(super) fn prepare(
    catalogue: &Catalogue,
    kernel: &LockedKernel,
    fetching: &Fetching,
) -> Result<Prepared, Failure> {
    catalogue
        .prepare(kernel, &|progress| fetching.show(progress))
        .map_err(|error| Failure::of(Exit::NoVerdict, &error, error.hint()))
}

fn show(name: &str) -> Result<Exit, Failure> {
    let catalogue = super::catalogue()?;
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
                .map_err(|error| Failure::of(Exit::NoVerdict, &error, error.hint()))?;
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
