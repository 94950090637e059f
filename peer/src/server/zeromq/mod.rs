//! ZeroMQ peers of a server (`docs/zmtp-rpc.md`): DEALERs and REQs ask, SUBs listen to what is published.
//!
//! Which it is the peer says in the handshake; this side then is a ROUTER or a PUB. A ROUTER of libzmq would know its peers by
//! their identity; here an answer goes back on the connection that its request came on.

mod call;
mod wire;

pub(super) use wire::ZeroMq;
