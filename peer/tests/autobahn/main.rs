//! Autobahn's test suite for WebSocket, against the examples `ws_echo` and `ws_echo_client`.
//!
//! `cargo xtask setup` installs it. Every case counts whose behaviour is not `OK`, but for those that are only there to see what
//! happens (`INFORMATIONAL`). Reports are in `target/autobahn/reports`, for people as `index.html`.
//!
//! The cases of compression send 1000 messages each, of up to 128 KiB, which takes the suite 11 minutes for each role. Run are
//! those with messages of up to 1 KiB, whole and in fragments; `cargo xtask autobahn` runs them all, and over TLS as well.

mod suite;

use suite::{Cases, Role, Secure, run};

#[test]
fn server() {
    run(Role::Server, Cases::Core, Secure::No);
}

#[test]
fn server_over_tls() {
    run(Role::Server, Cases::Core, Secure::Yes);
}

#[test]
fn server_with_compression() {
    run(Role::Server, Cases::Compression, Secure::No);
}

#[test]
fn client() {
    run(Role::Client, Cases::Core, Secure::No);
}

#[test]
fn client_over_tls() {
    run(Role::Client, Cases::Core, Secure::Yes);
}

#[test]
fn client_with_compression() {
    run(Role::Client, Cases::Compression, Secure::No);
}

#[test]
fn compression_over_tls() {
    // The frames are the same, so a few of the cases will do.
    let cases = if suite::is_whole() { Cases::Compression } else { Cases::SomeCompression };
    run(Role::Server, cases, Secure::Yes);
    run(Role::Client, cases, Secure::Yes);
}
