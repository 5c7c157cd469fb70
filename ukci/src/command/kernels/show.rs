//! `ukci kernels show`: one kernel's packages, digests and files.

use ukci_harness::kernel_quirks;
use ukci_schema::lock::Verified;

use super::named;
use crate::args::Show;
use crate::diagnostic::Failure;
use crate::exit::Exit;
use crate::lock_file;
use crate::stdout::show;
use crate::text::{Text, text};
use ukci_harness::render::harmless;

/// Runs the command.
pub(super) fn run(args: &Show) -> Result<Exit, Failure> {
    let catalogue = lock_file::catalogue()?;
    let mut text = Text::default();
    for kernel in named::find(&catalogue, &args.name)? {
        let verified = match kernel.verified {
            Verified::Never => "not verified",
            Verified::Metadata => "by the signed index",
            Verified::Booted => "by a boot",
        };
        text.push_line(&text!("name        {}", harmless(&kernel.name)));
        text.push_line(&text!("arch        {}", kernel.arch));
        text.push_line(&text!("release     {}", harmless(&kernel.uname)));
        match &kernel.verified_on {
            None => text.push_line(&text!("verified    {}", verified)),
            Some(day) => text.push_line(&text!("verified    {}, {}", verified, harmless(day))),
        }
        let from = &kernel.provenance;
        text.push_line(&text!(
            "provenance  {}, {}, {}",
            harmless(&from.source),
            harmless(&from.suite),
            harmless(&from.date)
        ));
        for quirk in kernel_quirks::of(&kernel.name, kernel.arch) {
            text.push_line(&text!(
                "quirk       {} ({})",
                harmless(&quirk.what),
                harmless(&quirk.source)
            ));
        }
        for package in &kernel.packages {
            let roles: Vec<String> = package
                .roles
                .iter()
                .map(|role| format!("{role:?}").to_lowercase())
                .collect();
            text.push_line(&text!(
                "\npackage     {} {}",
                harmless(&package.name),
                harmless(&package.version)
            ));
            text.push_line(&text!("  roles     {}", harmless(&roles.join(", "))));
            text.push_line(&text!("  archive   {}", harmless(&package.archive)));
            text.push_line(&text!("  path      {}", harmless(&package.path)));
            if package.size > 0 {
                text.push_line(&text!("  size      {}", package.size));
            }
            text.push_line(&text!("  sha256    {}", harmless(&package.sha256)));
        }
        let old = catalogue.lock().history.iter();
        for old in old.filter(|old| (&old.name, old.arch) == (&kernel.name, kernel.arch)) {
            text.push_line(&text!(
                "\nbefore      {}, {}, {}",
                harmless(&old.uname),
                harmless(&old.provenance.source),
                harmless(&old.provenance.date)
            ));
        }
        if catalogue.is_prepared(kernel) {
            let prepared = catalogue
                .prepare(kernel, &|_| {})
                .map_err(|error| Failure::of(Exit::NoVerdict, &error, error.hint()))?;
            text.push_line(&text!(
                "\nimage       {}",
                harmless(&prepared.kernel.image.path.to_string_lossy())
            ));
            text.push_line(&text!(
                "segment     {}",
                harmless(&prepared.kernel.segment.path.to_string_lossy())
            ));
        }
    }
    show(text)
}
