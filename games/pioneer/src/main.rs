//! The world of Pioneer as one command; `--help` tells the rest.

fn main() {}
