//! The API of the grapes: announcing, looking up, storing.
//!
//! ```no_run
//! use grenache_peer::link::{Config, Grape, Link};
//!
//! # async fn on_a_core() -> Result<(), grenache_peer::Error> {
//! let link = Link::new(&Grape::list("http://127.0.0.1:30001")?, Config::default(), None)?;
//! let announcing = link.start_announcing("rest:util:net", 1337);
//! announcing.announced().await;
//! assert_eq!(link.lookup("rest:util:net").await?[0].port(), 1337);
//! # Ok(())
//! # }
//! ```

mod announcing;
mod answer;
mod cache;
mod config;

mod grape;
mod grapes;
mod item;
mod secret_key;
mod wait;

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::rc::{Rc, Weak};
use std::time::Duration;

use grenache_engine::now;

use crate::backoff::Random;
use crate::error::Error;
use crate::flight::Flight;
use crate::http::Pool;
use crate::tls::{Authorities, ClientTls, Connector};
pub use announcing::Announcing;
pub use cache::Addresses;
use cache::Cache;
pub use config::Config;
pub use grape::Grape;
use grapes::{Grapes, Question};
pub use item::{Item, ItemKey, Put};
pub use secret_key::SecretKey;
use wait::Wait;

/// The way of one core to the grapes. Clones are the same link.
///
/// Calls go to the grape that answered last; one that does not answer in [`Config::request_timeout`] is set aside and the next
/// one is asked, [`Config::tries`] times in all. Dropping a future of a link takes back what it asked for.
#[derive(Clone)]
pub struct Link {
    inner: Rc<Inner>,
}

struct Inner {
    grapes: Grapes,
    config: Rc<Config>,
    random: Random,
    cache: RefCell<Cache>,
    flights: RefCell<Joined<Flight<Result<Addresses, Error>>>>,
    waits: RefCell<Joined<Wait>>,
}

impl Link {
    /// A link to these grapes, in the order in which they are tried at first. Needs to run on a core of the engine. `tls` is for
    /// grapes with `https`; without it the system's authorities are trusted.
    ///
    /// # Errors
    /// [`Error::Config`] if there is no grape, [`Error::Tls`] if the TLS settings cannot be used.
    pub fn new(grapes: &[Grape], config: Config, tls: Option<&ClientTls>) -> Result<Link, Error> {
        if grapes.is_empty() {
            return Err(Error::Config("a link needs a grape".into()));
        }
        Link::with(grapes, config, tls)
    }

    /// As [`new`](Self::new), for who may have no grapes: all calls fail then.
    pub(crate) fn with(
        grapes: &[Grape],
        config: Config,
        tls: Option<&ClientTls>,
    ) -> Result<Link, Error> {
        let connector = match tls {
            _ if !grapes.iter().any(Grape::is_secure) => None,
            Some(tls) => Some(Connector::new(tls)?),
            None => Some(Connector::new(&ClientTls::new(Authorities::system()?))?),
        };
        let pool = Pool::new(config.pool.clone(), connector);
        let config = Rc::new(config);
        Ok(Link {
            inner: Rc::new(Inner {
                grapes: Grapes::new(grapes, config.clone(), pool),
                cache: RefCell::new(Cache::new(&config)),
                config,
                random: Random::new(),
                flights: RefCell::default(),
                waits: RefCell::default(),
            }),
        })
    }

    /// The workers that announce a service: at least one, at most [`Config::max_peers`]. An answer is used for
    /// [`Config::cache_age`].
    ///
    /// # Errors
    /// [`Error::LookupEmpty`] if nobody announces it, [`Error::Grape`] with the grape's own error,
    /// [`Error::GrapeUnreachable`] if no grape has answered, at the latest after [`Config::tries`] times
    /// [`Config::request_timeout`] and the pauses between them.
    pub async fn lookup(&self, service: &str) -> Result<Addresses, Error> {
        match self.cached(service) {
            Some(addresses) => Ok(addresses),
            None => self.lookup_fresh(service).await,
        }
    }

    /// As [`lookup`](Self::lookup), but asks a grape in any case. Joins a lookup of the same service that is under way.
    ///
    /// # Errors
    /// As [`lookup`](Self::lookup).
    pub async fn lookup_fresh(&self, service: &str) -> Result<Addresses, Error> {
        if let Some(fixed) = self.inner.cache.borrow().fixed(service) {
            return Ok(fixed);
        }
        let flight = self.inner.flights.borrow().get(service).and_then(Weak::upgrade);
        let flight = flight.filter(|flight| !flight.has_ended());
        let flight = flight.unwrap_or_else(|| {
            let flight = Flight::start(ask_for_workers(self.clone(), service.to_string()));
            self.inner.flights.borrow_mut().insert(service, &flight);
            flight
        });
        flight.result().await.unwrap_or(Err(Error::Stopped))
    }

    /// The answer that [`lookup`](Self::lookup) would give without asking.
    pub fn cached(&self, service: &str) -> Option<Addresses> {
        self.inner.cache.borrow_mut().get(service, now())
    }

    /// From now on these are the workers of a service, whatever the grapes would say: they are not asked.
    ///
    /// # Panics
    /// If there are none.
    pub fn fix(&self, service: &str, addresses: &[SocketAddr]) {
        assert!(!addresses.is_empty(), "a service without a worker cannot be called");
        self.inner.cache.borrow_mut().fix(service, addresses.into());
    }

    /// Forgets the answer to the last lookup.
    pub fn forget(&self, service: &str) {
        self.inner.cache.borrow_mut().forget(service);
    }

    /// As [`lookup_fresh`](Self::lookup_fresh), unless what is known is younger than [`Config::refresh_age`].
    pub(crate) async fn refresh(&self, service: &str) -> Result<Addresses, Error> {
        let age = self.inner.config.refresh_age;
        let recent = self.inner.cache.borrow_mut().younger(service, now(), age);
        match recent {
            Some(addresses) => Ok(addresses),
            None => self.lookup_fresh(service).await,
        }
    }

    /// Waits until somebody announces a service, at most for `limit`. Lookups follow each other closely at first (a service that
    /// comes up is found within [`Config::wait`]'s longest pause) and every second after ten seconds; all who wait for one
    /// service share them.
    ///
    /// # Errors
    /// When the time is up, the error of the last lookup: [`Error::LookupEmpty`] or [`Error::GrapeUnreachable`];
    /// [`Error::Timeout`] if there was no answer at all. At once what a grape refuses, as [`Error::Grape`].
    pub async fn wait_for_service(
        &self,
        service: &str,
        limit: Duration,
    ) -> Result<Addresses, Error> {
        if let Some(addresses) = self.cached(service) {
            return Ok(addresses);
        }
        let wait = self.inner.waits.borrow().get(service).and_then(Wait::join);
        let wait = wait.unwrap_or_else(|| {
            let wait = Wait::start(self.clone(), service.to_string());
            self.inner.waits.borrow_mut().insert(service, &wait);
            wait
        });
        wait.found(limit).await
    }

    /// Tells the network once that a worker on this host offers a service on `port` (0 stands for the grape's own DHT port).
    /// Answers how many nodes have stored it.
    ///
    /// # Errors
    /// As [`lookup`](Self::lookup), but for [`Error::LookupEmpty`].
    pub async fn announce(&self, service: &str, port: u16) -> Result<usize, Error> {
        let data = serde_json::json!([service, port]).to_string();
        let question = Question { path: "/announce", data: &data, repeatable: true };
        self.inner.grapes.ask(&question, &self.inner.random, answer::count).await
    }

    /// Announces a service at once and then again every [`Config::announce_interval`]; while no grape takes it, sooner.
    pub fn start_announcing(&self, service: &str, port: u16) -> Announcing {
        Announcing::start(self.clone(), service.to_string(), port)
    }

    /// Stores an item and answers where it is found. A mutable item is not sent twice if it may have arrived.
    ///
    /// # Errors
    /// [`Error::Grape`] with the network's no, such as `301 CAS mismatch, re-read and try again` or `302 sequence number less
    /// than current`; [`Error::Item`] if the grape stored it elsewhere; [`Error::GrapeUnreachable`].
    pub async fn put(&self, put: &Put) -> Result<ItemKey, Error> {
        let data = put.to_json();
        let question = Question { path: "/put", data: &data, repeatable: put.is_repeatable() };
        let key = ItemKey(self.inner.grapes.ask(&question, &self.inner.random, answer::key).await?);
        if key != put.key() {
            let expected = put.key();
            return Err(Error::Item(format!(
                "the grape stored under {key} what belongs under {expected}"
            )));
        }
        Ok(key)
    }

    /// Finds an item and checks its hash or signature; `salt` is that of a mutable item, empty for none. `None` if nobody has it.
    ///
    /// # Errors
    /// [`Error::Item`] if what was found is not what the key stands for; [`Error::Grape`]; [`Error::GrapeUnreachable`].
    pub async fn get(&self, key: &ItemKey, salt: &[u8]) -> Result<Option<Item>, Error> {
        let data = item::get_json(key, salt)?;
        let question = Question { path: "/get", data: &data, repeatable: true };
        let found = self.inner.grapes.ask(&question, &self.inner.random, item::read).await?;
        found.map(|found| found.verified(key, salt)).transpose()
    }

    /// Takes no further calls, forgets all answers, and waits until the calls under way are done and their connections closed.
    pub async fn close(&self) {
        self.inner.cache.borrow_mut().clear();
        self.inner.grapes.close().await;
    }

    fn config(&self) -> &Config {
        &self.inner.config
    }

    fn random(&self) -> &Random {
        &self.inner.random
    }

    fn announce_pause(&self) -> Duration {
        let config = self.config();
        self.random().around(config.announce_interval, config.announce_jitter)
    }

    fn announce_retry_pause(&self, failures: u32) -> Duration {
        self.config().announce_retry.pause(failures, self.random())
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.inner.grapes.names()).finish()
    }
}

async fn ask_for_workers(link: Link, service: String) -> Result<Addresses, Error> {
    let data = serde_json::Value::from(service.as_str()).to_string();
    let question = Question { path: "/lookup", data: &data, repeatable: true };
    let max = link.config().max_peers;
    let read = |body: &_| answer::addresses(body, max);
    let addresses: Addresses =
        link.inner.grapes.ask(&question, &link.inner.random, read).await?.into();
    link.inner.cache.borrow_mut().put(&service, &addresses, now());
    if addresses.is_empty() { Err(Error::LookupEmpty { service }) } else { Ok(addresses) }
}

/// Work under way, by service.
struct Joined<T> {
    works: HashMap<Box<str>, Weak<T>>,
    /// When there are so many, those that are over are swept out.
    sweep_at: usize,
}

impl<T> Default for Joined<T> {
    fn default() -> Self {
        Joined { works: HashMap::new(), sweep_at: 16 }
    }
}

impl<T> Joined<T> {
    fn get(&self, service: &str) -> Option<&Weak<T>> {
        self.works.get(service)
    }

    fn insert(&mut self, service: &str, work: &Rc<T>) {
        if self.works.len() >= self.sweep_at {
            self.works.retain(|_, work| work.strong_count() > 0);
            self.sweep_at = (2 * self.works.len()).max(16);
        }
        self.works.insert(service.into(), Rc::downgrade(work));
    }
}
