//! The programs and maps of an object.
#![expect(unsafe_code, reason = "libbpf is a C library")]

use std::ffi::{CString, c_int};
use std::marker::PhantomData;
use std::ptr::NonNull;

use libbpf_sys as sys;

use super::{Errno, Object, check, map_type_name, program_type_name, string};

/// A program of an object.
#[derive(Clone, Copy, Debug)]
pub struct Program<'a> {
    pub(super) ptr: NonNull<sys::bpf_program>,
    pub(super) object: PhantomData<&'a Object>,
}

impl Program<'_> {
    /// The C function.
    pub fn name(&self) -> String {
        // SAFETY: the program is alive with its object.
        unsafe { string(sys::bpf_program__name(self.ptr.as_ptr())) }.unwrap_or_default()
    }

    /// The ELF section.
    pub fn section(&self) -> String {
        // SAFETY: as above.
        unsafe { string(sys::bpf_program__section_name(self.ptr.as_ptr())) }.unwrap_or_default()
    }

    /// `enum bpf_prog_type`.
    pub fn kind(&self) -> u32 {
        // SAFETY: as above.
        unsafe { sys::bpf_program__type(self.ptr.as_ptr()) }
    }

    /// libbpf's word for the type.
    pub fn kind_name(&self) -> String {
        program_type_name(self.kind())
    }

    /// Instructions of its own function; with its subprograms' once it was prepared for a load.
    pub fn insns(&self) -> u64 {
        // SAFETY: the program is alive with its object.
        unsafe { sys::bpf_program__insn_cnt(self.ptr.as_ptr()) as u64 }
    }

    /// `enum bpf_attach_type`.
    pub fn attach_type(&self) -> u32 {
        // SAFETY: as above.
        unsafe { sys::bpf_program__expected_attach_type(self.ptr.as_ptr()) }
    }

    /// Whether `load` would load it.
    pub fn autoload(&self) -> bool {
        // SAFETY: as above.
        unsafe { sys::bpf_program__autoload(self.ptr.as_ptr()) }
    }

    /// Switches it on or off, before the load.
    pub fn set_autoload(&self, on: bool) {
        // SAFETY: as above; libbpf refuses it after the load, which no caller does.
        unsafe { sys::bpf_program__set_autoload(self.ptr.as_ptr(), on) };
    }

    /// What the kernel wrote about it, up to the first NUL.
    pub fn log(&self) -> String {
        let mut size: sys::size_t = 0;
        // SAFETY: libbpf returns the buffer that `give_logs` set, or NULL.
        unsafe {
            let log = sys::bpf_program__log_buf(self.ptr.as_ptr(), &raw mut size);
            if log.is_null() || size == 0 {
                return String::new();
            }
            let bytes =
                std::slice::from_raw_parts(log.cast::<u8>(), usize::try_from(size).unwrap_or(0));
            let end = bytes
                .iter()
                .position(|byte| *byte == 0)
                .unwrap_or(bytes.len());
            String::from_utf8_lossy(&bytes[..end]).into_owned()
        }
    }

    /// The descriptor of the loaded program.
    pub fn fd(&self) -> Option<c_int> {
        // SAFETY: as above.
        let fd = unsafe { sys::bpf_program__fd(self.ptr.as_ptr()) };
        (fd >= 0).then_some(fd)
    }

    /// What the kernel says of the loaded program.
    pub fn info(&self) -> Option<sys::bpf_prog_info> {
        let fd = self.fd()?;
        let mut info = sys::bpf_prog_info::default();
        let mut length = u32::try_from(size_of::<sys::bpf_prog_info>()).ok()?;
        // SAFETY: the kernel fills at most `length` bytes; no array pointer is set.
        let result = unsafe { sys::bpf_prog_get_info_by_fd(fd, &raw mut info, &raw mut length) };
        (result == 0).then_some(info)
    }

    /// Sets the type, and the expected attach type where one is given.
    pub fn set_type(&self, kind: u32, attach: Option<u32>) -> Result<(), Errno> {
        // SAFETY: the program is alive; libbpf refuses both after the load.
        unsafe {
            check(sys::bpf_program__set_type(self.ptr.as_ptr(), kind))?;
            let Some(attach) = attach else { return Ok(()) };
            check(sys::bpf_program__set_expected_attach_type(
                self.ptr.as_ptr(),
                attach,
            ))
        }
    }

    /// Sets the kernel function, or with `program` the function of that, which it is attached to
    /// by BTF; before the load.
    pub fn set_attach_target(&self, program: c_int, name: &str) -> Result<(), Errno> {
        let name = CString::new(name).map_err(|_| libc::EINVAL)?;
        // SAFETY: the program is alive; libbpf looks the name up before it returns.
        check(unsafe {
            sys::bpf_program__set_attach_target(self.ptr.as_ptr(), program, name.as_ptr())
        })
    }

    /// The raw program, for calls that only `attach` makes.
    pub(crate) fn as_ptr(&self) -> *mut sys::bpf_program {
        self.ptr.as_ptr()
    }
}

/// A map of an object.
#[derive(Clone, Copy, Debug)]
pub struct Map<'a> {
    pub(super) ptr: NonNull<sys::bpf_map>,
    pub(super) object: PhantomData<&'a Object>,
}

impl Map<'_> {
    /// Its name.
    pub fn name(&self) -> String {
        // SAFETY: the map is alive with its object.
        unsafe { string(sys::bpf_map__name(self.ptr.as_ptr())) }.unwrap_or_default()
    }

    /// `enum bpf_map_type`.
    pub fn kind(&self) -> u32 {
        // SAFETY: as above.
        unsafe { sys::bpf_map__type(self.ptr.as_ptr()) }
    }

    /// libbpf's word for the type.
    pub fn kind_name(&self) -> String {
        map_type_name(self.kind())
    }

    /// Bytes of key and value, most entries, flags.
    pub fn shape(&self) -> (u32, u32, u32, u32) {
        let map = self.ptr.as_ptr();
        // SAFETY: as above.
        unsafe {
            (
                sys::bpf_map__key_size(map),
                sys::bpf_map__value_size(map),
                sys::bpf_map__max_entries(map),
                sys::bpf_map__map_flags(map),
            )
        }
    }

    /// `map_extra`.
    pub fn extra(&self) -> u64 {
        // SAFETY: as above.
        unsafe { sys::bpf_map__map_extra(self.ptr.as_ptr()) }
    }

    /// The map that the inner maps of a map of maps must be like, until the load.
    pub fn inner(&self) -> Option<Self> {
        // SAFETY: as above; libbpf returns NULL for maps of other types, and where there is none.
        let inner = unsafe { sys::bpf_map__inner_map(self.ptr.as_ptr()) };
        NonNull::new(inner).map(|ptr| Self {
            ptr,
            object: PhantomData,
        })
    }

    /// Whether `load` would create it.
    pub fn autocreate(&self) -> bool {
        // SAFETY: as above.
        unsafe { sys::bpf_map__autocreate(self.ptr.as_ptr()) }
    }

    /// Switches its creation on or off, before the load.
    pub fn set_autocreate(&self, on: bool) {
        // SAFETY: as above.
        unsafe { sys::bpf_map__set_autocreate(self.ptr.as_ptr(), on) };
    }

    /// The descriptor of the created map.
    pub fn fd(&self) -> Option<c_int> {
        // SAFETY: as above.
        let fd = unsafe { sys::bpf_map__fd(self.ptr.as_ptr()) };
        (fd >= 0).then_some(fd)
    }

    /// Sets the type, `enum bpf_map_type`, before the load.
    pub fn set_kind(&self, kind: u32) -> Result<(), Errno> {
        // SAFETY: as above; libbpf refuses it after the load.
        check(unsafe { sys::bpf_map__set_type(self.ptr.as_ptr(), kind) })
    }

    /// Sets the bytes of a key, before the load.
    pub fn set_key_size(&self, bytes: u32) -> Result<(), Errno> {
        // SAFETY: as above; libbpf refuses it after the load.
        check(unsafe { sys::bpf_map__set_key_size(self.ptr.as_ptr(), bytes) })
    }

    /// Sets the bytes of a value, before the load.
    pub fn set_value_size(&self, bytes: u32) -> Result<(), Errno> {
        // SAFETY: as above; libbpf refuses it after the load.
        check(unsafe { sys::bpf_map__set_value_size(self.ptr.as_ptr(), bytes) })
    }

    /// Sets the flags, before the load.
    pub fn set_flags(&self, flags: u32) -> Result<(), Errno> {
        // SAFETY: as above; libbpf refuses it after the load.
        check(unsafe { sys::bpf_map__set_map_flags(self.ptr.as_ptr(), flags) })
    }

    /// Sets the number of entries, before the load.
    pub fn set_max_entries(&self, entries: u32) -> Result<(), Errno> {
        // SAFETY: as above; libbpf refuses it after the load.
        check(unsafe { sys::bpf_map__set_max_entries(self.ptr.as_ptr(), entries) })
    }

    /// Removes its file from the BPF file system, if it is pinned.
    pub(crate) fn unpin(&self) {
        // SAFETY: the map is alive with its object; no path means that of its own pin.
        unsafe {
            if sys::bpf_map__is_pinned(self.ptr.as_ptr()) {
                sys::bpf_map__unpin(self.ptr.as_ptr(), std::ptr::null());
            }
        }
    }

    /// The raw map, for calls that only `attach` makes.
    pub(crate) fn as_ptr(&self) -> *mut sys::bpf_map {
        self.ptr.as_ptr()
    }
}
