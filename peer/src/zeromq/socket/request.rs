//! REQ: asks, and waits for the answer, in turn (RFC 28).

use std::rc::Rc;

use super::balance::Balance;
use super::inbox::Inbox;
use super::peer::Peer;
use crate::error::Error;
use crate::zeromq::Message;
use crate::zeromq::message::DELIMITER;

/// A REQ's side of things.
#[derive(Default)]
pub(super) struct Request {
    balance: Balance,
    state: State,
}

#[derive(Default)]
enum State {
    #[default]
    Idle,
    /// The peer of this number was asked.
    Asked(u64),
    /// It has answered, which waits to be taken.
    Answered,
    /// It has gone without an answer.
    Lost(Error),
}

impl Request {
    pub(super) fn join(&mut self, peer: &Rc<Peer>) {
        self.balance.join(peer);
    }

    pub(super) fn leave(&mut self, peer: &Peer, inbox: &Inbox) {
        self.balance.leave(peer);
        if matches!(self.state, State::Asked(number) if number == peer.number) {
            self.state = State::Lost(peer.why());
            inbox.readers.wake();
        }
    }

    pub(super) fn send(&mut self, message: &Message) -> Option<Result<(), Error>> {
        if matches!(self.state, State::Asked(_) | State::Answered) {
            let why = "a REQ receives the answer to what it has asked before it asks again";
            return Some(Err(Error::Config(why.into())));
        }
        let asked = self.balance.send(&message.clone().with_head(DELIMITER))?;
        self.state = State::Asked(asked.number);
        Some(Ok(()))
    }

    /// The answer, if that is what has come.
    pub(super) fn receive(&mut self, from: &Peer, message: Message) -> Option<Message> {
        if !matches!(self.state, State::Asked(number) if number == from.number) {
            return None;
        }
        let (delimiter, answer) = message.split_first();
        let answer = answer.filter(|_| delimiter.is_empty())?;
        self.state = State::Answered;
        Some(answer)
    }

    pub(super) fn read(&mut self, inbox: &Inbox) -> Option<Result<Message, Error>> {
        let read = match std::mem::take(&mut self.state) {
            State::Idle => {
                let why = "a REQ asks before it receives an answer";
                Err(Error::Config(why.into()))
            }
            State::Lost(error) => Err(error),
            waiting @ State::Asked(_) => {
                self.state = waiting;
                return None;
            }
            State::Answered => Ok(inbox.pop()?.1),
        };
        Some(read)
    }
}
