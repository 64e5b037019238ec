//! Looks into over-the-top messaging and voice traffic.
fn main() {}
