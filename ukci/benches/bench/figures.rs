//! The figures: printed as they come, written at the end, and compared with a baseline.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

/// How much worse than the baseline a ratio may be: 1.2 is a fifth. The same ratio differs by up to
/// a tenth between runs on a busy host.
const TOLERANCE: f64 = 1.2;

/// What was measured, and on what.
#[derive(Debug)]
pub(crate) struct Figures {
    numbers: BTreeMap<String, f64>,
    words: BTreeMap<String, String>,
}

impl Default for Figures {
    fn default() -> Self {
        let mut figures = Self {
            numbers: BTreeMap::new(),
            words: BTreeMap::new(),
        };
        let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpu.lines().find_map(|line| line.strip_prefix("model name"));
        let model = model.and_then(|line| line.split_once(": "));
        figures.word("machine_cpu", model.map_or("unknown", |(_, model)| model));
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        figures.word("machine_cores", &cores.to_string());
        figures.word("machine_load_before", &load());
        figures
    }
}

impl Figures {
    /// A figure; the unit is in its name.
    #[expect(clippy::print_stdout, reason = "the figures are the output")]
    pub(crate) fn number(&mut self, name: &str, value: f64) {
        println!("{name}: {value:.3}");
        self.numbers
            .insert(name.to_owned(), (value * 1000.0).round() / 1000.0);
    }

    /// What it was measured on.
    #[expect(clippy::print_stdout, reason = "the figures are the output")]
    pub(crate) fn word(&mut self, name: &str, value: &str) {
        println!("{name}: {value}");
        self.words.insert(name.to_owned(), value.to_owned());
    }

    /// A figure that was measured before.
    pub(crate) fn get(&self, name: &str) -> Option<f64> {
        self.numbers.get(name).copied()
    }

    /// Writes `target/bench.json` and `target/bench.md`.
    pub(crate) fn write(&self) {
        let mut flat = Map::new();
        flat.insert("machine_load_after".to_owned(), load().into());
        for (name, word) in &self.words {
            flat.insert(name.clone(), word.clone().into());
        }
        for (name, number) in &self.numbers {
            flat.insert(name.clone(), (*number).into());
        }
        let json = Value::Object(flat);
        let target = root().join("target");
        fs::write(target.join("bench.json"), format!("{json:#}\n")).expect("write the figures");
        let mut table = String::from("| Figure | Value |\n|---|---|\n");
        for (name, word) in &self.words {
            table.push_str(&format!("| `{name}` | {word} |\n"));
        }
        for (name, number) in &self.numbers {
            table.push_str(&format!("| `{name}` | {number} |\n"));
        }
        fs::write(target.join("bench.md"), table).expect("write the table");
    }

    /// A sentence for each ratio that is markedly worse than in `UKCI_BENCH_BASELINE`.
    pub(crate) fn worse_than_baseline(&self) -> Vec<String> {
        let path = std::env::var_os("UKCI_BENCH_BASELINE");
        let Some(path) = path.filter(|path| !path.is_empty()) else {
            return Vec::new();
        };
        // Cargo runs a benchmark in the directory of its package.
        let text = fs::read(root().join(path)).expect("read UKCI_BENCH_BASELINE");
        let baseline: BTreeMap<String, f64> =
            serde_json::from_slice(&text).expect("numbers by their names");
        assert!(
            baseline.keys().all(|name| name.contains("_ratio")),
            "a baseline has ratios only: seconds of another host say nothing"
        );
        let worse = baseline.iter().filter_map(|(name, was)| {
            let is = self.numbers.get(name)?;
            (*is > was * TOLERANCE).then(|| {
                format!("{name} is {is:.3}, more than a fifth above {was:.3} of the baseline")
            })
        });
        worse.collect()
    }
}

/// How many tasks wanted a processor in the last minute, on average.
fn load() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(' ').next().unwrap_or_default().to_owned()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
