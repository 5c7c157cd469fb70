//! `ukci kernels show`: one kernel's packages, digests and files.

use ukci_harness::{kernel_quirks, package_version};
use ukci_schema::lock::{Lock, LockedKernel, Verified};

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
    for (n, kernel) in named::find(&catalogue, &args.name)?.into_iter().enumerate() {
        if n > 0 {
            text.push_line(&Text::default());
        }
        let verified = match kernel.verified {
            Verified::Never => "not verified",
            Verified::Metadata => "by the signed index",
            Verified::Booted => "by a boot",
        };
        text.push_line(&text!("name        {}", harmless(&kernel.name)));
        text.push_line(&text!("arch        {}", kernel.arch));
        text.push_line(&text!("release     {}", harmless(&kernel.uname)));
        text.push_line(&text!("version     {}", harmless(kernel.version())));
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
        older(kernel, catalogue.lock(), &mut text);
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

/// The older versions of a kernel, newest first, each by the name that `--kernel` takes.
fn older(kernel: &LockedKernel, lock: &Lock, text: &mut Text) {
    let older = (lock.versions(&kernel.name).into_iter())
        .filter(|old| old.arch == kernel.arch && package_version::is_older(old, kernel));
    let older = package_version::newest_first(older.collect());
    for (n, old) in older.into_iter().enumerate() {
        text.push_line(&text!(
            "{}older       {}  {}, {}, {}{}",
            if n == 0 { "\n" } else { "" },
            harmless(&old.versioned_name()),
            harmless(&old.uname),
            harmless(&old.provenance.source),
            harmless(&old.provenance.date),
            if old.is_whole() {
                ""
            } else {
                ", only its image"
            }
        ));
    }
}

#[cfg(test)]
mod tests {
    use ukci_schema::cell::Arch;

    use super::*;

    #[test]
    fn older_versions_have_the_names_by_which_they_are_run() {
        let lock = lock_file::lock().unwrap();
        let kernel = lock.kernel("debian-12-6.1-cloud", Arch::X86_64).unwrap();
        let mut said = Text::default();
        older(kernel, &lock, &mut said);
        let said = said.to_string();
        let lines: Vec<&str> = said.trim().lines().collect();
        assert!(lines.len() > 2, "{said}");
        for line in &lines {
            let name = line.split_ascii_whitespace().nth(1).unwrap();
            let old = lock.kernel(name, Arch::X86_64).unwrap();
            assert!(package_version::is_older(old, kernel), "{line}");
            assert!(line.contains(&old.uname), "{line}");
            assert_eq!(line.ends_with("only its image"), !old.is_whole(), "{line}");
        }
        // The newest is first, and none stands twice.
        let newest = lines[0].split_ascii_whitespace().nth(1).unwrap();
        let oldest = lines[lines.len() - 1]
            .split_ascii_whitespace()
            .nth(1)
            .unwrap();
        let pin = |name: &str| lock.kernel(name, Arch::X86_64).unwrap();
        assert!(package_version::is_older(pin(oldest), pin(newest)));
        let mut once = lines.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), lines.len());
    }
}
