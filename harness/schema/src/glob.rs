//! Patterns: names in which `*` stands for any text.

/// Whether a pattern covers a name.
pub fn covers(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    // `split` gives at least one part.
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else {
        return false;
    };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    true
}

/// Whether one of several patterns covers a name.
pub fn any<'p>(patterns: impl IntoIterator<Item = &'p String>, name: &str) -> bool {
    patterns.into_iter().any(|pattern| covers(pattern, name))
}

/// What orders patterns that cover the same name, the last being the closest: a longer one is
/// closer than a shorter one, and the name itself is the closest.
pub fn closeness(pattern: &str) -> (bool, usize) {
    (!pattern.contains('*'), pattern.len())
}

/// The value of the pattern that is the closest to a name.
pub fn closest<'p, T>(patterns: impl IntoIterator<Item = (&'p str, T)>, name: &str) -> Option<T> {
    (patterns.into_iter())
        .filter(|(pattern, _)| covers(pattern, name))
        .max_by_key(|(pattern, _)| closeness(pattern))
        .map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::{closest, covers};

    #[test]
    fn a_star_stands_for_any_text() {
        assert!(covers("debian-12-6.1", "debian-12-6.1"));
        assert!(!covers("debian-12-6.1", "debian-12-6.1-cloud"));
        assert!(!covers("debian-12-6.1", "x-debian-12-6.1"));
        assert!(covers("debian-12-6.1*", "debian-12-6.1"));
        assert!(covers("debian-*-cloud", "debian-sid-7.2-cloud"));
        assert!(covers("*-5.10*", "debian-11-5.10-cloud"));
        assert!(!covers("*-5.10", "debian-11-5.10-cloud"));
        assert!(covers("*", ""));
        assert!(!covers("a*a", "a"), "the two ends may not share a letter");
        assert!(covers("*a*b*", "xaxb"));
        assert!(!covers("*b*a*", "xaxb"));
    }

    #[test]
    fn the_longest_pattern_is_the_closest_and_the_name_itself_closer() {
        let patterns = [
            ("kprobe_ab", 1),
            ("kprobe_a*", 2),
            ("*", 3),
            ("*_long_enough*", 4),
        ];
        assert_eq!(closest(patterns, "kprobe_ab"), Some(1));
        assert_eq!(closest(patterns, "kprobe_ac"), Some(2));
        assert_eq!(closest(patterns, "x"), Some(3));
        assert_eq!(closest([("y", 1)], "x"), None);
    }
}
