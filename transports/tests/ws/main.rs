//! WebSocket against tables of frames and handshakes, cut at every place.

mod bad;
mod deflate;
mod frames;
mod generated;
mod good;
mod handshake;
mod limits;
mod replay;
