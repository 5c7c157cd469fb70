//! The story of each diagnosis code, for `ukci explain` and `docs/diagnoses.md`.

use crate::diagnosis::Code;

struct Story {
    summary: &'static str,
    meaning: &'static str,
    seen: &'static str,
    remedies: &'static [&'static str],
}

/// One line: what the code means.
pub fn summary(code: Code) -> &'static str {
    story(code).summary
}

/// The text of one code: what it means, how it is seen, remedies; plain text, at most 100 columns.
pub fn explain(code: Code) -> String {
    let story = story(code);
    let mut text = format!("{code}: {}\n\n{}\n", story.summary, story.meaning);
    if !story.seen.is_empty() {
        text.push_str("\nSeen as\n");
        for line in story.seen.lines() {
            text.push_str(&format!("    {line}\n"));
        }
    }
    text.push_str("\nRemedies\n");
    for (n, remedy) in story.remedies.iter().enumerate() {
        text.push_str(&format!(
            "  {}. {}\n",
            n + 1,
            remedy.replace('\n', "\n     ")
        ));
    }
    text
}

#[expect(clippy::too_many_lines, reason = "a page of prose a code")]
fn story(code: Code) -> Story {
    match code {
        Code::MissingBtf => Story {
            summary: "the kernel or the object lacks the BTF that the load needs",
            meaning: "Maps in `.maps`, CO-RE, fentry, tp_btf, LSM programs and kfuncs all need BTF: the\n\
                      object's own from `clang -g`, and the kernel's at /sys/kernel/btf/vmlinux.",
            seen: "libbpf: BTF is required, but is missing or corrupted.\n\
                   libbpf: Error loading vmlinux BTF: -ESRCH",
            remedies: &[
                "Compile with `-g`, and do not strip `.BTF` and `.BTF.ext`.",
                "On kernels without CONFIG_DEBUG_INFO_BTF give libbpf a BTF file (BTFHub has them).",
            ],
        },
        Code::CoreRelocationFailure => Story {
            summary: "a type, field or enumerator that the object reads is not in the kernel's BTF",
            meaning: "CO-RE found nothing in this kernel's BTF that matches. libbpf poisons the instruction,\n\
                      and the verifier refuses the program when it gets there. The diagnosis names the type\n\
                      and the field.",
            seen: "<invalid CO-RE relocation>\n\
                   failed to resolve CO-RE relocation <byte_off> [5] struct task_struct.state (0:0)",
            remedies: &[
                "Test `bpf_core_field_exists()` (or `_type_`, `_enum_value_`) before the read.",
                "Read the older and the newer name: declare both with `___old` suffixed struct flavours.",
            ],
        },
        Code::UnsupportedMapType => Story {
            summary: "the kernel has no such map type",
            meaning: "The kernel was probed for the map's type and does not have it: too old, or built\n\
                      without it. Programs that do not use the map are not to blame.",
            seen: "libbpf: map 'seen': failed to create: -EINVAL",
            remedies: &[
                "Use an older type where it is missing (perf_event_array for ringbuf).",
                "Make it optional: `bpf_map__set_autocreate(map, false)`.",
                "Expect it in the matrix, with the reason.",
            ],
        },
        Code::UnsupportedProgramType => Story {
            summary: "the kernel has no such program type",
            meaning: "The kernel was probed for the program's type and does not have it.",
            seen: "libbpf: prog 'x': BPF program load failed: -EINVAL",
            remedies: &[
                "Switch the program off where the type is missing: `bpf_program__set_autoload`.",
            ],
        },
        Code::UnsupportedAttachType => Story {
            summary: "the kernel has no such attach type",
            meaning: "The program type is known, and the place it wants to attach to is not.",
            seen: "libbpf: prog 'x': failed to attach: -EINVAL",
            remedies: &["Attach in an older way where it is missing (clsact for tcx)."],
        },
        Code::UnsupportedHelper => Story {
            summary: "the kernel has no such helper, or not for this program type",
            meaning: "The helper's number is not in this kernel's `enum bpf_func_id`, or the verifier says\n\
                      that programs of this type may not call it. The verifier does not always name it: for\n\
                      helpers with callbacks old kernels complain of something else, so the object's own\n\
                      call instructions are read.",
            seen: "unknown func bpf_loop#181\nnumber of funcs in func_info doesn't match number of subprogs",
            remedies: &[
                "Test `bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_…)` before the call.",
                "Load a variant without the helper where `libbpf_probe_bpf_helper` says no.",
                "For bpf_loop (5.17): a loop with a constant bound.",
            ],
        },
        Code::MissingKfunc => Story {
            summary: "the kernel has no such kfunc or symbol",
            meaning: "Neither the BTF of vmlinux nor that of a loaded module has the function.",
            seen: "libbpf: extern (func ksym) 'bpf_x': not found in kernel or module BTFs",
            remedies: &[
                "Declare it `__weak` and test `bpf_ksym_exists()` before the call.",
                "Load the module that has it.",
            ],
        },
        Code::KfuncMismatch => Story {
            summary: "the kfunc is there with another prototype",
            meaning: "libbpf compares the declaration with the kernel's BTF, and they differ. Prototypes of\n\
                      kfuncs do change, and a struct that is only declared does not match one with a body.",
            seen: "libbpf: extern (func ksym) 'bpf_x': func_proto [5] incompatible with vmlinux [54967]",
            remedies: &[
                "Declare it as this kernel's BTF has it; use `___flavour` suffixes for several.",
                "Give the structs in its prototype a body.",
            ],
        },
        Code::MapRefused => Story {
            summary: "the map's type is known; its sizes or flags were refused",
            meaning: "The type works on this kernel with other sizes or flags. Limits differ: a 4 GiB array is\n\
                      E2BIG on 5.10 however much memory there is.",
            seen: "libbpf: map 'big': failed to create: -E2BIG",
            remedies: &[
                "Compare key size, value size, max_entries and flags with what the type allows.",
            ],
        },
        Code::MissingKernelConfig => Story {
            summary: "a configuration option or setting that the artifact needs is off",
            meaning: "The kernel is new enough; the option is off in its configuration, or the JIT is off.",
            seen: "x is not sleepable\ncallbacks are not allowed in non-JITed programs",
            remedies: &[
                "Take another way on kernels without the option; the diagnosis names one.",
                "Declare kconfig externs `__weak`.",
            ],
        },
        Code::AttachTargetMissing => Story {
            summary: "the function, tracepoint or hook to attach to does not exist",
            meaning: "The kernel has no such symbol. Functions are renamed, inlined and made static from release\n\
                      to release; the hint names what looks like it.",
            seen: "libbpf: prog 'x': failed to find kernel BTF type ID of 'nope': -ESRCH",
            remedies: &[
                "Choose the target in the loader, from those that exist.",
                "Use a tracepoint: they are kept stable where functions are not.",
            ],
        },
        Code::AttachRefused => Story {
            summary: "the target exists and the kernel refused the attachment",
            meaning: "The program loads, and could not be attached. With `--strict` a program that could not\n\
                      be attempted at all has this code too.",
            seen: "libbpf: prog 'x': failed to attach: -EINVAL",
            remedies: &["The libbpf log of the program says which step failed."],
        },
        Code::LsmInactive => Story {
            summary: "the program attaches and is never called: bpf is not an active LSM",
            meaning: "`lsm=` on the command line, or CONFIG_LSM, decides which security modules are asked. Where\n\
                      `bpf` is not among them an LSM program attaches without an error and never runs.",
            seen: "/sys/kernel/security/lsm: lockdown,capability,yama,apparmor",
            remedies: &[
                "Boot with `lsm=…,bpf`.",
                "Attach `fmod_ret/security_…` instead, which is called without it.",
            ],
        },
        Code::VerifierRejection => Story {
            summary: "the verifier rejected the program",
            meaning: "The verifier could not prove the program safe. The diagnosis shows its own sentence and\n\
                      the source line it had come to. Older kernels prove less than newer ones.",
            seen: "R0 invalid mem access 'map_value_or_null'",
            remedies: &[
                "Compare pointers with NULL, and packet accesses with data_end, before use.",
                "Bound lengths and offsets where the verifier can see it: `if (n > MAX) return 0;`.",
                "Keep the bound in the same register: `barrier_var()` stops clang from moving it.",
            ],
        },
        Code::VerifierLimit => Story {
            summary: "the verifier gave up: too many instructions, states or jumps",
            meaning: "The program may be safe; looking at all its paths took over a million instructions. How\n\
                      many it takes differs by kernel and by compiler.",
            seen: "BPF program is too large. Processed 1000001 insn",
            remedies: &[
                "Use `bpf_loop()` (5.17) or open-coded iterators (6.4): bodies are verified once.",
                "Make functions global (not static): they are verified by themselves.",
                "Split the program with tail calls.",
            ],
        },
        Code::LicenseRequired => Story {
            summary: "a helper or kfunc is for GPL-compatible programs only",
            meaning: "The object's license section does not name a GPL-compatible license.",
            seen: "cannot call GPL-restricted function from non-GPL compatible program",
            remedies: &["Declare `char LICENSE[] SEC(\"license\") = \"GPL\";`, if that is so."],
        },
        Code::PolicyDenied => Story {
            summary: "a security policy forbids it",
            meaning: "Kernel lockdown in confidentiality mode takes away helpers that read kernel memory, and\n\
                      an LSM can deny bpf() altogether.",
            seen: "unknown func bpf_probe_read#4\nLockdown: bpf_tracing: use of bpf to read kernel RAM",
            remedies: &[
                "Boot without `lockdown=confidentiality` (Secure Boot sets `integrity`).",
                "Read through BTF: fentry and tp_btf programs dereference pointers directly.",
            ],
        },
        Code::CapabilityFailure => Story {
            summary: "the loader lacks a capability",
            meaning: "The kernel answered EPERM and no policy explains it.",
            seen: "libbpf: Error in bpf_object__probe_loading(): -EPERM",
            remedies: &["Load with CAP_BPF and CAP_PERFMON (5.8), or CAP_SYS_ADMIN before."],
        },
        Code::GuestResources => Story {
            summary: "the guest had too little memory to tell",
            meaning: "An allocation failed: that says nothing about the kernel. The cell is booted once more\n\
                      with memory sized from the object's maps, and is an error if that fails too.",
            seen: "libbpf: map 'big': failed to create: -ENOMEM",
            remedies: &["Set `memory` in the matrix, in MiB."],
        },
        Code::LoaderContract => Story {
            summary: "the object needs its own loader to set something before it loads",
            meaning: "A map without a size, a map of maps without an inner map: the object's own user space\n\
                      sets these before the load, and a plain load cannot.",
            seen: "libbpf: map 'x': failed to create: -EINVAL",
            remedies: &["Give the map a size or an inner map in the source."],
        },
        Code::InvalidObject => Story {
            summary: "libbpf cannot read the file as a BPF object",
            meaning: "It is not an ELF file for BPF, it is damaged, or it uses what libbpf 1.0 removed.",
            seen: "libbpf: elf: 'x' is not a proper ELF object",
            remedies: &[
                "Compile with `clang -g -O2 -target bpf -c`.",
                "Turn `SEC(\"maps\")` into BTF-defined maps in `SEC(\".maps\")`.",
            ],
        },
        Code::CompileError => Story {
            summary: "the compiler refused the source",
            meaning: "The artifact is C source, and this cell's clang does not compile it.",
            seen: "error: use of undeclared identifier",
            remedies: &["The diagnosis has the compiler's own words."],
        },
        Code::FunctionalTestFailure => Story {
            summary: "a functional test of the manifest failed",
            meaning: "The object loads and attaches, and does not do what its manifest says.",
            seen: "",
            remedies: &["The evidence has the test's output."],
        },
        Code::CommandValidationFailure => Story {
            summary: "a command of the manifest failed",
            meaning: "A command that the manifest runs in the guest ended with another status than expected.",
            seen: "",
            remedies: &["The evidence has the command's output."],
        },
        Code::KernelPanic => Story {
            summary: "the kernel panicked",
            meaning: "Before the object was opened this is an error: nobody knows what it would have answered.\n\
                      While the kernel had the object, the cell is booted once more; only a panic in both boots\n\
                      is the artifact's failure.",
            seen: "Kernel panic - not syncing: Fatal exception",
            remedies: &[
                "Look at `console.log` of the cell.",
                "A panic under an eBPF object is a bug of the kernel: report it to its maintainers.",
            ],
        },
        Code::KernelSplat => Story {
            summary: "the kernel printed a warning, an oops or a lockup",
            meaning: "The console shows that the kernel is stuck or damaged.",
            seen: "watchdog: BUG: soft lockup - CPU#0 stuck for 22s!",
            remedies: &["Look at `console.log`; on an overloaded host try fewer `--jobs`."],
        },
        Code::UnsupportedTransport => Story {
            summary: "no transport works between this host and this kernel",
            meaning: "The kernel has no driver for any way that this host offers.",
            seen: "",
            remedies: &[
                "`ukci doctor` says which transports this host has; `--transport` chooses one.",
            ],
        },
        Code::Unclassified => Story {
            summary: "refused for a reason that no rule names",
            meaning: "The kernel said no, and nothing that is known about it explains why. That is honest,\n\
                      and a bug in ukci's judgement.",
            seen: "",
            remedies: &["Please report it, with the cell's evidence directory."],
        },
    }
}

#[cfg(test)]
mod tests {
    use super::{explain, story};
    use crate::diagnosis::Code;

    #[test]
    fn every_code_has_its_story_within_a_hundred_columns() {
        for code in Code::ALL {
            let text = explain(*code);
            assert!(text.starts_with(code.name()));
            for line in text.lines() {
                assert!(line.chars().count() <= 100, "{code}: {line}");
            }
            let story = story(*code);
            assert!(
                !story.summary.is_empty()
                    && !story.meaning.is_empty()
                    && !story.remedies.is_empty()
            );
        }
    }
}
