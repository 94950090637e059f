//! What a grape asks of its DHT.

use crate::bencode::Reader;
use crate::dht::Dht;
use crate::error::{CommandError, Error};
use crate::event::{Event, Op};
use crate::items::Item;
use crate::key::Key;
use crate::lookup::{Goal, Traversal, Waiter};
use crate::store::{Get, Job, Put};
use bytes::Bytes;
use core::net::Ipv4Addr;
use core::time::Duration;
use std::sync::Arc;

impl Dht {
    /// Looks for the peers of a service: asks the network, and adds what is stored here. Nothing is
    /// remembered from one lookup to the next; one in flight is joined if nobody has answered it yet.
    pub fn lookup(&mut self, now: Duration, key: impl Into<Key>) -> Result<Op, CommandError> {
        let key = self.check_key(key.into())?;
        let op = self.begin()?;
        self.find_peers(now, key, Waiter::Lookup(op));
        Ok(op)
    }

    /// Announces a peer on `port` (0: this grape's own port) to the nodes closest to the key. If nobody
    /// else is there to store it, it is stored here, as a peer at `local` or
    /// [`Config::host`](crate::Config::host).
    pub fn announce(
        &mut self,
        now: Duration,
        key: impl Into<Key>,
        port: u16,
        local: Ipv4Addr,
    ) -> Result<Op, CommandError> {
        let key = self.check_key(key.into())?;
        let op = self.begin()?;
        self.begin_job(now, key, Job::Announce { op, port, local });
        Ok(op)
    }

    /// Stores an item on the nodes closest to its target. An immutable one is stored here too, a
    /// mutable one once another node has taken it, or if nobody else is there.
    ///
    /// A mutable item with a wrong signature ends with [`Error::AllQueriesFailed`] like in Node, but at
    /// once: nobody would store it.
    pub fn put(&mut self, now: Duration, put: Put) -> Result<Op, CommandError> {
        if put.v.len() > self.config.max_put {
            return Err(CommandError::ValueTooLong);
        }
        let mut reader = Reader::new(&put.v);
        reader.skip().and_then(|()| reader.finish()).map_err(|_| CommandError::NotBencode)?;
        if put.mutable.as_ref().is_some_and(|m| m.salt.len() > self.config.max_salt) {
            return Err(CommandError::SaltTooLong);
        }
        let op = self.begin()?;
        if put.is_valid() {
            let key = Key::from(Bytes::copy_from_slice(&put.target()));
            self.begin_job(now, key, Job::Put { op, put: Arc::new(put) });
        } else {
            self.stats.bad_signatures += 1;
            self.end(Event::PutDone { op, result: Err(Error::AllQueriesFailed) });
        }
        Ok(op)
    }

    /// Looks for an item: here, then on the network. The first immutable one is the result; of mutable
    /// ones, the one with the highest sequence number that any node has, this one included. As in Node,
    /// which keeps no mutable item that it puts itself, another node's is preferred to one put here.
    pub fn get(&mut self, now: Duration, get: Get) -> Result<Op, CommandError> {
        let op = self.begin()?;
        let stored = self.items.get(&get.target);
        let mine = stored.is_some_and(|stored| stored.mine);
        let own = stored.map(|stored| Item {
            id: self.config.id,
            own: true,
            token: None,
            v: stored.v.clone(),
            k: stored.signed.as_ref().map(|signed| signed.k),
            sig: stored.signed.as_ref().map(|signed| signed.sig.clone()),
            seq: stored.signed.as_ref().map(|signed| signed.seq),
            salt: None,
        });
        if own.as_ref().is_some_and(|item| item.k.is_none()) {
            self.end(Event::Got { op, result: own });
            return Ok(op);
        }
        let key = Key::from(Bytes::copy_from_slice(&get.target));
        let fits = |k: [u8; 32]| crate::signature::mutable_target(&k, &get.salt) == get.target;
        let (item, spare) = match own {
            Some(own) if mine => (None, own.k.is_some_and(fits).then_some(own)),
            own => (own, None),
        };
        let waiter = Waiter::Get { op, salt: get.salt };
        let mut traversal = Traversal::new(&self.config, key, Goal::Value, waiter);
        (traversal.item, traversal.spare) = (item, spare);
        self.traverse(now, traversal);
        Ok(op)
    }

    fn check_key(&self, key: Key) -> Result<Key, CommandError> {
        let fits = key.as_bytes().len() <= self.config.max_key;
        if fits { Ok(key) } else { Err(CommandError::KeyTooLong) }
    }

    fn begin(&mut self) -> Result<Op, CommandError> {
        if self.operations >= self.config.max_operations {
            return Err(CommandError::Busy);
        }
        self.operations += 1;
        Ok(Op(self.number()))
    }
}
