//! SplitMix64 (Steele, Lea, Flood 2014): small, seedable, the same everywhere; and what is drawn from it here.

pub(super) struct Rng(pub u64);

impl Rng {
    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Less than `n`, which must not be zero. The bias is below n / 2^64.
    pub fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.draw()) * n as u128) >> 64) as usize
    }

    /// Above 0, at most 1: its logarithm is finite.
    pub fn unit(&mut self) -> f64 {
        ((self.draw() >> 11) + 1) as f64 / (1u64 << 53) as f64
    }

    /// Exponential with mean 1.
    pub fn exponential(&mut self) -> f64 {
        -self.unit().ln()
    }

    /// Normal with mean 0 and deviation 1 (Box and Muller 1958).
    pub fn normal(&mut self) -> f64 {
        let radius = (2.0 * self.exponential()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_drawn_has_its_moments() {
        let mut rng = Rng(7);
        let n = 200_000;
        let of = |values: &[f64]| {
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            (mean, values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / values.len() as f64)
        };
        // Four deviations of the estimate: 4/sqrt(n) is 0.009 for a deviation of 1.
        let (mean, variance) = of(&(0..n).map(|_| rng.exponential()).collect::<Vec<_>>());
        assert!((mean - 1.0).abs() < 0.009 && (variance - 1.0).abs() < 0.03, "{mean} {variance}");
        let (mean, variance) = of(&(0..n).map(|_| rng.normal()).collect::<Vec<_>>());
        assert!(mean.abs() < 0.009 && (variance - 1.0).abs() < 0.013, "{mean} {variance}");
        let (mean, variance) = of(&(0..n).map(|_| rng.below(6) as f64).collect::<Vec<_>>());
        assert!((mean - 2.5).abs() < 0.016 && (variance - 35.0 / 12.0).abs() < 0.03, "{mean} {variance}");
    }
}
