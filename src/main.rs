//! The akldap binary.

fn main() {}
