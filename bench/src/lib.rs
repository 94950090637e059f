//! Measurements of the engine, the node and what they are compared with. ARCHITECTURE.md says how to run them.

pub mod client;
pub mod load;
pub mod sample;
pub mod scaling;
pub mod server;
pub mod yardstick;
