//! Rotates the ledgers' credentials without a failed login.

fn main() {}
