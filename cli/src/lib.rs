//! The `grenache` command.
