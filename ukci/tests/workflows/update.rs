//! Tests the pull request that `update-kernels.yml` opens, in a small repository.

use std::path::Path;

use super::place::{Place, said};
use super::{read, steps};

#[test]
fn the_pull_request_holds_the_lock_and_nothing_else() {
    let workflow = read(".github/workflows/update-kernels.yml");
    let open = steps(&workflow)
        .into_iter()
        .find(|(job, step)| *job == "open" && step["run"].is_string())
        .unwrap();
    let place = Place::new();
    // The configuration of whoever runs the tests must not sign commits or run hooks.
    let bash = |script: &str| {
        let env = [
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("BRANCH", workflow["env"]["BRANCH"].as_str().unwrap()),
        ];
        let args = ["--noprofile", "--norc", "-eo", "pipefail", "-c", script];
        let ran = place.run(Path::new("bash"), &args, &env);
        assert!(ran.status.success(), "{script}\n{}", said(&ran));
        String::from_utf8(ran.stdout).unwrap()
    };
    place.program("bin/gh", "echo \"$*\" >>asked");
    bash(
        "git init --quiet --bare origin.git
         git init --quiet --initial-branch main
         git remote add origin ./origin.git
         mkdir --parents kernels/lock && touch other
         echo old | tee kernels/lock.json >kernels/lock/fedora.json
         git add kernels other
         git -c user.name=x -c user.email=x@example.org commit --quiet --message first",
    );
    // The job has unpacked the new lock. Another changed file must not get into the commit.
    place.write("kernels/lock.json", "new\n");
    place.write("kernels/lock/fedora.json", "new\n");
    place.write("kernels/CHANGES.md", "new\n");
    place.write("other", "built\n");
    bash(open.1["run"].as_str().unwrap());

    let shown = bash("git --git-dir origin.git show --name-only --format=%an:%s update-kernels");
    assert_eq!(
        shown.split_whitespace().collect::<Vec<_>>().join(" "),
        "github-actions[bot]:Update the kernels \
         kernels/CHANGES.md kernels/lock.json kernels/lock/fedora.json"
    );
    let asked = place.read("asked");
    let mut asked = asked.lines();
    assert!(
        asked
            .next()
            .unwrap()
            .starts_with("pr create --head update-kernels ")
    );
    assert_eq!(
        asked.next(),
        Some("workflow run check.yml --ref update-kernels")
    );
    // If the last pull request is still open, nothing is done.
    let update = &workflow["jobs"]["update"]["steps"];
    let pins = update
        .as_array()
        .unwrap()
        .iter()
        .find(|step| step["id"] == "pins");
    assert_eq!(pins.unwrap()["if"], "steps.open.outputs.count == '0'");
}
