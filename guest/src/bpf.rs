//! A thin, safe wrapper of libbpf for BPF objects.
//!
//! It takes an object's bytes and the changes of its loader, and returns libbpf's own answers, with
//! the errno of each failure. All unsafe code for BPF objects is in this module and below.
//! `Cargo.toml` says why libbpf-rs is not enough. Nothing here decides what an answer means.
#![expect(unsafe_code, reason = "libbpf is a C library")]

mod ahead;
mod log_buffer;
mod names;
mod parts;
mod struct_ops;
mod typed_value;

use std::ffi::{CStr, CString, c_char, c_int};
use std::marker::PhantomData;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;
use std::ptr::{self, NonNull};

use libbpf_sys as sys;
use ukci_schema::diagnosis::SourceLine;

pub use ahead::prepare;
use log_buffer::LogBuffer;
pub use names::*;
pub use parts::{Map, Program};

/// A positive errno; libbpf has its own from 4000 on.
pub type Errno = i32;

/// `log_level` bit 2: statistics only. On success nothing else is written; a refusal still says
/// its last sentence.
pub const LOG_STATS: u32 = 4;
/// `log_level` 1: the trace of the path that was refused.
pub const LOG_TRACE: u32 = 1;

/// The longest verifier log that a 5.10 kernel takes (`UINT_MAX >> 8`); longer is EINVAL there.
pub const LONGEST_LOG: usize = (1 << 24) - 1;

/// Room for a log without a trace: statistics of every subprogram, or one refusal's sentence.
pub const SHORT_LOG: usize = 256 * 1024;

/// An object that libbpf has parsed, and loaded or not.
#[derive(Debug)]
pub struct Object {
    ptr: NonNull<sys::bpf_object>,
    /// Where the kernel writes; they must outlive the object.
    logs: Vec<LogBuffer>,
    /// Prototypes of inner maps and replaced programs, which libbpf needs until the load.
    held: Vec<OwnedFd>,
    /// Objects whose programs are replaced.
    bases: Vec<Object>,
}

/// The options for libbpf when it opens an object.
#[derive(Clone, Debug, Default)]
pub struct Opening {
    name: CString,
    btf: Option<CString>,
    kconfig: CString,
}

impl Opening {
    /// With libbpf's name for the object, a BTF file to relocate against in place of the kernel's
    /// own, and lines of `CONFIG_X=value` that win over the kernel's.
    pub fn new(name: &str, btf: Option<&Path>, kconfig: &str) -> Self {
        let text = |text: &str| CString::new(text.replace('\0', "")).unwrap_or_default();
        Self {
            name: text(name),
            btf: btf.map(|path| text(&path.to_string_lossy())),
            kconfig: text(kconfig),
        }
    }
}

impl Object {
    /// `bpf_object__open_mem`. Programs are loaded at `log_level`.
    pub fn open(bytes: &[u8], opening: &Opening, log_level: u32) -> Result<Self, Errno> {
        let mut opts = sys::bpf_object_open_opts {
            sz: size_of::<sys::bpf_object_open_opts>() as sys::size_t,
            object_name: opening.name.as_ptr(),
            ..Default::default()
        };
        if let Some(btf) = &opening.btf {
            opts.btf_custom_path = btf.as_ptr();
        }
        if !opening.kconfig.is_empty() {
            opts.kconfig = opening.kconfig.as_ptr();
        }
        // SAFETY: libbpf copies the options' texts and the bytes before it returns; a failure is NULL and errno.
        let ptr = unsafe {
            sys::bpf_object__open_mem(
                bytes.as_ptr().cast(),
                bytes.len() as sys::size_t,
                &raw mut opts,
            )
        };
        let object = NonNull::new(ptr)
            .map(|ptr| Self {
                ptr,
                logs: Vec::new(),
                held: Vec::new(),
                bases: Vec::new(),
            })
            .ok_or_else(errno)?;
        for program in object.programs() {
            // Not `kernel_log_level` of the options, which makes the kernel print the object's
            // whole BTF as well.
            // SAFETY: the program is alive with its object, which is not loaded yet.
            unsafe { sys::bpf_program__set_log_level(program.ptr.as_ptr(), log_level) };
        }
        Ok(object)
    }

    /// `bpf_object__prepare`: the load up to the verifier. Maps are there, relocations done.
    pub fn prepare(&mut self) -> Result<(), Errno> {
        // SAFETY: the object is alive; libbpf refuses a second time itself.
        check(unsafe { sys::bpf_object__prepare(self.ptr.as_ptr()) })
    }

    /// `bpf_object__load`.
    pub fn load(&mut self) -> Result<(), Errno> {
        // SAFETY: the object is alive; libbpf refuses a second load itself.
        check(unsafe { sys::bpf_object__load(self.ptr.as_ptr()) })
    }

    /// The programs, in the object's order.
    pub fn programs(&self) -> Vec<Program<'_>> {
        let mut programs = Vec::new();
        let mut last = ptr::null_mut();
        loop {
            // SAFETY: `last` is NULL or a program of this object.
            last = unsafe { sys::bpf_object__next_program(self.ptr.as_ptr(), last) };
            match NonNull::new(last) {
                Some(ptr) => programs.push(Program {
                    ptr,
                    object: PhantomData,
                }),
                None => return programs,
            }
        }
    }

    /// The maps, in the object's order.
    pub fn maps(&self) -> Vec<Map<'_>> {
        let mut maps = Vec::new();
        let mut last = ptr::null_mut();
        loop {
            // SAFETY: `last` is NULL or a map of this object.
            last = unsafe { sys::bpf_object__next_map(self.ptr.as_ptr(), last) };
            match NonNull::new(last) {
                Some(ptr) => maps.push(Map {
                    ptr,
                    object: PhantomData,
                }),
                None => return maps,
            }
        }
    }

    /// Gives each of the programs at `indices` a verifier log of `size` bytes of its own.
    pub fn give_logs(&mut self, indices: impl IntoIterator<Item = usize>, size: usize) {
        let programs: Vec<_> = self.programs().iter().map(|program| program.ptr).collect();
        for index in indices {
            // Without memory for a log the program is loaded without one.
            let (Some(program), Some(log)) = (programs.get(index), LogBuffer::new(size)) else {
                continue;
            };
            // SAFETY: the buffer lives in `self.logs` until the object is gone.
            unsafe {
                sys::bpf_program__set_log_buf(
                    program.as_ptr(),
                    log.as_mut_ptr(),
                    size as sys::size_t,
                );
            }
            self.logs.push(log);
        }
    }

    /// Makes a map that stands for the inner maps of the map at `index`.
    pub fn give_inner_map(&mut self, index: usize, shape: InnerMap) -> Result<(), Errno> {
        // SAFETY: no name, no options; the descriptor is ours alone.
        let fd = unsafe {
            let fd = sys::bpf_map_create(
                shape.kind,
                ptr::null(),
                shape.key_size,
                shape.value_size,
                shape.max_entries,
                ptr::null(),
            );
            check(fd)?;
            OwnedFd::from_raw_fd(fd)
        };
        let map = self.maps().get(index).map(|map| map.ptr);
        let map = map.ok_or(libc::ENOENT)?;
        // SAFETY: the map is alive with this object; the descriptor is held until it is gone.
        check(unsafe { sys::bpf_map__set_inner_map_fd(map.as_ptr(), fd.as_raw_fd()) })?;
        self.held.push(fd);
        Ok(())
    }

    /// Keeps a loaded object for as long as this one lives.
    pub fn keep(&mut self, base: Self) {
        self.bases.push(base);
    }

    /// The object's BTF, which lives as long as it does.
    pub(crate) fn btf(&self) -> Option<*mut sys::btf> {
        // SAFETY: the object is alive.
        let btf = unsafe { sys::bpf_object__btf(self.ptr.as_ptr()) };
        (!btf.is_null()).then_some(btf)
    }

    /// A string of the object's BTF.
    fn btf_string(&self, offset: u32) -> Option<String> {
        // SAFETY: both calls take what libbpf returned; NULL is handled.
        unsafe {
            let btf = sys::bpf_object__btf(self.ptr.as_ptr());
            if btf.is_null() {
                return None;
            }
            string(sys::btf__str_by_offset(btf, offset))
        }
    }

    /// The source lines of the program at `index`. libbpf has them until a load fails, and
    /// complete with the subprograms' only once the object is prepared.
    pub fn source_lines(&self, index: usize) -> SourceLines {
        let programs = self.programs();
        let Some(program) = programs.get(index) else {
            return SourceLines::default();
        };
        // SAFETY: libbpf owns the array of `count` records for as long as the object is open and
        // not loaded; it is copied before the borrow of `self` ends.
        let records = unsafe {
            let lines = sys::bpf_program__line_info(program.ptr.as_ptr());
            let count = sys::bpf_program__line_info_cnt(program.ptr.as_ptr());
            if lines.is_null() {
                return SourceLines::default();
            }
            std::slice::from_raw_parts(lines, count as usize).to_vec()
        };
        SourceLines { records }
    }

    /// The line of the instruction `insn`, of `lines` that this object gave.
    pub fn source_line(&self, lines: &SourceLines, insn: u32) -> Option<SourceLine> {
        let until = lines
            .records
            .iter()
            .take_while(|line| line.insn_off <= insn)
            .filter(|line| has_line(line));
        self.line_of(until.last()?)
    }

    /// The instructions of the program at `index`, as compiled: asked before the object is
    /// prepared, they are those of its own function, and none of them is poisoned.
    pub fn instructions(&self, index: usize) -> Vec<Insn> {
        let programs = self.programs();
        let Some(program) = programs.get(index) else {
            return Vec::new();
        };
        // SAFETY: libbpf owns the array of `count` instructions for as long as the object is open;
        // it is copied before the borrow of `self` ends.
        let code = unsafe {
            let first = sys::bpf_program__insns(program.ptr.as_ptr());
            let count = sys::bpf_program__insn_cnt(program.ptr.as_ptr());
            if first.is_null() {
                return Vec::new();
            }
            std::slice::from_raw_parts(first, usize::try_from(count).unwrap_or(0))
        };
        let insn = |insn: &sys::bpf_insn| Insn {
            code: insn.code,
            dst: insn.dst_reg(),
            src: insn.src_reg(),
        };
        code.iter().map(insn).collect()
    }

    fn line_of(&self, info: &sys::bpf_line_info) -> Option<SourceLine> {
        Some(SourceLine {
            file: self.btf_string(info.file_name_off)?,
            // linux/bpf.h: BPF_LINE_INFO_LINE_NUM and BPF_LINE_INFO_LINE_COL.
            line: info.line_col >> 10,
            column: info.line_col & 0x3ff,
            text: self
                .btf_string(info.line_off)
                .unwrap_or_default()
                .trim()
                .to_owned(),
        })
    }

    /// The name of the type of a map's values.
    pub(crate) fn value_type_name(&self, map: Map<'_>) -> Option<String> {
        // SAFETY: all calls take what libbpf returned; NULL is handled.
        unsafe {
            let btf = sys::bpf_object__btf(self.ptr.as_ptr());
            let kind = sys::btf__type_by_id(btf, sys::bpf_map__btf_value_type_id(map.ptr.as_ptr()));
            if kind.is_null() {
                return None;
            }
            string(sys::btf__name_by_offset(btf, (*kind).name_off))
        }
    }
}

/// The shape of a map that stands for inner maps.
#[derive(Clone, Copy, Debug)]
pub struct InnerMap {
    /// `enum bpf_map_type`.
    pub kind: u32,
    /// Bytes of a key.
    pub key_size: u32,
    /// Bytes of a value.
    pub value_size: u32,
    /// Most entries; bytes of a ring buffer.
    pub max_entries: u32,
}

/// Compilers give code that they merged out of several places the line 0.
fn has_line(info: &sys::bpf_line_info) -> bool {
    info.line_col >> 10 != 0
}

/// An instruction: what it does, to which register and with which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Insn {
    /// `BPF_CLASS`, `BPF_OP` and the source's bit.
    pub code: u8,
    /// The register that it changes or compares, or that points to what it stores into.
    pub dst: u8,
    /// The register that it reads.
    pub src: u8,
}

/// BTF line information of one program, as libbpf relocated it.
#[derive(Debug, Default)]
pub struct SourceLines {
    records: Vec<sys::bpf_line_info>,
}

impl Drop for Object {
    fn drop(&mut self) {
        // A map that stayed pinned (`LIBBPF_PIN_BY_NAME`) would be that of the next load as well.
        for map in self.maps() {
            map.unpin();
        }
        // SAFETY: closed once, here; links were dropped before.
        unsafe { sys::bpf_object__close(self.ptr.as_ptr()) };
    }
}

/// Zero or more is fine; less is a negated errno.
pub(crate) fn check(result: c_int) -> Result<(), Errno> {
    if result < 0 { Err(-result) } else { Ok(()) }
}

/// The errno that libbpf left behind.
pub(crate) fn errno() -> Errno {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

/// # Safety
///
/// `text` is NULL or a NUL-terminated string that lives during the call.
unsafe fn string(text: *const c_char) -> Option<String> {
    if text.is_null() {
        return None;
    }
    // SAFETY: the caller's promise.
    Some(
        unsafe { CStr::from_ptr(text) }
            .to_string_lossy()
            .into_owned(),
    )
}
