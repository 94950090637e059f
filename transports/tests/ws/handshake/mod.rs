//! How connections begin: requests and answers, good and bad, cut everywhere.

mod answers;
mod replay;
mod requests;

/// The key of the specification's example, what it is made of, and what is to be answered to it.
const NONCE: [u8; 16] = *b"the sample nonce";
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
