//! Defines a function and a static probe in the agent itself. User-space probes whose section names
//! no target are attached to them.
#![expect(
    unsafe_code,
    reason = "a USDT probe is a note that an assembler writes"
)]

use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt;

/// Provider of the agent's USDT probe.
pub(super) const PROVIDER: &std::ffi::CStr = c"ukci";
/// Its name.
pub(super) const PROBE: &std::ffi::CStr = c"agent";

/// The function that is probed: one `nop`, with a `SystemTap` SDT note that names it.
///
/// What `<sys/sdt.h>` writes for a probe without arguments, version 3 of the note.
#[inline(never)]
pub(super) extern "C" fn target() {
    // SAFETY: a `nop`; all else goes to sections that are not loaded.
    unsafe {
        std::arch::asm!(
            "990: nop",
            ".pushsection .note.stapsdt,\"\",%note",
            ".balign 4",
            ".4byte 992f-991f, 994f-993f, 3",
            "991: .asciz \"stapsdt\"",
            "992: .balign 4",
            "993: .8byte 990b",
            ".8byte _.stapsdt.base",
            ".8byte 0",
            ".asciz \"ukci\"",
            ".asciz \"agent\"",
            ".asciz \"\"",
            "994: .balign 4",
            ".popsection",
            ".ifndef _.stapsdt.base",
            ".pushsection .stapsdt.base,\"aG\",%progbits,.stapsdt.base,comdat",
            ".weak _.stapsdt.base",
            ".hidden _.stapsdt.base",
            "_.stapsdt.base: .space 1",
            ".size _.stapsdt.base, 1",
            ".popsection",
            ".endif",
            options(nomem, nostack, preserves_flags),
        );
    }
}

/// The agent's file, and where [`target`] lies in it.
pub(super) fn place() -> Option<(CString, u64)> {
    let address = target as *const () as usize as u64;
    let maps = fs::read_to_string("/proc/self/maps").ok()?;
    let offset = maps.lines().find_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let (start, end) = words.next()?.split_once('-')?;
        let start = u64::from_str_radix(start, 16).ok()?;
        let end = u64::from_str_radix(end, 16).ok()?;
        let offset = u64::from_str_radix(words.nth(1)?, 16).ok()?;
        (start..end)
            .contains(&address)
            .then(|| address - start + offset)
    })?;
    let path = fs::read_link("/proc/self/exe").ok()?;
    Some((CString::new(path.as_os_str().as_bytes()).ok()?, offset))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_function_is_where_its_place_says() {
        super::target();
        let (path, offset) = super::place().unwrap();
        let file = std::fs::read(path.to_str().unwrap()).unwrap();
        // SAFETY: functions are longer than 8 bytes, padding included, and readable.
        let text = unsafe { std::slice::from_raw_parts(super::target as *const u8, 8) };
        let offset = usize::try_from(offset).unwrap();
        assert_eq!(&file[offset..offset + 8], text);
        let note = b"stapsdt\0";
        assert!(file.windows(note.len()).any(|window| window == note));
    }
}
