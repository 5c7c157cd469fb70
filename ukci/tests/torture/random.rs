//! Random numbers that can be repeated.

use std::time::{Duration, SystemTime};

/// Splitmix64: enough to choose attacks by, and the same everywhere.
pub(crate) struct Random(pub(crate) u64);

/// A seed that nobody chose.
pub(crate) fn seed() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    u64::from(now.unwrap_or_default().subsec_nanos()) ^ u64::from(std::process::id()) << 32
}

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`, which is not zero.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap()
    }

    pub(crate) fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    /// A time of at most `longest`, more often a short one.
    pub(crate) fn moment(&mut self, longest: Duration) -> Duration {
        let share = u32::try_from(self.below(1000)).unwrap();
        longest * share / 1000 * share / 1000
    }
}
