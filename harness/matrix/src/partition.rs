//! Selects one shard of a matrix's cells, for one of several runners.

use std::fmt;
use std::str::FromStr;

use ukci_schema::cell::Cell;
use ukci_schema::plan::{PlannedCell, Shard};

/// Which share, of how many, and how cells are dealt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partition {
    by: By,
    /// From 1.
    share: u32,
    of: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    /// In turn, in the order of the matrix: shares differ by at most one cell.
    Count,
    /// By the cell's id: a cell stays in its share whatever else the matrix holds.
    Hash,
}

/// Text that names no partition.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is neither `count:m/n` nor `hash:m/n` with 1 ≤ m ≤ n")]
pub struct UnknownPartition(String);

impl Partition {
    /// Whether the cell at `place` of the matrix, from 0, is in this share.
    pub fn takes(&self, place: usize, cell: &Cell) -> bool {
        let number = match self.by {
            By::Count => place as u64,
            By::Hash => hash(&cell.id()),
        };
        number % u64::from(self.of) == u64::from(self.share - 1)
    }

    /// Keeps the cells of this share. Returns what it is a share of: the plan of `cells`, or the plan
    /// that these are already a shard of.
    pub fn keep(self, cells: &mut Vec<PlannedCell>, outer: Option<Shard>) -> Shard {
        let all = || cells.iter().map(|planned| planned.cell.id());
        let mut shard = outer.unwrap_or_else(|| Shard {
            names: Vec::new(),
            planned: all().collect(),
        });
        shard.names.push(self.to_string());
        let mut place = 0..;
        cells.retain(|planned| {
            let place = place.next();
            place.is_some_and(|place| self.takes(place, &planned.cell))
        });
        shard
    }
}

/// FNV-1a, 64 bits: the same in every version and on every host, and in any language.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

impl FromStr for Partition {
    type Err = UnknownPartition;

    fn from_str(text: &str) -> Result<Self, UnknownPartition> {
        let read = || {
            let (by, shares) = text.split_once(':')?;
            let by = match by {
                "count" => By::Count,
                "hash" => By::Hash,
                _ => return None,
            };
            let (share, of) = shares.split_once('/')?;
            let (share, of): (u32, u32) = (share.parse().ok()?, of.parse().ok()?);
            (1..=of).contains(&share).then_some(Self { by, share, of })
        };
        read().ok_or_else(|| UnknownPartition(text.to_owned()))
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by = match self.by {
            By::Count => "count",
            By::Hash => "hash",
        };
        write!(f, "{by}:{}/{}", self.share, self.of)
    }
}

#[cfg(test)]
mod tests {
    use super::{Partition, hash};
    use ukci_schema::cell::{Arch, Cell};
    use ukci_schema::plan::PlannedCell;

    fn cells() -> Vec<Cell> {
        let cell = |n: usize| Cell {
            artifact: format!("a{n}"),
            kernel: format!("debian-{}", n % 7),
            llvm: None,
            arch: Arch::X86_64,
            btf: None,
        };
        (0..101).map(cell).collect()
    }

    #[test]
    fn every_cell_is_in_exactly_one_share() {
        for by in ["count", "hash"] {
            let shares: Vec<Partition> = (1..=4)
                .map(|n| format!("{by}:{n}/4").parse().unwrap())
                .collect();
            let mut sizes = [0; 4];
            for (place, cell) in cells().iter().enumerate() {
                let takers: Vec<usize> = (0..4).filter(|&n| shares[n].takes(place, cell)).collect();
                assert_eq!(takers.len(), 1, "{by} {}", cell.id());
                sizes[takers[0]] += 1;
            }
            let spread = sizes.iter().max().unwrap() - sizes.iter().min().unwrap();
            assert!(spread <= if by == "count" { 1 } else { 20 }, "{sizes:?}");
        }
    }

    #[test]
    fn a_shard_knows_the_whole_plan_even_if_it_is_a_shard_of_a_shard() {
        let mut kept: Vec<PlannedCell> = cells().into_iter().map(PlannedCell::new).collect();
        let all: Vec<String> = cells().iter().map(Cell::id).collect();
        let half: Partition = "count:1/2".parse().unwrap();
        let shard = half.keep(&mut kept, None);
        assert_eq!((shard.planned.as_slice(), kept.len()), (&all[..], 51));
        let quarter = half.keep(&mut kept, Some(shard));
        assert_eq!((quarter.planned, kept.len()), (all, 26));
        assert_eq!(quarter.names, ["count:1/2", "count:1/2"]);
    }

    #[test]
    fn the_hash_is_fnv_1a_and_nonsense_is_refused() {
        assert_eq!(hash("foobar"), 0x8594_4171_f739_67e8);
        for wrong in [
            "count:0/3",
            "count:4/3",
            "hash:1/0",
            "1/3",
            "round:1/3",
            "count:1",
            "",
        ] {
            assert!(wrong.parse::<Partition>().is_err(), "{wrong}");
        }
        assert_eq!(
            "hash:2/3".parse::<Partition>().unwrap().to_string(),
            "hash:2/3"
        );
    }
}
