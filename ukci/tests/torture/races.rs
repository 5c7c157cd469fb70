//! Runs that race for one cache and for one `--out`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Attack, KERNEL, Running, assert_orderly, cache, ended, report, start};

/// How many at once.
const RUNS: usize = 4;

#[test]
fn runs_that_race_make_one_store_and_one_report() {
    let Some(mut attack) = Attack::begin("races", 10) else {
        return;
    };
    let mut rounds = 0;
    let mut first: Option<BTreeMap<PathBuf, u64>> = None;
    while attack.goes_on() {
        let shared = attack.path("cache");
        let _ = fs::remove_dir_all(&shared);
        fs::create_dir_all(shared.join("ukci/packages")).unwrap();
        for entry in fs::read_dir(cache().join("ukci/packages")).unwrap() {
            let from = entry.unwrap().path();
            let to = shared.join("ukci/packages").join(from.file_name().unwrap());
            std::os::unix::fs::symlink(from, to).unwrap();
        }
        let fetch = |attack: &Attack| {
            let mut fetch = attack.ukci(&["kernels", "fetch", KERNEL]);
            // Nothing may be downloaded.
            let nowhere = "http://127.0.0.1:9/";
            fetch.env("XDG_CACHE_HOME", &shared);
            fetch.env("UKCI_MIRROR_DEBIAN", nowhere);
            fetch.env("UKCI_MIRROR_DEBIAN_SECURITY", nowhere);
            start(&mut fetch)
        };
        let fetches: Vec<Running> = (0..RUNS).map(|_| fetch(&attack)).collect();
        for fetch in fetches {
            let output = ended(fetch, Duration::from_mins(5), "fetch");
            assert_orderly(&output, "fetch");
            assert_eq!(output.status.code(), Some(0), "{output:?}");
        }
        let mut made = BTreeMap::new();
        files(&shared.join("ukci/store"), &mut made);
        assert!(!made.is_empty());
        assert_eq!(first.get_or_insert_with(|| made.clone()), &made);

        let objects: Vec<PathBuf> = (0..RUNS).map(|_| attack.object()).collect();
        let check = |object: &PathBuf| {
            let object = object.to_str().unwrap();
            let check = ["check", object, "--kernel", KERNEL, "--out", "one"];
            start(&mut attack.ukci(&check))
        };
        let checks: Vec<Running> = objects.iter().map(check).collect();
        let mut told = 0;
        for check in checks {
            let output = ended(check, Duration::from_mins(5), "check");
            assert_orderly(&output, "check");
            let stderr = String::from_utf8_lossy(&output.stderr);
            told += usize::from(stderr.contains("another ukci is writing to"));
        }
        let report = report(&attack.path("one"), "one").expect("a report of one of them");
        assert_eq!(report.cells.len(), 1, "{told} were told: {report:#?}");
        attack.assert_no_process("races");
        attack.assert_swept("races");
        rounds += 1;
    }
    eprintln!("rounds of races: {rounds}");
}

/// Every file with a number for its bytes.
fn files(dir: &Path, found: &mut BTreeMap<PathBuf, u64>) {
    use std::hash::{DefaultHasher, Hash, Hasher};
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else {
            let mut hasher = DefaultHasher::new();
            fs::read(&path).unwrap().hash(&mut hasher);
            found.insert(path, hasher.finish());
        }
    }
}
