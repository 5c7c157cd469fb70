//! Formats numbers of things for people.

use std::fmt::Display;

/// `1 cell`, `2 cells`: a number and the noun in its form.
pub fn count<N: Display + Copy + PartialEq + From<u8>>(number: N, noun: &str) -> String {
    let ending = if number == N::from(1) { "" } else { "s" };
    format!("{number} {noun}{ending}")
}

#[cfg(test)]
mod tests {
    use super::count;

    #[test]
    fn only_one_is_singular() {
        let counted = [0_u32, 1, 2].map(|number| count(number, "cell"));
        assert_eq!(counted, ["0 cells", "1 cell", "2 cells"]);
    }
}
