//! Compressed payloads, bounded.
