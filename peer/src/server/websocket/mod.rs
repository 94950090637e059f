//! WebSockets of a server.
//!
//! A message is a request, `[rid, service, payload]`, in a text or a binary frame; its answer, a text, leaves when the handler
//! is done, in whatever order. `ERR_BUSY` has a fourth value, 503: this request has not been begun, as the status says in HTTP.

mod upgrade;
mod wire;

pub(super) use upgrade::Upgrade;
pub(super) use wire::WebSocket;
