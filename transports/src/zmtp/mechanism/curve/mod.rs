//! CURVE (RFC 25, RFC 26): HELLO, WELCOME, INITIATE, READY, after which every frame is in a box.
//!
//! A box is NaCl's `crypto_box` (X25519, XSalsa20, Poly1305). Each side has a permanent key pair and one for the connection;
//! what the permanent ones have vouched for is encrypted with the others, so that who learns a permanent secret later can
//! read nothing that was recorded.

mod client;
mod key;
mod seal;
mod server;
mod session;

pub(super) use client::Client;
pub use key::{BadKey, KeyPair, PublicKey, SecretKey};
pub(super) use server::Server;
pub(in crate::zmtp) use session::{OVERHEAD, Session};

/// Bytes that nobody can foresee, for one connection alone: of them come its key pair, its cookie and its nonces.
pub type Entropy = [u8; 96];
