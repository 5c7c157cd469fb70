//! Finds the oldest kernel of a row that takes an artifact, and the one below it that does not.
//!
//! The row is sorted from the oldest kernel to the newest. The oldest supported one is where a run of
//! kernels begins that all take the artifact and that ends with the newest. Few of them need to be
//! booted: the newest, the two around the artifact's static floor, and what the answers lead to from
//! there. If the newest refuses the artifact, nothing can be concluded, and all are booted. That a kernel
//! in the middle refuses what an older one and the newest take is not looked for.

use std::collections::BTreeMap;

use crate::bisection::Answer;

/// A search in one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EdgeSearch {
    /// How many kernels the row has.
    length: usize,
    /// The oldest kernel that has all that the artifact asks for, by mainline.
    floor: usize,
    answers: BTreeMap<usize, Answer>,
}

/// What a search has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// The oldest supported kernel; none if the newest refuses the artifact.
    pub oldest: Option<usize>,
    /// The kernel below it, which refuses the artifact; none if no older one does.
    pub refused: Option<usize>,
    /// Kernels that take it although a newer one does not, oldest first.
    pub also: Vec<usize>,
}

impl EdgeSearch {
    /// A search in a row of `length` kernels, of which `floor` is where to begin. `length` is not 0.
    pub fn new(length: usize, floor: usize) -> Self {
        Self {
            length: length.max(1),
            floor: floor.min(length.max(1) - 1),
            answers: BTreeMap::new(),
        }
    }

    /// The places to ask next, all at once; none if nothing is left to be asked.
    pub fn wants(&self) -> Vec<usize> {
        let newest = self.length - 1;
        if self.answers.is_empty() {
            let mut first = vec![newest, self.floor];
            first.extend(self.floor.checked_sub(1));
            first.sort_unstable();
            first.dedup();
            return first;
        }
        let open = |place: &usize| !self.answers.contains_key(place);
        let Edge {
            oldest, refused, ..
        } = self.edge();
        let Some(oldest) = oldest else {
            return (0..self.length).filter(open).collect();
        };
        let next = match refused {
            // Downwards, one after the other: below the floor there is little.
            None => (0..oldest).rev().find(open),
            Some(refused) => {
                let middle = refused + (oldest - refused) / 2;
                (refused + 1..oldest)
                    .filter(open)
                    .min_by_key(|place| place.abs_diff(middle))
            }
        };
        next.into_iter().collect()
    }

    /// Takes the answer of a place.
    pub fn tell(&mut self, place: usize, answer: Answer) {
        self.answers.insert(place, answer);
    }

    /// What the answers say.
    pub fn edge(&self) -> Edge {
        let places = |wanted: Answer| {
            let told = self
                .answers
                .iter()
                .filter(move |(_, answer)| **answer == wanted);
            told.map(|(place, _)| *place)
        };
        let refused = places(Answer::Bad).next_back();
        let is_above = |place: &usize| refused.is_none_or(|refused| *place > refused);
        let oldest = places(Answer::Good).find(is_above);
        // A newest kernel that does not boot says nothing, and one that refuses says all.
        Edge {
            oldest,
            refused,
            also: places(Answer::Good)
                .filter(|place| !is_above(place))
                .collect(),
        }
    }

    /// How many kernels were asked.
    pub fn asked(&self) -> usize {
        self.answers.len()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn searched(answers: &[Answer], floor: usize) -> EdgeSearch {
        let mut search = EdgeSearch::new(answers.len(), floor);
        loop {
            let wants = search.wants();
            if wants.is_empty() {
                return search;
            }
            for place in wants {
                assert!(!search.answers.contains_key(&place), "asked twice");
                search.tell(place, answers[place]);
            }
        }
    }

    fn exhaustive(answers: &[Answer]) -> Edge {
        let mut search = EdgeSearch::new(answers.len(), 0);
        for (place, answer) in answers.iter().enumerate() {
            search.tell(place, *answer);
        }
        search.edge()
    }

    #[test]
    fn the_edge_is_found_from_every_floor() {
        for length in 1..12 {
            for first in 0..=length {
                let answers: Vec<Answer> = (0..length)
                    .map(|place| {
                        if place >= first {
                            Answer::Good
                        } else {
                            Answer::Bad
                        }
                    })
                    .collect();
                for floor in 0..length {
                    let search = searched(&answers, floor);
                    assert_eq!(
                        search.edge(),
                        exhaustive(&answers),
                        "{length} {first} {floor}"
                    );
                    if first == floor {
                        assert!(search.asked() <= 3, "the floor was right");
                    }
                }
            }
        }
    }

    #[test]
    fn a_newest_kernel_that_refuses_has_all_of_them_booted() {
        use Answer::{Bad, Good, None as Silent};
        let search = searched(&[Bad, Good, Good, Silent, Bad], 1);
        assert_eq!(search.asked(), 5);
        let edge = search.edge();
        assert_eq!(
            (edge.oldest, edge.refused, edge.also),
            (None, Some(4), vec![1, 2])
        );
        // What does not boot is passed over.
        let edge = searched(&[Bad, Silent, Good, Good], 1).edge();
        assert_eq!((edge.oldest, edge.refused), (Some(2), Some(0)));
        let edge = searched(&[Silent, Silent], 0).edge();
        assert_eq!((edge.oldest, edge.refused), (None, None));
    }

    /// Every case of the casebook was run on every kernel: `results.tsv` is that exhaustive run.
    #[test]
    fn every_case_of_the_casebook_has_the_edge_of_the_exhaustive_run() {
        let text = include_str!("../../guest/tests/casebook/results.tsv");
        let mut rows: BTreeMap<&str, BTreeMap<(u32, u32), Answer>> = BTreeMap::new();
        for line in text.lines().skip(1) {
            let fields: Vec<&str> = line.split('\t').collect();
            let [case, kernel, verdict, ..] = fields.as_slice() else {
                panic!("{line}");
            };
            let answer = match *verdict {
                "pass" => Answer::Good,
                "fail" => Answer::Bad,
                _ => Answer::None,
            };
            // The five kernels of x86_64.
            let series = kernel
                .strip_suffix("-cloud")
                .and_then(|name| name.rsplit('-').next());
            if let Some(series) = series.and_then(ukci_schema::history::series) {
                rows.entry(case).or_default().insert(series, answer);
            }
        }
        assert!(rows.len() > 300, "{}", rows.len());
        let (mut booted, mut all_booted) = (0, 0);
        for (case, row) in &rows {
            let answers: Vec<Answer> = row.values().copied().collect();
            for floor in 0..answers.len() {
                let search = searched(&answers, floor);
                let (found, all) = (search.edge(), exhaustive(&answers));
                assert_eq!(found, all, "{case} {floor}");
                booted += search.asked();
                all_booted += answers.len();
            }
        }
        assert!(booted < all_booted, "{booted} of {all_booted}");
    }
}
