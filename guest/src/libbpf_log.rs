//! What libbpf prints.
//!
//! In: something to do. Out: its result, with the lines that libbpf printed meanwhile. libbpf has one
//! print callback a process, so all text goes through this one place; none is dropped or read here.
//!
//! The text holds names of the object, which may be any bytes. Those that are not UTF-8 are replaced:
//! libbpf-rs 0.27 panics on them.
#![expect(unsafe_code, reason = "libbpf hands a C format and its arguments")]

use std::ffi::{CStr, c_char, c_int};
use std::ptr;
use std::sync::{Mutex, PoisonError};

use libbpf_sys::{
    __va_list_tag, LIBBPF_INFO, libbpf_print_fn_t, libbpf_print_level, libbpf_set_print,
};
use ukci_schema::evidence::Log;

static TEXT: Mutex<String> = Mutex::new(String::new());

unsafe extern "C" {
    /// Formats into memory of its own size, which the caller frees.
    fn vasprintf(text: *mut *mut c_char, format: *const c_char, args: *mut __va_list_tag) -> c_int;
}

/// libbpf's print callback. C passes a `va_list` in one register on each of our architectures: as a
/// pointer to it, or as the pointer that it is. It is used once.
unsafe extern "C" fn keep(
    level: libbpf_print_level,
    format: *const c_char,
    args: *mut __va_list_tag,
) -> c_int {
    if level > LIBBPF_INFO {
        return 0;
    }
    let mut text = ptr::null_mut();
    // SAFETY: libbpf gives a format and the arguments that it asks for; `text` can be written to.
    let len = unsafe { vasprintf(&raw mut text, format, args) };
    if len < 0 {
        return len;
    }
    // SAFETY: a length of zero or more says that `text` is a C string, which is ours.
    let line = unsafe { CStr::from_ptr(text) };
    add(&line.to_string_lossy());
    // SAFETY: `vasprintf` allocated it, and nothing refers to it any more.
    unsafe { libc::free(text.cast()) };
    len
}

fn add(line: &str) {
    let mut text = TEXT.lock().unwrap_or_else(PoisonError::into_inner);
    text.push_str(line);
}

fn set(callback: libbpf_print_fn_t) -> libbpf_print_fn_t {
    // SAFETY: the callback is ours, one that libbpf gave us, or none.
    unsafe { libbpf_set_print(callback) }
}

/// Has libbpf print nothing but what is captured; it writes to stderr by itself.
pub fn silence() {
    set(None);
}

/// Runs `act` and returns what libbpf printed meanwhile, at level info or worse. The callback
/// that was set before is put back.
pub fn captured<T>(act: impl FnOnce() -> T) -> (T, Log) {
    let before = set(Some(keep));
    let outer = take();
    let result = act();
    let log = Log::bounded(&take());
    add(&outer);
    set(before);
    (result, log)
}

/// Adds a line of ours to what is captured.
pub(crate) fn note(line: &str) {
    add(&format!("{line}\n"));
}

fn take() -> String {
    std::mem::take(&mut *TEXT.lock().unwrap_or_else(PoisonError::into_inner))
}

#[cfg(test)]
mod tests {
    use libbpf_sys::{bpf_object__open_mem, bpf_object_open_opts};

    use super::captured;

    /// libbpf names the object that it cannot parse.
    #[test]
    fn a_name_that_is_not_utf8_is_replaced_and_long_ones_are_whole() {
        let mut name = b"bad\xff\xfename".to_vec();
        name.resize(5000, b'x');
        name.push(0);
        let options = bpf_object_open_opts {
            sz: size_of::<bpf_object_open_opts>() as u64,
            object_name: name.as_ptr().cast(),
            ..Default::default()
        };
        let bytes = [0_u8; 64];
        let (object, log) = captured(|| {
            // SAFETY: all pointers are to live values, and their lengths are given.
            unsafe { bpf_object__open_mem(bytes.as_ptr().cast(), 64, &raw const options) }
        });
        assert!(object.is_null());
        let text = format!("{log:?}");
        assert!(text.contains("bad\u{fffd}\u{fffd}name"), "{text}");
    }
}
