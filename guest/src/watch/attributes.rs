//! `union bpf_attr` as a process passed it: numbers at the offsets that `linux/bpf.h` gives them.
//!
//! A field that the caller's attributes do not reach is 0, as the kernel reads it.

/// The attributes of one call.
#[derive(Clone, Debug)]
pub(super) struct Attributes {
    bytes: [u8; Self::MOST],
    /// How many bytes the caller passed.
    pub(super) size: usize,
}

/// Offsets for `BPF_PROG_LOAD`.
pub(super) mod load {
    pub(in super::super) const TYPE: usize = 0;
    pub(in super::super) const INSN_COUNT: usize = 4;
    pub(in super::super) const INSNS: usize = 8;
    pub(in super::super) const LICENSE: usize = 16;
    pub(in super::super) const LOG_LEVEL: usize = 24;
    pub(in super::super) const LOG_SIZE: usize = 28;
    pub(in super::super) const LOG: usize = 32;
    pub(in super::super) const FLAGS: usize = 44;
    pub(in super::super) const NAME: usize = 48;
    pub(in super::super) const EXPECTED_ATTACH_TYPE: usize = 68;
    pub(in super::super) const BTF_FD: usize = 72;
    pub(in super::super) const FUNC_INFO_SIZE: usize = 76;
    pub(in super::super) const FUNC_INFO: usize = 80;
    pub(in super::super) const FUNC_INFO_COUNT: usize = 88;
    pub(in super::super) const LINE_INFO_SIZE: usize = 92;
    pub(in super::super) const LINE_INFO: usize = 96;
    pub(in super::super) const LINE_INFO_COUNT: usize = 104;
    pub(in super::super) const ATTACH_BTF_ID: usize = 108;
    pub(in super::super) const ATTACH_FD: usize = 112;
    pub(in super::super) const CORE_RELO_COUNT: usize = 116;
    pub(in super::super) const FD_ARRAY: usize = 120;
    pub(in super::super) const CORE_RELOS: usize = 128;
    pub(in super::super) const CORE_RELO_SIZE: usize = 136;
    pub(in super::super) const LOG_TRUE_SIZE: usize = 140;
    pub(in super::super) const TOKEN_FD: usize = 144;
    pub(in super::super) const FD_ARRAY_COUNT: usize = 148;
    /// The signature, its size and its keyring, which come last.
    pub(in super::super) const SIGNATURE: usize = 152;
}

/// Offsets for `BPF_MAP_CREATE`.
pub(super) mod map {
    pub(in super::super) const TYPE: usize = 0;
    pub(in super::super) const KEY_SIZE: usize = 4;
    pub(in super::super) const VALUE_SIZE: usize = 8;
    pub(in super::super) const MAX_ENTRIES: usize = 12;
    pub(in super::super) const FLAGS: usize = 16;
    pub(in super::super) const NAME: usize = 28;
    pub(in super::super) const EXTRA: usize = 64;
}

impl Attributes {
    /// More than any kernel's.
    pub(super) const MOST: usize = 256;

    pub(super) fn new(passed: &[u8]) -> Self {
        let mut bytes = [0; Self::MOST];
        let size = passed.len().min(Self::MOST);
        bytes[..size].copy_from_slice(&passed[..size]);
        Self { bytes, size }
    }

    pub(super) fn u32(&self, at: usize) -> u32 {
        u32::from_ne_bytes(self.array(at))
    }

    pub(super) fn u64(&self, at: usize) -> u64 {
        u64::from_ne_bytes(self.array(at))
    }

    /// A descriptor.
    pub(super) fn fd(&self, at: usize) -> i32 {
        i32::from_ne_bytes(self.array(at))
    }

    /// A `char [16]`.
    pub(super) fn name(&self, at: usize) -> String {
        let bytes: [u8; 16] = self.array(at);
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(15);
        String::from_utf8_lossy(&bytes[..end]).into_owned()
    }

    pub(super) fn set(&mut self, at: usize, value: &[u8]) {
        self.bytes[at..at + value.len()].copy_from_slice(value);
    }

    pub(super) fn as_ptr(&self) -> *const u8 {
        self.bytes.as_ptr()
    }

    fn array<const N: usize>(&self, at: usize) -> [u8; N] {
        let mut array = [0; N];
        array.copy_from_slice(&self.bytes[at..at + N]);
        array
    }
}

/// A number in memory of the command's.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let word = bytes.get(at..at + 4).and_then(|word| word.try_into().ok());
    word.map_or(0, u32::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use super::{Attributes, load};

    #[test]
    fn fields_beyond_the_callers_attributes_are_zero() {
        let mut passed = vec![0_u8; 64];
        passed[0] = 6;
        passed[48..53].copy_from_slice(b"count");
        let attributes = Attributes::new(&passed);
        assert_eq!(attributes.u32(load::TYPE), 6);
        assert_eq!(attributes.name(load::NAME), "count");
        assert_eq!(attributes.u64(load::LINE_INFO), 0);
        assert_eq!(attributes.size, 64);
    }
}
