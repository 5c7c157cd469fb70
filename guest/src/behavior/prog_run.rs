//! `BPF_PROG_TEST_RUN`: the kernel runs a program on given data.
#![expect(unsafe_code, reason = "libbpf is a C library")]

use std::os::fd::RawFd;

use libbpf_sys as sys;

use crate::bpf::{Errno, check};

/// Bytes by which a program may lengthen a packet.
const HEADROOM: usize = 1024;

/// What a program is run on.
pub(super) struct Input {
    /// The packet or other data; none: no data.
    pub(super) data: Option<Vec<u8>>,
    /// The context; empty: none.
    pub(super) context: Vec<u8>,
    /// How often it is run.
    pub(super) repeat: u32,
}

/// What came of it.
pub(super) struct Output {
    pub(super) returned: u32,
    pub(super) data: Vec<u8>,
}

/// Runs a loaded program.
pub(super) fn run(program: RawFd, input: &Input) -> Result<Output, Errno> {
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).map_err(|_| libc::E2BIG);
    let mut data = Vec::new();
    let mut opts = sys::bpf_test_run_opts {
        sz: size_of::<sys::bpf_test_run_opts>() as sys::size_t,
        // Types without data refuse a number, even that of one run.
        repeat: if input.repeat > 1 || input.data.is_some() {
            i32::try_from(input.repeat).map_err(|_| libc::E2BIG)?
        } else {
            0
        },
        ..Default::default()
    };
    if let Some(bytes) = &input.data {
        data = vec![0; bytes.len() + HEADROOM];
        opts.data_in = bytes.as_ptr().cast();
        opts.data_size_in = length(bytes)?;
        opts.data_out = data.as_mut_ptr().cast();
        opts.data_size_out = length(&data)?;
    }
    if !input.context.is_empty() {
        opts.ctx_in = input.context.as_ptr().cast();
        opts.ctx_size_in = length(&input.context)?;
    }
    // SAFETY: each pointer is NULL or of a buffer of the length beside it, which outlives the call.
    check(unsafe { sys::bpf_prog_test_run_opts(program, &raw mut opts) })?;
    data.truncate(opts.data_size_out as usize);
    Ok(Output {
        returned: opts.retval,
        data,
    })
}
