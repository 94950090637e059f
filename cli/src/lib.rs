//! The `grenache` command, and grenache-cli's commands made of the same parts.

mod announce;
mod call;
pub mod cli;
pub mod compatible;
mod completions;
mod curve;
mod exec;
mod exit;
mod get;
mod key;
mod key_file;
mod keygen;
mod lookup;
mod man;
mod map;
mod network;
mod output;
mod payload;
mod publish;
mod put;
mod request;
mod serve;
mod services;
mod subscribe;
pub mod tls;
mod topic;
mod transport;
