//! Finds the BTF of a kernel in a file, and says what a file is that has none.

use object::elf::{EM_AARCH64, EM_BPF, EM_RISCV, EM_X86_64};
use object::read::elf::{ElfFile64, FileHeader};
use object::{Endianness, Object, ObjectSection};
use ukci_schema::cell::Arch;

use super::btf::Btf;

/// The BTF of a kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KernelBtf<'b> {
    /// It, without the ELF file around it.
    pub(crate) bytes: &'b [u8],
    /// The architecture of its kernel, as far as it tells.
    pub(crate) arch: Option<Arch>,
}

/// Why a file is not the BTF of a kernel that ukci boots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NoKernelBtf {
    /// What it is instead, as a sentence about `it`.
    pub(crate) what: String,
    /// What to do.
    pub(crate) hint: Option<&'static str>,
}

const UNPACK: &str = "unpack it first: BTFHub's files are archives, for `tar -xf`";
const ENCODE: &str = "give a `vmlinux` that was built with `CONFIG_DEBUG_INFO_BTF`, or what \
                      `pahole --btf_encode_detached=FILE vmlinux` writes";
const LITTLE_ENDIAN: &str = "give the BTF of a kernel for x86_64, arm64 or riscv64";

/// The BTF in a file, which is BTF or an ELF file with a section of it.
pub(crate) fn kernel_btf(bytes: &[u8]) -> Result<KernelBtf<'_>, NoKernelBtf> {
    let (of_elf, btf) = if bytes.starts_with(b"\x7fELF") {
        let (arch, btf) = in_elf(bytes)?;
        (Some(arch), btf)
    } else {
        (None, bytes)
    };
    if btf.starts_with(b"\xeb\x9f") {
        return Err(no("it is for a big-endian machine", Some(LITTLE_ENDIAN)));
    }
    if !btf.starts_with(b"\x9f\xeb") {
        return Err(other(btf));
    }
    let Some(types) = Btf::parse(btf) else {
        return Err(no("its BTF is cut off or damaged", None));
    };
    if !types.is_whole() {
        let hint = "give the BTF of the kernel itself, such as `/sys/kernel/btf/vmlinux`";
        let what = "it needs another BTF, like that of a module, or it is damaged";
        return Err(no(what, Some(hint)));
    }
    let arch = of_elf.or_else(|| arch_of(&types));
    Ok(KernelBtf { bytes: btf, arch })
}

fn no(what: &str, hint: Option<&'static str>) -> NoKernelBtf {
    let what = what.to_owned();
    NoKernelBtf { what, hint }
}

/// The architecture and the BTF of an ELF file.
fn in_elf(bytes: &[u8]) -> Result<(Arch, &[u8]), NoKernelBtf> {
    // The class and the order of bytes, of `e_ident`.
    if bytes.get(4) != Some(&2) {
        return Err(no("it is for a 32-bit machine", Some(LITTLE_ENDIAN)));
    }
    if bytes.get(5) != Some(&1) {
        return Err(no("it is for a big-endian machine", Some(LITTLE_ENDIAN)));
    }
    let elf = ElfFile64::<Endianness>::parse(bytes);
    let elf = elf.map_err(|_| no("its ELF headers are cut off or damaged", None))?;
    let machine = elf.elf_header().e_machine(elf.endian());
    let arch = match machine {
        EM_X86_64 => Arch::X86_64,
        EM_AARCH64 => Arch::Aarch64,
        EM_RISCV => Arch::Riscv64,
        EM_BPF => {
            let what = "it is an eBPF object, whose BTF describes its own types";
            return Err(no(what, Some(ENCODE)));
        }
        other => {
            let what = format!("it is for ELF machine {}", other.0);
            return Err(no(&what, Some(LITTLE_ENDIAN)));
        }
    };
    let section = elf.section_by_name(".BTF");
    let section = section.ok_or_else(|| no("it has no section `.BTF`", Some(ENCODE)))?;
    let btf = section.data();
    let btf = btf.map_err(|_| no("its section `.BTF` is cut off", None))?;
    Ok((arch, btf))
}

/// What begins with neither magic.
fn other(bytes: &[u8]) -> NoKernelBtf {
    const COMPRESSED: &[(&[u8], &str)] = &[
        (b"\xfd7zXZ", "xz"),
        (b"\x1f\x8b", "gzip"),
        (b"\x28\xb5\x2f\xfd", "zstd"),
        (b"BZh", "bzip2"),
    ];
    if bytes.is_empty() {
        return no("it is empty", None);
    }
    let packed = COMPRESSED
        .iter()
        .find(|(magic, _)| bytes.starts_with(magic));
    if let Some((_, by)) = packed {
        return no(&format!("it is compressed with {by}"), Some(UNPACK));
    }
    if bytes.get(257..262) == Some(b"ustar") {
        return no("it is a tar archive", Some(UNPACK));
    }
    no("it is neither BTF nor an ELF file", Some(ENCODE))
}

/// The architecture of the kernel: each saves its registers in a `struct pt_regs` of its own. A BTF
/// that was reduced to what one object needs (`bpftool gen min_core_btf`) may lack it.
fn arch_of(types: &Btf<'_>) -> Option<Arch> {
    let registers = types.members("pt_regs")?;
    let has = |name: &str| registers.contains(&name);
    if has("r15") && has("orig_ax") {
        return Some(Arch::X86_64);
    }
    if has("orig_x0") {
        return Some(Arch::Aarch64);
    }
    (has("epc") && has("orig_a0")).then_some(Arch::Riscv64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The BTF of one `struct pt_regs` with these members, all of the same type.
    fn registers(members: &[&str]) -> Vec<u8> {
        let mut strings = b"\0pt_regs\0long\0".to_vec();
        let (pt_regs, long) = (1_u32, 9_u32);
        let mut types: Vec<u32> = vec![long, 1 << 24, 8, 64];
        let count = u32::try_from(members.len()).unwrap();
        types.extend([pt_regs, 4 << 24 | count, 8 * count]);
        for member in members {
            types.extend([u32::try_from(strings.len()).unwrap(), 1, 0]);
            strings.extend(member.as_bytes());
            strings.push(0);
        }
        btf(&types, &strings)
    }

    fn btf(types: &[u32], strings: &[u8]) -> Vec<u8> {
        let bytes = u32::try_from(types.len() * 4).unwrap();
        let mut file = b"\x9f\xeb\x01\0".to_vec();
        let header = [24, 0, bytes, bytes, u32::try_from(strings.len()).unwrap()];
        for word in header.iter().chain(types) {
            file.extend(word.to_le_bytes());
        }
        file.extend(strings);
        file
    }

    #[test]
    fn the_registers_tell_the_architecture() {
        let cases: [(&[&str], Option<Arch>); 5] = [
            (&["r15", "orig_ax", "ip"], Some(Arch::X86_64)),
            (&["user_regs", "orig_x0", "syscallno"], Some(Arch::Aarch64)),
            (&["epc", "ra", "orig_a0"], Some(Arch::Riscv64)),
            // 32-bit Arm.
            (&["uregs"], None),
            (&[], None),
        ];
        for (members, arch) in cases {
            let file = registers(members);
            let found = kernel_btf(&file).unwrap();
            assert_eq!((found.arch, found.bytes), (arch, &file[..]), "{members:?}");
        }
    }

    #[test]
    fn what_is_no_btf_of_a_kernel_is_named() {
        let whole = registers(&["r15", "orig_ax"]);
        let mut big_endian = whole.clone();
        big_endian.swap(0, 1);
        let of_module = btf(&[700_000, 4 << 24, 8], b"\0");
        let object = |class: u8, order: u8, machine: u8| {
            let mut elf = vec![0; 64];
            elf[..7].copy_from_slice(&[0x7f, b'E', b'L', b'F', class, order, 1]);
            (elf[16], elf[18], elf[20], elf[0x34]) = (2, machine, 1, 64);
            elf
        };
        let cases: [(&[u8], &str); 13] = [
            (b"", "it is empty"),
            (b"# text", "it is neither BTF nor an ELF file"),
            (b"\xfd7zXZ\0", "it is compressed with xz"),
            (b"\x1f\x8b\x08", "it is compressed with gzip"),
            (&whole[..30], "its BTF is cut off or damaged"),
            (&whole[..2], "its BTF is cut off or damaged"),
            (&big_endian, "it is for a big-endian machine"),
            (
                &of_module,
                "it needs another BTF, like that of a module, or it is damaged",
            ),
            (&object(1, 1, 3), "it is for a 32-bit machine"),
            (&object(2, 2, 22), "it is for a big-endian machine"),
            (&object(2, 1, 21), "it is for ELF machine 21"),
            (
                &object(2, 1, 247),
                "it is an eBPF object, whose BTF describes its own types",
            ),
            (&object(2, 1, 62), "it has no section `.BTF`"),
        ];
        for (bytes, what) in cases {
            assert_eq!(kernel_btf(bytes).unwrap_err().what, what);
        }
        // Damage anywhere must not panic.
        for cut in 0..whole.len() {
            let _ = kernel_btf(&whole[..cut]);
        }
    }
}
