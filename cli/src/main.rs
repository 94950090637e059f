//! The `grenache` command.

fn main() {}
