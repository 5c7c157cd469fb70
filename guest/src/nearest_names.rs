//! The names closest to one that was not found, for hints.

/// At most three of `names` that look like `wanted`, best first.
pub(crate) fn nearest<'a>(wanted: &str, names: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let mut scored: Vec<(f64, &str)> = names
        .into_iter()
        .map(|name| (closeness(wanted, name), name))
        .filter(|(score, _)| *score >= 0.7)
        .collect();
    scored.sort_by(|(a, x), (b, y)| b.total_cmp(a).then(x.cmp(y)));
    scored.dedup_by(|a, b| a.1 == b.1);
    scored.into_iter().take(3).map(|(_, name)| name).collect()
}

/// 0 to 1. A name that contains the wanted one is close however long it is.
fn closeness(wanted: &str, name: &str) -> f64 {
    let similar = strsim::jaro_winkler(wanted, name);
    if !wanted.is_empty() && name.contains(wanted) {
        similar.max(0.9)
    } else {
        similar
    }
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_misspelt_name_finds_its_neighbours() {
        let names = [
            "debian-12-6.1",
            "debian-12-6.1-cloud",
            "debian-13-6.12",
            "quick",
        ];
        assert_eq!(nearest("debian-12-6.2", names)[0], "debian-12-6.1");
        assert_eq!(nearest("6.12", names), ["debian-13-6.12"]);
        assert!(nearest("zzz", names).is_empty());
    }
}
