//! The compressions by how their files begin: the one table of these numbers.

/// How a compressed file begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// `.gz`
    Gzip,
    /// `.bz2`
    Bzip2,
    /// `.lzma`, the format before xz.
    Lzma,
    /// `.xz`
    Xz,
    /// What the kernel's build calls LZO.
    Lzo,
    /// The old format of LZ4, which the kernel's build uses.
    Lz4,
    /// `.zst`
    Zstd,
}

impl Compression {
    /// The compression of what begins like this, which needs at most nine bytes.
    pub fn of(start: &[u8]) -> Option<Self> {
        Some(match *start {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [b'B', b'Z', b'h', b'1'..=b'9', ..] => Self::Bzip2,
            // Its properties, then the size of the dictionary, a multiple of 64 KiB.
            [0x5d, 0, 0, ..] => Self::Lzma,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Self::Xz,
            [0x89, b'L', b'Z', b'O', 0, ..] => Self::Lzo,
            [0x02, 0x21, 0x4c, 0x18, ..] => Self::Lz4,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            _ => return None,
        })
    }

    /// How the names of archives end that are compressed like this. None if no archives are.
    pub fn ending(self) -> Option<&'static str> {
        match self {
            Self::Gzip => Some(".gz"),
            Self::Bzip2 => Some(".bz2"),
            Self::Xz => Some(".xz"),
            Self::Zstd => Some(".zst"),
            Self::Lzma | Self::Lzo | Self::Lz4 => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_compressed_is_recognized_by_its_beginning() {
        let zst = zstd::bulk::compress(b"x", 1).unwrap();
        assert_eq!(Compression::of(&zst), Some(Compression::Zstd));
        assert_eq!(Compression::of(b"BZh91AY"), Some(Compression::Bzip2));
        assert_eq!(Compression::of(b"BZhello"), None);
        assert_eq!(Compression::of(b"\xfd7zXZ"), None, "cut short");
        assert_eq!(Compression::of(b""), None);
        let xz = Compression::of(b"\xfd7zXZ\0\0").unwrap();
        assert_eq!((xz, xz.ending()), (Compression::Xz, Some(".xz")));
    }
}
