//! `.github/plan` and `check.yml`: what runs for each event, what that cancels, and which check the
//! run reports. The script decides, and these tests run it with the payload of every event.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use super::place::{Place, said, script};
use super::{fill, jobs, read, root};

const CHECK: &str = ".github/workflows/check.yml";

/// An event: its name for people, the name that GitHub gives it, and its payload.
type Event = (&'static str, &'static str, Value);

/// Every kind of event that starts `check.yml`.
fn events() -> Vec<Event> {
    let pull = |name, action: &str, label: Option<&str>, labels: &[&str]| {
        let labels: Vec<Value> = labels.iter().map(|name| json!({ "name": name })).collect();
        let mut payload = json!({
            "action": action,
            "pull_request": { "number": 7, "labels": labels },
        });
        if let Some(name) = label {
            payload["label"] = json!({ "name": name });
        }
        (name, "pull_request", payload)
    };
    vec![
        ("push to main", "push", json!({ "ref": "refs/heads/main" })),
        (
            "merge queue",
            "merge_group",
            json!({ "action": "checks_requested" }),
        ),
        ("by hand", "workflow_dispatch", json!({ "inputs": null })),
        pull("opened", "opened", None, &[]),
        pull("opened with full-ci", "opened", None, &["full-ci"]),
        pull("reopened", "reopened", None, &["docs"]),
        pull("reopened with full-ci", "reopened", None, &["full-ci"]),
        pull("new commit", "synchronize", None, &["docs"]),
        pull(
            "new commit with full-ci",
            "synchronize",
            None,
            &["docs", "full-ci"],
        ),
        pull(
            "full-ci added",
            "labeled",
            Some("full-ci"),
            &["docs", "full-ci"],
        ),
        pull("docs added", "labeled", Some("docs"), &["docs"]),
        pull(
            "docs added beside full-ci",
            "labeled",
            Some("docs"),
            &["docs", "full-ci"],
        ),
        pull("full-ci removed", "unlabeled", Some("full-ci"), &["docs"]),
        pull(
            "docs removed beside full-ci",
            "unlabeled",
            Some("docs"),
            &["full-ci"],
        ),
    ]
}

/// A checkout in which the last commit changed this file and no other.
fn checkout(changed: &str) -> Place {
    let place = Place::new();
    let git = |args: &[&str]| {
        let env = [
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_AUTHOR_NAME", "x"),
            ("GIT_AUTHOR_EMAIL", "x@example.org"),
            ("GIT_COMMITTER_NAME", "x"),
            ("GIT_COMMITTER_EMAIL", "x@example.org"),
        ];
        let ran = place.run(Path::new("git"), args, &env);
        assert!(ran.status.success(), "{args:?}: {}", said(&ran));
    };
    git(&["init", "--quiet"]);
    for path in ["guest/kept", "harness/judge/kept", "docs/kept"] {
        place.write(path, "");
    }
    git(&["add", "guest", "harness", "docs"]);
    git(&["commit", "--quiet", "--message", "first"]);
    place.write(changed, "changed\n");
    git(&["add", changed]);
    git(&["commit", "--quiet", "--message", "second"]);
    place
}

/// What the script prints in this checkout for an event, or what it says if it fails.
fn plan(place: &Place, name: &str, payload: &Value) -> Result<BTreeMap<String, String>, String> {
    place.write("event.json", &payload.to_string());
    let path = place.path("event.json");
    let env = [
        ("GITHUB_EVENT_NAME", name),
        ("GITHUB_EVENT_PATH", path.to_str().unwrap()),
    ];
    let ran = place.run(&script("plan"), &[], &env);
    if !ran.status.success() {
        return Err(said(&ran));
    }
    let text = String::from_utf8(ran.stdout).unwrap();
    let lines = text.lines().map(|line| line.split_once('=').unwrap());
    Ok(lines
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect())
}

/// The jobs that run with these outputs of the plan. Every condition names one output and no more.
fn running<'a>(workflow: &'a Value, plan: &BTreeMap<String, String>) -> Vec<&'a str> {
    let is_run = |job: &Value| {
        let Some(condition) = job["if"].as_str() else {
            return true;
        };
        if condition == "always()" {
            return true;
        }
        let output = condition
            .strip_prefix("needs.plan.outputs.")
            .and_then(|rest| rest.strip_suffix(" == 'true'"))
            .unwrap_or_else(|| panic!("`{condition}` decides something"));
        match plan[output].as_str() {
            "true" => true,
            "false" => false,
            other => panic!("{output} is `{other}`"),
        }
    };
    let jobs = jobs(workflow).iter().filter(|(_, job)| is_run(job));
    jobs.map(|(name, _)| name.as_str()).collect()
}

#[test]
fn each_event_runs_and_cancels_what_it_must() {
    let workflow = read(CHECK);
    let concurrency = &workflow["concurrency"];
    assert_eq!(
        concurrency["cancel-in-progress"],
        "${{ github.event_name == 'pull_request' }}"
    );
    assert_eq!(
        workflow["jobs"]["verdict"]["name"],
        "${{ needs.plan.outputs.verdict || 'verdict (no plan)' }}"
    );
    let place = checkout("docs/page.md");
    let mut table = String::new();
    for (name, event, payload) in events() {
        let plan = plan(&place, event, &payload).unwrap();
        let number = payload["pull_request"]["number"].as_u64();
        let number = number.map_or("refs/x".to_owned(), |number| number.to_string());
        let group = fill(
            concurrency["group"].as_str().unwrap(),
            &[
                ("github.event.pull_request.number || github.ref", &number),
                (
                    "github.event.label.name",
                    payload["label"]["name"].as_str().unwrap_or_default(),
                ),
            ],
        );
        table += &format!(
            "{name}\n  runs     {}\n  group    {group}, cancels: {}\n  reports  {}\n",
            running(&workflow, &plan).join(" "),
            event == "pull_request",
            plan["verdict"],
        );
    }
    insta::assert_snapshot!(table);
}

/// The table above has every kind of event, and a kind that is new needs a plan first.
#[test]
fn every_event_of_the_workflow_has_a_plan_and_no_other() {
    let workflow = read(CHECK);
    let on = workflow["on"].as_object().unwrap();
    let mut kinds: Vec<(String, String)> = Vec::new();
    for name in on.keys() {
        let types = on[name]["types"].as_array().into_iter().flatten();
        let types: Vec<&str> = types.filter_map(Value::as_str).collect();
        match (name.as_str(), types.as_slice()) {
            ("merge_group", []) => kinds.push((name.clone(), "checks_requested".into())),
            (_, []) => kinds.push((name.clone(), String::new())),
            (_, types) => kinds.extend(types.iter().map(|of| (name.clone(), (*of).into()))),
        }
    }
    let mut known: Vec<(String, String)> = events()
        .iter()
        .map(|(_, name, payload)| {
            let action = payload["action"].as_str().unwrap_or_default();
            ((*name).into(), action.into())
        })
        .collect();
    kinds.sort();
    known.sort();
    known.dedup();
    assert_eq!(kinds, known);

    let place = checkout("docs/page.md");
    for (name, payload) in [
        ("schedule", json!({})),
        ("pull_request", json!({ "action": "closed" })),
        // A payload that is not the one of a pull request is no reason to run less.
        ("pull_request", json!({ "action": "synchronize" })),
        ("pull_request", json!({ "action": "labeled" })),
    ] {
        assert!(plan(&place, name, &payload).is_err(), "{name} {payload}");
    }
    let refused = plan(&place, "schedule", &json!({})).unwrap_err();
    assert!(
        refused.contains("no plan for the action `` of the event `schedule`"),
        "{refused}"
    );
}

/// The casebook runs for the label if the judge or the agent changed, and by hand.
#[test]
fn a_changed_judge_or_agent_runs_the_casebook_with_the_label() {
    let workflow = read(CHECK);
    for (changed, is_run) in [
        ("guest/src/main.rs", true),
        ("harness/judge/src/lib.rs", true),
        ("harness/src/lib.rs", false),
        ("docs/guest/page.md", false),
    ] {
        let place = checkout(changed);
        for (name, event, payload) in events() {
            let plan = plan(&place, event, &payload).unwrap();
            let running = running(&workflow, &plan);
            let full = running.contains(&"full");
            let expected = full && (is_run || event == "workflow_dispatch");
            assert_eq!(running.contains(&"casebook"), expected, "{changed}: {name}");
        }
    }
    for path in ["guest", "harness/judge"] {
        assert!(root().join(path).is_dir(), "the plan looks at {path}");
    }
    // A checkout that cannot show what changed is an error, and never a shorter run.
    let shallow = Place::new();
    let (_, event, payload) = &events()[8];
    assert!(plan(&shallow, event, payload).is_err());
}

/// A label's name is taken without regard to case, as GitHub takes it.
#[test]
fn a_label_has_no_case() {
    let place = checkout("docs/page.md");
    let labels = json!([{ "name": "Full-CI" }]);
    let label = json!({ "name": "FULL-ci" });
    let commit = json!({ "action": "synchronize", "pull_request": { "labels": labels } });
    let added =
        json!({ "action": "labeled", "label": label, "pull_request": { "labels": labels } });
    let other = json!({ "action": "labeled", "label": { "name": "full-ci-2" }, "pull_request": { "labels": labels } });
    for (payload, full) in [(commit, "true"), (added, "true"), (other, "false")] {
        let plan = plan(&place, "pull_request", &payload).unwrap();
        assert_eq!(plan["full"], full, "{payload}");
    }
}

/// What the script prints is what the job hands on, and every job has it before it starts.
#[test]
fn every_job_waits_for_the_plan() {
    let workflow = read(CHECK);
    let planned = plan(&checkout("docs/page.md"), "push", &json!({})).unwrap();
    let job = &workflow["jobs"]["plan"];
    assert!(job["if"].is_null() && job["needs"].is_null());
    let steps = job["steps"].as_array().unwrap();
    let step = steps.iter().find(|step| step["id"] == "plan").unwrap();
    assert_eq!(
        step["run"],
        ".github/plan | tee --append \"$GITHUB_OUTPUT\""
    );
    assert_eq!(
        steps[0]["with"]["fetch-depth"], 2,
        "the parents of a merge commit"
    );
    let outputs: BTreeMap<String, String> = planned
        .keys()
        .map(|name| {
            let value = format!("${{{{ steps.plan.outputs.{name} }}}}");
            (name.clone(), value)
        })
        .collect();
    assert_eq!(job["outputs"], json!(outputs));
    for (name, job) in jobs(&workflow) {
        let waits = match &job["needs"] {
            Value::Array(needs) => needs.contains(&json!("plan")),
            needs => needs == "plan",
        };
        assert!(waits || name == "plan", "{name}");
    }
}

#[test]
fn the_verdict_waits_for_every_job() {
    let workflow = read(CHECK);
    let verdict = &workflow["jobs"]["verdict"];
    assert_eq!(verdict["if"], "always()");
    let needs = verdict["needs"].as_array().unwrap();
    let mut needs: Vec<&str> = needs.iter().filter_map(Value::as_str).collect();
    let mut others: Vec<&str> = jobs(&workflow).keys().map(String::as_str).collect();
    others.retain(|job| *job != "verdict");
    others.sort_unstable();
    needs.sort_unstable();
    assert_eq!(needs, others);

    let step = &verdict["steps"][0];
    assert_eq!(step["env"], json!({ "NEEDS": "${{ toJSON(needs) }}" }));
    assert!(step["if"].is_null() && verdict["steps"].as_array().unwrap().len() == 1);
    let script = step["run"].as_str().unwrap();
    let passes = |plan: &str, results: &[&str]| {
        let mut needs = json!({ "plan": { "result": plan, "outputs": {} } });
        for (n, result) in results.iter().enumerate() {
            needs[format!("job-{n}")] = json!({ "result": result, "outputs": {} });
        }
        let args = ["--noprofile", "--norc", "-eo", "pipefail", "-c", script];
        let env = [("NEEDS", &*needs.to_string())];
        let ran = Place::new().run(Path::new("bash"), &args, &env);
        ran.status.success()
    };
    assert!(!passes("success", &["success", "failure"]));
    assert!(!passes("success", &["cancelled"]));
    assert!(
        passes("success", &["success", "skipped"]),
        "a job that an event does not need"
    );
    for lost in ["failure", "cancelled", "skipped"] {
        assert!(
            !passes(lost, &["skipped"]),
            "without a plan nothing was run"
        );
    }
}

/// The long form of the attacks ends within the time of its job, which also builds the tool.
#[test]
fn the_random_attacks_run_every_week() {
    let weekly = read(".github/workflows/weekly.yml");
    let job = &weekly["jobs"]["torture"];
    assert_eq!(job["if"], Value::Null);
    let steps = job["steps"].as_array().unwrap();
    let run = steps.iter().filter_map(|step| step["run"].as_str());
    let seconds = run.filter_map(|run| run.strip_prefix("make torture TORTURE="));
    let seconds: Vec<u64> = seconds.map(|seconds| seconds.parse().unwrap()).collect();
    let minutes = job["timeout-minutes"].as_u64().unwrap();
    assert_eq!(seconds.len(), 1);
    assert!(seconds[0] >= 3600 && seconds[0] / 60 + 45 <= minutes);
    let makefile = std::fs::read_to_string(root().join("Makefile")).unwrap();
    assert!(makefile.contains("\n\tUKCI_TORTURE=$(TORTURE) "));
}

/// No workflow runs the casebook or the selftests unless these do.
#[test]
fn the_casebook_and_the_selftests_run_every_week() {
    let casebook = read(".github/workflows/casebook.yml");
    let called: Vec<&str> = jobs(&casebook)
        .values()
        .filter(|job| job["if"].is_null())
        .flat_map(|job| job["steps"].as_array().unwrap())
        .filter_map(|step| step["run"].as_str())
        .collect();
    for target in ["make casebook", "make selftests"] {
        assert!(called.contains(&target), "{target}: {called:?}");
    }
    let weekly = read(".github/workflows/weekly.yml");
    assert!(weekly["on"]["schedule"][0]["cron"].is_string());
    for (workflow, condition) in [
        (&weekly, Value::Null),
        (&read(CHECK), json!("needs.plan.outputs.casebook == 'true'")),
    ] {
        let job = &workflow["jobs"]["casebook"];
        assert_eq!(job["uses"], "./.github/workflows/casebook.yml");
        assert_eq!(job["if"], condition);
    }
}
