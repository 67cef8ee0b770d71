use std::f64::consts::PI;

use burn::tensor::{Device, Int, Tensor, TensorData};

/// How queries and keys are rotated by their position (RoPE, HF `modeling_rope_utils.py`).
#[derive(Clone, Debug, PartialEq)]
pub struct RotaryConfig {
    /// How many values of each head are rotated, from the first.
    pub width: usize,
    /// Whether the values that turn together lie side by side (GPT-J), or half a width apart (LLaMA).
    pub interleaved: bool,
    /// Base of the frequencies.
    pub theta: f64,
    /// How frequencies are changed for longer inputs.
    pub scaling: Scaling,
}

/// How RoPE's frequencies are changed for inputs longer than those of pretraining.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scaling {
    /// Not at all.
    None,
    /// All divided by a factor.
    Linear {
        /// The factor.
        factor: f64,
    },
    /// Low ones divided by a factor, high ones kept, a smooth change between (LLaMA 3.1).
    Llama3 {
        /// The factor.
        factor: f64,
        /// Wavelengths above the original length over this are stretched.
        low: f64,
        /// Wavelengths below the original length over this are kept.
        high: f64,
        /// Length of inputs in pretraining.
        original: f64,
    },
    /// YaRN (arXiv 2309.00071).
    Yarn {
        /// The factor.
        factor: f64,
        /// Dimensions that turn more often than this over the original length are kept.
        fast: f64,
        /// Dimensions that turn less often than this are stretched.
        slow: f64,
        /// Length of inputs in pretraining.
        original: f64,
        /// What rotated values are multiplied with.
        attention: f64,
        /// Whether the borders between them are rounded to whole dimensions.
        truncate: bool,
    },
}

impl RotaryConfig {
    /// GPT-J's: pairs side by side, the usual base.
    pub fn interleaved(width: usize) -> Self {
        Self {
            interleaved: true,
            ..Self::plain(width, 10_000.0)
        }
    }

    /// Pairs half a width apart, with this base.
    pub fn plain(width: usize, theta: f64) -> Self {
        Self {
            width,
            interleaved: false,
            theta,
            scaling: Scaling::None,
        }
    }

    /// Radians by which each pair of values turns from one position to the next, and what rotated values
    /// are multiplied with.
    fn frequencies(&self) -> (Vec<f64>, f64) {
        let width = self.width as f64;
        let plain = (0..self.width / 2).map(|i| self.theta.powf(-2.0 * i as f64 / width));
        let plain: Vec<f64> = plain.collect();
        match self.scaling {
            Scaling::None => (plain, 1.0),
            Scaling::Linear { factor } => (plain.iter().map(|f| f / factor).collect(), 1.0),
            Scaling::Llama3 {
                factor,
                low,
                high,
                original,
            } => {
                let scaled = |frequency: &f64| {
                    let turns = original * frequency / (2.0 * PI);
                    if turns < low {
                        frequency / factor
                    } else if turns > high {
                        *frequency
                    } else {
                        let kept = (turns - low) / (high - low);
                        (1.0 - kept) * frequency / factor + kept * frequency
                    }
                };
                (plain.iter().map(scaled).collect(), 1.0)
            }
            Scaling::Yarn {
                factor,
                fast,
                slow,
                original,
                attention,
                truncate,
            } => {
                let dimension = |turns: f64| {
                    width * (original / (turns * 2.0 * PI)).ln() / (2.0 * self.theta.ln())
                };
                let (mut low, mut high) = (dimension(fast), dimension(slow));
                if truncate {
                    (low, high) = (low.floor(), high.ceil());
                }
                let (low, mut high) = (low.max(0.0), high.min(width - 1.0));
                if low == high {
                    high += 0.001;
                }
                let scaled = |(i, frequency): (usize, &f64)| {
                    let stretched = ((i as f64 - low) / (high - low)).clamp(0.0, 1.0);
                    stretched * frequency / factor + (1.0 - stretched) * frequency
                };
                (plain.iter().enumerate().map(scaled).collect(), attention)
            }
        }
    }

    /// The rotations of the positions from 0, fewer than `count`.
    pub fn table(&self, count: usize, device: &Device) -> RotaryTable {
        let (frequencies, factor) = self.frequencies();
        let half = frequencies.len();
        let values = |of: fn(f64) -> f64| {
            let cells = (0..count)
                .flat_map(|position| frequencies.iter().map(move |f| position as f64 * f))
                .map(|angle| (of(angle) * factor) as f32);
            TensorData::new(cells.collect::<Vec<f32>>(), [count, half])
        };
        RotaryTable {
            cos: Tensor::from_data(values(f64::cos), device),
            sin: Tensor::from_data(values(f64::sin), device),
            width: self.width,
            interleaved: self.interleaved,
        }
    }
}

/// Rotations by position.
#[derive(Clone, Debug)]
pub struct RotaryTable {
    /// `[positions, width / 2]`
    cos: Tensor<2>,
    /// `[positions, width / 2]`
    sin: Tensor<2>,
    width: usize,
    interleaved: bool,
}

/// Rotations of rows.
#[derive(Clone, Debug)]
pub struct Rotary {
    /// `[rows, 1, width / 2]`
    cos: Tensor<3>,
    /// `[rows, 1, width / 2]`
    sin: Tensor<3>,
    width: usize,
    interleaved: bool,
}

impl RotaryTable {
    /// For rows at these positions.
    pub fn at(&self, positions: &Tensor<1, Int>) -> Rotary {
        let of = |table: &Tensor<2>| table.clone().select(0, positions.clone()).unsqueeze_dim(1);
        Rotary {
            cos: of(&self.cos),
            sin: of(&self.sin),
            width: self.width,
            interleaved: self.interleaved,
        }
    }
}

impl Rotary {
    /// Rotates each head of each row.
    ///
    /// # Shapes
    ///
    /// - x, output: `[rows, heads * head_dim]`
    pub fn rotate(&self, x: Tensor<2>, heads: usize) -> Tensor<2> {
        let [rows, all] = x.dims();
        let (head_dim, half) = (all / heads, self.width / 2);
        let x = x.reshape([rows, heads, head_dim]);
        let part = |x: &Tensor<3>, start: usize, width: usize| x.clone().narrow(2, start, width);
        let (a, b) = match self.interleaved {
            false => (part(&x, 0, half), part(&x, half, half)),
            true => {
                let pairs = part(&x, 0, self.width).reshape([rows, heads, half, 2]);
                let side = |which| {
                    pairs
                        .clone()
                        .narrow(3, which, 1)
                        .reshape([rows, heads, half])
                };
                (side(0), side(1))
            }
        };
        let (cos, sin) = (self.cos.clone(), self.sin.clone());
        let first = a.clone() * cos.clone() - b.clone() * sin.clone();
        let second = b * cos + a * sin;
        let rotated = match self.interleaved {
            false => Tensor::cat(vec![first, second], 2),
            true => Tensor::cat(
                vec![first.unsqueeze_dim::<4>(3), second.unsqueeze_dim(3)],
                3,
            )
            .reshape([rows, heads, self.width]),
        };
        let rotated = match head_dim - self.width {
            0 => rotated,
            rest => Tensor::cat(vec![rotated, part(&x, self.width, rest)], 2),
        };
        rotated.reshape([rows, all])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rotation_keeps_lengths_and_depends_on_distance_alone() {
        let device = Device::flex();
        for interleaved in [false, true] {
            let config = RotaryConfig {
                interleaved,
                ..RotaryConfig::interleaved(4)
            };
            let table = config.table(9, &device);
            let rotated = |at: i64, x: [f32; 6]| -> Vec<f32> {
                let positions = Tensor::<1, Int>::from_ints([at], &device);
                let x = Tensor::<2>::from_floats([x], &device);
                table
                    .at(&positions)
                    .rotate(x, 1)
                    .into_data()
                    .iter()
                    .collect()
            };
            let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
            let (q, k) = (
                [1.0, -2.0, 0.5, 3.0, 0.1, 0.2],
                [0.3, 1.0, -1.0, 2.0, 0.7, 0.5],
            );
            let at = |i, j| dot(&rotated(i, q), &rotated(j, k));
            assert!((at(7, 4) - at(3, 0)).abs() < 1e-5);
            assert!((at(7, 4) - at(7, 5)).abs() > 1e-2);
            let same = rotated(8, q);
            assert!((dot(&same, &same) - dot(&q, &q)).abs() < 1e-4);
            assert_eq!(same[4..], q[4..]);
        }
    }
}
