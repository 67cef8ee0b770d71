/// Choices that bytes make: what the fuzzer changes in the bytes changes the choices.
#[derive(Debug)]
pub struct Choices<'a> {
    bytes: &'a [u8],
}

impl<'a> Choices<'a> {
    /// The choices of these bytes; without any more bytes, each is the first.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// A number below `count`, which is not 0.
    pub fn below(&mut self, count: usize) -> usize {
        let taken = self.bytes.len().min(if count > 256 { 4 } else { 1 });
        let (mine, rest) = self.bytes.split_at(taken);
        self.bytes = rest;
        let number = mine.iter().fold(0usize, |n, b| (n << 8) | usize::from(*b));
        number % count.max(1)
    }

    /// One of several.
    pub fn of<'b, T>(&mut self, all: &'b [T]) -> &'b T {
        &all[self.below(all.len())]
    }

    /// Whether there are bytes for more choices.
    pub fn more(&self) -> bool {
        !self.bytes.is_empty()
    }
}
