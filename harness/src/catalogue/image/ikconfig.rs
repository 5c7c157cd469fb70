//! Takes the configuration out of a kernel that carries its own (`CONFIG_IKCONFIG=y`). Arch Linux's
//! packages have it nowhere else.

use std::io::Read;

use super::find;

/// What stands before and behind the compressed configuration (`kernel/configs.c`).
const START: &[u8] = b"IKCFG_ST";
const END: &[u8] = b"IKCFG_ED";

/// Longest configuration that is unpacked; that of a distribution has 300 kB.
const MAX_CONFIG: u64 = 16 << 20;

/// The configuration in an uncompressed image, if it is there.
pub(crate) fn config(image: &[u8]) -> Option<Vec<u8>> {
    let start = find(image, START)? + START.len();
    let rest = &image[start..];
    let packed = &rest[..find(rest, END)?];
    let mut config = Vec::new();
    let read = flate2::read::GzDecoder::new(packed)
        .take(MAX_CONFIG + 1)
        .read_to_end(&mut config)
        .ok()?;
    (read > 0 && read as u64 <= MAX_CONFIG).then_some(config)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn the_configuration_of_a_kernel_is_found_in_it() {
        let text = b"CONFIG_BPF=y\n";
        let mut gz =
            flate2::write::GzEncoder::new(b"kernel IKCFG_ST".to_vec(), flate2::Compression::fast());
        gz.write_all(text).unwrap();
        let mut image = gz.finish().unwrap();
        assert_eq!(config(&image), None);
        image.extend(b"IKCFG_ED kernel");
        assert_eq!(config(&image).as_deref(), Some(text.as_slice()));
        assert_eq!(config(b"IKCFG_STIKCFG_ED"), None);
    }
}
