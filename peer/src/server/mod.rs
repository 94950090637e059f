//! Offering services.
