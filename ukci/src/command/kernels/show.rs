//! `ukci kernels show`: one kernel's packages, digests and files.

use std::fmt::Write;

use ukci_schema::lock::Verified;

use super::named;
use crate::args::Show;
use crate::diagnostic::Failure;
use crate::exit::Exit;
use crate::lock_file;
use crate::stdout::show;
use ukci_harness::render::harmless;

/// Runs the command.
pub(super) fn run(args: &Show) -> Result<Exit, Failure> {
    let catalogue = lock_file::catalogue()?;
    let mut text = String::new();
    for kernel in named::find(&catalogue, &args.name)? {
        let verified = match kernel.verified {
            Verified::Never => "not verified",
            Verified::Metadata => "by the signed index",
            Verified::Booted => "by a boot",
        };
        let _ = writeln!(text, "name        {}", harmless(&kernel.name));
        let _ = writeln!(text, "arch        {}", kernel.arch);
        let _ = writeln!(text, "release     {}", harmless(&kernel.uname));
        let _ = writeln!(text, "verified    {verified}");
        let from = &kernel.provenance;
        let _ = writeln!(
            text,
            "provenance  {}, {}, {}",
            harmless(&from.source),
            harmless(&from.suite),
            harmless(&from.date)
        );
        for package in &kernel.packages {
            let roles: Vec<String> = package
                .roles
                .iter()
                .map(|role| format!("{role:?}").to_lowercase())
                .collect();
            let _ = writeln!(
                text,
                "\npackage     {} {}",
                harmless(&package.name),
                harmless(&package.version)
            );
            let _ = writeln!(text, "  roles     {}", roles.join(", "));
            let _ = writeln!(text, "  archive   {}", harmless(&package.archive));
            let _ = writeln!(text, "  path      {}", harmless(&package.path));
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
    show(&text)
}
