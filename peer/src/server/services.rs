//! Which handler answers which service.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

use super::reply::Reply;
use super::request::{Request, Visitor};
use super::stream::StreamRequest;
use crate::publish::Publisher;

/// A handler at work: what it gives, or the text of its error.
pub(super) type Work<T> = Pin<Box<dyn Future<Output = Result<T, String>>>>;

pub(super) type Handler = Box<dyn Fn(Request) -> Work<Reply>>;
pub(super) type StreamHandler = Box<dyn Fn(StreamRequest) -> Work<()>>;
type Admission = Box<dyn Fn(&Visitor<'_>) -> bool>;

/// The services of a worker, each with its handler; filled anew on every core.
///
/// A handler is an async function. It runs on the core of the connection that the request came on, beside all other handlers
/// of that core: it may wait for anything as long as it likes, but must not hold the core ([`blocking`](crate::blocking) is
/// for that). Its future is dropped when the client hangs up. An error becomes the error of the reply, its text as it is; a
/// panic becomes the error `ERR_HANDLER_PANIC`, and touches no other request.
///
/// ```
/// use grenache_peer::Error;
/// use grenache_peer::server::{Reply, Services};
///
/// let mut services = Services::default();
/// services.add("rest:util:net", |request| async move {
///     let numbers: Vec<f64> = request.json()?;
///     Reply::json(&numbers.iter().sum::<f64>())
/// });
/// services.add_stream("count", |request| async move {
///     let mut count = 0;
///     while let Some(piece) = request.read().await? {
///         count += piece.len();
///     }
///     request.reply(Ok(&grenache_peer::Json::of(&count)?));
///     Ok::<(), Error>(())
/// });
/// ```
#[derive(Default)]
pub struct Services {
    handlers: BTreeMap<Rc<str>, Handler>,
    streams: BTreeMap<Rc<str>, StreamHandler>,
    any: Option<Handler>,
    announced: BTreeSet<Rc<str>>,
    admission: Option<Admission>,
    pub(super) publisher: Option<Publisher>,
}

impl Services {
    /// Answers requests for `service` by `handler`, in place of an earlier one.
    pub fn add<H, F, E>(&mut self, service: &str, handler: H)
    where
        H: Fn(Request) -> F + 'static,
        F: Future<Output = Result<Reply, E>> + 'static,
        E: Display,
    {
        self.announce(service);
        self.handlers.insert(service.into(), boxed(handler));
    }

    /// Answers streamed requests for `service` by `handler`, in place of an earlier one. Requests that are not streamed go to
    /// the handler of [`add`](Self::add), if there is one under the same name.
    ///
    /// The reply is what the handler has written when it ends. An error becomes the usual reply if nothing was written yet;
    /// otherwise the connection is broken off, so that the client does not take what it has for the whole.
    pub fn add_stream<H, F, E>(&mut self, service: &str, handler: H)
    where
        H: Fn(StreamRequest) -> F + 'static,
        F: Future<Output = Result<(), E>> + 'static,
        E: Display,
    {
        self.announce(service);
        let handler: StreamHandler = Box::new(move |request| {
            let work = handler(request);
            Box::pin(async move { work.await.map_err(|error| error.to_string()) })
        });
        self.streams.insert(service.into(), handler);
    }

    /// Answers by `handler` what no other handler is for, as a server of Node does. Which names that are, whoever looks for
    /// them has to be told: see [`announce`](Self::announce).
    pub fn add_any<H, F, E>(&mut self, handler: H)
    where
        H: Fn(Request) -> F + 'static,
        F: Future<Output = Result<Reply, E>> + 'static,
        E: Display,
    {
        self.any = Some(boxed(handler));
    }

    /// Lets in only whom `admit` says yes to, as Node's `verifyClient` does: it is asked once for a WebSocket, before the upgrade,
    /// and for every HTTP request. Others get 401, and no handler learns of them. Who must be known by a certificate at all is
    /// the affair of [`ServerTls`](crate::tls::ServerTls), which also knows lists of fingerprints.
    ///
    /// ```
    /// # use grenache_peer::{Fingerprint, server::Services};
    /// # fn set_up(services: &mut Services, friends: Vec<Fingerprint>) {
    /// services.admit(move |visitor| {
    ///     visitor.certificate().is_some_and(|certificate| friends.contains(&certificate.sha1()))
    /// });
    /// # }
    /// ```
    pub fn admit(&mut self, admit: impl Fn(&Visitor<'_>) -> bool + 'static) {
        self.admission = Some(Box::new(admit));
    }

    /// Has WebSockets connect to a publisher, and announces it as `service`.
    ///
    /// A subscriber that names the protocol `grenache.topics` is always taken as one. Others are subscribers of all messages if
    /// there are no handlers here; if there are, they are clients that ask, who would not know what to make of messages. So a
    /// publisher that Node's subscribers are to hear needs a worker of its own, as in Node. A second publisher takes the place of
    /// the first.
    pub fn publish(&mut self, service: &str, publisher: &Publisher) {
        self.announce(service);
        self.publisher = Some(publisher.clone());
    }

    /// Has a worker announce `service` as well; those with a handler of their own are anyway.
    pub fn announce(&mut self, service: &str) {
        self.announced.insert(service.into());
    }

    /// What a worker announces, in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.announced.iter().map(|name| &**name)
    }

    /// Whether a client may ask anything.
    pub(super) fn admits(&self, visitor: &Visitor<'_>) -> bool {
        self.admission.as_ref().is_none_or(|admit| admit(visitor))
    }

    /// Whether there is anything to ask for.
    pub(super) fn has_handlers(&self) -> bool {
        !self.handlers.is_empty() || !self.streams.is_empty() || self.any.is_some()
    }

    /// The handler for a service; `streamed` is for a streamed request, if there is one of each kind.
    pub(super) fn find(&self, service: &str, streamed: bool) -> Option<Found<'_>> {
        let handler = || {
            let (name, handler) = self.handlers.get_key_value(service)?;
            Some(Found::Handler(name.clone(), handler))
        };
        let stream = || {
            let (name, handler) = self.streams.get_key_value(service)?;
            Some(Found::Stream(name.clone(), handler))
        };
        let any = || Some(Found::Handler(service.into(), self.any.as_ref()?));
        match streamed {
            true => stream().or_else(handler).or_else(any),
            false => handler().or_else(stream).or_else(any),
        }
    }
}

/// A handler, and the name to call it by.
pub(super) enum Found<'a> {
    Handler(Rc<str>, &'a Handler),
    Stream(Rc<str>, &'a StreamHandler),
}

fn boxed<H, F, E>(handler: H) -> Handler
where
    H: Fn(Request) -> F + 'static,
    F: Future<Output = Result<Reply, E>> + 'static,
    E: Display,
{
    Box::new(move |request| {
        let work = handler(request);
        Box::pin(async move { work.await.map_err(|error| error.to_string()) })
    })
}

impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}
