//! Wrong manifests, and the errors for them.

use ukci_matrix::manifest::{Manifest, ManifestError, import};

use crate::written::shown;

fn toml(text: &str) -> Result<Manifest, ManifestError> {
    Manifest::parse(text, "m.toml")
}

fn yaml(text: &str) -> Result<Manifest, ManifestError> {
    import(text, "m.yaml").map(|imported| imported.manifest)
}

/// The errors of several texts, one below the other.
fn errors(read: fn(&str) -> Result<Manifest, ManifestError>, texts: &[&str]) -> String {
    let shown = texts.iter().map(|text| match read(text) {
        Ok(manifest) => panic!("read without an error: {text}\n{manifest:#?}"),
        Err(error) => shown(&error),
    });
    shown.collect::<Vec<_>>().join("\n----\n")
}

#[test]
fn unknown_keys_and_words_name_their_neighbours() {
    insta::assert_snapshot!(errors(
        toml,
        &[
            "nmae = \"x\"\n",
            "[[maps]]\nname = \"rings\"\nmax_entires = \"cpus\"\n",
            "[[programs]]\nname = \"p\"\nattach = { kind = \"kprope\", symbol = \"x\" }\n",
            "[[programs]]\nname = \"p\"\ntype = \"tracpoint\"\n",
            "[[program_types]]\nprogram = \"p\"\ntype = \"socket-filter\"\n",
            "[[maps]]\nname = \"m\"\ninner_map = { type = \"queue\", value_size = 4, max_entries = 1 }\n",
            "[[program_variants]]\ngroup = \"g\"\nprograms = [{ name = \"p\", requires_helper = \"bpf_lop\" }]\n",
            "[[program_variants]]\ngroup = \"g\"\nprograms = [{ name = \"p\", probe = \"load\" }]\n",
            "[[expect]]\narches = [\"amd64\"]\nverdict = \"pass\"\nreason = \"x\"\n",
            "[[expect]]\nverdict = \"fail\"\ncode = \"UNSUPORTED_HELPER\"\nreason = \"x\"\n",
            "[[overrides]]\nkernels = [\"a\"]\nbtf_path = \"x\"\n",
            "rodata = { x = { byte = \"00\" } }\n",
        ],
    ));
}

#[test]
fn unknown_keys_in_yaml_have_their_place_too() {
    insta::assert_snapshot!(errors(
        yaml,
        &[
            "name: x\nmpas:\n  - name: a\n",
            "maps:\n  - name: rings\n    max_entires: cpus\n",
            "maps: [{name: a, max_entries: 1, max-entries: 2}]\n",
            "programs:\n  - name: p\n    attach:\n      kind: kprope\n",
            "maps:\n  - max_entries: 1\n",
        ],
    ));
}

#[test]
fn text_that_is_not_in_its_notation() {
    insta::assert_snapshot!(errors(
        toml,
        &[
            "name = execsnoop\n",
            "name = \"a\"\nname = \"b\"\n",
            "[[maps]\n",
            "name = 1\u{0}\n"
        ],
    ));
    insta::assert_snapshot!(errors(
        yaml,
        &[
            "name: a\nname: b\n",
            "name: [a\n",
            "name: a\n---\nname: b\n",
            "metadata: &m {a: *m}\n",
            "metadata: *nowhere\n",
            "<<: 7\n",
            "? [a]\n: b\n",
            "just text\n",
            "name: \"a\n",
            "maps:\n\t- name: a\n",
        ],
    ));
}

#[test]
fn wrong_values() {
    insta::assert_snapshot!(errors(
        toml,
        &[
            "name = 7\n",
            "maps = 7\n",
            "maps = [7]\n",
            "auto_size = \"yes\"\n",
            "[[maps]]\nname = \"m\"\nmax_entries = 0\n",
            "[[maps]]\nname = \"m\"\nmax_entries = \"lots\"\n",
            "[[maps]]\nname = \"m\"\nmax_entries = 1.5\n",
            "[[maps]]\nname = \"m\"\nmax_entries = 4294967296\n",
            "[[maps]]\nname = \"m\"\ninner_ringbuf_bytes = -1\n",
            "[[functional_tests]]\nname = \"t\"\ncommand = \"true\"\nexpect_exit_code = 256\n",
            "[[functional_tests]]\nname = \"t\"\ncommand = \"true\"\ntimeout = \"6m\"\n",
            "kconfig = { CONFIG_HZ = 1.5 }\n",
            "kconfig = { CONFIG_X = 'say \"a\"' }\n",
            "rodata = { x = 1.5 }\n",
            "rodata = { x = { bytes = \"0g\" } }\n",
            "rodata = { x = 18446744073709551616 }\n",
            "[[program_variants]]\ngroup = \"g\"\nprograms = [{ name = \"p\", requires_helper = 0 }]\n",
            "[[overrides]]\nkernels = [\"\\n\"]\nmodules = [\"veth\"]\n",
            "[[overrides]]\nkernels = 6.1\nmodules = [\"veth\"]\n",
            "[[overrides]]\nartifacts = [\"@lts\"]\nmodules = [\"veth\"]\n",
        ],
    ));
}

#[test]
fn rules_that_cannot_be_meant() {
    insta::assert_snapshot!(errors(
        toml,
        &[
            "[[maps]]\nname = \"m\"\n",
            "[[programs]]\nname = \"p*\"\nattach = { kind = \"kprobe\", symbol = \"x\" }\n",
            "[[programs]]\nname = \"p*\"\nattach = { required = false }\n[[programs]]\nname = \"p1\"\nattach = { required = true }\n",
            "[[maps]]\nname = \"m\"\npin = \"\"\n",
            "[[maps]]\nname = \"m;rm -rf\"\nmax_entries = 1\n",
            "[[maps]]\nname = \"m\"\nmax_entries = 1\n\n[[maps]]\nname = \"m\"\nmax_entries = 2\n",
            "[[maps]]\nname = \"m\"\ninner_ringbuf_bytes = 5000\n",
            "[[maps]]\nname = \"m\"\ninner_ringbuf_bytes = 4096\ninner_map = { type = \"array\", value_size = 4, max_entries = 1 }\n",
            "[[maps]]\nname = \"m\"\ninner_map = { type = \"hash\", value_size = 4, max_entries = 1 }\n",
            "[[maps]]\nname = \"m\"\ninner_map = { type = \"array\", key_size = 8, value_size = 4, max_entries = 1 }\n",
            "[[maps]]\nname = \"m\"\ninner_map = { type = \"array\", value_size = 0, max_entries = 1 }\n",
            "[[program_variants]]\ngroup = \"g\"\nprograms = []\n",
            "[[program_variants]]\ngroup = \"g\"\nprograms = [{ name = \"p\" }]\n[[program_variants]]\ngroup = \"h\"\nprograms = [{ name = \"p\" }]\n",
            "probe_companions = [\"a\", \"a\"]\n",
            "required_profiles = [\"\"]\n",
            "[[functional_tests]]\nname = \"t\"\ncommand = \"\"\"\na\nb\"\"\"\n",
            "[[functional_tests]]\nname = \"t\"\ncommand = \" \"\n",
            "kconfig = { HZ = 250 }\n",
            "rodata = { \"a b\" = 1 }\n",
            "modules = [\"kernel/drivers/net/veth.ko.xz\"]\n",
            "modules = [\"br-netfilter\", \"br_netfilter\"]\n",
            "kernel_arguments = [\"lsm=bpf quiet\"]\n",
            "kernel_arguments = [\"console=ttyS0\"]\n",
            "[[expect]]\nverdict = \"fail\"\nreason = \"x\"\n",
            "[[expect]]\nverdict = \"pass\"\ncode = \"MISSING_BTF\"\nreason = \"x\"\n",
            "[[expect]]\nverdict = \"error\"\nreason = \"x\"\n",
            "[[expect]]\nkernels = []\nverdict = \"pass\"\nreason = \"x\"\n",
            "[[expect]]\nverdict = \"pass\"\nreason = \"\"\n",
            "[[overrides]]\nmodules = [\"veth\"]\n",
            "[[overrides]]\nkernels = [\"a\"]\n",
            "[[overrides]]\nkernels = [\"a\"]\nprograms = [{ name = \"p\" }]\n",
        ],
    ));
}

#[test]
fn keys_of_attach_that_do_not_go_together() {
    let attach = |keys: &str| format!("[[programs]]\nname = \"p\"\nattach = {{ {keys} }}\n");
    let texts: Vec<String> = [
        "symbol = \"x\"",
        "kind = \"xdp\", name = \"eth0\"",
        "kind = \"tracepoint\", name = \"sys_enter\"",
        "kind = \"kprobe\", symbol = \"a\", name = \"b\"",
        "kind = \"kprobe\", offset = 4",
        "kind = \"fentry\", symbol = \"a\", offset = 4",
        "kind = \"usdt\", name = \"a\"",
        "kind = \"freplace\", object = \"a.bpf.o\"",
        "kind = \"uprobe\", binary = \"a\"",
        "kind = \"uprobe_multi\", binary = \"a\", offset = 1",
        "kind = \"lsm\", symbol = \"\"",
    ]
    .into_iter()
    .map(attach)
    .collect();
    insta::assert_snapshot!(errors(
        toml,
        &texts.iter().map(String::as_str).collect::<Vec<_>>(),
    ));
}

#[test]
fn a_file_that_is_too_long_or_too_deep_is_refused() {
    let long = format!("# {}\n", "x".repeat(1024 * 1024));
    assert_eq!(
        toml(&long).unwrap_err().to_string(),
        "`m.toml` has 1048579 bytes, over the limit of 1048576"
    );
    let deep = format!("metadata: {{a: {}{}}}\n", "[".repeat(200), "]".repeat(200));
    assert!(yaml(&deep).unwrap_err().to_string().contains("budget"));
    let deep = format!(
        "metadata = {{ a = {}{} }}\n",
        "[".repeat(60),
        "]".repeat(60)
    );
    assert!(
        toml(&deep)
            .unwrap_err()
            .to_string()
            .contains("nested more than 32 deep")
    );
    // Ten to the ninth values from nine lines.
    let bomb = (1..10).fold("metadata:\n  a0: &a0 x\n".to_owned(), |bomb, n| {
        let line = vec![format!("*a{}", n - 1); 10].join(", ");
        format!("{bomb}  a{n}: &a{n} [{line}]\n")
    });
    assert!(yaml(&bomb).unwrap_err().to_string().contains("budget"));
}

#[test]
fn functional_tests_that_cannot_be_meant() {
    let test = |keys: &str| format!("[[functional_tests]]\nname = \"t\"\n{keys}\n");
    let texts: Vec<String> = [
        "",
        "command = \"true\"\nprog_run = { program = \"p\" }",
        "expect_exit_code = 1",
        "command = \"true\"\nexpect_return = 1",
        "command = \"true\"\nfiles = [\"a/x\", \"b/x\"]",
        "command = \"true\"\nexpect_stdout_matches = \"(\"",
        "command = \"true\"\nexpect_files = [{ path = \"x\", contains = \"y\", absent = true }]",
        "expect_events = [{ map = \"m\", event = { bytes = \"0g\" } }]",
        "expect_events = [{ map = \"m\", count = 1, at_least = 1 }]",
        "expect_runs = [{ program = \"p\", at_least = 2, at_most = 1 }]",
        "expect_maps = [{ map = \"m\", grows = \"a..b\" }]",
        "prog_run = { program = \"p\", repeat = 0 }\nexpect_return = 1",
        "prog_run = { program = \"p\", data = \"00\" }\nexpect_return = \"XDP_DORP\"",
        "prog_run = { program = \"p\", data = \"0\" }\nexpect_return = 1",
        "prog_run = { program = \"p\", packet = { udp = { source = 1, destination = 2 } } }\nexpect_return = 1",
    ]
    .map(test)
    .into();
    let mut texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    texts.push("[[maps]]\nname = \"m\"\nprograms = { one = \"p\" }\n");
    insta::assert_snapshot!(errors(toml, &texts));
}
