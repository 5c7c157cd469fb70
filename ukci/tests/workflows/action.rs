//! Tests `.github/check`, which `action.yml` runs, with a `ukci` that records how it is called.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::place::{self, Place};
use super::{fill, read};

/// The variables that `action.yml` gives the script if its caller gives one artifact and nothing
/// else.
fn defaults() -> Vec<(String, String)> {
    let action = read("action.yml");
    let mut values = vec![
        ("steps.setup.outputs.ukci".to_owned(), "UKCI".to_owned()),
        (
            "steps.setup.outputs.headers".to_owned(),
            "HEADERS".to_owned(),
        ),
        ("steps.packages.outputs.cache-hit".to_owned(), String::new()),
    ];
    for (name, input) in action["inputs"].as_object().unwrap() {
        let default = input["default"].as_str().unwrap_or("a.bpf.o");
        values.push((format!("inputs.{name}"), default.to_owned()));
    }
    let values: Vec<(&str, &str)> = values.iter().map(|(of, is)| (&**of, &**is)).collect();
    let variables = step(&action, "check")["env"].as_object().unwrap().iter();
    variables
        .map(|(name, value)| (name.clone(), fill(value.as_str().unwrap(), &values)))
        .collect()
}

/// The step of `action.yml` with this id.
fn step<'a>(action: &'a Value, id: &str) -> &'a Value {
    let steps = action["runs"]["steps"].as_array().unwrap();
    steps.iter().find(|step| step["id"] == id).unwrap()
}

/// Runs the script with a `ukci check` that ends with `status`. Returns the status of the script, the
/// recorded calls and the outputs.
fn check(status: i32, inputs: &[(&str, &str)]) -> (Option<i32>, String, String) {
    let place = Place::new();
    let path = |name: &str| place.path(name);
    let script = format!(
        "printf '%s|' \"$@\" >>calls\necho >>calls\n\
         printf '%s' \"$UKCI_MIRROR_DEBIAN\" >mirror\n\
         case {status} in 0|2) mkdir -p ukci-out; echo '{{}}' >ukci-out/report.json;; esac\nexit {status}"
    );
    place.program("ukci", &script);
    for name in ["a.bpf.o", "b.bpf.o", "other.txt"] {
        place.write(name, "");
    }
    let mut check = Command::new(place::script("check"));
    check
        .current_dir(path("."))
        .env_remove("UKCI_MIRROR_DEBIAN")
        .envs(defaults())
        .envs(inputs.iter().copied())
        .env("UKCI", path("ukci"))
        .env("GITHUB_OUTPUT", path("output"));
    let output = place::output(&mut check);
    let text = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
    (
        output.status.code(),
        text(&path("calls")) + &text(&path("mirror")),
        text(&path("output")),
    )
}

/// Whether the real `ukci` accepts a recorded call. It prints the help only if it understands all
/// that comes before `--help`.
fn is_understood(call: &str) -> bool {
    let words = call.split('|').filter(|word| !word.is_empty());
    let mut ukci = Command::new(env!("CARGO_BIN_EXE_ukci"));
    place::output(ukci.args(words).arg("--help"))
        .status
        .success()
}

#[test]
fn inputs_become_options() {
    assert!(!is_understood("check|--no-such-option|"));
    let (status, calls, said) = check(0, &[]);
    assert_eq!(status, Some(0));
    assert_eq!(
        calls,
        "check|--matrix|quick|--mode|behave|--out|ukci-out|--artifact|a.bpf.o|--include|\
         HEADERS|--format|junit|\n"
    );
    assert_eq!(
        said,
        "outcome=pass\nreport=ukci-out/report.json\nsave=true\n"
    );

    let (_, calls, _) = check(
        0,
        &[
            ("ARTIFACT", "*.bpf.o"),
            ("MATRIX", "my matrix.toml"),
            ("KERNELS", "debian-12-6.1 debian-13-6.12"),
            ("LLVMS", "19 16"),
            ("ARCHES", "riscv64"),
            ("INCLUDE", "include ../lib"),
            ("VMLINUX_H", "auto"),
            ("MANIFEST", "m.toml; touch pwned\nb=$(touch pwned) b.toml"),
            ("SHARD", "count:1/4"),
            ("OPTIONS", "--strict --define A=*\n --timeout 30s"),
            ("MIRROR", "http://mirror.example/debian"),
        ],
    );
    let (called, mirror) = calls.split_once('\n').unwrap();
    assert_eq!(mirror, "http://mirror.example/debian");
    assert!(is_understood(called), "{called}");
    assert_eq!(
        called,
        "check|--matrix|my matrix.toml|--mode|behave|--out|ukci-out|--kernel|debian-12-6.1|\
         --kernel|debian-13-6.12|--arch|riscv64|--llvm|19|--llvm|16|--artifact|a.bpf.o|--artifact|\
         b.bpf.o|--include|include|--include|../lib|--include|HEADERS|--manifest|m.toml; touch pwned|\
         --manifest|b=$(touch pwned) b.toml|--vmlinux-h|auto|--shard|count:1/4|--strict|--define|\
         A=*|--timeout|30s|--format|junit|"
    );
}

#[test]
fn a_status_becomes_an_outcome() {
    for (status, outcome) in [
        (0, "pass"),
        (2, "fail"),
        (1, "error"),
        (3, "error"),
        (64, "error"),
    ] {
        let (code, _, said) = check(status, &[]);
        assert_eq!(code, Some(status));
        // A run that could not start leaves no report behind, and nothing to save.
        let rest = match outcome {
            "error" => "save=false\n",
            _ => "report=ukci-out/report.json\nsave=true\n",
        };
        assert_eq!(said, format!("outcome={outcome}\n{rest}"), "{status}");
    }
}

/// A build that breaks is no verdict either, and packages are not saved without a verdict.
#[test]
fn the_answers_of_the_check_decide_what_the_action_answers_and_saves() {
    let action = read("action.yml");
    assert_eq!(
        action["outputs"]["outcome"]["value"], "${{ steps.check.outputs.outcome || 'error' }}",
        "a check that was never started has no outcome"
    );
    let all = action["runs"]["steps"].as_array().unwrap().iter();
    let saves: Vec<&Value> = all
        .filter(|step| {
            step["uses"]
                .as_str()
                .unwrap_or_default()
                .contains("cache/save")
        })
        .collect();
    let [tool, packages] = saves[..] else {
        panic!("two caches are saved");
    };
    // Without a check there is no output `save`, which is not `true`.
    assert_eq!(
        packages["if"],
        "always() && steps.check.outputs.save == 'true'"
    );
    assert_eq!(tool["if"], "steps.tool.outputs.cache-hit != 'true'");
    // An answer of `cache/restore` is empty if no key was found.
    for (status, hit, saves) in [
        (1, "", false),
        (1, "true", false),
        (2, "", true),
        (2, "true", false),
        (0, "", true),
        (0, "false", true),
        (0, "true", false),
    ] {
        let (_, _, said) = check(status, &[("CACHED", hit)]);
        assert!(
            said.ends_with(&format!("save={saves}\n")),
            "{status} {hit}: {said}"
        );
    }
}

/// A cache is saved under the key that is tried first, with the same paths.
#[test]
fn caches_are_saved_as_they_are_restored() {
    let action = read("action.yml");
    let steps = action["runs"]["steps"].as_array().unwrap();
    let of = |verb: &str| -> Vec<Value> {
        let used = |step: &&Value| step["uses"].as_str().unwrap_or_default().contains(verb);
        let with = steps.iter().filter(used).map(|step| &step["with"]);
        with.map(|with| json!([with["path"], with["key"]]))
            .collect()
    };
    assert_eq!(of("cache/restore").len(), 2);
    assert_eq!(of("cache/restore"), of("cache/save"));
}

/// Every input reaches a script, and every variable that the action sets is used by its script.
#[test]
fn every_input_is_used() {
    let action = read("action.yml");
    let steps = action["runs"]["steps"].to_string();
    for name in action["inputs"].as_object().unwrap().keys() {
        assert!(
            steps.contains(&format!("${{{{ inputs.{name} }}}}")),
            "{name}"
        );
    }
    for id in ["keys", "setup", "check"] {
        let script = std::fs::read_to_string(place::script(id)).unwrap();
        let given = step(&action, id)["env"].as_object().unwrap();
        for name in given.keys() {
            assert!(script.contains(name), "{id} does not know {name}");
        }
    }
}
