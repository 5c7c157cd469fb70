//! Says what each stage of a cell took, in one line.

use ukci_schema::report::CellReport;

/// `boot 1.31 s (1.28 s of CPU), connect 0.05 s (0.04 s of CPU), …, the rest 0.06 s`, or nothing if
/// no guest ran. The rest is what earlier boots, shutting down and saving the evidence took.
pub fn stage_times(cell: &CellReport) -> String {
    if cell.stages.is_empty() {
        return String::new();
    }
    let stages = cell.stages.iter().map(|time| {
        let cpu = time.cpu_seconds;
        let cpu = cpu.map_or(String::new(), |cpu| format!(" ({cpu:.2} s of CPU)"));
        format!("{} {:.2} s{cpu}, ", time.stage, time.seconds)
    });
    let known: f64 = cell.stages.iter().map(|time| time.seconds).sum();
    let rest = (cell.seconds - known).max(0.0);
    stages.collect::<String>() + &format!("the rest {rest:.2} s")
}
