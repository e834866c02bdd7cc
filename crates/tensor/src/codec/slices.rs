//! Into how many slices along the batch a step is cut: what a policy asks for.

/// How finely a step is cut into slices along the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Slicing {
    /// Samples of the smallest slices.
    pub samples: usize,
    /// Values of fewer bytes are neither cut, unless they stand beside wider ones, nor made twice.
    pub wide: u64,
    /// Bytes below which no slice of a stretch's widest value goes: there, slices are several of the smallest together.
    pub least_bytes: u64,
    /// Multiply-adds for an element up to which a value is made in each stretch that reads it, where that needs less memory than to keep
    /// it in full between them. Decoding has none; 0 makes nothing else twice that has any.
    pub twice: u64,
}

/// Into how many slices along the batch a step is cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Slices {
    /// Into none: every value exists in full.
    #[default]
    Off,
    /// Into as many as bring the peak down without taking notably longer, by the planner's estimate.
    Auto,
    /// Into those that bring the peak down most.
    Least,
    /// Into those that take least time with at most so many transient bytes alive at once, or else come nearest to that.
    Within(u64),
    /// Into so many; what is made twice follows from the peak.
    Count(usize),
    /// Exactly so.
    Exactly(Slicing),
}
