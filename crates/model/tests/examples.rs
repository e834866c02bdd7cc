//! The example does what it says: it checks itself.

#[path = "../examples/training_loop.rs"]
mod training_loop;

#[test]
fn training_loop() {
    training_loop::main().unwrap();
}
