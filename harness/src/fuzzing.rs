//! The door of the fuzz targets in `fuzz/`: readers of foreign bytes that are private to this crate.
//! It is there only with the feature `fuzzing` and promises nothing to anyone else.

use ukci_schema::cell::Arch;

use crate::catalogue;

/// Reads a kernel image that a user or a package gave: the image that is booted, and its release.
/// The error is a reason that reads behind a colon.
pub fn kernel_image(bytes: Vec<u8>, arch: Arch) -> Result<(Vec<u8>, String), String> {
    let image = catalogue::image::bootable(bytes, arch)?;
    Ok((image.bytes, image.release))
}
