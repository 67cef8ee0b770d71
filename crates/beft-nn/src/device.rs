//! The one place that asks what kind of device it is. No other file of this crate names a backend.

use burn::tensor::Device;

/// How a device computes, as far as it matters to what is computed on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceTraits {
    /// Whether its tensors are in this process's memory: burn-flex, burn-ndarray, burn-tch on the CPU.
    pub host_memory: bool,
    /// Whether its element-wise functions are scalar loops on one core: burn-flex and burn-ndarray
    /// (burn 0.22.1: `libm::erff` for each element of a GELU).
    pub scalar_loops: bool,
}

impl DeviceTraits {
    /// The traits of a device, with or without gradients.
    pub fn of(device: &Device) -> Self {
        // Its `Debug` form names it in any build: the variants of burn's device exist only where their
        // backend is compiled in, and no library crate compiles one in.
        let name = format!("{device:?}");
        let scalar_loops = name.contains("Flex(") || name.contains("NdArray(");
        Self {
            host_memory: scalar_loops || name.contains("LibTorch(Cpu"),
            scalar_loops,
        }
    }

    /// The number of rows that a pass without gradients should compute at a time: on a processor so many
    /// that activations stay in its caches (MiniLM and BERT-base shapes, 2 cores: 512 to 768 rows are 1.3
    /// times as fast as 2048; from packed weights 128 to 640 are alike, but in 8 bits the blocks of 640 are so large that the
    /// kernel clears new pages for them, 7 % of the time), elsewhere any number.
    pub fn rows_per_pass(self) -> usize {
        match self.host_memory {
            true => 400,
            false => usize::MAX,
        }
    }

    /// The number of parts that work is best divided into: one for each thread of the current rayon pool
    /// where the backend's own operations use one core for the most part, else one.
    pub fn workers(self) -> usize {
        match self.scalar_loops {
            true => rayon::current_num_threads(),
            false => 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gradients_do_not_change_the_traits() {
        let traits = DeviceTraits {
            host_memory: true,
            scalar_loops: true,
        };
        assert_eq!(DeviceTraits::of(&Device::flex()), traits);
        assert_eq!(DeviceTraits::of(&Device::flex().autodiff()), traits);
    }
}
