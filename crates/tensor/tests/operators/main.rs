//! Every operator, forward and gradient, on every kernel set, against f64 references.

mod activations;
mod basics;
mod batch_norm;
mod coded_state;
mod concatenation;
mod convolution;
mod cross_entropy;
mod dropout;
mod epilogue;
mod losses;
mod movement;
mod normalize_bytes;
mod norms;
mod optimizers;
mod pooling;
mod slices;
mod tiles;
