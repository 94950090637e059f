//! The server's side of CURVE. Between WELCOME and INITIATE it remembers nothing but the key of its cookie: the client carries
//! the rest.

use bytes::BytesMut;
use dryoc::types::{ByteArray, StackByteArray};

use super::client::COOKIE;
use super::seal::{self, Received, Shared, TAG};
use super::{Entropy, KeyPair, PublicKey, SecretKey, Session};
use crate::zmtp::command::Command;
use crate::zmtp::frame::{self, COMMAND};
use crate::zmtp::mechanism::Progress;
use crate::zmtp::{Error, Insecure, Malformed, Metadata};

pub(in crate::zmtp::mechanism) struct Server {
    permanent: KeyPair,
    received: Received,
    state: State,
}

enum State {
    Hello(StackByteArray<96>),
    /// INITIATE is due, with the cookie that this key has sealed.
    Initiate(Shared),
    /// The client has proven to have this permanent key; the other is between both transient keys.
    Met(PublicKey, Shared),
}

/// The data of HELLO: version, padding, transient key, nonce, box.
const HELLO: usize = 2 + 72 + 32 + 8 + TAG + 64;

/// The least in INITIATE's box: the permanent key and the vouch.
const INITIATE: usize = 32 + 16 + TAG + 64;

impl Server {
    pub(in crate::zmtp::mechanism) fn new(permanent: KeyPair, entropy: Entropy) -> Self {
        let state = State::Hello(entropy.into());
        Self { permanent, received: Received::default(), state }
    }

    pub(in crate::zmtp::mechanism) fn receive(
        &mut self,
        command: &Command<'_>,
        peer: &mut Vec<u8>,
        output: &mut BytesMut,
    ) -> Result<Progress, Error> {
        match (command.name, &self.state) {
            (b"HELLO", State::Hello(entropy)) => {
                let (client, shared) = read_hello(&self.permanent, &mut self.received, command)?;
                let key = welcome(&client, &shared, entropy.as_array(), output);
                self.state = State::Initiate(key);
                Ok(Progress::Waiting)
            }
            (b"INITIATE", State::Initiate(cookie_key)) => {
                let (cookie, rest) = command.data.split_first_chunk().ok_or(Malformed::Initiate)?;
                let (number, sealed) = rest.split_first_chunk().ok_or(Malformed::Initiate)?;
                if sealed.len() < TAG + INITIATE {
                    return Err(Malformed::Initiate.into());
                }
                let (client, transient) = read_cookie(cookie_key, cookie)?;
                let shared = Shared::agree(&client, &transient)?;
                let number = self.received.take(number)?;
                let mut sealed = sealed.to_vec();
                let nonce = seal::short(b"CurveZMQINITIATE", number);
                let opened = shared.open(&nonce, &mut sealed).ok_or(Insecure::Initiate)?;
                let (key, rest) = opened.split_first_chunk_mut().ok_or(Malformed::Initiate)?;
                let (vouch, metadata) = rest.split_at_mut(INITIATE - 32);
                let key = PublicKey(*key);
                check_vouch(&Shared::agree(&key, &transient)?, vouch, &client, &self.permanent)?;
                peer.extend_from_slice(metadata);
                self.state = State::Met(key, shared);
                Ok(Progress::MetAndAsk)
            }
            _ => Err(Malformed::UnexpectedCommand.into()),
        }
    }

    /// The client's permanent key.
    pub(in crate::zmtp::mechanism) fn client(&self) -> Option<PublicKey> {
        if let State::Met(key, _) = &self.state { Some(*key) } else { None }
    }

    /// READY: the metadata in a box.
    pub(in crate::zmtp::mechanism) fn accept(&self, ours: &Metadata, output: &mut BytesMut) {
        let State::Met(_, shared) = &self.state else { return };
        let mut sealed = [&[0; TAG], ours.encoded()].concat();
        shared.seal(&seal::short(b"CurveZMQREADY---", 1), &mut sealed);
        frame::put(output, COMMAND, &[b"\x05READY", &1u64.to_be_bytes(), &sealed]);
    }

    pub(in crate::zmtp::mechanism) fn into_session(self) -> Option<Box<Session>> {
        let State::Met(_, key) = self.state else { return None };
        Some(Box::new(Session::server(key, self.received)))
    }
}

/// The client's transient key, and the key between that and the server's permanent one.
fn read_hello(
    permanent: &KeyPair,
    received: &mut Received,
    command: &Command<'_>,
) -> Result<(PublicKey, Shared), Error> {
    let hello: &[u8; HELLO] = command.data.try_into().map_err(|_| Malformed::Hello)?;
    let (front, rest) = hello.split_at(2 + 72);
    let ([1, 0, padding @ ..], Some((client, rest))) = (front, rest.split_first_chunk()) else {
        return Err(Malformed::Hello.into());
    };
    let (number, sealed) = rest.split_first_chunk().ok_or(Malformed::Hello)?;
    // The padding is there to make HELLO longer than its answer.
    if padding.iter().any(|byte| *byte != 0) {
        return Err(Malformed::Hello.into());
    }
    let client = PublicKey(*client);
    let shared = Shared::agree(&client, &permanent.secret)?;
    let nonce = seal::short(b"CurveZMQHELLO---", received.take(number)?);
    let mut sealed = sealed.to_vec();
    let zeros = shared.open(&nonce, &mut sealed).ok_or(Insecure::Hello)?;
    if zeros.iter().any(|byte| *byte != 0) {
        return Err(Malformed::Hello.into());
    }
    Ok((client, shared))
}

/// WELCOME: a new transient key and a cookie, in a box. The cookie has the secret of that key in it; what is given is the key
/// that opens the cookie.
fn welcome(
    client: &PublicKey,
    shared: &Shared,
    entropy: &Entropy,
    output: &mut BytesMut,
) -> Shared {
    let [mut secret, mut cookie_key] = [[0; 32]; 2];
    let [mut cookie_nonce, mut welcome_nonce] = [[0; 16]; 2];
    let mut rest = &entropy[..];
    for part in [&mut secret[..], &mut cookie_key, &mut cookie_nonce, &mut welcome_nonce] {
        let (bytes, after) = rest.split_at(part.len());
        part.copy_from_slice(bytes);
        rest = after;
    }
    let transient = KeyPair::from(SecretKey::new(secret));
    let cookie_key = Shared::own(&cookie_key);
    let mut cookie = [0; TAG + 64];
    cookie[TAG..TAG + 32].copy_from_slice(&client.0);
    cookie[TAG + 32..].copy_from_slice(transient.secret.bytes());
    cookie_key.seal(&seal::long(b"COOKIE--", &cookie_nonce), &mut cookie);
    let mut sealed = [&[0; TAG], &transient.public.0[..], &cookie_nonce, &cookie].concat();
    shared.seal(&seal::long(b"WELCOME-", &welcome_nonce), &mut sealed);
    frame::put(output, COMMAND, &[b"\x07WELCOME", &welcome_nonce, &sealed]);
    cookie_key
}

/// The client's transient key and the secret of the server's.
fn read_cookie(key: &Shared, cookie: &[u8; COOKIE]) -> Result<(PublicKey, SecretKey), Error> {
    let (nonce, sealed) = cookie.split_first_chunk().ok_or(Insecure::Cookie)?;
    let mut sealed =
        StackByteArray::<{ TAG + 64 }>::try_from(sealed).map_err(|_| Insecure::Cookie)?;
    let opened = key.open(&seal::long(b"COOKIE--", nonce), &mut sealed[..]);
    let opened = opened.ok_or(Insecure::Cookie)?;
    let (client, secret) = opened.split_first_chunk().ok_or(Insecure::Cookie)?;
    let secret = secret.try_into().map_err(|_| Insecure::Cookie)?;
    Ok((PublicKey(*client), SecretKey::new(secret)))
}

/// Whether the owner of the permanent key says that the transient one is its own, for this server.
fn check_vouch(
    shared: &Shared,
    vouch: &mut [u8],
    client: &PublicKey,
    server: &KeyPair,
) -> Result<(), Error> {
    let (nonce, sealed) = vouch.split_first_chunk_mut().ok_or(Malformed::Initiate)?;
    let opened = shared.open(&seal::long(b"VOUCH---", nonce), sealed).ok_or(Insecure::Vouch)?;
    let (transient, permanent) = opened.split_at(32);
    match transient == client.0 && permanent == server.public.0 {
        true => Ok(()),
        false => Err(Insecure::Vouch.into()),
    }
}
