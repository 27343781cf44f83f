//! Checks that both environments are fit before a migration starts.

fn main() {}
