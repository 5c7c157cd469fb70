//! Runs work in several threads at once.

use std::sync::{Mutex, PoisonError};
use std::thread;

/// Does `work` with each of `items` in up to `count` threads, of which the caller's is one, and returns
/// the results in the order of the items. If the system lets us start fewer threads, it takes longer,
/// and nothing else changes.
pub(crate) fn for_each<I: Send, R: Send>(
    count: usize,
    items: impl IntoIterator<Item = I, IntoIter: Send>,
    work: impl Fn(I) -> R + Sync,
) -> Vec<R> {
    let queue = Mutex::new(items.into_iter().enumerate());
    let done = Mutex::new(Vec::new());
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    let work = || {
        while let Some((n, item)) = next() {
            let result = work(item);
            let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
            done.push((n, result));
        }
    };
    thread::scope(|scope| {
        for _ in 1..count {
            if thread::Builder::new().spawn_scoped(scope, work).is_err() {
                break;
            }
        }
        work();
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_unstable_by_key(|(n, _)| *n);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::for_each;

    #[test]
    fn results_keep_their_order_and_threads_run_at_once() {
        // Ends only if four threads, of which this is one, wait for one another.
        let all = Barrier::new(4);
        let squares = for_each(4, 0..4, |n| {
            all.wait();
            n * n
        });
        assert_eq!(squares, [0, 1, 4, 9]);
        assert_eq!(for_each(1, ["a", "b"], str::len), [1, 1]);
        assert!(for_each(3, Vec::<u8>::new(), |n| n).is_empty());
    }
}
