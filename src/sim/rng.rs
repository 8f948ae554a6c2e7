//! SplitMix64 (Steele, Lea, Flood 2014): small, seedable, the same everywhere.

#[derive(Clone, Debug)]
pub struct Rng(pub u64);

impl Rng {
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Less than `n`, which must not be zero.
    pub fn below(&mut self, n: u64) -> u64 {
        self.draw() % n
    }

    pub fn percent(&mut self, p: u64) -> bool {
        p > 0 && self.below(100) < p
    }
}
