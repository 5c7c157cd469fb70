//! The casebook is complete by construction: what libbpf knows has a case, and a case has what it
//! says. Objects are compiled and opened, never loaded: no kernel and no privilege is needed.

#![expect(clippy::print_stderr, reason = "a test that skips says so")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;
use ukci_guest::bpf::{self, Object, Opening};
use ukci_guest::libbpf_log::captured;

/// What a case says is in its object; the rest of it is for those who run it.
#[derive(Debug, Deserialize)]
struct Case {
    #[serde(default)]
    types: BTreeSet<String>,
    #[serde(default)]
    attach_types: BTreeSet<String>,
}

/// Attach types that only a link names, and the program types that are attached with them.
const OF_LINKS: &[(&str, &str)] = &[("perf_event", "perf_event"), ("struct_ops", "struct_ops")];

fn dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/casebook")
}

fn cases() -> BTreeMap<String, Case> {
    let read = |entry: std::fs::DirEntry| {
        let file = entry.file_name().into_string().unwrap();
        let name = file.strip_suffix(".toml")?.to_owned();
        if name.ends_with(".manifest") {
            return None;
        }
        let text = std::fs::read_to_string(entry.path()).unwrap();
        let case = toml::from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}"));
        Some((name, case))
    };
    let entries = std::fs::read_dir(dir()).unwrap();
    entries.filter_map(|entry| read(entry.unwrap())).collect()
}

#[test]
fn every_program_type_and_attach_type_that_libbpf_knows_has_a_case() {
    let cases = cases();
    let listed: BTreeSet<&String> = cases.values().flat_map(|case| &case.types).collect();
    // 0 is `unspec`; the first without a name is one past the last.
    let known: Vec<String> = (1..1000)
        .map(bpf::program_type_name)
        .take_while(|name| !name.starts_with("type "))
        .collect();
    assert!(known.len() >= 32, "libbpf 1.7 knows 32 types");
    for name in &known {
        assert!(
            listed.contains(name),
            "no case has programs of type `{name}`"
        );
    }
    let listed: BTreeSet<&String> = cases.values().flat_map(|case| &case.attach_types).collect();
    let known: Vec<String> = (0..).map_while(bpf::attach_type_name).collect();
    assert!(
        known.len() >= 58,
        "libbpf 1.7 knows {} attach types",
        known.len()
    );
    for name in &known {
        assert!(listed.contains(name), "no case has attach type `{name}`");
    }
}

/// Compiles the whole casebook. A machine without clang or libbpf's headers skips, and says so.
fn compiled() -> Option<tempfile::TempDir> {
    let headers = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/include");
    let clang = std::env::var("CLANG").unwrap_or_else(|_| "clang-19".into());
    let missing = if headers.join("bpf/bpf_helpers.h").exists() {
        let found = Command::new(&clang).arg("--version").output();
        found.err().map(|error| format!("{clang}: {error}"))
    } else {
        Some(format!("no libbpf headers in {}", headers.display()))
    };
    if let Some(missing) = missing {
        assert!(std::env::var_os("UKCI_TEST_REAL").is_none(), "{missing}");
        eprintln!("skipped: {missing}");
        return None;
    }
    let out = tempfile::tempdir().unwrap();
    let output = Command::new(dir().join("build.sh"))
        .arg(out.path())
        .env("UKCI_BPF_INCLUDE", headers)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    Some(out)
}

/// The program types and the attach types of an object; nothing of one that libbpf refuses.
fn contents(bytes: &[u8], name: &str) -> Option<(BTreeSet<String>, BTreeSet<String>)> {
    let object = captured(|| Object::open(bytes, &Opening::new(name, None, ""), 0))
        .0
        .ok()?;
    let (mut types, mut attach_types) = (BTreeSet::new(), BTreeSet::new());
    for program in object.programs() {
        let kind = program.kind_name();
        let of_link = OF_LINKS.iter().find(|(of, _)| *of == kind);
        attach_types.extend(of_link.map(|(_, name)| (*name).to_owned()));
        // 0 is `cgroup_inet_ingress` and, of most programs, none at all.
        if program.attach_type() != 0 || program.section().contains("cgroup_skb/ingress") {
            attach_types.extend(bpf::attach_type_name(program.attach_type()));
        }
        if program.kind() != 0 {
            types.insert(kind);
        }
    }
    Some((types, attach_types))
}

#[test]
fn every_case_lists_what_is_in_its_object_and_no_object_knows_its_machine() {
    let Some(objects) = compiled() else { return };
    // The workspace's own directory, whichever it is.
    let machine = dir().canonicalize().unwrap();
    let workspace = machine.ancestors().nth(3).unwrap().to_str().unwrap();
    let mut wrong = Vec::new();
    for (name, case) in cases() {
        let bytes = std::fs::read(objects.path().join(format!("{name}.bpf.o"))).unwrap();
        if (bytes.windows(workspace.len())).any(|part| part == workspace.as_bytes()) {
            wrong.push(format!("{name}: {workspace} is in it"));
        }
        let Some((types, attach_types)) = contents(&bytes, &name) else {
            continue;
        };
        if types != case.types {
            wrong.push(format!("{name}: types = {types:?}"));
        }
        if attach_types != case.attach_types {
            wrong.push(format!("{name}: attach_types = {attach_types:?}"));
        }
    }
    assert!(wrong.is_empty(), "not as listed:\n{}", wrong.join("\n"));
}
