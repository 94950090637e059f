//! The load generator: how anyone checks what a grape, a worker or any other server of the protocols can do.

pub mod outcome;
pub mod report;
pub mod tick;
