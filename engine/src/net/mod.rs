//! Sockets as tasks see them, and the table in which drivers report.

pub(crate) mod bind;
mod report;
mod request;
pub(crate) mod stream;
pub(crate) mod table;
pub(crate) mod tcp;
pub(crate) mod udp;
