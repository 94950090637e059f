//! One JSON value as it stands on the wire.
