use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;

use burn::tensor::Device;
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::DeviceTraits;

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

/// A thread that computes by itself, beside others that do: what is parallel within its work runs on it alone.
#[derive(Debug)]
pub struct Worker {
    /// None where the work may spread over all threads.
    pool: Option<ThreadPool>,
}

impl Worker {
    /// As many as `device` is best shared by: one for each thread where its own operations use one core for the most part.
    pub fn all(device: &Device) -> Vec<Self> {
        let count = DeviceTraits::of(device).workers();
        let single = || ThreadPoolBuilder::new().num_threads(1).build().ok();
        let pools = (0..count).map_while(|_| single());
        let workers: Vec<Self> = pools.map(|pool| Self { pool: Some(pool) }).collect();
        match workers.len() {
            0 | 1 => vec![Self { pool: None }],
            _ => workers,
        }
    }

    /// Does the work.
    pub fn run<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        match &self.pool {
            Some(pool) => pool.install(work),
            None => work(),
        }
    }
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
