//! A connection, plain or TLS.
