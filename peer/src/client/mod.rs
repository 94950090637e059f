//! Calling services.
