//! ZeroMQ peers.

mod bad;
mod calls;
mod port;
mod publish;
mod security;
