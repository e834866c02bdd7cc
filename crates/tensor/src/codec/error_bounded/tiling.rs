//! How the elements of a value fall into tiles.
//!
//! Tiles keep to samples where a sample has a tile's elements and whole words of a mask: a sample is divided evenly, into tiles of 512
//! elements or more. A slice of the batch then has tiles of its own, whichever samples it has, and is coded as in the whole. The
//! tiles of other values run across samples.

use crate::ir::{BatchSlice, Shape};

/// Least elements of a tile, except for the last of a sample or of a value.
pub const TILE: usize = 512;

/// Elements of a word of a mask: samples, tiles and the blocks of a tile are whole words.
const WORD: usize = 32;

/// The tiles of a value, or of a slice of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tiling {
    /// Elements of the value in front of the slice.
    pub first: usize,
    /// Elements, of the slice.
    pub elements: usize,
    /// Elements of the whole value.
    whole: usize,
    /// Elements that are divided into tiles together: a sample, or all.
    pub run: usize,
    /// Elements of a tile.
    pub tile: usize,
}

impl Tiling {
    /// The tiles of a value of this shape.
    pub fn of(shape: &Shape) -> Self {
        let elements = shape.elements();
        let sample = elements / shape.extents().first().map_or(1, |&samples| samples.max(1));
        let whole = Self { first: 0, elements, whole: elements, run: elements, tile: TILE };
        if sample < TILE || !sample.is_multiple_of(WORD) {
            return whole;
        }
        Self { run: sample, tile: sample.div_ceil(sample / TILE).next_multiple_of(WORD), ..whole }
    }

    /// Those of a slice of the batch.
    pub fn slice(&self, slice: BatchSlice) -> Self {
        Self { first: slice.before(self.whole), elements: slice.share(self.whole), ..*self }
    }

    /// Whether tiles keep to samples, so that slices of the batch have tiles of their own.
    pub fn keeps_to_samples(&self) -> bool {
        self.run < self.whole
    }

    /// Tiles of a run.
    pub fn tiles_of_run(&self) -> usize {
        self.run.div_ceil(self.tile)
    }

    fn tiles_of(&self, elements: usize) -> usize {
        elements / self.run.max(1) * self.tiles_of_run()
    }

    /// Tiles.
    pub fn tiles(&self) -> usize {
        self.tiles_of(self.elements)
    }

    /// Tiles in front of the slice.
    pub fn first_tile(&self) -> usize {
        self.tiles_of(self.first)
    }

    /// Tiles of the whole value.
    pub fn all_tiles(&self) -> usize {
        self.tiles_of(self.whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_divided_evenly_into_tiles_of_a_block_and_more() {
        for sample in (TILE..40_000).step_by(WORD) {
            let tiling = Tiling::of(&[3, sample].into());
            assert!(tiling.keeps_to_samples() && tiling.run == sample);
            assert!((TILE..2 * TILE).contains(&tiling.tile) && tiling.tile.is_multiple_of(WORD), "{tiling:?}");
            assert!(tiling.all_tiles() <= (3 * sample).div_ceil(TILE), "{tiling:?}");
            assert!(!sample.is_multiple_of(TILE) || tiling.tile == TILE, "{tiling:?}");
        }
    }

    #[test]
    fn slices_share_out_the_tiles_of_the_whole() {
        let whole = Tiling::of(&[5, 2, 28, 28].into());
        let slices = [(0, 2), (2, 2), (4, 1)].map(|(first, samples)| whole.slice(BatchSlice { first, samples, of: 5 }));
        assert_eq!(slices.map(|slice| slice.first_tile()), [0, 6, 12]);
        assert_eq!(slices.map(|slice| slice.tiles()), [6, 6, 3]);
        assert_eq!([whole.tile, whole.tiles(), whole.all_tiles()], [544, 15, 15]);
        // Tiles of what has small samples, or no whole words of a mask in them, are those of a row of elements.
        for shape in [Shape::from([64, 500]), [3, 5, 7, 31].into(), [2049].into()] {
            let tiling = Tiling::of(&shape);
            assert!(!tiling.keeps_to_samples());
            assert_eq!(tiling.all_tiles(), shape.elements().div_ceil(TILE));
        }
    }
}
