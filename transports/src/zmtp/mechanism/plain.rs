//! PLAIN (RFC 24): HELLO with a user name and a password, WELCOME, INITIATE, READY.

use bytes::BytesMut;

use super::{Credentials, Progress, null};
use crate::zmtp::command::Command;
use crate::zmtp::frame::{self, COMMAND};
use crate::zmtp::{Error, Malformed, Metadata, Misuse};

pub(super) struct Client {
    /// The data of HELLO; empty once that is sent.
    login: Vec<u8>,
    welcome: bool,
}

impl Client {
    pub(super) fn new(user: &[u8], password: &[u8]) -> Result<Self, Misuse> {
        let mut login = Vec::with_capacity(2 + user.len() + password.len());
        for field in [user, password] {
            login.push(u8::try_from(field.len()).map_err(|_| Misuse::Login)?);
            login.extend_from_slice(field);
        }
        Ok(Self { login, welcome: false })
    }

    pub(super) fn begin(&mut self, output: &mut BytesMut) {
        frame::put(output, COMMAND, &[b"\x05HELLO", &core::mem::take(&mut self.login)]);
    }

    pub(super) fn receive(
        &mut self,
        command: &Command<'_>,
        ours: &Metadata,
        peer: &mut Vec<u8>,
        output: &mut BytesMut,
    ) -> Result<Progress, Error> {
        match (command.name, self.welcome) {
            (b"WELCOME", false) if command.data.is_empty() => {
                self.welcome = true;
                frame::put(output, COMMAND, &[b"\x08INITIATE", ours.encoded()]);
                Ok(Progress::Waiting)
            }
            (b"WELCOME", false) => Err(Malformed::Welcome.into()),
            (b"READY", true) => {
                peer.extend_from_slice(command.data);
                Ok(Progress::Met)
            }
            _ => Err(Malformed::UnexpectedCommand.into()),
        }
    }
}

pub(super) struct Server {
    /// The user name and the password that HELLO has shown.
    user: Vec<u8>,
    password: Vec<u8>,
    hello: bool,
}

impl Server {
    pub(super) const fn new() -> Self {
        Self { user: Vec::new(), password: Vec::new(), hello: false }
    }

    pub(super) fn receive(
        &mut self,
        command: &Command<'_>,
        peer: &mut Vec<u8>,
    ) -> Result<Progress, Error> {
        match (command.name, self.hello) {
            (b"HELLO", false) => {
                let (user, rest) = field(command.data).ok_or(Malformed::Hello)?;
                let (password, rest) = field(rest).ok_or(Malformed::Hello)?;
                if !rest.is_empty() {
                    return Err(Malformed::Hello.into());
                }
                self.hello = true;
                self.user.extend_from_slice(user);
                self.password.extend_from_slice(password);
                Ok(Progress::Ask)
            }
            (b"INITIATE", true) => {
                peer.extend_from_slice(command.data);
                Ok(Progress::Met)
            }
            _ => Err(Malformed::UnexpectedCommand.into()),
        }
    }

    pub(super) fn credentials(&self) -> Credentials<'_> {
        Credentials::Plain { user: &self.user, password: &self.password }
    }

    pub(super) fn accept(&mut self, output: &mut BytesMut) {
        self.password = Vec::new();
        frame::put(output, COMMAND, &[b"\x07WELCOME"]);
    }

    pub(super) fn finish(ours: &Metadata, output: &mut BytesMut) {
        null::ready(ours, output);
    }
}

/// Takes a field of at most 255 bytes off the front.
fn field(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first()?;
    rest.split_at_checked((*length).into())
}
