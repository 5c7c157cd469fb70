//! The workflows and the action of this repository: what runs on which event, and the habits that
//! every job keeps. actionlint looks at the rest (`make lint-workflows`).

mod action;
mod expression;
mod page;
mod place;
mod scripts;
mod shards;
mod update;
mod weekly;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use expression::{evaluate, is_true, template};
use serde_json::{Value, json};
use ukci_matrix::authored::{Format, tree, value};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> Value {
    let text = std::fs::read_to_string(root().join(path)).unwrap();
    let tree = tree(&text, path, Format::Yaml).unwrap();
    value(&tree, &text, path).unwrap()
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

/// Events of `check.yml`: a name, what GitHub says of it.
fn events() -> Vec<(&'static str, Value)> {
    let pull = |action: &str, label: Option<&str>, labels: &[&str]| {
        let labels: Vec<Value> = labels.iter().map(|name| json!({ "name": name })).collect();
        let mut event = json!({
            "action": action,
            "pull_request": { "number": 7, "labels": labels },
        });
        if let Some(name) = label {
            event["label"] = json!({ "name": name });
        }
        json!({ "event_name": "pull_request", "event": event })
    };
    let other = |name: &str| json!({ "event_name": name, "event": {} });
    vec![
        ("push to main", other("push")),
        ("merge queue", other("merge_group")),
        ("by hand", other("workflow_dispatch")),
        ("opened", pull("opened", None, &[])),
        ("opened with full-ci", pull("opened", None, &["full-ci"])),
        ("reopened", pull("reopened", None, &["docs"])),
        (
            "reopened with full-ci",
            pull("reopened", None, &["full-ci"]),
        ),
        ("new commit", pull("synchronize", None, &["docs"])),
        (
            "new commit with full-ci",
            pull("synchronize", None, &["docs", "full-ci"]),
        ),
        (
            "full-ci added",
            pull("labeled", Some("full-ci"), &["docs", "full-ci"]),
        ),
        ("docs added", pull("labeled", Some("docs"), &["docs"])),
        (
            "docs added beside full-ci",
            pull("labeled", Some("docs"), &["docs", "full-ci"]),
        ),
        (
            "full-ci removed",
            pull("unlabeled", Some("full-ci"), &["docs"]),
        ),
        (
            "docs removed beside full-ci",
            pull("unlabeled", Some("docs"), &["full-ci"]),
        ),
    ]
}

#[test]
fn each_event_runs_and_cancels_what_it_must() {
    let workflow = read(".github/workflows/check.yml");
    let concurrency = &workflow["concurrency"];
    let mut table = String::new();
    for (name, mut github) in events() {
        github["ref"] = json!("refs/x");
        github["run_id"] = json!("r42");
        let contexts = json!({ "github": github });
        let running: Vec<&str> = jobs(&workflow)
            .iter()
            .filter(|(_, job)| {
                let condition = job["if"].as_str().unwrap_or("true");
                is_true(&evaluate(condition, &contexts))
            })
            .map(|(job, _)| job.as_str())
            .collect();
        let group = template(concurrency["group"].as_str().unwrap(), &contexts);
        let cancels = template(
            concurrency["cancel-in-progress"].as_str().unwrap(),
            &contexts,
        );
        let verdict = template(
            workflow["jobs"]["verdict"]["name"].as_str().unwrap(),
            &contexts,
        );
        table += &format!(
            "{name}\n  runs     {}\n  group    {group}, cancels: {cancels}\n  reports  {verdict}\n",
            running.join(" ")
        );
    }
    insta::assert_snapshot!(table);
}

#[test]
fn the_verdict_waits_for_every_job() {
    let workflow = read(".github/workflows/check.yml");
    let needs: Vec<&str> = workflow["jobs"]["verdict"]["needs"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let mut others: Vec<&str> = jobs(&workflow).keys().map(String::as_str).collect();
    others.retain(|job| *job != "verdict");
    others.sort_unstable();
    let mut sorted = needs.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, others);
    let step = &workflow["jobs"]["verdict"]["steps"][0];
    let fails = |results: &[&str]| {
        let needs: Vec<Value> = results.iter().map(|r| json!({ "result": r })).collect();
        is_true(&evaluate(
            step["if"].as_str().unwrap(),
            &json!({ "needs": needs }),
        ))
    };
    assert_eq!(step["run"], "exit 1");
    assert!(fails(&["success", "failure"]) && fails(&["cancelled"]));
    assert!(
        !fails(&["success", "skipped"]),
        "a job that an event does not need"
    );
}

#[test]
fn every_job_has_a_limit_and_few_rights() {
    for (file, workflow) in workflows() {
        assert_eq!(
            workflow["permissions"],
            json!({ "contents": "read" }),
            "{file}"
        );
        // Without it what fails in front of `| tee` passes.
        assert_eq!(workflow["defaults"]["run"]["shell"], "bash", "{file}");
        for (name, job) in jobs(&workflow) {
            if let Some(called) = job["uses"].as_str() {
                // GitHub takes no limit there: those of the called jobs are.
                let called = called.strip_prefix("./").expect("it is of this repository");
                let declared = &read(called)["on"]["workflow_call"]["inputs"];
                for input in job["with"].as_object().unwrap().keys() {
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

/// Who opens a pull request from a fork writes the workflow, the sources and the build scripts: what
/// they start may read and nothing else, and what may write neither builds nor runs any of it.
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
        // An expression in a script's text is a script of whoever wrote its value.
        let script = step["run"].as_str().unwrap_or_default();
        assert!(
            !script.contains("${{"),
            "{file}: an expression in `{script}`"
        );
        let parsed = std::process::Command::new("bash")
            .args(["-n", "-c", script])
            .output()
            .unwrap();
        assert!(parsed.status.success(), "{file}: `{script}` is no bash");
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
            // A job that is run again replaces what it left, or it can never succeed.
            let overwrite = step["with"]["overwrite"].as_str().expect("it is said");
            for (attempt, expected) in [("1", "false"), ("2", "true")] {
                let contexts = json!({ "github": { "run_attempt": attempt } });
                assert_eq!(template(overwrite, &contexts), expected, "{file}");
            }
        }
        let is_hash = version.len() == 40 && version.bytes().all(|b| b.is_ascii_hexdigit());
        assert!(is_hash, "{file}: {uses}");
        // One version of each, `actions/cache/save` and `…/restore` too.
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
