//! The parts of the benchmark.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::figures::Figures;
use crate::floor;
use crate::measure::{Measure, median, run, run_with};
use crate::setting::Setting;

/// The kernel of most parts, and of the floor on x86_64.
const KERNEL: &str = "debian-13-6.12-cloud";
/// The architectures of the floor, and a kernel of the same release for each.
const ARCHES: [(&str, &str); 3] = [
    ("x86_64", KERNEL),
    ("aarch64", KERNEL),
    ("riscv64", "debian-13-6.12"),
];
/// The directories of the cache that a run needs before it begins.
const KERNELS: &[&str] = &["packages", "store", "tools", "compiled"];
/// A refused object is a result as any other.
const ANY_VERDICT: &[i32] = &[0, 2];

/// What makes every cell boot.
const BOOTS: [&str; 2] = ["--cold", "--no-cache"];

/// Runs of each pair.
fn runs() -> usize {
    let runs = std::env::var("UKCI_BENCH_RUNS").ok();
    runs.and_then(|n| n.parse().ok()).unwrap_or(5)
}

/// Runs of a pair on a host that is too busy for more.
const FEWEST: usize = 3;
/// How long the runs of one pair may take before there are no more of them.
const LIMIT: Duration = Duration::from_mins(2);

/// Runs one and the other in turn, so that both meet the same load.
fn pairs(one: impl Fn() -> Command, other: impl Fn() -> Command) -> Vec<(Measure, Measure)> {
    let began = Instant::now();
    let mut pairs = Vec::new();
    while pairs.len() < runs() && (pairs.len() < FEWEST || began.elapsed() < LIMIT) {
        pairs.push((run(one()), run(other())));
    }
    pairs
}

/// The median of each pair's ratio: the two of a pair ran right after each other.
fn ratio(pairs: &[(Measure, Measure)], of: fn(&Measure) -> f64) -> f64 {
    median(pairs.iter().map(|(a, b)| of(a) / of(b)))
}

/// The directory of the first cell of the last run.
fn first_cell(setting: &Setting) -> PathBuf {
    let mut cells = fs::read_dir(setting.out().join("cells")).expect("cells");
    cells.next().expect("a cell").expect("a cell").path()
}

/// A cold cell beside a bare QEMU with the same machine and kernel, on three architectures.
pub(crate) fn cold(setting: &Setting, figures: &mut Figures) {
    let boots = setting.known(&BOOTS);
    for (arch, kernel) in ARCHES {
        let out = setting.out();
        let _ = fs::remove_dir_all(&out);
        let cell = || {
            let arguments = [&["--kernel", kernel, "--arch", arch], &boots[..]].concat();
            setting.check(&[setting.object()], &arguments)
        };
        // The first run fetches, unpacks, probes the accelerator, and tells the machine's flags.
        run(cell());
        let report = setting.report();
        figures.word(
            &format!("qemu_{arch}"),
            report["run"]["qemu"][arch].as_str().unwrap_or("?"),
        );
        let accel = report["cells"][0]["accel"].as_str().unwrap_or("?");
        figures.word(&format!("accel_{arch}"), accel);
        let transport = report["cells"][0]["transport"].as_str().unwrap_or("?");
        figures.word(&format!("transport_{arch}"), transport);
        let initramfs = floor::initramfs(setting.dir.path(), arch);
        let directory = first_cell(setting);
        let text = fs::read_to_string(directory.join("command.txt")).expect("command.txt");
        let bare = || floor::bare(&text, &initramfs, setting.dir.path());
        run(bare());
        let pairs = pairs(cell, bare);
        let report = setting.report();
        figures.number(&format!("cold_ratio_{arch}"), ratio(&pairs, |m| m.wall));
        figures.number(&format!("cold_cpu_ratio_{arch}"), ratio(&pairs, |m| m.cpu));
        let middle = |of: fn(&(Measure, Measure)) -> f64| median(pairs.iter().map(of));
        for (name, value) in [
            ("cold_wall_seconds", middle(|(cell, _)| cell.wall)),
            ("cold_cpu_seconds", middle(|(cell, _)| cell.cpu)),
            ("floor_wall_seconds", middle(|(_, bare)| bare.wall)),
            ("floor_cpu_seconds", middle(|(_, bare)| bare.cpu)),
        ] {
            figures.number(&format!("{name}_{arch}"), value);
        }
        for time in report["cells"][0]["stages"]
            .as_array()
            .into_iter()
            .flatten()
        {
            let stage = time["stage"].as_str().unwrap_or("?");
            if let Some(seconds) = time["cpu_seconds"].as_f64() {
                figures.number(&format!("cold_{stage}_cpu_seconds_{arch}"), seconds);
            }
        }
        let kib = report["cells"][0]["peak_kib"].as_f64().unwrap_or(0.0);
        let suffix = if arch == "x86_64" { "" } else { arch };
        let name = format!("guest_rss_mib_{suffix}");
        figures.number(name.trim_end_matches('_'), kib / 1024.0);
        let own = pairs.iter().map(|(cell, _)| cell.children_own_mib);
        let name = format!("guest_own_mib_{suffix}");
        figures.number(name.trim_end_matches('_'), own.fold(0.0, f64::max));
    }
}

/// A cell of a kernel whose template is there, beside a cold one.
pub(crate) fn warm(setting: &Setting, figures: &mut Figures) {
    if setting.known(&BOOTS) != BOOTS {
        return figures.word("warm", "not measured: this ukci copies no guests");
    }
    let cache = setting.cache("warm", KERNELS);
    let warm = setting.ukci(&["warm", KERNEL, "--accel", &Setting::accel()]);
    let made = run(warm.env_cache(&cache));
    figures.number("template_seconds", made.wall);
    figures.number("template_cpu_seconds", made.cpu);
    let cell = |more: &[&str]| {
        let arguments = [&["--kernel", KERNEL, "--no-cache"], more].concat();
        setting
            .check(&[setting.object()], &arguments)
            .env_cache(&cache)
    };
    run(cell(&[]));
    assert_eq!(setting.report()["cells"][0]["start"], "warm");
    let pairs = pairs(|| cell(&[]), || cell(&["--cold"]));
    figures.number(
        "warm_wall_seconds",
        median(pairs.iter().map(|(warm, _)| warm.wall)),
    );
    figures.number(
        "warm_cpu_seconds",
        median(pairs.iter().map(|(warm, _)| warm.cpu)),
    );
    figures.number("warm_cpu_ratio", ratio(&pairs, |m| m.cpu));
    figures.number("warm_wall_ratio", ratio(&pairs, |m| m.wall));
    run(cell(&[]));
    let kib = setting.report()["cells"][0]["peak_kib"].as_f64();
    figures.number("warm_guest_rss_mib", kib.unwrap_or(0.0) / 1024.0);
}

/// 20 objects on 5 kernels: cold, with templates that are made on the way, and once more unchanged.
pub(crate) fn matrix(setting: &Setting, figures: &mut Figures) {
    let objects = setting.objects(20);
    let cache = setting.cache("matrix", KERNELS);
    let check = |more: &[&str]| {
        let arguments = [&["--matrix", "quick"], more].concat();
        setting.check(&objects, &arguments).env_cache(&cache)
    };
    let cold = run_with(check(&setting.known(&BOOTS)), ANY_VERDICT);
    let cells = setting.report()["summary"]["cells"].as_f64();
    figures.number("matrix_cells", cells.unwrap_or(0.0));
    figures.number("matrix_cold_seconds", cold.wall);
    figures.number("matrix_cold_cpu_seconds", cold.cpu);
    figures.number("matrix_cold_memory_mib", cold.all_mib);
    // The cold run has left verdicts.
    let warm = run_with(check(&setting.known(&["--no-cache"])), ANY_VERDICT);
    figures.number("matrix_warm_seconds", warm.wall);
    figures.number("matrix_warm_cpu_seconds", warm.cpu);
    figures.number("matrix_warm_memory_mib", warm.all_mib);
    figures.number("matrix_warm_cpu_ratio", warm.cpu / cold.cpu);
    // The guests are saved now.
    let saved = run_with(check(&setting.known(&["--no-cache"])), ANY_VERDICT);
    figures.number("matrix_saved_seconds", saved.wall);
    figures.number("matrix_saved_cpu_seconds", saved.cpu);
    figures.number("matrix_saved_cpu_ratio", saved.cpu / cold.cpu);
    let report = setting.report();
    let cells = report["cells"].as_array().into_iter().flatten();
    let copies = cells.filter(|cell| cell["start"] == "warm").count();
    figures.word("matrix_warm_copies", &copies.to_string());
    figures.number("process_rss_mib", cold.own_mib.max(warm.own_mib));
    let again = run_with(check(&[]), ANY_VERDICT);
    // A build with uncommitted changes remembers nothing, and boots all of them again.
    let report = setting.report();
    let cells = report["cells"].as_array().into_iter().flatten();
    let cached = cells.filter(|cell| !cell["cached"].is_null()).count();
    figures.word("cached_100_cells", &cached.to_string());
    figures.number("cached_100_seconds", again.wall);
    figures.number("cached_100_cpu_seconds", again.cpu);
}

/// Eight cells on one kernel with 1, 2, 4 and 8 machines at once.
pub(crate) fn jobs(setting: &Setting, figures: &mut Figures) {
    let object = setting.object();
    let objects: Vec<PathBuf> = (0..8)
        .map(|number| {
            let to = setting.dir.path().join(format!("job{number}.bpf.o"));
            fs::copy(&object, &to).expect("copy the object");
            to
        })
        .collect();
    for jobs in ["1", "2", "4", "8"] {
        let boots = setting.known(&BOOTS);
        let arguments = [&["--kernel", KERNEL, "--jobs", jobs], &boots[..]].concat();
        let measure = run(setting.check(&objects, &arguments));
        figures.number(&format!("jobs_{jobs}_seconds"), measure.wall);
        figures.number(&format!("jobs_{jobs}_cpu_seconds"), measure.cpu);
        figures.number(&format!("jobs_{jobs}_memory_mib"), measure.all_mib);
    }
    if let (Some(one), Some(two)) = (figures.get("jobs_1_seconds"), figures.get("jobs_2_seconds")) {
        figures.number("jobs_2_ratio", two / one);
    }
}

/// From a downloaded package to files that boot.
pub(crate) fn package(setting: &Setting, figures: &mut Figures) {
    // The packages of the kernel are there.
    run(setting.ukci(&["kernels", "fetch", KERNEL]));
    let prepared: Vec<Measure> = (0..runs().min(3))
        .map(|number| {
            let cache = setting.cache(&format!("package-{number}"), &["packages"]);
            let fetch = setting.ukci(&["kernels", "fetch", KERNEL]);
            run(fetch.env_cache(&cache))
        })
        .collect();
    let of = |of: fn(&Measure) -> f64| median(prepared.iter().map(of));
    figures.number("package_to_bootable_seconds", of(|m| m.wall));
    figures.number("package_to_bootable_cpu_seconds", of(|m| m.cpu));
}

/// 10,000 cells: listed, planned, and reported.
pub(crate) fn many(setting: &Setting, figures: &mut Figures) {
    let objects = setting.objects(2000);
    let on_five = |command: &str| {
        let mut command = setting.ukci(&[command, "--matrix", "quick"]);
        command.args(&objects);
        command
    };
    let listed = run(on_five("list"));
    figures.number("list_10000_seconds", listed.wall);
    let mut plan = on_five("plan");
    plan.arg("--out").arg(setting.dir.path().join("plan.json"));
    let planned = run(plan);
    figures.number("plan_10000_seconds", planned.wall);

    let check = setting.check(&[setting.object()], &["--kernel", KERNEL]);
    run(check);
    let path = setting.dir.path().join("many.json");
    fs::write(&path, of_10000_cells(setting.report()).to_string()).expect("write a report");
    for format in ["html", "markdown", "junit"] {
        let mut render = setting.ukci(&["report", "render"]);
        let to = format!("{format}={}", setting.dir.path().join(format).display());
        render.arg(&path).args(["--format", &to]);
        let rendered = run_with(render, ANY_VERDICT);
        figures.number(&format!("report_10000_{format}_seconds"), rendered.wall);
        figures.number(
            &format!("report_10000_{format}_memory_mib"),
            rendered.own_mib,
        );
    }
}

/// The report with 10,000 cells in place of its one: of 2,000 artifacts on 5 kernels.
fn of_10000_cells(mut report: Value) -> Value {
    let cell = report["cells"][0].clone();
    let artifact = report["artifacts"][0].clone();
    let kernel = report["kernels"]
        .as_object()
        .and_then(|kernels| kernels.values().next().cloned())
        .expect("a kernel");
    let artifacts = (0..2000).map(|number| {
        let mut artifact = artifact.clone();
        artifact["name"] = json!(format!("object{number:05}"));
        artifact
    });
    let names = (0..5).map(|number| format!("kernel{number}"));
    let kernels = names
        .clone()
        .map(|name| (format!("{name}/x86_64"), kernel.clone()));
    let cells = (0..2000).flat_map(|number| {
        names
            .clone()
            .map(move |kernel| (format!("object{number:05}"), kernel))
    });
    let cells = cells.map(|(artifact, kernel)| {
        let mut cell = cell.clone();
        let id = format!("{artifact}/{kernel}/x86_64");
        cell["evidence"] = json!(format!("cells/{artifact}_{kernel}_x86_64"));
        cell["id"] = json!(id);
        cell["artifact"] = json!(artifact);
        cell["kernel"] = json!(kernel);
        cell
    });
    report["cells"] = cells.collect();
    report["artifacts"] = artifacts.collect();
    report["kernels"] = Value::Object(kernels.collect());
    report["summary"]["cells"] = json!(10_000);
    report["summary"]["pass"] = json!(10_000);
    report
}

/// A command with a cache of its own.
trait EnvCache {
    fn env_cache(self, home: &Path) -> Self;
}

impl EnvCache for Command {
    fn env_cache(mut self, home: &Path) -> Self {
        self.env("XDG_CACHE_HOME", home);
        self
    }
}
