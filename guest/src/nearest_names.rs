//! Finds the names that are closest to one that was not found, for hints.
//!
//! The input is the name that was not found, and the names that exist. The output is at most three
//! names, best first. It is empty if no name is close, because a name that only begins in the same
//! way sends the reader to the wrong place. It never asks the kernel. The caller decides which
//! names can be attached to.
//!
//! Functions are renamed around the words that say what they do: `do_unlinkat` became
//! `filename_unlinkat`, and `account_page_dirtied` became `folio_account_dirtied`. So names are
//! compared by their words, split at `_`, and a word counts more the rarer it is among all names.
//! Words that the kernel exchanged for one another everywhere (`page` and `folio`) count as the same.
//! Renames that no word shows, such as that of `generic_file_buffered_read` to `filemap_read`, are in
//! `renames.tsv`: of functions, hooks, kfuncs and members. A new name counts only if it is among the names
//! that exist.

use std::collections::{BTreeSet, HashMap};

/// Most names.
const MOST: usize = 3;

/// How much the words count that a name has beside the shared ones.
const OF_OTHER_WORDS: f64 = 0.3;

/// How much of a name's weight the shared words need if none of them is rare.
const WITHOUT_RARE_WORD: f64 = 0.75;

/// The least closeness of a name that is offered.
const LEAST: f64 = 0.4;

/// Endings that mainline gave to functions which otherwise stayed what they were: allocation profiling
/// (6.10), and the reason for which a packet is dropped (5.17).
const ENDINGS: &[&str] = &["_noprof", "_reason"];

/// A name that mainline gave up, and its successors: the latest first.
const RENAMED: &str = include_str!("renames.tsv");

/// At most three of `names` that are close to `wanted` and that `attachable` accepts, best first.
pub(crate) fn nearest<'a>(
    wanted: &str,
    names: impl IntoIterator<Item = &'a str>,
    attachable: impl Fn(&str) -> bool,
) -> Vec<&'a str> {
    Names::of(names).nearest(wanted, attachable)
}

/// Names that exist, by their words. They are sorted once for every name that is looked for: a kernel
/// has 150,000, and under emulation that takes a second.
#[derive(Debug)]
pub(crate) struct Names<'a> {
    /// Each once.
    sorted: Vec<&'a str>,
    /// The letters of each.
    letters: Vec<u64>,
    /// The places in `sorted` of those that have a word.
    with_word: HashMap<&'a str, Vec<usize>>,
}

impl<'a> Names<'a> {
    /// These names, in any order.
    pub(crate) fn of(names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut names: Vec<&str> = names.into_iter().collect();
        names.sort_unstable();
        names.dedup();
        let mut with_word: HashMap<&str, Vec<usize>> = HashMap::new();
        for (place, name) in names.iter().enumerate() {
            for word in all_words(name) {
                let places = with_word.entry(word).or_default();
                if places.last() != Some(&place) {
                    places.push(place);
                }
            }
        }
        Self {
            letters: names.iter().map(|name| letters(name)).collect(),
            sorted: names,
            with_word,
        }
    }

    /// At most three that are close to `wanted` and that `attachable` accepts, best first. It is not
    /// among them itself.
    pub(crate) fn nearest(&self, wanted: &str, attachable: impl Fn(&str) -> bool) -> Vec<&'a str> {
        let mut found: Vec<&str> = (successors(wanted))
            .filter_map(|name| Some(self.sorted[self.sorted.binary_search(&name).ok()?]))
            .filter(|name| attachable(name))
            .collect();
        if !found.is_empty() {
            found.truncate(MOST);
            return found;
        }
        let own = self.sorted.binary_search(&wanted).ok();
        let mut others: Vec<usize> = (words(wanted).into_iter())
            .filter_map(|word| self.with_word.get(word))
            .flatten()
            .copied()
            .collect();
        others.sort_unstable();
        others.dedup();
        let close = Wanted::new(self, wanted, own.is_some());
        let wanted_letters = letters(wanted);
        let by_spelling = |place: usize| {
            let differ = (wanted_letters ^ self.letters[place]).count_ones();
            by_spelling(wanted, self.sorted[place], differ)
        };
        let spelt = (0..self.sorted.len()).filter_map(|place| Some((by_spelling(place)?, place)));
        let mut scored: Vec<(f64, usize)> = spelt.collect();
        let is_spelt = |place: &usize| scored.binary_search_by_key(place, |(_, of)| *of).is_ok();
        others.retain(|place| !is_spelt(place));
        scored.extend((others.into_iter()).filter_map(|place| {
            let score = close.by_words(self.sorted[place])?;
            Some((score, place))
        }));
        scored.retain(|(_, place)| Some(*place) != own);
        let mut scored: Vec<(f64, &str)> = (scored.into_iter())
            .map(|(score, place)| (score, self.sorted[place]))
            .collect();
        scored.sort_by(|(a, x), (b, y)| {
            let by_name = || (x.len(), x).cmp(&(y.len(), y));
            b.total_cmp(a).then_with(by_name)
        });
        (scored.into_iter().map(|(_, name)| name))
            .filter(|name| attachable(name))
            .take(MOST)
            .collect()
    }
}

/// What a thing is called that mainline renamed.
pub(crate) fn successors(wanted: &str) -> impl Iterator<Item = &'static str> {
    let of = |line: &'static str| line.split_once('\t').filter(|(old, _)| *old == wanted);
    let line = RENAMED.lines().find_map(of);
    line.into_iter().flat_map(|(_, new)| new.split(' '))
}

/// The words of a name, each once.
fn words(name: &str) -> BTreeSet<&str> {
    all_words(name).collect()
}

/// The words of a name, in order.
fn all_words(name: &str) -> impl Iterator<Item = &str> {
    let parts = name.split(['_', '/', '.']);
    parts.filter(|word| word.len() > 1).map(same_word)
}

/// Words that stand for the same thing: pages became folios from 5.16 on, and `readahead` is
/// written `ra` since 5.10.
fn same_word(word: &str) -> &str {
    match word {
        "folio" => "page",
        "folios" => "pages",
        "readahead" => "ra",
        "allocate" | "allocation" => "alloc",
        word => word,
    }
}

/// A name that is looked for among others.
struct Wanted<'a> {
    among: &'a Names<'a>,
    words: BTreeSet<&'a str>,
    /// Whether it is among them itself. It does not count there.
    is_among: bool,
}

impl<'a> Wanted<'a> {
    fn new(among: &'a Names<'a>, wanted: &'a str, is_among: bool) -> Self {
        Self {
            among,
            words: words(wanted),
            is_among,
        }
    }

    /// How many other names have the word.
    fn count(&self, word: &str) -> usize {
        let all = self.among.with_word.get(word).map_or(0, Vec::len);
        all - usize::from(self.is_among && self.words.contains(word))
    }

    /// How many other names there are.
    fn others(&self) -> usize {
        self.among.sorted.len() - usize::from(self.is_among)
    }

    /// The rarer a word, the more it says.
    fn weight(&self, word: &str) -> f64 {
        #[expect(
            clippy::cast_precision_loss,
            reason = "a kernel has fewer than 2^52 names"
        )]
        let ratio = self.others().max(2) as f64 / self.count(word).max(1) as f64;
        ratio.ln().max(0.1)
    }

    /// One name of two thousand has it, or three in all: `unlinkat`, not `func`. Two letters, such as
    /// `rq`, are no word.
    fn is_rare(&self, word: &str) -> bool {
        word.len() > 2 && self.count(word) <= (self.others() / 2000).max(3)
    }

    /// Up to 1; `None` if the words of a name are not close at all.
    fn by_words(&self, name: &str) -> Option<f64> {
        let (all, others) = (&self.words, words(name));
        let shared: Vec<&str> = all.intersection(&others).copied().collect();
        // All of the words, and hardly another, are as good as a rare one.
        let whole = shared.len() == all.len() && all.len() > 1 && others.len() <= all.len() + 1;
        let weigh = |words: &mut dyn Iterator<Item = &&str>| -> f64 {
            words.map(|word| self.weight(word)).sum()
        };
        let most = || {
            shared.len() > 2
                && weigh(&mut shared.iter()) >= WITHOUT_RARE_WORD * weigh(&mut all.iter())
        };
        if !whole && !shared.iter().any(|word| self.is_rare(word)) && !most() {
            return None;
        }
        let extra = weigh(&mut others.difference(all));
        let score = weigh(&mut shared.iter()) / (weigh(&mut all.iter()) + OF_OTHER_WORDS * extra);
        (score >= LEAST).then_some(score)
    }
}

/// 2.5 if a name differs by underscores before it, as `__state` of `task_struct` does, which was `state` before
/// 5.14; 2 if by a letter or two, 1.5 if by an ending. `differ` is how many letters occur in
/// only one of both: a wrong letter changes two of these, and a missing one changes one.
fn by_spelling(wanted: &str, name: &str, differ: u32) -> Option<f64> {
    if differ <= 1 && wanted.trim_start_matches('_') == name.trim_start_matches('_') {
        return Some(2.5);
    }
    if differ as usize <= 2 * allowed(wanted) && is_misspelt(wanted, name) {
        return Some(2.0);
    }
    (is_longer_by_an_ending(wanted, name) || has_an_ending_of_mainline(wanted, name)).then_some(1.5)
}

/// A bit for each letter that occurs in a name; other letters that share a bit are taken for one.
fn letters(name: &str) -> u64 {
    (name.bytes()).fold(0, |letters, byte| letters | 1 << (byte & 0x3f))
}

/// Whether the last word of one name is that of the other with an ending, and the other words are the
/// same: `sched_switching` of `sched_switch`, `inode_permissions` of `inode_permission`.
fn is_longer_by_an_ending(wanted: &str, name: &str) -> bool {
    const OF_A_WORD: &[&str] = &["s", "es", "d", "ed", "ing", "er", "ion", "able"];
    let (short, long) = if wanted.len() < name.len() {
        (wanted, name)
    } else {
        (name, wanted)
    };
    let Some(ending) = long.strip_prefix(short) else {
        return false;
    };
    let last = short.rsplit(['_', '/', '.']).next().unwrap_or_default();
    OF_A_WORD.contains(&ending) && last.len() >= 4
}

/// Whether a name is the wanted one with one of [`ENDINGS`].
fn has_an_ending_of_mainline(wanted: &str, name: &str) -> bool {
    let ending = name
        .trim_start_matches('_')
        .strip_prefix(wanted.trim_start_matches('_'));
    ending.is_some_and(|ending| ENDINGS.contains(&ending))
}

/// Whether a name differs by a letter or two: `vfs_raed`.
fn is_misspelt(wanted: &str, name: &str) -> bool {
    let allowed = allowed(wanted);
    wanted.len().abs_diff(name.len()) <= allowed && distance(wanted, name) <= allowed
}

/// How many letters of a name may be wrong.
fn allowed(wanted: &str) -> usize {
    match wanted.len() {
        0..5 => 0,
        5..16 => 1,
        _ => 2,
    }
}

/// Letters that are missing, too many, wrong or swapped with their neighbour (the optimal string
/// alignment distance).
fn distance(one: &str, other: &str) -> usize {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let mut before = vec![0; other.len() + 1];
    let mut last: Vec<usize> = (0..=other.len()).collect();
    for i in 1..=one.len() {
        let mut row = vec![i];
        for j in 1..=other.len() {
            let differs = usize::from(one[i - 1] != other[j - 1]);
            let mut best = (last[j] + 1).min(row[j - 1] + 1).min(last[j - 1] + differs);
            let swapped =
                i > 1 && j > 1 && one[i - 1] == other[j - 2] && one[i - 2] == other[j - 1];
            if swapped {
                best = best.min(before[j - 2] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[other.len()]
}

#[cfg(test)]
mod tests {
    use super::{distance, nearest};

    /// Names of 7.2 around those that were renamed, and a crowd that only begins alike.
    const NAMES: &[&str] = &[
        "account_guest_time",
        "account_idle_time",
        "account_kernel_stack",
        "account_page_range",
        "do_group_exit",
        "do_page_fault",
        "do_readlinkat",
        "do_reset",
        "drop_nlink",
        "filename_renameat2",
        "filename_unlinkat",
        "folio_account_cleaned",
        "folio_account_dirtied",
        "folio_mark_accessed",
        "getname_flags",
        "io_renameat",
        "io_unlinkat",
        "kmem_cache_alloc_lru_noprof",
        "kmem_cache_alloc_noprof",
        "page_cache_next_miss",
        "task_work_func",
        "tp_func_add_device_to_group",
        "vfs_read",
        "vfs_readv",
        "work_func_of_group",
    ];

    fn of(wanted: &str) -> Vec<&'static str> {
        // As many more names as make a kernel of it, none of them close.
        let crowd: Vec<String> = (0..4000)
            .map(|n| format!("do_func_group_{n}_work"))
            .collect();
        let all = NAMES
            .iter()
            .copied()
            .chain(crowd.iter().map(String::as_str));
        let known = |name: &str| NAMES.iter().copied().find(|known| *known == name);
        nearest(wanted, all, |_| true)
            .into_iter()
            .map(|name| known(name).unwrap_or("one of the crowd"))
            .collect()
    }

    #[test]
    fn rare_words_win_over_a_common_beginning() {
        assert_eq!(of("vfs_unlinkat")[0], "io_unlinkat");
        assert!(of("vfs_unlinkat").contains(&"filename_unlinkat"));
        assert_eq!(of("ksys_renameat2"), ["filename_renameat2"]);
        assert_eq!(of("account_page_dirtied")[0], "folio_account_dirtied");
        assert_eq!(of("kmem_cache_alloc")[0], "kmem_cache_alloc_noprof");
    }

    #[test]
    fn a_slip_of_the_pen_finds_the_name() {
        assert_eq!(of("vfs_raed")[0], "vfs_read");
        assert_eq!(of("filename_unlikat")[0], "filename_unlinkat");
    }

    #[test]
    fn an_ending_of_the_last_word_is_no_other_name() {
        let events = ["sched/sched_switch", "sched/sched_waking", "irq/irq_exit"];
        let of = |wanted| nearest(wanted, events, |_| true);
        assert_eq!(of("sched/sched_switching"), ["sched/sched_switch"]);
        assert_eq!(of("irq/irq_exited"), ["irq/irq_exit"]);
    }

    #[test]
    fn a_longer_word_is_not_an_ending() {
        assert!(nearest("vfs_readdir", ["vfs_read", "vfs_readv"], |_| true).is_empty());
    }

    #[test]
    fn pages_are_folios_and_readahead_is_ra() {
        let names = [
            "do_page_cache_ra",
            "folio_add_new_anon_rmap",
            "page_counter_charge",
            "shrink_folio_list",
        ];
        let of = |wanted| nearest(wanted, names, |_| true);
        assert_eq!(of("__do_page_cache_readahead"), ["do_page_cache_ra"]);
        assert_eq!(of("page_add_new_anon_rmap"), ["folio_add_new_anon_rmap"]);
        assert_eq!(of("shrink_page_list"), ["shrink_folio_list"]);
        assert!(of("page_owner_show").is_empty());
    }

    #[test]
    fn known_renames_are_found_where_no_word_is_shared() {
        let names = [
            "filemap_read",
            "kernel_clone",
            "kernel_read_file",
            "__kmalloc_noprof",
        ];
        let of = |wanted| nearest(wanted, names, |_| true);
        assert_eq!(of("generic_file_buffered_read"), ["filemap_read"]);
        assert_eq!(of("_do_fork"), ["kernel_clone"]);
        assert_eq!(
            nearest("bi_disk", ["bi_bdev", "bi_next"], |_| true),
            ["bi_bdev"]
        );
        assert_eq!(of("__kmalloc"), ["__kmalloc_noprof"]);
        // Only what this kernel has, and what can be attached to.
        assert!(nearest("_do_fork", names, |name| name != "kernel_clone").is_empty());
        assert!(of("lru_cache_add").is_empty());
    }

    #[test]
    fn the_table_of_renames_is_in_order_and_names_each_function_once() {
        let old: Vec<&str> = (super::RENAMED.lines())
            .map(|line| line.split_once('\t').expect("an old and a new name").0)
            .collect();
        assert!(old.is_sorted_by(|a, b| a < b), "{old:?}");
    }

    #[test]
    fn underscores_before_a_name_go_before_a_slip_of_the_pen() {
        let members = ["stats", "__state", "se"];
        assert_eq!(nearest("state", members, |_| true)[0], "__state");
    }

    #[test]
    fn an_abbreviated_word_is_the_same() {
        let events = [
            "mm_page_alloc",
            "mm_page_free",
            "ext4_allocate_inode",
            "ext4_allocate_blocks",
        ];
        assert_eq!(
            nearest("mm_page_allocate", events, |_| true)[0],
            "mm_page_alloc"
        );
    }

    #[test]
    fn two_letters_are_no_word() {
        let members = ["rq_flags", "cmd_flags", "part", "q"];
        assert!(nearest("rq_disk", members, |_| true).is_empty());
    }

    #[test]
    fn none_is_better_than_nonsense() {
        for wanted in ["func", "foo", "dummy_kprobe", "handle_entry", "", "do"] {
            assert!(of(wanted).is_empty(), "{wanted}: {:?}", of(wanted));
        }
    }

    #[test]
    fn only_what_can_be_attached_to_is_offered() {
        let found = nearest("kmem_cache_alloc", NAMES.iter().copied(), |name| {
            name != "kmem_cache_alloc_noprof"
        });
        assert_eq!(found, ["kmem_cache_alloc_lru_noprof"]);
    }

    #[test]
    fn letters_that_are_swapped_count_once() {
        assert_eq!(distance("read", "raed"), 1);
        assert_eq!(distance("read", "reads"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
