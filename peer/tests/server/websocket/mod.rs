//! WebSockets of a server: requests, their limits, and how they end.

mod bad;
mod calls;
mod ends;
mod limits;
mod pressure;
