//! The names of files and directories for cells, artifacts and programs: two never share one.
//!
//! A plain name is its own file name. In any other name, every byte that is not plain becomes `~`
//! and two hexadecimal digits, and a name that is too long is cut and ends in `~~` and a digest of
//! the whole. `~` is not plain, so that no name looks like the file name of another.

use std::fmt::Write as _;

use ukci_schema::cell::Cell;

use crate::catalogue::digest;

/// Most bytes that the artifact's part of a file name takes, and a program's.
const LONGEST: usize = 120;

/// Most bytes of a kernel's part: the parts of a cell together stay below the 255 bytes that file
/// systems allow.
const LONGEST_KERNEL: usize = 80;

/// Most bytes of a toolchain's part.
const LONGEST_LLVM: usize = 40;

/// Most bytes of the part of an external BTF. The kernel's part is shorter by it.
const LONGEST_BTF: usize = 36;

/// Hexadecimal digits of the digest that a name which was cut ends in: 128 bits.
const DIGEST: usize = 32;

/// The file name, without an ending, of an artifact or a program.
pub fn of(name: &str) -> String {
    escaped(name, "._-+", LONGEST)
}

/// The directory of a cell, and its anchor in a page: `execsnoop_debian-12-6.1_x86_64`.
pub fn of_cell(cell: &Cell) -> String {
    // Only the artifact's part has `_` in it, and the names of the architectures, none of which
    // ends in another: read from its end, a directory's name has one meaning.
    let mut name = of(&cell.artifact);
    let longest = match &cell.btf {
        Some(_) => LONGEST_KERNEL - LONGEST_BTF - "_btf-".len(),
        None => LONGEST_KERNEL,
    };
    let kernel = escaped(&cell.kernel, ".-+@", longest);
    let _ = write!(name, "_{kernel}_{}", cell.arch);
    if let Some(llvm) = &cell.llvm {
        let _ = write!(name, "_llvm-{}", escaped(llvm, ".-+", LONGEST_LLVM));
    }
    if let Some(btf) = &cell.btf {
        let _ = write!(name, "_btf-{}", escaped(btf, ".-+", LONGEST_BTF));
    }
    name
}

/// `name` with every byte escaped that is neither a letter nor a digit nor one of `plain`, in at
/// most `longest` bytes.
fn escaped(name: &str, plain: &str, longest: usize) -> String {
    let mut text = String::new();
    for (at, byte) in name.bytes().enumerate() {
        let c = char::from(byte);
        // A leading dot would hide the file, or name a directory.
        let is_plain = c.is_ascii_alphanumeric() || (plain.contains(c) && (at, c) != (0, '.'));
        if is_plain {
            text.push(c);
        } else {
            let _ = write!(text, "~{byte:02X}");
        }
    }
    if text.is_empty() {
        return "~".to_owned();
    }
    if text.len() > longest {
        text.truncate(longest.saturating_sub(2 + DIGEST));
        // What follows is `~~`, whatever an escape was cut to.
        let whole = text.trim_end_matches('~').len();
        text.truncate(whole);
        let _ = write!(text, "~~{}", &digest::of(name.as_bytes())[..DIGEST]);
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use ukci_schema::cell::{Arch, Cell};

    use super::{of, of_cell};

    /// Names that were one path once, or may become one.
    fn hostile() -> Vec<String> {
        let long = "x".repeat(120);
        let names = [
            "a b",
            "a_b",
            "a@b",
            "a~20b",
            "a~b",
            "a/b",
            "a\\b",
            "a\u{a0}b",
            "a\nb",
            "a\0b",
            "",
            "~",
            "~~",
            "_",
            ".",
            "..",
            "...",
            "_.",
            "../x",
            "foo-bar",
            "foo_bar",
            "foo.bar",
            "Foo.bar",
            "é",
            "e\u{301}",
            "a_k",
            "a_k_x86_64",
            "a_k_x86_64_llvm-22",
            "-k",
            "<b>",
            "%41",
            "A",
        ];
        let mut names: Vec<String> = names.map(str::to_owned).to_vec();
        for ending in ["", "a", "b", " ", "~", "\u{202e}"] {
            names.push(format!("{long}{ending}"));
            names.push(format!("{}{ending}", " ".repeat(200)));
        }
        let cut = of(&format!("{long}a"));
        names.push(cut);
        names
    }

    #[test]
    fn a_plain_name_is_its_own_file_name() {
        for name in ["execsnoop", "xdp-bench", "tool_2.1", "a+b", "x", "7"] {
            assert_eq!(of(name), name);
        }
        assert_eq!(of("a b"), "a~20b");
        assert_eq!(of("../etc"), "~2E.~2Fetc");
        let cell = Cell {
            artifact: "exec_snoop".into(),
            kernel: "debian-12-6.1-cloud".into(),
            llvm: Some("22".into()),
            arch: Arch::X86_64,
            btf: Some("own.btf".into()),
        };
        assert_eq!(
            of_cell(&cell),
            "exec_snoop_debian-12-6.1-cloud_x86_64_llvm-22_btf-own.btf"
        );
    }

    #[test]
    fn two_names_never_share_a_path_and_none_leaves_its_directory() {
        let mut seen: BTreeMap<String, String> = BTreeMap::new();
        for name in hostile() {
            let file = of(&name);
            assert!(file.len() <= 120 && !file.starts_with('.'), "{file}");
            let plain = |c: char| c.is_ascii_alphanumeric() || "._-+~".contains(c);
            assert!(!file.is_empty() && file.chars().all(plain), "{file}");
            let other = seen.insert(file.clone(), name.clone());
            assert_eq!(other, None, "{name:?} and another are {file}");
        }
    }

    #[test]
    fn two_cells_never_share_a_directory() {
        let mut seen: BTreeMap<String, String> = BTreeMap::new();
        let kernels = [
            "k",
            "k_x86_64",
            "b_k",
            "k_x86_64_llvm-22",
            "k_aarch64",
            "_k",
        ];
        let llvms = [None, Some("22"), Some("2_2"), Some("22_x86_64"), Some("")];
        let long = "z".repeat(250);
        for artifact in hostile() {
            for kernel in kernels
                .iter()
                .map(ToString::to_string)
                .chain(["y".repeat(250)])
            {
                for llvm in llvms {
                    let btfs = [None, Some("x.btf"), Some("x_btf-"), Some(&long)];
                    let places = Arch::ALL.map(|arch| btfs.map(|btf| (arch, btf)));
                    for (arch, btf) in places.into_iter().flatten() {
                        let cell = Cell {
                            artifact: artifact.clone(),
                            kernel: kernel.clone(),
                            llvm: llvm.map(str::to_owned),
                            arch,
                            btf: btf.map(str::to_owned),
                        };
                        let dir = of_cell(&cell);
                        assert!(dir.len() <= 255, "{dir}");
                        let said = format!("{cell:?}");
                        assert_eq!(
                            seen.insert(dir.clone(), said.clone()),
                            None,
                            "{said}: {dir}"
                        );
                    }
                }
            }
        }
    }
}
