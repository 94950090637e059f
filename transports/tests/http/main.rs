//! The HTTP server side against tables of requests, cut at every place.

mod bad;
mod generated;
mod good;
mod limits;
mod replay;
mod streams;
