//! Services on an engine of their own.
