//! The script for `git bisect run` of docs/versions.md, on a small repository, with an `ukci` that only
//! pretends to build and to boot.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// What a commit is, in its file `state`: `ukci kernels build` and `ukci check` end accordingly.
const UKCI: &str = r#"#!/bin/sh
echo "$@" >>"$CALLS"
state=$(git show HEAD:state)
case "$1 $state" in
    "kernels no-compiler") exit 1 ;;
    "kernels broken") exit 2 ;;
    "kernels "*) echo "/cache/$state/vmlinux" ;;
    "check bad") exit 2 ;;
    "check hangs") exit 1 ;;
    "check misspelled") exit 64 ;;
    "check good") exit 0 ;;
esac
"#;

/// The script in the page.
fn script() -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/versions.md");
    let page = fs::read_to_string(page).unwrap();
    let at = page.find("#!/bin/sh\n").expect("the page has no script");
    let end = page[at..].find("```").unwrap();
    page[at..at + end].to_owned()
}

struct Repository(tempfile::TempDir);

impl Repository {
    /// One commit for each state, tagged with its number.
    fn of(states: &[&str]) -> Self {
        let repository = Self(tempfile::tempdir().unwrap());
        let dir = repository.0.path();
        let tools = dir.join("tools");
        fs::create_dir_all(dir.join("linux")).unwrap();
        fs::create_dir(&tools).unwrap();
        fs::write(tools.join("ukci"), UKCI).unwrap();
        fs::set_permissions(tools.join("ukci"), fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(dir.join("step.sh"), script()).unwrap();
        repository.git(&["init", "-q"]);
        for (number, state) in states.iter().enumerate() {
            fs::write(dir.join("linux/state"), state).unwrap();
            fs::write(dir.join("linux/number"), number.to_string()).unwrap();
            repository.git(&["add", "."]);
            repository.git(&["commit", "-q", "-m", &number.to_string()]);
            repository.git(&["tag", &format!("v{number}")]);
        }
        repository
    }

    /// git's status and all that it printed.
    fn git(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let dir = self.0.path();
        let path = std::env::var("PATH").unwrap();
        let output = Command::new("git")
            .args(["-c", "user.name=x", "-c", "user.email=x@x"])
            .args(arguments)
            .current_dir(dir.join("linux"))
            .env("PATH", format!("{}:{path}", dir.join("tools").display()))
            .env("CALLS", dir.join("calls"))
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        (
            output.status.code(),
            String::from_utf8_lossy(&text).into_owned(),
        )
    }

    /// Bisects between the first commit and the last, and returns what git says at the end.
    fn bisect(&self, last: usize) -> (Option<i32>, String) {
        let (_, said) = self.git(&["bisect", "start", &format!("v{last}"), "v0"]);
        assert!(!said.contains("error"), "{said}");
        self.git(&["bisect", "run", "sh", "../step.sh", "../x.bpf.o"])
    }

    fn number(&self, name: &str) -> String {
        self.git(&["show", &format!("{name}:number")]).1
    }

    fn calls(&self) -> String {
        fs::read_to_string(self.0.path().join("calls")).unwrap()
    }
}

#[test]
fn the_first_bad_commit_is_found_and_what_cannot_be_built_or_booted_is_skipped() {
    let states = [
        "good", "good", "good", "good", "good", "broken", "good", "bad", "hangs", "bad", "bad",
    ];
    let linux = Repository::of(&states);
    let (ended, said) = linux.bisect(states.len() - 1);
    assert_eq!(ended, Some(0), "{said}");
    assert!(said.contains("is the first bad commit"), "{said}");
    assert_eq!(linux.number("refs/bisect/bad"), "7");
    let calls = linux.calls();
    assert!(calls.contains("kernels build --quiet .@HEAD"), "{calls}");
    let check = "check --quiet ../x.bpf.o --kernel /cache/bad/vmlinux";
    assert!(calls.contains(check), "{calls}");
    // As many steps as it takes to halve ten commits, and the one that does not compile, git's first.
    assert!(calls.matches("kernels build").count() <= 6, "{calls}");
    assert!(calls.matches("check ").count() < calls.matches("kernels build").count());
}

#[test]
fn a_first_bad_commit_among_skipped_ones_is_not_guessed() {
    let linux = Repository::of(&["good", "broken", "hangs", "bad"]);
    let (ended, said) = linux.bisect(3);
    assert_eq!(ended, Some(2), "{said}");
    assert!(said.contains("only 'skip'ped commits left"), "{said}");
}

#[test]
fn a_host_that_cannot_build_and_a_wrong_option_end_the_search() {
    for state in ["no-compiler", "misspelled"] {
        let linux = Repository::of(&["good", state, state, state, "bad"]);
        let (ended, said) = linux.bisect(4);
        assert_ne!(ended, Some(0), "{said}");
        assert!(said.contains("bisect run failed"), "{said}");
        assert_eq!(linux.calls().matches("kernels build").count(), 1, "{said}");
    }
}
