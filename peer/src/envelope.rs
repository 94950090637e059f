//! Requests and replies as they stand on the wire.
