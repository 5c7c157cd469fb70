//! `ukci kernels list`: the catalogue, and which of its kernels have been downloaded.

use ukci_schema::lock::Verified;

use crate::diagnostic::Failure;
use crate::exit::Exit;
use crate::lock_file;
use crate::output::WIDEST;
use crate::stdout::show;
use crate::text::Text;
use ukci_harness::render::harmless;

/// Runs the command.
pub(super) fn run() -> Result<Exit, Failure> {
    let catalogue = lock_file::catalogue()?;
    let kernels = &catalogue.lock().kernels;
    let width = kernels
        .iter()
        .map(|kernel| kernel.name.len())
        .max()
        .unwrap_or(0)
        .min(WIDEST);
    let mut text = Text::default();
    for kernel in kernels {
        let bytes: u64 = kernel.packages.iter().map(|package| package.size).sum();
        let state = if catalogue.is_prepared(kernel) {
            "downloaded"
        } else if kernel.verified != Verified::Booted {
            "never booted"
        } else {
            ""
        };
        // The source of some pins does not say the size.
        let size = match bytes / 1_000_000 {
            0 => "?".to_owned(),
            megabytes => megabytes.to_string(),
        };
        let line = format!(
            "{:<width$}  {:<7}  {:<32}  {size:>4} MB  {state}",
            kernel.name, kernel.arch, kernel.uname,
        );
        text.push_line(&harmless(line.trim_end()).into());
    }
    show(text)
}
