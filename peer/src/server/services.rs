//! Which handler answers which service.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

use super::reply::Reply;
use super::request::Request;
use super::stream::StreamRequest;

/// A handler at work: what it gives, or the text of its error.
pub(super) type Work<T> = Pin<Box<dyn Future<Output = Result<T, String>>>>;

pub(super) type Handler = Box<dyn Fn(Request) -> Work<Reply>>;
pub(super) type StreamHandler = Box<dyn Fn(StreamRequest) -> Work<()>>;

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

    /// Has a worker announce `service` as well; those with a handler of their own are anyway.
    pub fn announce(&mut self, service: &str) {
        self.announced.insert(service.into());
    }

    /// What a worker announces, in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.announced.iter().map(|name| &**name)
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
