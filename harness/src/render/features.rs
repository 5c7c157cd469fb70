//! Prints the features of one kernel, or the differences between two, as text.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use super::Shown;
use ukci_schema::features::{Difference, KernelFeatures, Kind, Offered};

/// One kernel: its settings if there are any, then each kind with a count and a line per feature.
pub fn features(
    kernel: &Shown<KernelFeatures>,
    settings: &Shown<BTreeMap<String, String>>,
) -> Shown<String> {
    let mut text = format!(
        "{}  {}, libbpf {}\n",
        kernel.kernel, kernel.guest.release, kernel.libbpf
    );
    if !settings.is_empty() {
        let width = settings.keys().map(String::len).max().unwrap_or(0);
        text.push_str("\nSettings\n");
        for (name, value) in &**settings {
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
    Shown::rendered(text)
}

/// The differences of two kernels: first what only one of them has, in a column per kernel; then
/// settings; last what both have and other program types can call.
pub fn differences(
    kernels: [&Shown<KernelFeatures>; 2],
    settings: [&Shown<BTreeMap<String, String>>; 2],
    differences: &Shown<Vec<Difference>>,
) -> Shown<String> {
    let mut text = String::new();
    for (sign, kernel) in ["A", "B"].iter().zip(kernels) {
        let _ = writeln!(text, "{sign}  {}  {}", kernel.kernel, kernel.guest.release);
    }
    for kind in Kind::ALL {
        let of_kind = differences.iter().filter(|d| d.kind == kind);
        let of_kind: Vec<&Difference> = of_kind.filter(|d| !is_about_callers(d)).collect();
        if of_kind.is_empty() {
            continue;
        }
        let width = of_kind.iter().map(|d| d.name.len()).max().unwrap_or(0);
        let _ = writeln!(text, "\n{}\n  A    B", kind.heading());
        for difference in of_kind {
            let [ours, theirs] = &difference.sides;
            let line = format!(
                "  {:<3}  {:<3}  {:<width$}  {}",
                word(ours.present),
                word(theirs.present),
                difference.name,
                difference.mainline.as_deref().unwrap_or(""),
            );
            let _ = writeln!(text, "{}", line.trim_end());
        }
    }
    text.push_str(&different_settings(settings.map(|settings| &**settings)));
    for kind in Kind::ALL {
        let of_kind = differences.iter().filter(|d| d.kind == kind);
        text.push_str(&different_callers(
            kind,
            of_kind.filter(|d| is_about_callers(d)),
        ));
    }
    if text.lines().count() == 2 {
        text.push_str("\nno difference\n");
    }
    Shown::rendered(text)
}

/// The settings that differ, a line for each kernel.
fn different_settings([ours, theirs]: [&BTreeMap<String, String>; 2]) -> String {
    let names: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
    let different: Vec<_> = names
        .into_iter()
        .map(|name| (name, ours.get(name), theirs.get(name)))
        .filter(|(_, ours, theirs)| ours != theirs)
        .collect();
    let mut text = String::new();
    if !different.is_empty() {
        text.push_str("\nSettings\n");
    }
    let width = different.iter().map(|(name, ..)| name.len()).max();
    let width = width.unwrap_or(0);
    for (name, ours, theirs) in different {
        for (sign, value) in [("A", ours), ("B", theirs)] {
            let name = if sign == "A" { name.as_str() } else { "" };
            let value = value.map_or("unknown", String::as_str);
            let _ = writeln!(text, "  {name:<width$}  {sign}  {value}");
        }
    }
    text
}

/// Whether both kernels have it, and only the program types that can call it differ.
fn is_about_callers(difference: &Difference) -> bool {
    difference
        .sides
        .iter()
        .all(|side| side.present == Some(true))
}

/// What both kernels have, by the program types that can call it in only one of them: a new
/// program type can call a hundred helpers, which are one difference.
fn different_callers<'a>(kind: Kind, differences: impl Iterator<Item = &'a Difference>) -> String {
    let mut alike: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for difference in differences {
        let [ours, theirs] = &difference.sides;
        let what = [("A", ours), ("B", theirs)].map(|(sign, side)| {
            let types = side.only_program_types.join(" ");
            (!types.is_empty()).then(|| format!("only in {sign} from {types}"))
        });
        let what: Vec<String> = what.into_iter().flatten().collect();
        alike
            .entry(what.join("; "))
            .or_default()
            .push(&difference.name);
    }
    let mut text = String::new();
    if !alike.is_empty() {
        let _ = writeln!(text, "\n{} that both have", kind.heading());
    }
    for (what, names) in alike {
        let _ = writeln!(text, "  callable {what} ({}):", names.len());
        let mut line = String::new();
        for name in names {
            if !line.is_empty() && line.len() + 1 + name.len() > WIDTH {
                let _ = writeln!(text, "    {line}");
                line.clear();
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(name);
        }
        let _ = writeln!(text, "    {line}");
    }
    text
}

/// The widest list of names, without its indentation.
const WIDTH: usize = 92;

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
