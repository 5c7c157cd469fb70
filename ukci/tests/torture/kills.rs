//! Every command, killed at a random moment.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use ukci_schema::cell::Arch;
use ukci_schema::lock::Lock;
use ukci_schema::verdict::VerdictKind;

use super::{Attack, KERNEL, assert_orderly, cache, ended, report, start, variable};

/// The longest that a command is let go on. Most moments are early ones.
const LONGEST: Duration = Duration::from_secs(8);

/// How often the sweep is looked at.
const SWEPT_EACH: usize = 10;

#[test]
fn a_command_that_is_killed_leaves_nothing_half() {
    let Some(mut attack) = Attack::begin("kills", 40) else {
        return;
    };
    let object = attack.object();
    let object = object.to_str().unwrap();
    let check = ["check", object, "--kernel", KERNEL, "--out", "good"];
    let whole = start(&mut attack.ukci(&check));
    let output = ended(whole, Duration::from_mins(5), "the first run");
    assert_orderly(&output, "the first run");
    let good = report(&attack.path("good"), "the first run");
    let good = good.unwrap_or_else(|| panic!("no report of the first run: {output:?}"));
    let cell = good.cells[0].id.clone();
    // This fetches both versions, because nothing can be fetched during the attack.
    let sweep = ["sweep", object, KERNEL, "--last", "2", "--out", "swept"];
    let first = start(&mut attack.ukci(&sweep));
    let output = ended(first, Duration::from_mins(10), "the first sweep");
    assert_orderly(&output, "the first sweep");
    let place = Place::make(&mut attack);
    let [older, newer] = versions();
    let commands: [&[&str]; 26] = [
        &["check", object, "--kernel", KERNEL, "--out", "out"],
        &[
            "check", object, "--kernel", KERNEL, "--out", "out", "--resume",
        ],
        &[
            "check", object, "--kernel", KERNEL, "--out", "out", "--format", "html",
        ],
        &["rerun", "good", "--out", "out"],
        &["shell", &cell, "--report", "good", "-c", "sleep 60"],
        &["kernels", "features", KERNEL],
        &["kernels", "fetch", KERNEL],
        &["manifest", "suggest", object, "--report", "good"],
        &["report", "merge", "good", "good", "--out", "out"],
        &["warm", KERNEL],
        &[
            "exec", "--kernel", KERNEL, "--out", "out", "--shell", "sleep 1",
        ],
        &["runner", "--kernel", KERNEL, "/bin/sleep", "1"],
        &["cache", "export", EXPORTED, "--kernel", KERNEL],
        &["cache", "import", WHOLE],
        &["cache", "prune", "--max-size", "1MB"],
        &["cache", "clear", "store"],
        &["kernels", "update", "--lock", LOCK, KERNEL],
        &["sweep", object, KERNEL, "--last", "2", "--out", "out"],
        &[
            "bisect", object, "--stream", KERNEL, "--good", &older, "--bad", &newer, "--out", "out",
        ],
        &["mskv", object, "--stream", "debian-cloud", "--out", "out"],
        &[
            "manifest",
            "record",
            "--kernel",
            KERNEL,
            "--artifact",
            object,
            "/bin/sleep",
            "1",
        ],
        &["doctor"],
        &["doctor", "--verify"],
        &["report", "render", "good", "--format", "html=page.html"],
        &["init", "--force", object],
        &["kernels", "build", TREE],
    ];
    let mut killed = BTreeMap::<String, usize>::new();
    let mut kills = 0;
    // So many of each command, or as many of any as there is time for.
    let wanted = variable("UKCI_TORTURE_KILLS");
    let wanted = wanted.map(|each| usize::try_from(each).unwrap() * commands.len());
    let goes_on = |attack: &Attack, kills| wanted.map_or(attack.goes_on(), |all| kills < all);
    while goes_on(&attack, kills) {
        let command = match wanted {
            Some(_) => commands[kills % commands.len()],
            None => *attack.random.one(&commands),
        };
        let signals = [
            Signal::KILL,
            Signal::TERM,
            Signal::INT,
            Signal::HUP,
            Signal::QUIT,
        ];
        let signal = *attack.random.one(&signals);
        let longest = match command[0] {
            "manifest" if command[1] == "record" => LONGEST,
            "manifest" | "report" | "init" => Duration::from_millis(40),
            "cache" => Duration::from_millis(1500),
            "kernels" if command[1] == "update" => Duration::from_secs(2),
            _ => LONGEST,
        };
        let moment = attack.random.moment(longest);
        let what = format!("{}, {signal:?} after {moment:?}", command.join(" "));
        let mut attacked = attack.ukci(command);
        place.used_by(&mut attacked, command);
        let running = start(&mut attacked);
        let pid = Pid::from_child(&running.child);
        std::thread::sleep(moment);
        // It may have ended. It has not been waited for, so the number is still its own.
        let _ = kill_process(pid, signal);
        let twice = attack.random.below(4) == 0;
        if twice {
            std::thread::sleep(attack.random.moment(Duration::from_millis(300)));
            let _ = kill_process(pid, signal);
        }
        let output = ended(running, Duration::from_mins(2), &what);
        // A shell and a runner end with the status of what they ran.
        if output.status.code().is_some() && !["shell", "runner"].contains(&command[0]) {
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert!(!stderr.contains("panicked"), "{what}: {stderr}");
        }
        attack.assert_no_process(&what);
        place.assert_whole(&attack, &what);
        let name = command.get(..2).unwrap_or(command).join(" ");
        let name = name.replace(object, "");
        *killed.entry(name).or_default() += 1;
        if let Some(report) = report(&attack.path("out"), &what) {
            for cell in &report.cells {
                // The object passes or fails alike, or it has no verdict.
                let other = (&cell.artifact, &cell.kernel)
                    != (&good.cells[0].artifact, &good.cells[0].kernel);
                let told = other || good.cells[0].verdict == cell.verdict;
                assert!(
                    told || cell.verdict == VerdictKind::Error,
                    "{what}: {cell:?}"
                );
            }
        }
        kills += 1;
        if kills % SWEPT_EACH == 0 || !goes_on(&attack, kills) {
            let last = start(&mut attack.ukci(&check));
            let output = ended(last, Duration::from_mins(5), "the run after a kill");
            assert_orderly(&output, "the run after a kill");
            place.assert_usable(&attack, &what);
            attack.assert_swept(&what);
            let again = report(&attack.path("good"), &what).expect("a report");
            assert_eq!(again.cells[0].verdict, good.cells[0].verdict, "{what}");
            assert_eq!(
                again.cells[0].evidence_digest,
                good.cells[0].evidence_digest
            );
        }
    }
    eprintln!("kills: {kills}, of them {killed:?}");
}

/// The newest two pinned versions of the kernel.
fn versions() -> [String; 2] {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../kernels/lock/debian.json");
    let lock: Lock = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    let mut versions: Vec<String> = Vec::new();
    for kernel in lock.versions(KERNEL) {
        let version = kernel.version().to_owned();
        if kernel.arch == Arch::X86_64 && !versions.contains(&version) {
            versions.push(version);
        }
    }
    versions.truncate(2);
    versions.reverse();
    versions.try_into().expect("two versions")
}

/// A lock of its own, which `kernels update` may write.
const LOCK: &str = "lock.json";
/// What looks like the source of a kernel, and takes a while to be unpacked.
const TREE: &str = "tree.tar";
/// An archive that `cache export` wrote in peace, and one that it is killed over.
const WHOLE: &str = "whole.tar.zst";
const EXPORTED: &str = "exported.tar.zst";

/// The files of the commands that change a cache or a lock: not those of this user.
struct Place {
    cache: PathBuf,
    lock: Vec<u8>,
    /// Takes connections and never answers.
    mirror: TcpListener,
}

impl Place {
    fn make(attack: &mut Attack) -> Self {
        let cache = attack.path("cache");
        let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join("../kernels/lock.json");
        let place = Self {
            cache,
            lock: fs::read(lock).unwrap(),
            mirror: TcpListener::bind("127.0.0.1:0").unwrap(),
        };
        fs::write(attack.path(LOCK), &place.lock).unwrap();
        let tree = attack.path("tree");
        fs::create_dir(&tree).unwrap();
        let makefile = "VERSION = 6\nPATCHLEVEL = 1\nSUBLEVEL = 0\nEXTRAVERSION =\nNAME = x\n";
        fs::write(tree.join("Makefile"), makefile).unwrap();
        fs::write(tree.join("Kconfig"), "").unwrap();
        for n in 0..500 {
            fs::write(tree.join(format!("{n}.c")), vec![b'\n'; 20_000]).unwrap();
        }
        let mut tar = Command::new("tar");
        let tar = tar
            .current_dir(attack.dir.path())
            .args(["-cf", TREE, "tree"]);
        assert!(tar.status().unwrap().success());
        place.link_packages();
        let export = ["cache", "export", WHOLE, "--kernel", KERNEL];
        let output = place.run(attack, &export);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        place
    }

    /// Nothing may have to be downloaded: pruning takes packages, too.
    fn link_packages(&self) {
        let packages = self.cache.join("ukci/packages");
        fs::create_dir_all(&packages).unwrap();
        for entry in fs::read_dir(cache().join("ukci/packages")).unwrap() {
            let from = entry.unwrap().path();
            // What is there already stays.
            let _ = symlink(&from, packages.join(from.file_name().unwrap()));
        }
    }

    /// Has a command use this place, if it changes one.
    fn used_by(&self, attacked: &mut Command, command: &[&str]) {
        let own = ["cache", "warm", "exec", "runner"].contains(&command[0])
            || [["kernels", "build"], ["doctor", "--verify"]]
                .iter()
                .any(|of| command.starts_with(of));
        if own {
            self.link_packages();
            attacked.env("XDG_CACHE_HOME", &self.cache);
        }
        let mirror = format!("http://{}/", self.mirror.local_addr().unwrap());
        for archive in ["DEBIAN", "DEBIAN_SECURITY"] {
            attacked.env(format!("UKCI_MIRROR_{archive}"), &mirror);
        }
    }

    fn run(&self, attack: &Attack, command: &[&str]) -> Output {
        let mut running = attack.ukci(command);
        self.used_by(&mut running, command);
        let output = ended(start(&mut running), Duration::from_mins(5), command[0]);
        assert_orderly(&output, command[0]);
        output
    }

    /// A lock is as it was, and an archive is absent or can be imported.
    fn assert_whole(&self, attack: &Attack, what: &str) {
        assert_eq!(fs::read(attack.path(LOCK)).unwrap(), self.lock, "{what}");
        if attack.path(EXPORTED).exists() {
            let output = self.run(attack, &["cache", "import", EXPORTED]);
            assert_eq!(output.status.code(), Some(0), "{what}: {output:?}");
            fs::remove_file(attack.path(EXPORTED)).unwrap();
        }
    }

    /// The cache works, and nothing half is left in it once it has been pruned.
    fn assert_usable(&self, attack: &Attack, what: &str) {
        let import = self.run(attack, &["cache", "import", WHOLE]);
        assert_eq!(import.status.code(), Some(0), "{what}: {import:?}");
        let verify = self.run(attack, &["cache", "export", EXPORTED, "--kernel", KERNEL]);
        assert_eq!(verify.status.code(), Some(0), "{what}: {verify:?}");
        fs::remove_file(attack.path(EXPORTED)).unwrap();
        let prune = self.run(attack, &["cache", "prune", "--max-size", "10GB"]);
        assert_eq!(prune.status.code(), Some(0), "{what}: {prune:?}");
        let left = half(&self.cache.join("ukci"));
        assert!(left.is_empty(), "{what}: left {left:?}");
    }
}

/// The hidden entries of a cache and of its directories: ukci writes under such a name.
fn half(dir: &Path) -> Vec<PathBuf> {
    let entries = |dir: &Path| fs::read_dir(dir).into_iter().flatten().flatten();
    let mut left: Vec<PathBuf> = Vec::new();
    for entry in entries(dir) {
        left.push(entry.path());
        left.extend(entries(&entry.path()).map(|entry| entry.path()));
    }
    left.retain(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with('.')
    });
    left
}
