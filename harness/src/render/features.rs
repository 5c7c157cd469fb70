//! What kernels offer, as text: one kernel's list, or what two do not have in common.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use ukci_schema::features::{Difference, KernelFeatures, Kind, Offered, Side};

/// One kernel: its settings where there are any, then each kind with a count and a line a feature.
pub fn features(kernel: &KernelFeatures, settings: &BTreeMap<String, String>) -> String {
    let mut text = format!(
        "{}  {}, libbpf {}\n",
        kernel.kernel, kernel.guest.release, kernel.libbpf
    );
    if !settings.is_empty() {
        let width = settings.keys().map(String::len).max().unwrap_or(0);
        text.push_str("\nSettings\n");
        for (name, value) in settings {
            let _ = writeln!(text, "  {name:<width$}  {value}");
        }
    }
    for kind in Kind::ALL {
        let of_kind: Vec<&Offered> = kernel.features.iter().filter(|f| f.kind == kind).collect();
        if of_kind.is_empty() {
            continue;
        }
        let all: BTreeSet<&String> = of_kind.iter().flat_map(|f| &f.program_types).collect();
        let has = of_kind.iter().filter(|f| f.present == Some(true)).count();
        let _ = writeln!(text, "\n{}  {has} of {}", kind.heading(), of_kind.len());
        let width = of_kind.iter().map(|f| f.name.len()).max().unwrap_or(0);
        for feature in of_kind {
            let mut line = format!(
                "  {:<3}  {:<width$}  {:<5}",
                word(feature.present),
                feature.name,
                feature.mainline.as_deref().unwrap_or(""),
            );
            if let Some(module) = &feature.module {
                let _ = write!(line, "  [{module}]");
            }
            let _ = write!(line, "  {}", callers(&feature.program_types, &all));
            let _ = writeln!(text, "{}", line.trim_end());
        }
    }
    text
}

/// What two kernels do not have in common: a column a kernel.
pub fn differences(
    kernels: [&KernelFeatures; 2],
    settings: [&BTreeMap<String, String>; 2],
    differences: &[Difference],
) -> String {
    let mut text = String::new();
    for (sign, kernel) in ["A", "B"].iter().zip(kernels) {
        let _ = writeln!(text, "{sign}  {}  {}", kernel.kernel, kernel.guest.release);
    }
    let [ours, theirs] = settings;
    let names: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
    let told: Vec<_> = names
        .into_iter()
        .map(|name| (name, ours.get(name), theirs.get(name)))
        .filter(|(_, ours, theirs)| ours != theirs)
        .collect();
    if !told.is_empty() {
        text.push_str("\nSettings\n");
    }
    let width = told.iter().map(|(name, ..)| name.len()).max().unwrap_or(0);
    for (name, ours, theirs) in told {
        for (sign, value) in [("A", ours), ("B", theirs)] {
            let name = if sign == "A" { name.as_str() } else { "" };
            let value = value.map_or("unknown", String::as_str);
            let _ = writeln!(text, "  {name:<width$}  {sign}  {value}");
        }
    }
    for kind in Kind::ALL {
        let of_kind: Vec<&Difference> = differences.iter().filter(|d| d.kind == kind).collect();
        if of_kind.is_empty() {
            continue;
        }
        let width = of_kind.iter().map(|d| d.name.len()).max().unwrap_or(0);
        let _ = writeln!(text, "\n{}\n  A    B", kind.heading());
        for difference in of_kind {
            let [ours, theirs] = &difference.sides;
            let line = format!(
                "  {:<3}  {:<3}  {:<width$}  {:<5}{}{}",
                word(ours.present),
                word(theirs.present),
                difference.name,
                difference.mainline.as_deref().unwrap_or(""),
                only("A", ours, theirs),
                only("B", theirs, ours),
            );
            let _ = writeln!(text, "{}", line.trim_end());
        }
    }
    if text.lines().count() == 2 {
        text.push_str("\nno difference\n");
    }
    text
}

/// The program types that may call something, of `all` that any of its kind may be called by; what
/// is left out where that is shorter.
fn callers(types: &[String], all: &BTreeSet<&String>) -> String {
    let without: Vec<&str> = all
        .iter()
        .filter(|name| !types.contains(name))
        .map(|name| name.as_str())
        .collect();
    match without.as_slice() {
        _ if types.is_empty() => String::new(),
        [] if all.len() > 3 => "all program types".into(),
        few if !few.is_empty() && few.len() * 2 < types.len() => {
            format!("all but {}", few.join(" "))
        }
        _ => types.join(" "),
    }
}

fn word(present: Option<bool>) -> &'static str {
    match present {
        Some(true) => "yes",
        Some(false) => "no",
        None => "?",
    }
}

/// The program types that only one of two may call it from, where both have it.
fn only(sign: &str, side: &Side, other: &Side) -> String {
    if side.only_program_types.is_empty() || other.present != Some(true) {
        return String::new();
    }
    format!("  only {sign}: {}", side.only_program_types.join(" "))
}
