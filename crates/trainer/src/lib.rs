//! The program `frugal`: configs, data, the training loop and its reports.

pub mod data;
