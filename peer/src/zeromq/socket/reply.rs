//! REP: answers what it was asked, in turn (RFC 28).

use std::rc::Rc;

use bytes::Bytes;

use super::inbox::Inbox;
use super::peer::Peer;
use super::stats::Counters;
use crate::error::Error;
use crate::zeromq::Message;

/// A REP's side of things.
#[derive(Default)]
pub(super) struct Reply {
    /// Who waits for an answer, and what goes before it.
    owed: Option<(Rc<Peer>, Bytes)>,
}

impl Reply {
    pub(super) fn read(
        &mut self,
        inbox: &Inbox,
        counters: &Counters,
    ) -> Option<Result<Message, Error>> {
        if self.owed.is_some() {
            let why = "a REP answers what it was asked before it receives more";
            return Some(Err(Error::Config(why.into())));
        }
        loop {
            let (from, message) = inbox.pop()?;
            match message.split_envelope() {
                Ok((envelope, message)) => {
                    self.owed = Some((from, envelope));
                    return Some(Ok(message));
                }
                Err(_) => counters.update(|stats| stats.malformed += 1),
            }
        }
    }

    pub(super) fn send(&mut self, message: &Message, counters: &Counters) -> Result<(), Error> {
        let Some((peer, envelope)) = self.owed.take() else {
            return Err(Error::Config("a REP is asked before it answers".into()));
        };
        let sent = peer.offer(&message.clone().with_head(envelope));
        counters.update(|stats| if sent { stats.sent += 1 } else { stats.dropped += 1 });
        Ok(())
    }
}
