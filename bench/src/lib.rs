//! Measurements of the engine, the node and what they are compared with. ARCHITECTURE.md says how to run them.

pub mod yardstick;
