//! Studies of trained nets beside each other.

pub mod gradient_error;
