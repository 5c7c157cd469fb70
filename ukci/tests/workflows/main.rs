//! The workflows and the action of this repository, read as data, and the scripts that they run. The
//! scripts make the decisions, so the tests here run them. `make lint-workflows` checks the syntax.

mod action;
mod page;
mod place;
mod plan;
mod scripts;
mod shards;
mod update;
mod weekly;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use regex::Regex;
use serde_json::{Value, json};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A YAML file of the tree, as data.
fn read(path: &str) -> Value {
    let text = std::fs::read_to_string(root().join(path)).unwrap();
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A text with these expressions replaced by their values. Any other expression in it is an error.
fn fill(text: &str, values: &[(&str, &str)]) -> String {
    let mut filled = text.to_owned();
    for (expression, value) in values {
        filled = filled.replace(&format!("${{{{ {expression} }}}}"), value);
    }
    assert!(!filled.contains("${{"), "`{text}` has other expressions");
    filled
}

/// Every workflow by the name of its file.
fn workflows() -> BTreeMap<String, Value> {
    let files = std::fs::read_dir(root().join(".github/workflows")).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let read = |name: String| (name.clone(), read(&format!(".github/workflows/{name}")));
    names.map(read).collect()
}

/// The jobs of a workflow by name.
fn jobs(workflow: &Value) -> &serde_json::Map<String, Value> {
    workflow["jobs"].as_object().unwrap()
}

/// Every step of a workflow, with the name of its job.
fn steps(workflow: &Value) -> Vec<(&str, &Value)> {
    jobs(workflow)
        .iter()
        .flat_map(|(name, job)| {
            // A job that calls a workflow has none.
            let steps = job["steps"].as_array().into_iter().flatten();
            steps.map(move |step| (name.as_str(), step))
        })
        .collect()
}

#[test]
fn every_job_has_a_limit_and_few_rights() {
    for (file, workflow) in workflows() {
        assert_eq!(
            workflow["permissions"],
            json!({ "contents": "read" }),
            "{file}"
        );
        // Without `pipefail`, a command that fails before `| tee` passes.
        assert_eq!(workflow["defaults"]["run"]["shell"], "bash", "{file}");
        for (name, job) in jobs(&workflow) {
            if let Some(called) = job["uses"].as_str() {
                // GitHub allows no time limit here. The jobs of the called workflow have theirs.
                let called = called
                    .strip_prefix("./")
                    .expect("the workflow is in this repository");
                let declared = &read(called)["on"]["workflow_call"]["inputs"];
                for input in job["with"]
                    .as_object()
                    .into_iter()
                    .flatten()
                    .map(|(name, _)| name)
                {
                    assert!(declared[input].is_object(), "{called} takes no `{input}`");
                }
                continue;
            }
            let minutes = job["timeout-minutes"].as_u64().unwrap_or(0);
            assert!((1..=300).contains(&minutes), "{file}: {name} has no limit");
            if job["strategy"].is_object() {
                assert_eq!(job["strategy"]["fail-fast"], json!(false), "{file}: {name}");
            }
        }
    }
}

/// A stranger who opens a pull request from a fork can change the workflows, the sources and the build
/// scripts. So what a pull request starts may only read, and a job that may write neither builds nor
/// runs anything of the repository.
#[test]
fn strangers_get_no_rights() {
    let mut rights = Vec::new();
    for (file, workflow) in workflows() {
        let text = workflow.to_string();
        assert!(!text.contains("secrets."), "{file}");
        for (event, _) in workflow["on"].as_object().unwrap() {
            let privileged = ["pull_request_target", "workflow_run", "issue_comment"];
            assert!(!privileged.contains(&event.as_str()), "{file}: {event}");
        }
        for (name, job) in jobs(&workflow) {
            for (right, access) in job["permissions"].as_object().into_iter().flatten() {
                let access = access.as_str().unwrap();
                if access != "read" {
                    rights.push(format!("{file} {name} {right}"));
                    let builds = job["steps"].to_string().contains("make ");
                    assert!(!builds && job["uses"].is_null(), "{file}: {name} builds");
                }
            }
        }
    }
    assert_eq!(
        rights,
        [
            "release.yml publish attestations",
            "release.yml publish contents",
            "release.yml publish id-token",
            "update-kernels.yml open actions",
            "update-kernels.yml open contents",
            "update-kernels.yml open pull-requests",
        ]
    );
}

#[test]
fn actions_are_pinned_and_called_as_they_are() {
    let inputs = read("action.yml")["inputs"].as_object().unwrap().clone();
    let action = read("action.yml");
    let own = action["runs"]["steps"].as_array().unwrap();
    let workflows = workflows();
    let called = workflows.iter().flat_map(|(file, workflow)| {
        steps(workflow)
            .into_iter()
            .map(move |(_, step)| (file, step))
    });
    let file = "action.yml".to_owned();
    let mut versions = BTreeMap::new();
    for (file, step) in called.chain(own.iter().map(|step| (&file, step))) {
        // If an expression is part of a script's text, its value is run as a script.
        let script = step["run"].as_str().unwrap_or_default();
        assert!(
            !script.contains("${{"),
            "{file}: an expression in `{script}`"
        );
        let mut bash = std::process::Command::new("bash");
        let parsed = place::output(bash.args(["-n", "-c", script]));
        assert!(
            parsed.status.success(),
            "{file}: `{script}` is not valid bash"
        );
        let Some(uses) = step["uses"].as_str() else {
            continue;
        };
        if uses == "./" {
            for name in step["with"].as_object().unwrap().keys() {
                assert!(
                    inputs.contains_key(name),
                    "{file}: action.yml has no `{name}`"
                );
            }
            continue;
        }
        let (action, version) = uses.split_once('@').unwrap();
        if action == "actions/upload-artifact" {
            // A job that is run again must be able to replace its first upload.
            let overwrite = &step["with"]["overwrite"];
            assert_eq!(overwrite, "${{ github.run_attempt != '1' }}", "{file}");
        }
        let is_hash = version.len() == 40 && version.bytes().all(|b| b.is_ascii_hexdigit());
        assert!(is_hash, "{file}: {uses}");
        // Every action has one version, and so do its parts, such as `actions/cache/save`.
        let owner = action.splitn(3, '/').take(2).collect::<Vec<_>>().join("/");
        let first = versions.entry(owner).or_insert(version);
        assert_eq!(*first, version, "{file}: {uses}");
    }
    for (name, input) in &inputs {
        assert!(
            input["required"] == json!(true) || !input["default"].is_null(),
            "{name}"
        );
    }
}

/// Scripts decide, since a script can be run by a test. A condition only asks for one answer of an
/// earlier step or job, or says that a step runs after a failure as well.
#[test]
fn conditions_decide_nothing() {
    let form =
        "^(always\\(\\) && )?(needs|steps)\\.([a-z-]+)\\.outputs\\.([a-z-]+) (==|!=) '(true|0)'$";
    let form = Regex::new(form).unwrap();
    let mut files = workflows();
    files.insert(
        "action.yml".into(),
        json!({ "jobs": { "action": read("action.yml")["runs"] } }),
    );
    for (file, workflow) in files {
        for (name, job) in jobs(&workflow) {
            let steps = job["steps"].as_array().into_iter().flatten();
            let mut earlier: Vec<&str> = Vec::new();
            for at in std::iter::once(job).chain(steps) {
                let condition = at["if"].as_str().unwrap_or_default();
                let after_failures = ["", "always()", "${{ !cancelled() }}", "${{ failure() }}"];
                if !after_failures.contains(&condition) {
                    let parts = form
                        .captures(condition)
                        .unwrap_or_else(|| panic!("{file}: {name}: `{condition}`"));
                    let (of, output) = (&parts[3], &parts[4]);
                    if &parts[2] == "needs" {
                        let outputs = &workflow["jobs"][of]["outputs"];
                        assert!(outputs[output].is_string(), "{file}: {name}: {condition}");
                        let needs = job["needs"].to_string();
                        assert!(
                            needs.contains(&format!("\"{of}\"")),
                            "{file}: {name}: {condition}"
                        );
                    } else {
                        assert!(earlier.contains(&of), "{file}: {name}: {condition}");
                    }
                }
                earlier.extend(at["id"].as_str());
            }
        }
    }
}
