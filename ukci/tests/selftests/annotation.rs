//! What a selftest object says is expected of its programs: BTF declaration tags `comment:test_…`.

use std::collections::BTreeMap;

use object::read::elf::ElfFile64;
use object::{Endianness, Object, ObjectSection};

/// Of one program, the privileged mode only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an annotation of its own"
)]
pub(crate) struct Annotation {
    /// Whether there is a privileged expectation.
    pub(crate) privileged: bool,
    /// `__failure`; else it must load.
    pub(crate) failure: bool,
    /// `__msg`, in order.
    pub(crate) messages: Vec<String>,
    /// `__flag`; with `!` in front those that are cleared.
    pub(crate) flags: Vec<String>,
    /// `__arch_…`; none is all.
    pub(crate) arches: Vec<String>,
    /// `__auxiliary`.
    pub(crate) auxiliary: bool,
    /// `__btf_path`.
    pub(crate) custom_btf: bool,
}

impl Annotation {
    fn read(tags: &[String]) -> Self {
        let mut this = Self::default();
        let mut unprivileged = false;
        for tag in tags {
            let (name, value) = tag.split_once('=').unwrap_or((tag, ""));
            // A number keeps equal messages apart.
            let counted = || {
                value
                    .split_once('=')
                    .map_or("", |(_, text)| text)
                    .to_owned()
            };
            let privileged = match name {
                "expect_failure" => {
                    this.failure = true;
                    true
                }
                "expect_success" | "retval" | "expect_xlated" | "jited" => true,
                "expect_msg" => {
                    this.messages.push(counted());
                    true
                }
                "auxiliary" => {
                    this.auxiliary = true;
                    true
                }
                "prog_flags" => {
                    this.flags.push(value.to_owned());
                    false
                }
                "arch" => {
                    this.arches.push(value.to_owned());
                    false
                }
                "btf_path" => {
                    this.custom_btf = true;
                    false
                }
                other => {
                    unprivileged |= other.ends_with("_unpriv");
                    false
                }
            };
            this.privileged |= privileged;
        }
        this.privileged |= !unprivileged;
        this
    }
}

/// By program; `None` if the object has no BTF that can be read.
pub(crate) fn annotations(object: &[u8]) -> Option<BTreeMap<String, Annotation>> {
    let elf = ElfFile64::<Endianness>::parse(object).ok()?;
    let btf = elf.section_by_name(".BTF")?.data().ok()?;
    let tags = tags(btf)?;
    Some(
        tags.into_iter()
            .map(|(name, tags)| (name, Annotation::read(&tags)))
            .collect(),
    )
}

/// The tags of every function, without their `comment:test_`, in the order of the BTF.
fn tags(btf: &[u8]) -> Option<BTreeMap<String, Vec<String>>> {
    let word = |at: usize| Some(u32::from_le_bytes(btf.get(at..at + 4)?.try_into().ok()?));
    // struct btf_header: magic, version, flags, hdr_len, type_off, type_len, str_off, str_len.
    let length = word(4)? as usize;
    let types = length + word(8)? as usize;
    let end = types + word(12)? as usize;
    let strings = length + word(16)? as usize;
    let string = |offset: u32| {
        let text = btf.get(strings + offset as usize..)?;
        let text = text.split(|byte| *byte == 0).next()?;
        Some(String::from_utf8_lossy(text).into_owned())
    };
    let mut names = vec![String::new()];
    let mut found = Vec::new();
    let mut at = types;
    while at < end {
        let (name, info, of) = (word(at)?, word(at + 4)?, word(at + 8)?);
        let count = (info & 0xffff) as usize;
        let kind = info >> 24 & 0x1f;
        // A function keeps its name; nothing else with tags is asked for.
        names.push(if kind == 12 {
            string(name)?
        } else {
            String::new()
        });
        if kind == 17 && word(at + 12)? == u32::MAX {
            found.push((of, string(name)?));
        }
        // linux/btf.h: what follows the twelve bytes of a `btf_type`.
        at += 12
            + match kind {
                1 | 14 | 17 => 4,
                3 => 12,
                4 | 5 | 15 | 19 => 12 * count,
                6 | 13 => 8 * count,
                _ => 0,
            };
    }
    let mut tags: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for name in names.iter().filter(|name| !name.is_empty()) {
        tags.entry(name.clone()).or_default();
    }
    for (of, tag) in found {
        let Some(name) = names.get(of as usize).filter(|name| !name.is_empty()) else {
            continue;
        };
        if let Some(tag) = tag.strip_prefix("comment:test_") {
            tags.entry(name.clone()).or_default().push(tag.to_owned());
        }
    }
    Some(tags)
}

#[test]
fn a_program_without_any_tag_must_load_and_one_with_unprivileged_tags_alone_is_not_compared() {
    assert!(Annotation::read(&[]).privileged);
    let tags = ["expect_failure_unpriv", "expect_msg_unpriv=3=R1 leaks"];
    assert!(!Annotation::read(&tags.map(str::to_owned)).privileged);
    let tags = ["expect_failure", "expect_msg=7=a=b", "arch=ARM64"];
    let read = Annotation::read(&tags.map(str::to_owned));
    assert!(read.privileged && read.failure);
    assert_eq!(read.messages, ["a=b"]);
    assert_eq!(read.arches, ["ARM64"]);
}
