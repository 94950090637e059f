//! HTTP connections of a client, and their pool.
