//! Finds the first of a row of versions on which something is different, with as few boots as
//! possible.
//!
//! The row begins with a version that is known to be good and ends with one that is known to be bad.
//! Each answer halves what is between them. A version that gives no answer, because its kernel does
//! not boot, is passed over, and its neighbors are asked instead. If none of them answers, several
//! versions may be the first one.

mod criterion;

pub use criterion::{Criterion, criterion};

use std::collections::BTreeSet;
use std::ops::Range;

/// What a version says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is like the good version.
    Good,
    /// It is not.
    Bad,
    /// It cannot be asked.
    None,
}

/// A row of versions that is being halved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bisection {
    /// The last place that is known to be good.
    good: usize,
    /// The first place that is known to be bad.
    bad: usize,
    silent: BTreeSet<usize>,
}

impl Bisection {
    /// A row from a good version at place 0 to a bad one at `last`, which is not 0.
    pub fn new(last: usize) -> Self {
        Self {
            good: 0,
            bad: last.max(1),
            silent: BTreeSet::new(),
        }
    }

    /// The place to ask next: the one closest to the middle that may still answer. None if nothing is
    /// left to be asked.
    pub fn next(&self) -> Option<usize> {
        let middle = self.good + (self.bad - self.good) / 2;
        let places = self.between().filter(|place| !self.silent.contains(place));
        places.min_by_key(|place| place.abs_diff(middle))
    }

    /// Takes the answer of a place that [`Self::next`] gave.
    pub fn tell(&mut self, place: usize, answer: Answer) {
        match answer {
            Answer::Good => self.good = self.good.max(place),
            Answer::Bad => self.bad = self.bad.min(place),
            Answer::None => drop(self.silent.insert(place)),
        }
    }

    /// The last good place and the first bad one. What is between them did not answer.
    pub fn found(&self) -> (usize, usize) {
        (self.good, self.bad)
    }

    /// About how many more places will be asked: the logarithm to base two of what may be the first.
    pub fn steps_left(&self) -> u32 {
        let open = self.between().filter(|place| !self.silent.contains(place));
        (open.count() + 1).next_power_of_two().trailing_zeros()
    }

    fn between(&self) -> Range<usize> {
        self.good + 1..self.bad
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Halves a row whose versions are bad from `first` on, and where those of `silent` do not answer.
    fn run(last: usize, first: usize, silent: &[usize]) -> ((usize, usize), usize) {
        let mut row = Bisection::new(last);
        let mut asked = 0;
        while let Some(place) = row.next() {
            assert!(place > 0 && place < last, "the ends are known");
            asked += 1;
            row.tell(
                place,
                match place {
                    _ if silent.contains(&place) => Answer::None,
                    _ if place >= first => Answer::Bad,
                    _ => Answer::Good,
                },
            );
        }
        (row.found(), asked)
    }

    #[test]
    fn every_first_place_of_every_row_is_found_in_log2_boots() {
        for last in 1..40 {
            for first in 1..=last {
                let (found, asked) = run(last, first, &[]);
                assert_eq!(found, (first - 1, first), "{last} {first}");
                let most = last.next_power_of_two().trailing_zeros();
                assert!(asked <= most as usize, "{asked} boots for {last} versions");
            }
        }
    }

    #[test]
    fn what_does_not_answer_is_passed_over() {
        // The first bad one is found next to it.
        assert_eq!(run(10, 5, &[6]).0, (4, 5));
        // It could be the first one.
        assert_eq!(run(10, 5, &[5]).0, (4, 6));
        assert_eq!(run(10, 5, &[4]).0, (3, 5));
        // Nobody answers.
        let (found, asked) = run(6, 3, &[1, 2, 3, 4, 5]);
        assert_eq!((found, asked), ((0, 6), 5));
    }

    #[test]
    fn the_steps_left_are_never_too_few_by_more_than_the_silent_ones() {
        for last in 1..40 {
            let row = Bisection::new(last);
            let (_, asked) = run(last, last, &[]);
            assert!(asked <= row.steps_left() as usize, "{last}");
        }
    }
}
