//! The examples do what they say: each checks itself.

#[path = "../examples/custom_codec.rs"]
mod custom_codec;
#[path = "../examples/custom_operator.rs"]
mod custom_operator;

#[test]
fn custom_operator() {
    custom_operator::main().unwrap();
}

#[test]
fn custom_codec() {
    custom_codec::main().unwrap();
}
