//! Formats numbers of things, and lists of them, for people.

use std::fmt::Display;

/// `1 cell`, `2 cells`: a number and the noun in its form.
pub fn count<N: Display + Copy + PartialEq + From<u8>>(number: N, noun: &str) -> String {
    let ending = if number == N::from(1) { "" } else { "s" };
    format!("{number} {noun}{ending}")
}

/// `a, b`, or `a, b and 3 more`: at most `most` of some names.
pub fn first_of<S: Display>(names: impl IntoIterator<Item = S>, most: usize) -> String {
    let mut names = names.into_iter();
    let shown: Vec<String> = names
        .by_ref()
        .take(most)
        .map(|name| name.to_string())
        .collect();
    let shown = shown.join(", ");
    match names.count() {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::{count, first_of};

    #[test]
    fn names_beyond_the_first_are_counted() {
        assert_eq!(first_of(["a", "b"], 2), "a, b");
        assert_eq!(first_of(["a", "b", "c", "d"], 2), "a, b and 2 more");
        assert_eq!(first_of(Vec::<String>::new(), 2), "");
    }

    #[test]
    fn only_one_is_singular() {
        let counted = [0_u32, 1, 2].map(|number| count(number, "cell"));
        assert_eq!(counted, ["0 cells", "1 cell", "2 cells"]);
    }
}
