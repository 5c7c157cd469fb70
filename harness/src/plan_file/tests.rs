use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Value, json};
use tempfile::TempDir;
use ukci_schema::budget::Budget;
use ukci_schema::cell::Arch;
use ukci_schema::diagnosis::Code;
use ukci_schema::plan::PlannedObject;

use super::*;
use crate::catalogue::digest;

struct Files {
    dir: TempDir,
}

impl Files {
    /// An object, an agent and a kernel's directory.
    fn new() -> Self {
        let files = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        std::fs::create_dir(files.path("compiled")).unwrap();
        for (name, bytes) in [
            ("x.bpf.c", "source"),
            ("compiled/object.bpf.o", "object"),
            ("agent", "agent"),
            ("vmlinux", "image"),
            ("segment.cpio", "segment"),
            ("modules.pack", "modules"),
        ] {
            std::fs::write(files.path(name), bytes).unwrap();
        }
        let stored = |name: &str, bytes: &str| {
            (
                name.to_owned(),
                json!({ "size": bytes.len(), "sha256": digest::of(bytes.as_bytes()) }),
            )
        };
        let manifest = json!({
            "release": "6.1.0-1-amd64",
            "arch": "x86_64",
            "files": BTreeMap::from([stored("vmlinux", "image"), stored("segment.cpio", "segment"), stored("modules.pack", "modules")]),
            "transports": {},
            "packages": {},
        });
        std::fs::write(files.path("kernel.json"), manifest.to_string()).unwrap();
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn draft(&self) -> Value {
        json!({
            "schema": "ukci.draft/1",
            "matrix": "quick",
            "artifacts": { "x": { "file": self.path("x.bpf.c"), "path": "src/x.bpf.c", "form": "source" } },
            "objects": { "x/llvm-19/x86_64": { "clang": "clang-19.1.7", "dir": self.path("compiled") } },
            "kernels": { "debian-12-6.1/x86_64": { "dir": self.dir.path(), "cmdline": ["lsm=bpf"] } },
            "agents": { "x86_64": self.path("agent") },
            "cells": [{
                "cell": { "artifact": "x", "kernel": "debian-12-6.1", "llvm": "19", "arch": "x86_64" },
                "expected": { "verdict": "pass" },
                "required": true,
                "memory": 256,
                "cpus": 1,
            }],
            "budget": { "max_insns": 9000, "max_growth_percent": 10 },
        })
    }

    fn write(&self, name: &str, value: &Value) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, serde_json::to_string_pretty(value).unwrap()).unwrap();
        path
    }

    fn plan(&self) -> Value {
        let plan = complete(&self.write("draft.json", &self.draft())).unwrap();
        serde_json::to_value(plan).unwrap()
    }

    /// The error that a changed plan gives, with its causes, and without this directory's name.
    fn refusal(&self, change: impl FnOnce(&mut Value)) -> String {
        let mut plan = self.plan();
        change(&mut plan);
        let error = read(&self.write("plan.json", &plan)).unwrap_err();
        let mut text = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(error) = cause {
            text.push_str(&format!("\n  {error}"));
            cause = error.source();
        }
        text.replace(&self.dir.path().display().to_string(), "DIR")
    }
}

#[test]
fn a_draft_is_completed_and_read_again() {
    let files = Files::new();
    let draft = files.write("draft.json", &files.draft());
    let plan = complete(&draft).unwrap();
    let kernel = &plan.kernels["debian-12-6.1/x86_64"];
    assert_eq!(kernel.image.sha256, digest::of(b"image"));
    assert_eq!(
        (kernel.release.as_str(), kernel.arch),
        ("6.1.0-1-amd64", Arch::X86_64)
    );
    assert_eq!(kernel.cmdline, ["lsm=bpf"]);
    assert!(!kernel.hermetic, "it lies outside of the Nix store");
    let artifact = &plan.artifacts["x"];
    assert_eq!(
        (artifact.artifact.size, artifact.artifact.path.as_str()),
        (6, "src/x.bpf.c")
    );

    let PlannedObject::Object { clang, file } = &plan.objects["x/llvm-19/x86_64"] else {
        panic!("{:?}", plan.objects);
    };
    assert_eq!(
        (clang.as_str(), &file.sha256),
        ("clang-19.1.7", &digest::of(b"object"))
    );

    let budget = Budget {
        max_insns: Some(9000),
        max_growth_percent: Some(10),
    };
    assert_eq!(plan.budget, budget);

    let file = files.write("plan.json", &serde_json::to_value(&plan).unwrap());
    assert_eq!(read(&file).unwrap(), plan);
}

#[test]
fn a_plan_that_names_a_device_is_refused_at_once() {
    let files = Files::new();
    let refusal = files.refusal(|plan| {
        plan["agents"]["x86_64"]["path"] = "/dev/zero".into();
    });
    insta::assert_snapshot!(refusal, @"
    failed to read `/dev/zero`
      it is a device, a pipe or a socket
    ");
}

#[test]
fn what_changed_or_contradicts_itself_does_not_run() {
    let files = Files::new();
    let mut said = Vec::new();
    said.push(files.refusal(|plan| plan["schema"] = json!("ukci.plan/2")));
    said.push(files.refusal(|plan| plan["cell"] = json!([])));
    said.push(files.refusal(|plan| plan["cells"] = json!([])));
    said.push(files.refusal(|plan| plan["agents"] = json!({})));
    said.push(files.refusal(|plan| plan["kernels"] = json!({})));
    said.push(files.refusal(|plan| plan["artifacts"]["x"]["artifact"]["name"] = json!("y")));
    said.push(files.refusal(|plan| {
        plan["artifacts"]["x"]["artifact"]["sha256"] = json!(digest::of(b"other"));
    }));
    said.push(
        files.refusal(|plan| plan["kernels"]["debian-12-6.1/x86_64"]["arch"] = json!("aarch64")),
    );
    said.push(files.refusal(|plan| {
        let cell = plan["cells"][0].clone();
        plan["cells"].as_array_mut().unwrap().push(cell);
    }));
    for name in [
        "x.bpf.c",
        "compiled/object.bpf.o",
        "agent",
        "vmlinux",
        "segment.cpio",
        "modules.pack",
    ] {
        said.push(files.refusal(|_| std::fs::write(files.path(name), "").unwrap()));
        // As it was, for the next.
        let fresh = Files::new();
        std::fs::copy(fresh.path(name), files.path(name)).unwrap();
    }
    said.push(files.refusal(|_| std::fs::remove_file(files.path("agent")).unwrap()));
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn a_draft_needs_its_files() {
    let files = Files::new();
    std::fs::write(files.path("vmlinux"), "longer than before").unwrap();
    let error = complete(&files.write("draft.json", &files.draft())).unwrap_err();
    assert!(matches!(error, Error::Kernel { .. }), "{error}");
    std::fs::remove_file(files.path("compiled/object.bpf.o")).unwrap();
    let error = complete(&files.write("draft.json", &files.draft())).unwrap_err();
    assert!(matches!(error, Error::Read { .. }), "{error}");
    let files = Files::new();
    let mut draft = files.draft();
    draft["objects"] = json!({});
    let error = complete(&files.write("draft.json", &draft)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the plan cannot be run: it has no object `x/llvm-19/x86_64`, which cell `x/debian-12-6.1/x86_64/llvm-19` needs"
    );
    let error = complete(&files.path("absent.json")).unwrap_err();
    assert!(matches!(error, Error::Read { .. }), "{error}");
}

#[test]
fn what_the_compiler_refused_is_data() {
    let files = Files::new();
    std::fs::remove_file(files.path("compiled/object.bpf.o")).unwrap();
    let said = "x.bpf.c:7:12: error: use of undeclared identifier 'b'\n    7 |     return b;\n";
    std::fs::write(files.path("compiled/refusal.txt"), said).unwrap();
    let plan = complete(&files.write("draft.json", &files.draft())).unwrap();
    let PlannedObject::Refused {
        clang,
        diagnosis,
        log,
    } = &plan.objects["x/llvm-19/x86_64"]
    else {
        panic!("{:?}", plan.objects);
    };
    assert_eq!((clang.as_str(), log.as_str()), ("clang-19.1.7", said));
    assert_eq!(diagnosis.code, Code::CompileError);
    assert_eq!(
        diagnosis.headline,
        "clang 19 refuses the source for x86_64: use of undeclared identifier 'b'"
    );
    assert_eq!(diagnosis.at.as_ref().unwrap().text, "return b;");
    let file = files.write("plan.json", &serde_json::to_value(&plan).unwrap());
    assert_eq!(read(&file).unwrap(), plan);
}

/// A draft with this manifest for its artifact.
fn with_manifest(files: &Files, text: &str) -> Value {
    std::fs::write(files.path("m.toml"), text).unwrap();
    let mut draft = files.draft();
    draft["artifacts"]["x"]["manifest"] = json!({ "file": files.path("m.toml"), "path": "x.toml" });
    draft
}

#[test]
fn a_manifest_is_kept_in_the_cells_of_its_artifact() {
    let files = Files::new();
    let text = "modules = [\"vsock\"]\nkernel_arguments = [\"lsm=bpf\"]\n\
        [[expect]]\nkernels = [\"debian-12-*\"]\nverdict = \"fail\"\ncode = \"MISSING_BTF\"\nreason = \"x\"\n";
    let mut draft = with_manifest(&files, text);
    let plan = complete(&files.write("draft.json", &draft)).unwrap();
    let cell = &plan.cells[0];
    assert_eq!(cell.expected.code, Some(Code::MissingBtf));
    assert_eq!(cell.contract.modules, ["vsock"]);
    assert_eq!(cell.cmdline, ["lsm=bpf"]);
    let manifest = plan.artifacts["x"].artifact.manifest.as_ref().unwrap();
    assert_eq!(
        (manifest.path.as_str(), manifest.sha256.as_str()),
        ("x.toml", digest::of(text.as_bytes()).as_str())
    );

    // What the matrix says is the stronger.
    draft["cells"][0]["expected"] =
        json!({ "verdict": "fail", "code": "MISSING_KFUNC", "reason": "y" });
    let plan = complete(&files.write("draft.json", &draft)).unwrap();
    assert_eq!(plan.cells[0].expected.code, Some(Code::MissingKfunc));
}

#[test]
fn a_manifest_of_a_whole_matrix_covers_kernels_that_are_there() {
    let files = Files::new();
    let refusal = |draft: &Value| {
        let error = complete(&files.write("draft.json", draft)).unwrap_err();
        let source = std::error::Error::source(&error).unwrap();
        let source = source.source().unwrap_or(source).to_string();
        source.replace(&files.dir.path().display().to_string(), "DIR")
    };
    let mut stale = with_manifest(
        &files,
        "[[expect]]\nkernels = [\"debian-9-*\"]\nverdict = \"pass\"\nreason = \"x\"\n",
    );
    // One cell alone cannot tell.
    assert!(complete(&files.write("draft.json", &stale)).is_ok());
    stale["catalogue"] = json!(["debian-12-6.1", "debian-13-6.12"]);
    insta::assert_snapshot!("stale_manifest", refusal(&stale));
    let mut required = with_manifest(&files, "required_profiles = [\"debian-13-6.12\"]\n");
    assert!(complete(&files.write("draft.json", &required)).is_ok());
    required["catalogue"] = json!(["debian-12-6.1", "debian-13-6.12"]);
    insta::assert_snapshot!("required_kernel", refusal(&required));
    insta::assert_snapshot!(
        "misspelt_manifest",
        refusal(&with_manifest(&files, "module = [\"vsock\"]\n"))
    );
}
