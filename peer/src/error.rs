//! What can go wrong, by blame.
