use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;

use rayon::{ThreadPool, ThreadPoolBuilder};

/// Does `work` for every item, in order of the items, on at most `threads` threads. Each of those keeps to
/// itself: what is parallel within the work of an item runs on its own thread.
pub fn work_on<T: Send, R: Send>(
    threads: usize,
    items: Vec<T>,
    work: impl Fn(T) -> R + Sync,
) -> Vec<R> {
    let pools = pools();
    // One that is called from such a thread has no other to itself.
    let most = rayon::current_num_threads().min(pools.len());
    let threads = threads.min(items.len()).min(most);
    if threads < 2 {
        return items.into_iter().map(work).collect();
    }
    let count = items.len();
    let items = Mutex::new(items.into_iter().enumerate());
    let next = || lock(&items).next();
    let results = Mutex::new(Vec::with_capacity(count));
    let one = |pool: &'static ThreadPool| {
        pool.install(|| {
            while let Some((index, item)) = next() {
                let result = work(item);
                lock(&results).push((index, result));
            }
        });
    };
    thread::scope(|scope| {
        for pool in &pools[1..threads] {
            scope.spawn(|| one(pool));
        }
        one(&pools[0]);
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_unstable_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

/// A panic in one part is passed on by the scope; what the lock guards is whole at any time.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Pools of one thread each, as many as the process has threads for computing.
fn pools() -> &'static [ThreadPool] {
    static POOLS: OnceLock<Vec<ThreadPool>> = OnceLock::new();
    POOLS.get_or_init(|| {
        let make = |_| ThreadPoolBuilder::new().num_threads(1).build().ok();
        (0..rayon::current_num_threads()).filter_map(make).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_order_and_threads_keep_to_themselves() {
        let items: Vec<usize> = (0..50).collect();
        let twice = work_on(4, items, |n| (2 * n, rayon::current_num_threads()));
        let numbers: Vec<usize> = twice.iter().map(|(n, _)| *n).collect();
        assert_eq!(numbers, (0..100).step_by(2).collect::<Vec<_>>());
        if pools().len() > 1 {
            assert!(twice.iter().all(|(_, threads)| *threads == 1));
        }
        assert!(work_on(4, Vec::<usize>::new(), |n| n).is_empty());
        // Within one there is no other.
        let nested = work_on(2, vec![1, 2], |n| work_on(2, vec![n, n], |n| n));
        assert_eq!(nested, [[1, 1], [2, 2]]);
    }
}
