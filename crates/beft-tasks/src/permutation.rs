/// Returns the permutation of `0..n` that numpy's legacy generator gives: `np.random.seed(seed)`, then
/// `np.random.permutation(n)`.
pub fn numpy_permutation(seed: u32, n: usize) -> Vec<usize> {
    let mut generator = Mt19937::new(seed);
    let mut order: Vec<usize> = (0..n).collect();
    for i in (1..n).rev() {
        order.swap(i, generator.at_most(i as u64) as usize);
    }
    order
}

/// The training subset of a seed: the indices of the first `size` examples of
/// [`numpy_permutation`] over all `len`, in that order. A `size` of `len` or more gives them all.
pub fn training_subset(seed: u32, len: usize, size: usize) -> Vec<usize> {
    let mut order = numpy_permutation(seed, len);
    order.truncate(size);
    order
}

const LEN: usize = 624;
const SHIFT: usize = 397;

/// The Mersenne Twister (Matsumoto and Nishimura, 1998), seeded by `init_genrand`.
struct Mt19937 {
    state: [u32; LEN],
    next: usize,
}

impl Mt19937 {
    fn new(seed: u32) -> Self {
        let mut state = [seed; LEN];
        for i in 1..LEN {
            let previous = state[i - 1];
            state[i] = (previous ^ (previous >> 30))
                .wrapping_mul(1_812_433_253)
                .wrapping_add(i as u32);
        }
        Self { state, next: LEN }
    }

    fn refill(&mut self) {
        for i in 0..LEN {
            let mixed = (self.state[i] & 0x8000_0000) | (self.state[(i + 1) % LEN] & 0x7fff_ffff);
            let odd = if mixed & 1 == 1 { 0x9908_b0df } else { 0 };
            self.state[i] = self.state[(i + SHIFT) % LEN] ^ (mixed >> 1) ^ odd;
        }
        self.next = 0;
    }

    fn next_u32(&mut self) -> u32 {
        if self.next == LEN {
            self.refill();
        }
        let mut y = self.state[self.next];
        self.next += 1;
        y ^= y >> 11;
        y ^= (y << 7) & 0x9d2c_5680;
        y ^= (y << 15) & 0xefc6_0000;
        y ^ (y >> 18)
    }

    /// A uniform number from 0 to `max` (not 0), both included: draws of just enough bits, until one
    /// fits.
    fn at_most(&mut self, max: u64) -> u64 {
        let mask = u64::MAX >> max.leading_zeros();
        loop {
            let mut draw = u64::from(self.next_u32());
            if max > u64::from(u32::MAX) {
                draw = (draw << 32) | u64::from(self.next_u32());
            }
            if draw & mask <= max {
                return draw & mask;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_gives_the_published_sequence() {
        // First and 10,000th number for seed 5489 (the C++ standard, [rand.predef]).
        let mut generator = Mt19937::new(5489);
        assert_eq!(generator.next_u32(), 3_499_211_612);
        let last = (0..9_999).map(|_| generator.next_u32()).last();
        assert_eq!(last, Some(4_123_659_995));
    }

    #[test]
    fn small_permutations_are_those_of_numpy() {
        assert!(numpy_permutation(0, 0).is_empty());
        assert_eq!(numpy_permutation(0, 1), [0]);
        assert_eq!(numpy_permutation(0, 10), [2, 8, 4, 9, 1, 6, 7, 3, 0, 5]);
        assert_eq!(numpy_permutation(42, 10), [8, 1, 5, 0, 7, 2, 9, 4, 3, 6]);
    }

    #[test]
    fn the_subset_is_a_prefix() {
        assert_eq!(training_subset(0, 10, 3), [2, 8, 4]);
        assert_eq!(training_subset(0, 10, 0), [0; 0]);
        assert_eq!(training_subset(0, 10, 10), numpy_permutation(0, 10));
        assert_eq!(training_subset(0, 10, usize::MAX), numpy_permutation(0, 10));
    }
}
