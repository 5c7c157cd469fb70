//! Puts programs into the slots of program arrays, as the manifest says that their loader does.
#![expect(unsafe_code, reason = "libbpf is a C library")]

use libbpf_sys as sys;

use super::Terms;
use crate::bpf::{Errno, Object, Program, check};
use crate::libbpf_log::note;

impl Terms<'_> {
    /// Fills the slots, after the load. Programs that are switched off leave theirs empty. A refusal
    /// is told in libbpf's words for the slots that an object fills itself.
    pub(crate) fn fill_program_arrays(&self, object: &Object) -> Result<(), Errno> {
        let programs = object.programs();
        for map in object.maps() {
            let (name, Some(array)) = (map.name(), map.fd()) else {
                continue;
            };
            for terms in self.terms_of(&name) {
                for slot in &terms.programs {
                    let (index, wanted) = (slot.index, &slot.program);
                    let found = programs.iter().find(|program| program.name() == *wanted);
                    let Some(program) = found.and_then(Program::fd) else {
                        continue;
                    };
                    let value = program;
                    // SAFETY: keys and values of program arrays are four bytes each.
                    let put = check(unsafe {
                        sys::bpf_map_update_elem(
                            array,
                            (&raw const index).cast(),
                            (&raw const value).cast(),
                            0,
                        )
                    });
                    put.inspect_err(|errno| {
                        let errno = match *errno {
                            libc::EINVAL => "EINVAL".to_owned(),
                            libc::E2BIG => "E2BIG".to_owned(),
                            number => number.to_string(),
                        };
                        note(&format!(
                            "libbpf: map '{name}': failed to initialize slot [{index}] to prog \
                             '{wanted}' fd={program}: -{errno}"
                        ));
                    })?;
                }
            }
        }
        Ok(())
    }
}
