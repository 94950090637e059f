//! PLAIN: user names and passwords.

use bytes::BytesMut;
use grenache_transports::zmtp::{Error, Malformed, Mechanism, Misuse, Phase, SocketType};

use crate::replay::{Ours, Out, message, ready};
use crate::wire;

pub(crate) fn server() -> Mechanism {
    Mechanism::plain_server()
}

fn client() -> Mechanism {
    Mechanism::plain_client(b"user", b"pass").unwrap()
}

#[test]
fn a_server_asks_who_may() {
    let ours = Ours::secured(SocketType::Router, server);
    let bytes = [
        wire::greeting(1, "PLAIN", 0),
        wire::command("HELLO", b"\x04user\x04pass"),
        wire::command("INITIATE", &wire::socket("DEALER")),
        wire::message(&[b"a"]),
    ]
    .concat();
    let login = Out::Login(b"user".to_vec(), b"pass".to_vec());
    let (out, output, phase) = ours.everywhere(&bytes);
    assert_eq!(out, [login.clone(), ready(SocketType::Dealer), message(&[b"a"])]);
    let welcome = wire::command("WELCOME", b"");
    let written = [&welcome[..], &wire::command("READY", &wire::socket("ROUTER"))].concat();
    assert_eq!((output, phase), (written, Phase::Ready));

    let (out, output, phase) = Ours { verdict: false, ..ours }.everywhere(&bytes);
    assert_eq!(out, [login]);
    assert_eq!((output, phase), (wire::command("ERROR", b"\x03400"), Phase::Finished));
}

#[test]
fn a_client_shows_who_it_is() {
    let ours = Ours::secured(SocketType::Dealer, client);
    let bytes = [
        wire::greeting(0, "PLAIN", 1),
        wire::command("WELCOME", b""),
        wire::command("READY", &wire::socket("ROUTER")),
    ]
    .concat();
    let (out, output, phase) = ours.everywhere(&bytes);
    assert!(matches!(out[..], [Out::Ready(..)]));
    let hello = wire::command("HELLO", b"\x04user\x04pass");
    let initiate = wire::command("INITIATE", &wire::socket("DEALER"));
    assert_eq!((output, phase), ([hello, initiate].concat(), Phase::Ready));

    let error = wire::command("ERROR", b"\x03400");
    // As libzmq 4.3.5 spells it.
    let misspelt = wire::frame(4, b"^RROR\x03400", false);
    for refusal in [error, misspelt] {
        let bytes = [wire::greeting(1, "PLAIN", 1), refusal].concat();
        let (out, _, phase) = ours.everywhere(&bytes);
        assert_eq!((out, phase), (vec![Out::Refused(b"400".to_vec())], Phase::Finished));
    }
    assert!(Mechanism::plain_client(&[b'a'; 255], &[b'b'; 255]).is_ok());
    assert_eq!(Mechanism::plain_client(&[b'a'; 256], b"").err(), Some(Misuse::Login));
    assert_eq!(Mechanism::plain_client(b"", &[b'a'; 256]).err(), Some(Misuse::Login));
    assert!(!format!("{:?}", client()).contains("pass"));
}

#[test]
fn out_of_order() {
    let hello = wire::command("HELLO", b"\x04user\x00");
    let trailing = wire::command("HELLO", b"\x04user\x00x");
    let initiate = wire::command("INITIATE", &wire::socket("DEALER"));
    let welcome = wire::command("WELCOME", b"");
    let ready = wire::command("READY", &wire::socket("ROUTER"));
    let server = Ours::secured(SocketType::Router, server);
    let client = Ours::secured(SocketType::Dealer, client);
    for (ours, said, error) in [
        (&server, vec![trailing], Malformed::Hello),
        (&server, vec![wire::command("HELLO", b"")], Malformed::Hello),
        (&server, vec![wire::command("HELLO", b"\x04user")], Malformed::Hello),
        (&server, vec![wire::command("HELLO", b"\x04use\x00")], Malformed::Hello),
        (&server, vec![initiate.clone()], Malformed::UnexpectedCommand),
        (&server, vec![ready.clone()], Malformed::UnexpectedCommand),
        (&server, vec![hello.clone(), hello.clone()], Malformed::UnexpectedCommand),
        (&server, vec![hello.clone(), wire::message(&[b"a"])], Malformed::EarlyMessage),
        (&client, vec![ready.clone()], Malformed::UnexpectedCommand),
        (&client, vec![hello.clone()], Malformed::UnexpectedCommand),
        (&client, vec![wire::command("WELCOME", b"x")], Malformed::Welcome),
        (&client, vec![welcome.clone(), welcome.clone()], Malformed::UnexpectedCommand),
        (&client, vec![welcome, wire::command("READY", b"")], Malformed::SocketType),
    ] {
        let bytes = [wire::greeting(1, "PLAIN", 0), said.concat()].concat();
        let (out, _, phase) = ours.everywhere(&bytes);
        assert_eq!(out.last(), Some(&Out::Error(Error::Malformed(error))), "{error:?}");
        assert_eq!(phase, Phase::Finished);
    }
}

#[test]
fn nothing_may_come_before_the_verdict() {
    let ours = Ours::secured(SocketType::Router, server);
    let mut output = BytesMut::new();
    let mut connection = ours.connection(&mut output);
    assert_eq!(connection.accept(&mut output), Err(Misuse::NothingAsked));
    assert_eq!(connection.refuse(&mut output), Err(Misuse::NothingAsked));
    let hello = wire::command("HELLO", b"\x04user\x00");
    let bytes = [wire::greeting(1, "PLAIN", 0), hello].concat();
    let mut input = &bytes[..];
    assert!(matches!(connection.receive(&mut input, &mut output), Ok(Some(_))));
    assert_eq!(connection.phase(), Phase::Verdict);
    assert_eq!(connection.receive(&mut input, &mut output), Ok(None));
    let early = connection.receive(&mut &b"\x04"[..], &mut output);
    assert_eq!(early, Err(Malformed::UnexpectedCommand.into()));
    assert_eq!(connection.accept(&mut output), Err(Misuse::NothingAsked));
}
