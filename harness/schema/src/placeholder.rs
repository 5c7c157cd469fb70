//! Names that stand in a section until the object's own loader has set the real target
//! (`bpf_program__set_attach_target`, or options of the attachment). No kernel has a function of
//! such a name.

/// Names that tools put into their sections for this, beside all that begin with `dummy` or contain
/// `placeholder`: those of bcc's `funclatency`, `fsdist` and `gethostlatency`, of bpftool and xdpdump.
const NAMES: &[&str] = &[
    "attach_me",
    "bar",
    "foo",
    "func",
    "func_name",
    "function",
    "handle_entry",
    "handle_exit",
    "handle_return",
    "set_by_loader",
    "some_function",
    "target",
    "to_be_set",
    "todo",
    "xxx",
];

/// Whether a section's target looks like a placeholder. Compare only names that a kernel lacks.
pub fn is_placeholder(target: &str) -> bool {
    let target = target.to_ascii_lowercase();
    target.starts_with("dummy") || target.contains("placeholder") || NAMES.contains(&&*target)
}

#[cfg(test)]
mod tests {
    use super::is_placeholder;

    #[test]
    fn only_names_that_tools_use_so_are_placeholders() {
        for name in [
            "dummy_kprobe",
            "dummy_file_read",
            "foo",
            "handle_entry",
            "handle_return",
            "PLACEHOLDER_FUNC",
            "TARGET",
        ] {
            assert!(is_placeholder(name), "{name}");
        }
        for name in ["do_unlinkat", "food_chain", "vfs_func", "netif_dummy_"] {
            assert!(!is_placeholder(name), "{name}");
        }
    }
}
