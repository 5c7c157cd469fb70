//! Archives in the kernel's newc form, written in process.
//!
//! Files go in and the bytes of one archive come out: nothing is read or written here. The format
//! is that of `Documentation/driver-api/early-userspace/buffer-format.rst`.

use std::collections::BTreeMap;

/// An archive in the making. Entries are sorted and all times are 0: the same files give the same
/// bytes.
#[derive(Debug, Default)]
pub struct Archive {
    entries: BTreeMap<String, Entry>,
}

#[derive(Debug)]
enum Entry {
    Directory,
    File { executable: bool, bytes: Vec<u8> },
    Link { target: String },
}

impl Archive {
    /// Adds a directory and those above it. Paths have no leading `/`.
    pub fn directory(&mut self, path: &str) {
        let ends = path
            .match_indices('/')
            .map(|(at, _)| at)
            .chain([path.len()]);
        for end in ends {
            self.entries
                .entry(path[..end].to_owned())
                .or_insert(Entry::Directory);
        }
    }

    /// Adds a file and the directories above it.
    pub fn file(&mut self, path: &str, bytes: Vec<u8>, executable: bool) {
        self.insert(path, Entry::File { executable, bytes });
    }

    /// Adds a symbolic link and the directories above it.
    pub fn link(&mut self, path: &str, target: String) {
        self.insert(path, Entry::Link { target });
    }

    fn insert(&mut self, path: &str, entry: Entry) {
        if let Some((parent, _)) = path.rsplit_once('/') {
            self.directory(parent);
        }
        self.entries.insert(path.to_owned(), entry);
    }

    /// The archive, padded to 512 bytes.
    pub fn finish(self) -> Vec<u8> {
        let mut out = Vec::new();
        for (inode, (path, entry)) in (1..).zip(&self.entries) {
            let (mode, bytes): (u32, &[u8]) = match entry {
                Entry::Directory => (0o040_755, &[]),
                Entry::File {
                    executable: true,
                    bytes,
                } => (0o100_755, bytes),
                Entry::File {
                    executable: false,
                    bytes,
                } => (0o100_644, bytes),
                Entry::Link { target } => (0o120_777, target.as_bytes()),
            };
            let links = if matches!(entry, Entry::Directory) {
                2
            } else {
                1
            };
            append(&mut out, inode, mode, links, path, bytes);
        }
        append(&mut out, 0, 0, 1, "TRAILER!!!", &[]);
        out.resize(out.len().next_multiple_of(512), 0);
        out
    }
}

/// One newc entry: magic, 13 numbers of eight hex digits, the name with its NUL, the data; name
/// and data each padded to four bytes.
fn append(out: &mut Vec<u8>, inode: u32, mode: u32, links: u32, path: &str, bytes: &[u8]) {
    let (size, name) = (bytes.len(), path.len() + 1);
    // ino mode uid gid nlink mtime filesize devmajor devminor rdevmajor rdevminor namesize check
    let header = format!(
        "070701{inode:08x}{mode:08x}{0:08x}{0:08x}{links:08x}{0:08x}{size:08x}\
         {0:08x}{0:08x}{0:08x}{0:08x}{name:08x}{0:08x}",
        0
    );
    out.extend_from_slice(header.as_bytes());
    out.extend_from_slice(path.as_bytes());
    out.push(0);
    out.resize(out.len().next_multiple_of(4), 0);
    out.extend_from_slice(bytes);
    out.resize(out.len().next_multiple_of(4), 0);
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Eq)]
    pub(crate) struct Parsed {
        pub(crate) name: String,
        pub(crate) mode: u32,
        pub(crate) data: Vec<u8>,
    }

    /// The entries of concatenated archives, as the kernel reads them: headers lie on four bytes,
    /// zeros between archives are skipped.
    pub(crate) fn parse(mut bytes: &[u8]) -> Vec<Parsed> {
        let mut entries = Vec::new();
        while !bytes.is_empty() {
            if bytes[0] == 0 {
                bytes = &bytes[4..];
                continue;
            }
            assert_eq!(&bytes[..6], b"070701");
            let field = |number: usize| {
                let hex = std::str::from_utf8(&bytes[6 + number * 8..14 + number * 8]).unwrap();
                usize::from_str_radix(hex, 16).unwrap()
            };
            let (mode, size, name_size) = (field(1), field(6), field(11));
            let data_at = (110 + name_size).next_multiple_of(4);
            let name = String::from_utf8(bytes[110..110 + name_size - 1].to_vec()).unwrap();
            assert_eq!(field(5), 0, "{name} has a time");
            let data = bytes[data_at..data_at + size].to_vec();
            if name != "TRAILER!!!" {
                entries.push(Parsed {
                    name,
                    mode: u32::try_from(mode).unwrap(),
                    data,
                });
            }
            bytes = &bytes[(data_at + size).next_multiple_of(4)..];
        }
        entries
    }

    #[test]
    fn parents_come_before_their_children_and_order_of_adding_does_not_matter() {
        let mut one = Archive::default();
        one.file("lib/ukci/x.ko", b"abc".to_vec(), false);
        one.file("init", b"#!".to_vec(), true);
        let mut two = Archive::default();
        two.file("init", b"#!".to_vec(), true);
        two.directory("lib/ukci");
        two.file("lib/ukci/x.ko", b"abc".to_vec(), false);
        for archive in [&mut one, &mut two] {
            archive.link("sbin", "/usr/sbin".to_owned());
        }
        let bytes = one.finish();
        assert_eq!(bytes, two.finish());
        assert_eq!(bytes.len() % 512, 0);
        let entry = |name: &str, mode, data: &[u8]| Parsed {
            name: name.into(),
            mode,
            data: data.to_vec(),
        };
        assert_eq!(
            parse(&bytes),
            [
                entry("init", 0o100_755, b"#!"),
                entry("lib", 0o040_755, b""),
                entry("lib/ukci", 0o040_755, b""),
                entry("lib/ukci/x.ko", 0o100_644, b"abc"),
                entry("sbin", 0o120_777, b"/usr/sbin"),
            ]
        );
    }
}
