//! The client's side of CURVE.

use bytes::BytesMut;

use super::seal::{self, Received, Shared, TAG};
use super::{Entropy, KeyPair, PublicKey, SecretKey, Session};
use crate::zmtp::command::Command;
use crate::zmtp::frame::{self, COMMAND};
use crate::zmtp::mechanism::Progress;
use crate::zmtp::{Error, Insecure, Malformed, Metadata};

pub(in crate::zmtp::mechanism) struct Client {
    server: PublicKey,
    permanent: KeyPair,
    transient: KeyPair,
    vouch: [u8; 16],
    received: Received,
    state: State,
}

enum State {
    /// WELCOME is due; with the key between the client's transient and the server's permanent key.
    Welcome(Option<Shared>),
    /// READY is due; with the key between both transient keys.
    Ready(Shared),
}

/// Bytes of a cookie: a nonce and a box.
pub(super) const COOKIE: usize = 16 + TAG + 64;

impl Client {
    pub(in crate::zmtp::mechanism) fn new(
        server: PublicKey,
        permanent: KeyPair,
        entropy: Entropy,
    ) -> Self {
        let mut secret = [0; 32];
        secret.copy_from_slice(&entropy[..32]);
        let mut vouch = [0; 16];
        vouch.copy_from_slice(&entropy[32..48]);
        Self {
            server,
            permanent,
            transient: SecretKey::new(secret).into(),
            vouch,
            received: Received::default(),
            state: State::Welcome(None),
        }
    }

    /// HELLO: the transient key, and a box of zeros to show that the secret one is here too.
    pub(in crate::zmtp::mechanism) fn begin(&mut self, output: &mut BytesMut) -> Result<(), Error> {
        let shared = Shared::agree(&self.server, &self.transient.secret)?;
        let mut sealed = [0; TAG + 64];
        shared.seal(&seal::short(b"CurveZMQHELLO---", 1), &mut sealed);
        let number = 1u64.to_be_bytes();
        let hello: [&[u8]; 5] =
            [b"\x05HELLO\x01\x00", &[0; 72], &self.transient.public.0, &number, &sealed];
        frame::put(output, COMMAND, &hello);
        self.state = State::Welcome(Some(shared));
        Ok(())
    }

    pub(in crate::zmtp::mechanism) fn receive(
        &mut self,
        command: &Command<'_>,
        ours: &Metadata,
        peer: &mut Vec<u8>,
        output: &mut BytesMut,
    ) -> Result<Progress, Error> {
        match (command.name, &self.state) {
            (b"WELCOME", State::Welcome(Some(shared))) => {
                let (key, cookie) = read_welcome(shared, command.data)?;
                let shared = Shared::agree(&key, &self.transient.secret)?;
                self.initiate(&key, &shared, &cookie, ours, output)?;
                self.state = State::Ready(shared);
                Ok(Progress::Waiting)
            }
            (b"READY", State::Ready(shared)) => {
                let (number, sealed) = command.data.split_first_chunk().ok_or(Malformed::Ready)?;
                if sealed.len() < TAG {
                    return Err(Malformed::Ready.into());
                }
                let number = self.received.take(number)?;
                let mut sealed = sealed.to_vec();
                let nonce = seal::short(b"CurveZMQREADY---", number);
                let metadata = shared.open(&nonce, &mut sealed).ok_or(Insecure::Ready)?;
                peer.extend_from_slice(metadata);
                Ok(Progress::Met)
            }
            _ => Err(Malformed::UnexpectedCommand.into()),
        }
    }

    /// INITIATE: the cookie, and a box with the permanent key, its vouch for the transient one, and the metadata.
    fn initiate(
        &self,
        server: &PublicKey,
        shared: &Shared,
        cookie: &[u8; COOKIE],
        ours: &Metadata,
        output: &mut BytesMut,
    ) -> Result<(), Error> {
        let mut vouch = [&[0; TAG], &self.transient.public.0[..], &self.server.0].concat();
        Shared::agree(server, &self.permanent.secret)?
            .seal(&seal::long(b"VOUCH---", &self.vouch), &mut vouch);
        let mut sealed =
            [&[0; TAG], &self.permanent.public.0[..], &self.vouch, &vouch, ours.encoded()].concat();
        shared.seal(&seal::short(b"CurveZMQINITIATE", 2), &mut sealed);
        frame::put(output, COMMAND, &[b"\x08INITIATE", cookie, &2u64.to_be_bytes(), &sealed]);
        Ok(())
    }

    pub(in crate::zmtp::mechanism) fn into_session(self) -> Option<Box<Session>> {
        let State::Ready(key) = self.state else { return None };
        Some(Box::new(Session::client(key, self.received)))
    }
}

/// The server's transient key and its cookie.
fn read_welcome(shared: &Shared, data: &[u8]) -> Result<(PublicKey, [u8; COOKIE]), Error> {
    let (nonce, sealed) = data.split_first_chunk().ok_or(Malformed::Welcome)?;
    let mut sealed: [u8; TAG + 32 + COOKIE] = sealed.try_into().map_err(|_| Malformed::Welcome)?;
    let opened = shared.open(&seal::long(b"WELCOME-", nonce), &mut sealed);
    let opened = opened.ok_or(Insecure::Welcome)?;
    let (key, cookie) = opened.split_first_chunk().ok_or(Malformed::Welcome)?;
    Ok((PublicKey(*key), cookie.try_into().map_err(|_| Malformed::Welcome)?))
}
