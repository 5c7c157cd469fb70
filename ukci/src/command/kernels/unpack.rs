//! `ukci kernels unpack` and `initramfs`: make boot files from packages, for Nix derivations. The
//! bytes are the same as in the store of a run without Nix.

use std::path::Path;

use ukci_harness::catalogue::{self, digest};
use ukci_harness::initramfs::assemble;
use ukci_harness::scratch::Scratch;
use ukci_schema::plan::FileRef;

use crate::args::{Initramfs, Unpack};
use crate::diagnostic::{Action, Failure};
use crate::exit::Exit;
use crate::lock_file;
use crate::output::Output;
use crate::selected;

/// Makes boot files.
pub(super) fn run(unpack: &Unpack, output: Output) -> Result<Exit, Failure> {
    if let Some(image) = &unpack.image {
        let made = catalogue::unpack_own(image, &unpack.modules, unpack.arch, &unpack.out);
        for warning in made.map_err(|error| failed(&error))? {
            output.warn(&warning);
        }
        return Ok(Exit::Met);
    }
    let name = unpack.name.as_deref().unwrap_or_default();
    let lock = lock_file::lock()?;
    let Some(kernel) = lock.kernel(name, unpack.arch) else {
        let message = format!("there is no kernel `{name}` for {}", unpack.arch);
        let hint = "see `ukci kernels list`".to_owned();
        return Err(Failure::says(Exit::Usage, &message, Some(hint)));
    };
    catalogue::unpack(kernel, &unpack.packages, &unpack.out).map_err(|error| failed(&error))?;
    Ok(Exit::Met)
}

/// Puts the agent's segment and the kernel's in one archive.
pub(super) fn initramfs(args: &Initramfs) -> Result<Exit, Failure> {
    let kernel = catalogue::open("", &args.kernel, true).map_err(|error| failed(&error))?;
    let io = |verb: &'static str, path: &Path, error: &std::io::Error| {
        Failure::failed_to(Action::on(verb, path), error)
    };
    let agent = FileRef {
        path: args.agent.clone(),
        sha256: digest::of_file(&args.agent).map_err(|e| Failure::unread(&args.agent, &e))?,
    };
    let scratch = Scratch::create().map_err(|e| io("write to", &std::env::temp_dir(), &e))?;
    let made = assemble(scratch.path(), &agent, &kernel.segment)
        .map_err(|e| io("create", &args.out, &e))?;
    std::fs::copy(&made, &args.out).map_err(|e| io("write", &args.out, &e))?;
    Ok(Exit::Met)
}

fn failed(error: &catalogue::Error) -> Failure {
    Failure::of(selected::exit_of(error), error, error.hint())
}
