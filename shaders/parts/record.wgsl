{# The record of a coded value, which lives across steps: crates/tensor/src/codec/error_bounded/record.rs has the same. -#}
const BOUND = 0u;
const CANDIDATE = 1u;
const USED = 2u;
const NONZERO = 3u;
const WORST = 4u;
const RAW_TILES = 5u;
const DENSITY = 6u;
const GAIN = 7u;
const NOISE = 8u;
const LARGEST = 9u;

// The bit of the status that says that something found no room.
const OVERFLOW = 2u;
