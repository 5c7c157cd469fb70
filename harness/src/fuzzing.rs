//! The door of the fuzz targets in `fuzz/`: readers of foreign bytes that are private to this crate.
//! It is there only with the feature `fuzzing` and promises nothing to anyone else.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use ukci_schema::cell::Arch;
use ukci_schema::diagnosis::Diagnosis;
use ukci_schema::evidence::Evidence;

use crate::catalogue::{bootfiles, image, module, pack, package, store};
use crate::{command, compile, machine, remembered};

/// Reads a kernel image that a user or a package gave: the image that is booted, and its release.
/// The error is a reason that reads behind a colon.
pub fn kernel_image(bytes: Vec<u8>, arch: Arch) -> Result<(Vec<u8>, String), String> {
    let image = image::bootable(bytes, arch)?;
    Ok((image.bytes, image.release))
}

/// The architecture of a kernel image, and the configuration that it carries.
pub fn about_image(bytes: &[u8]) -> (Option<Arch>, Option<Vec<u8>>) {
    (image::raw::arch_of(bytes), image::config(bytes))
}

/// The files of a package with their sizes. Each is read up to `limit` bytes.
pub fn package(path: &Path, limit: u64) -> Result<Vec<(String, u64)>, String> {
    let mut files = Vec::new();
    let read = package::walk(path, &mut |name, size, from| {
        // What is cut short is the end of a file, as it would be for every caller.
        let _ = from.take(limit).read_to_end(&mut Vec::new());
        files.push((name.to_owned(), size));
        Ok(())
    });
    read.map(|()| files).map_err(|error| error.to_string())
}

/// Takes what a kernel boots from out of a package.
pub fn boot_files(path: &Path, release: &str) -> Result<(), String> {
    let found = bootfiles::unpack(&[path.to_owned()], release);
    found.map(drop).map_err(|error| error.to_string())
}

/// What a header of an RPM says is signed, or why nothing is.
pub fn signed_rpm(bytes: &[u8]) -> Result<(), String> {
    crate::catalogue::signed_rpm(bytes).map(drop)
}

/// Reads a module that was found under this name, and packs it alone. The answer is the pack.
pub fn packed_module(path: &str, raw: Vec<u8>) -> Result<Vec<u8>, String> {
    let module = module::Module::read(path, raw)?;
    let mut pack = pack::Writer::default();
    pack.add("module", &module)
        .map_err(|error| error.to_string())?;
    pack.finish().ok_or_else(|| "an empty pack".to_owned())
}

/// Reads all of a pack of modules: how many modules there are behind these roots.
pub fn pack(path: &Path, root: &str) -> io::Result<usize> {
    let pack = pack::Pack::open(path)?;
    let owners = pack.owners(root).into_iter().map(str::to_owned);
    let closure = pack.closure(owners.chain([root.to_owned()]));
    for name in &closure {
        // A damaged module is an error of its own.
        let _ = pack.read(name);
    }
    Ok(closure.len())
}

/// Reads the manifest of an entry of the store, which may be of a shared cache. The answer is the
/// same as JSON.
pub fn store_manifest(text: &[u8]) -> Option<Vec<u8>> {
    let manifest: store::Manifest = serde_json::from_slice(text).ok()?;
    serde_json::to_vec(&manifest).ok()
}

/// Reads the verdict that is remembered under a key, and writes its files below `dir`.
pub fn remembered(mut archive: impl Read, key: &str, dir: &Path) -> io::Result<Evidence> {
    let mut read = remembered::read(&mut archive, key)?;
    read.restore(dir)?;
    let answer = read.result().answer;
    match answer {
        Some(crate::conversation::Answer::Evidence(evidence)) => Ok(*evidence),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// What QEMU's messages say of the end of a guest.
pub fn qmp(lines: &str) -> Option<String> {
    machine::qmp::reason_in(lines)
}

/// What a compiler said, as a diagnosis.
pub fn compile_refusal(said: &str) -> Diagnosis {
    compile::refusal::diagnosis("19", Arch::X86_64, said)
}

/// The path below `out` of a file that a command left in the guest.
pub fn out_file(name: &str) -> PathBuf {
    command::out_files::relative(name)
}

/// The architecture of a program, and what it needs, as its dynamic section says.
pub fn program(bytes: &[u8]) -> (Option<Arch>, String) {
    let arch = command::elf_closure::arch(Path::new("program"), bytes);
    let dynamic = format!("{:?}", crate::elf_dynamic::Dynamic::of(bytes));
    (arch.ok().flatten(), dynamic)
}
