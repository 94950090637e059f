//! ZMTP connections against tables of bytes, cut at every place, and against each other.

mod bad;
mod curve;
mod curve_by_hand;
mod generated;
mod good;
mod limits;
mod plain;
mod replay;
mod wire;
