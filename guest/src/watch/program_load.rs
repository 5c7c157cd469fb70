//! One load of a program: what the process passed, kept so that the agent can ask for it once more.
//!
//! Everything that the attributes point to is copied while the process waits, and every descriptor is
//! duplicated. So the second load has the same instructions, maps and BTF, whatever the process does
//! meanwhile. It has a log, and it is done with all rights.
#![expect(unsafe_code, reason = "bpf(2) with attributes of another process")]

use std::collections::BTreeSet;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use libbpf_sys as sys;
use ukci_schema::diagnosis::SourceLine;

use super::attributes::{Attributes, load, u32_at};
use super::object_info;
use super::stopped::Process;
use crate::bpf::{Errno, Insn, LOG_STATS, LOG_TRACE, LONGEST_LOG};
use crate::kernel::Btf;
use crate::verifier::{self, Last};

const INSN: usize = size_of::<sys::bpf_insn>();
/// The limit of the kernel is a million.
const MOST_INSNS: usize = 1 << 20;
const LD_IMM64: u8 = 0x18;
const CALL: u8 = 0x85;

/// A load that a process asked for.
#[derive(Debug)]
pub(super) struct ProgramLoad {
    pub(super) attributes: Attributes,
    /// Whoever asked, and the duplicates of its descriptors.
    pub(super) process: Process,
    insns: Vec<u8>,
    license: Vec<u8>,
    func_info: Vec<u8>,
    line_info: Vec<u8>,
    fd_array: Vec<u8>,
    core_relos: Vec<u8>,
}

impl ProgramLoad {
    /// Copies what the attributes point to.
    pub(super) fn new(attributes: Attributes, mut process: Process) -> Self {
        let count = |at: usize, size: usize| {
            let bytes = attributes.u32(at) as usize * size;
            bytes.min(MOST_INSNS * INSN)
        };
        let read = |at: usize, length: usize| process.read(attributes.u64(at), length);
        let size = |at: usize| attributes.u32(at) as usize;
        let insns = read(load::INSNS, count(load::INSN_COUNT, INSN));
        let license = process.string(attributes.u64(load::LICENSE), 128);
        let mut license = license.unwrap_or_default().into_bytes();
        license.push(0);
        let fds = match attributes.u64(load::FD_ARRAY) {
            0 => 0,
            _ => (attributes.u32(load::FD_ARRAY_COUNT) as usize).max(indices(&insns)),
        };
        let mut made = Self {
            license,
            func_info: read(
                load::FUNC_INFO,
                count(load::FUNC_INFO_COUNT, size(load::FUNC_INFO_SIZE)),
            ),
            line_info: read(
                load::LINE_INFO,
                count(load::LINE_INFO_COUNT, size(load::LINE_INFO_SIZE)),
            ),
            fd_array: read(load::FD_ARRAY, fds.min(4096) * 4),
            core_relos: read(
                load::CORE_RELOS,
                count(load::CORE_RELO_COUNT, size(load::CORE_RELO_SIZE)),
            ),
            insns,
            attributes,
            process: Process::of(0),
        };
        made.duplicate(&mut process);
        made.process = process;
        made
    }

    /// Puts the agent's duplicates in the place of the process' descriptors.
    fn duplicate(&mut self, process: &mut Process) {
        let mut ours = |fd: i32| process.borrow(fd).unwrap_or(-1);
        let mut n = 0;
        while n < self.insns.len() / INSN {
            let at = n * INSN;
            let (code, source) = (self.insns[at], u32::from(self.insns[at + 1] >> 4));
            n += 1;
            if code != LD_IMM64 {
                continue;
            }
            n += 1;
            let fd_at = match source {
                sys::BPF_PSEUDO_MAP_FD | sys::BPF_PSEUDO_MAP_VALUE => at + 4,
                // The BTF of a module; that of the kernel itself is 0.
                sys::BPF_PSEUDO_BTF_ID => at + INSN + 4,
                _ => continue,
            };
            let fd = u32_at(&self.insns, fd_at).cast_signed();
            if fd > 0 || source != sys::BPF_PSEUDO_BTF_ID {
                self.insns[fd_at..fd_at + 4].copy_from_slice(&ours(fd).to_ne_bytes());
            }
        }
        for at in (0..self.fd_array.len() / 4).map(|n| n * 4) {
            let fd = u32_at(&self.fd_array, at).cast_signed();
            if fd > 0 {
                self.fd_array[at..at + 4].copy_from_slice(&ours(fd).to_ne_bytes());
            }
        }
        for at in [load::BTF_FD, load::ATTACH_FD, load::TOKEN_FD] {
            let fd = self.attributes.fd(at);
            if fd > 0 && at + 4 <= self.attributes.size {
                let fd = ours(fd);
                self.attributes.set(at, &fd.to_ne_bytes());
            }
        }
    }

    /// Whether both have the same type and the same instructions, descriptors aside.
    pub(super) fn digest(&self) -> u64 {
        use std::hash::{DefaultHasher, Hash, Hasher};

        let mut hasher = DefaultHasher::new();
        for at in [load::TYPE, load::EXPECTED_ATTACH_TYPE, load::ATTACH_BTF_ID] {
            self.attributes.u32(at).hash(&mut hasher);
        }
        for insn in self.insns.chunks_exact(INSN) {
            insn[..4].hash(&mut hasher);
            if insn[0] != LD_IMM64 {
                insn[4..].hash(&mut hasher);
            }
        }
        hasher.finish()
    }

    /// The name that the process gave it, of at most 15 characters.
    pub(super) fn short_name(&self) -> String {
        self.attributes.name(load::NAME)
    }

    pub(super) fn insn_count(&self) -> usize {
        self.insns.len() / INSN
    }

    /// Whether a library only asks what the kernel has: a few instructions without lines of source,
    /// nameless or with a name that libbpf, ebpf-go, aya or bcc use for that.
    pub(super) fn is_probe(&self) -> bool {
        const STARTS: &[&str] = &[
            "aya_",
            "bpf_probe",
            "det_arg_ctx",
            "feature_",
            "libbpf_",
            "probe_",
            "test",
        ];
        let name = self.short_name();
        let named = name.is_empty() || STARTS.iter().any(|start| name.starts_with(start));
        self.insn_count() <= 32 && self.line_info.is_empty() && named
    }

    /// Its license.
    pub(super) fn license(&self) -> String {
        let text = self.license.strip_suffix(&[0]).unwrap_or(&self.license);
        String::from_utf8_lossy(text).into_owned()
    }

    /// The BTF that it came with.
    pub(super) fn btf(&self) -> Option<Btf> {
        let fd = self.attributes.fd(load::BTF_FD);
        if fd <= 0 {
            return None;
        }
        Btf::of_id(object_info::btf_id(fd)?, None)
    }

    /// The C function, if its BTF has it; else the short name.
    pub(super) fn name(&self, btf: Option<&Btf>) -> String {
        let full = btf.map(|btf| btf.name(u32_at(&self.func_info, 4)));
        full.filter(|name| !name.is_empty())
            .unwrap_or_else(|| self.short_name())
    }

    /// The line of the instruction that a log ends with.
    pub(super) fn line(&self, log: &str, btf: Option<&Btf>) -> Option<SourceLine> {
        let insn = match verifier::last_instruction(log)? {
            Last::Insn(insn) => insn,
            Last::Offset(insn) => verifier::user_of_offset(&self.code(), insn),
        };
        let size = (self.attributes.u32(load::LINE_INFO_SIZE) as usize).max(16);
        let mut records = self.line_info.chunks_exact(size);
        // Compilers give code that they merged out of several places the line 0.
        let before = |record: &&[u8]| u32_at(record, 0) <= insn && u32_at(record, 12) >> 10 != 0;
        let record = records.rfind(before)?;
        let btf = btf?;
        Some(SourceLine {
            file: btf.string(u32_at(record, 4)),
            line: u32_at(record, 12) >> 10,
            column: u32_at(record, 12) & 0x3ff,
            text: btf.string(u32_at(record, 8)).trim().to_owned(),
        })
    }

    fn code(&self) -> Vec<Insn> {
        let insns = self.insns.chunks_exact(INSN);
        insns
            .map(|insn| Insn {
                code: insn[0],
                dst: insn[1] & 0xf,
                src: insn[1] >> 4,
            })
            .collect()
    }

    /// What it calls: ids of helpers, and of kfuncs with the place of their BTF in `fd_array`, of
    /// which 0 is the kernel's own.
    pub(super) fn calls(&self) -> (BTreeSet<u32>, BTreeSet<(u32, u16)>) {
        let (mut helpers, mut kfuncs) = (BTreeSet::new(), BTreeSet::new());
        let calls = self.insns.chunks_exact(INSN).filter(|insn| insn[0] == CALL);
        for insn in calls {
            let number = u32_at(insn, 4);
            match u32::from(insn[1] >> 4) {
                // libbpf puts larger numbers in the place of what it did not find.
                0 if number < 0x10_0000 => _ = helpers.insert(number),
                sys::BPF_PSEUDO_KFUNC_CALL => {
                    kfuncs.insert((number, u16::from_ne_bytes([insn[2], insn[3]])));
                }
                _ => {}
            }
        }
        (helpers, kfuncs)
    }

    /// The agent's duplicate of a descriptor in `fd_array`; 0 stands for the kernel itself.
    pub(super) fn array_fd(&self, index: usize) -> RawFd {
        match index {
            0 => 0,
            index => u32_at(&self.fd_array, index * 4).cast_signed(),
        }
    }

    /// The agent's duplicates of the maps that it refers to, each once.
    pub(super) fn maps(&self) -> BTreeSet<RawFd> {
        let mut maps = BTreeSet::new();
        for insn in self
            .insns
            .chunks_exact(INSN)
            .filter(|insn| insn[0] == LD_IMM64)
        {
            let value = u32_at(insn, 4);
            let fd = match u32::from(insn[1] >> 4) {
                sys::BPF_PSEUDO_MAP_FD | sys::BPF_PSEUDO_MAP_VALUE => value.cast_signed(),
                sys::BPF_PSEUDO_MAP_IDX | sys::BPF_PSEUDO_MAP_IDX_VALUE => {
                    u32_at(&self.fd_array, value as usize * 4).cast_signed()
                }
                _ => continue,
            };
            maps.insert(fd);
        }
        maps
    }

    /// Asks for the load once more. What the verifier wrote, and the errno if it was refused again.
    /// The trace of a million instructions may not fit the longest log, whose ENOSPC would hide the
    /// kernel's own answer.
    pub(super) fn again(&mut self) -> (Result<(), Errno>, String) {
        let (result, log) = self.load(LOG_TRACE);
        if result == Err(libc::ENOSPC) {
            return self.load(LOG_STATS);
        }
        (result, log)
    }

    fn load(&mut self, level: u32) -> (Result<(), Errno>, String) {
        // Reserved and not touched: the kernel writes as much as there is to say.
        let mut log: Vec<u8> = Vec::with_capacity(LONGEST_LOG);
        let attributes = &mut self.attributes;
        for (at, bytes) in [
            (load::INSNS, &self.insns),
            (load::LICENSE, &self.license),
            (load::FUNC_INFO, &self.func_info),
            (load::LINE_INFO, &self.line_info),
            (load::FD_ARRAY, &self.fd_array),
            (load::CORE_RELOS, &self.core_relos),
        ] {
            let address = match bytes.len() {
                0 => 0,
                _ => bytes.as_ptr() as u64,
            };
            attributes.set(at, &address.to_ne_bytes());
        }
        attributes.set(load::LOG_LEVEL, &level.to_ne_bytes());
        let room = u32::try_from(LONGEST_LOG).unwrap_or(u32::MAX);
        attributes.set(load::LOG_SIZE, &room.to_ne_bytes());
        attributes.set(load::LOG, &(log.as_mut_ptr() as u64).to_ne_bytes());
        attributes.set(load::LOG_TRUE_SIZE, &0_u32.to_ne_bytes());
        // A signature's bytes are not copied; the kernel that checks them accepts none as well.
        attributes.set(load::SIGNATURE, &[0; 16]);
        let size = attributes.size.max(load::LOG + 8);
        // SAFETY: every address in the attributes is of memory of ours that outlives the call, or 0;
        // the kernel writes to the log only, at most its size.
        let fd = unsafe {
            *log.as_mut_ptr() = 0;
            libc::syscall(libc::SYS_bpf, sys::BPF_PROG_LOAD, attributes.as_ptr(), size)
        };
        let result = match RawFd::try_from(fd) {
            Ok(fd) if fd >= 0 => {
                // SAFETY: a new descriptor of ours.
                drop(unsafe { OwnedFd::from_raw_fd(fd) });
                Ok(())
            }
            _ => Err(io::Error::last_os_error().raw_os_error().unwrap_or(0)),
        };
        // SAFETY: the kernel ends what it writes with a NUL, within the log's size, and the first
        // byte is one if it writes nothing.
        let text = unsafe { std::ffi::CStr::from_ptr(log.as_ptr().cast()) };
        (result, text.to_string_lossy().into_owned())
    }
}

/// How many entries of `fd_array` the instructions name.
fn indices(insns: &[u8]) -> usize {
    let used = insns.chunks_exact(INSN).filter_map(|insn| {
        let source = u32::from(insn[1] >> 4);
        match (insn[0], source) {
            (LD_IMM64, sys::BPF_PSEUDO_MAP_IDX | sys::BPF_PSEUDO_MAP_IDX_VALUE) => {
                Some(u32_at(insn, 4) as usize + 1)
            }
            (CALL, sys::BPF_PSEUDO_KFUNC_CALL) => {
                Some(usize::from(u16::from_ne_bytes([insn[2], insn[3]])) + 1)
            }
            _ => None,
        }
    });
    used.max().unwrap_or(0)
}
