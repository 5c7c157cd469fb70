//! What a load needs and what does not depend on the object, before there is one: a guest that is
//! saved has it, and its copies need not.

use std::ffi::{c_int, c_void};
use std::ptr;

use libbpf_sys as sys;

use super::{LogBuffer, SHORT_LOG};

unsafe extern "C" {
    /// Has libbpf answer whether the kernel has a feature of its own list, and remember that. Not in
    /// its public headers: `enum kern_feature_id` of `libbpf_internal.h` numbers them.
    fn feat_supported(cache: *mut c_void, feature: c_int) -> bool;
}

/// libbpf 1.7 has as many features. It only ever adds some.
const FEATURES: c_int = 24;

/// Asks the kernel what libbpf would ask it for the first object, and sets memory for one verifier log
/// aside. What libbpf prints about it is lost.
pub fn prepare() {
    // SAFETY: both only return a number.
    let version = unsafe { (sys::libbpf_major_version(), sys::libbpf_minor_version()) };
    if version >= (1, 7) {
        for feature in 0..FEATURES {
            // SAFETY: libbpf has a feature of this number. Without a cache it takes its own.
            unsafe { feat_supported(ptr::null_mut(), feature) };
        }
    }
    LogBuffer::set_aside(SHORT_LOG);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Were libbpf's list shorter, this would read behind its end.
    #[test]
    fn libbpf_has_all_the_features_that_are_asked_for() {
        // SAFETY: only returns a number.
        let minor = unsafe { sys::libbpf_minor_version() };
        assert_eq!(
            minor, 7,
            "count the members of `enum kern_feature_id` in libbpf_internal.h again"
        );
    }
}
