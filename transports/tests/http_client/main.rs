//! The HTTP client side against tables of answers, cut at every place.

mod bad;
mod generated;
mod good;
mod limits;
mod replay;
