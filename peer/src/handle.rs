//! Calling services from any thread and any executor.
