//! A bridge: stands in front of workers that speak one transport, and offers their services on every transport that a
//! [`Worker`](crate::Worker) knows, under names of its own.
//!
//! Results pass through byte for byte and errors of handlers as they are. What goes wrong on the way is an error of the bridge's,
//! which begins with its usual name (`ERR_TIMEOUT`, ...) and tells the service behind. Nothing is sent twice that may have run. If a caller
//! hangs up, what was asked for it is asked no more; a worker that is spoken to by HTTP notices that, and drops it as well.
//!
//! ```no_run
//! use grenache_peer::bridge::{Bridge, Config, Route};
//! use grenache_peer::{Transport, Worker, client, worker};
//!
//! # fn main() -> Result<(), grenache_peer::Error> {
//! // Node's workers of `rest:util:net` over WebSocket are found as `rest:util:net:bridge` over HTTP as well.
//! let bridge = Bridge::new(Config { routes: vec![Route::new("rest:util:net")], ..Config::default() })?;
//! let config = worker::Config {
//!     grapes: vec!["http://127.0.0.1:30001".into()],
//!     client: client::Config { transport: Transport::WebSocket, ..Default::default() },
//!     ..Default::default()
//! };
//! let worker = Worker::start(config, move |context, services| bridge.carry_requests(context, services))?;
//! # Ok(())
//! # }
//! ```

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use grenache_engine::{shutdown, spawn_local};
use grenache_transports::ws::Kind;

use crate::client::{self, Call, Client, StreamCall, Transport};
use crate::context::Context;
use crate::error::{Error, Failure};
use crate::publish::{Data, Publisher};
use crate::server::{Reply, Request, Services, StreamRequest};
use crate::subscribe::{Message, Subscribe, Subscription};

/// What a bridge carries, and where to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The services.
    pub routes: Vec<Route>,
    /// The workers of all these services. None: they are looked up.
    pub to: Vec<SocketAddr>,
    /// How long a worker may be waited for, finding it included; how long a stream may stand still in both directions. 60 s.
    pub timeout: Duration,
}

impl Default for Config {
    fn default() -> Config {
        Config { routes: Vec::new(), to: Vec::new(), timeout: Duration::from_secs(60) }
    }
}

/// A service and the name under which the bridge offers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The service behind the bridge.
    pub service: String,
    /// What the bridge is asked for.
    pub name: String,
}

impl Route {
    /// A service that is offered as `service:bridge`.
    pub fn new(service: impl Into<String>) -> Route {
        let service = service.into();
        Route { name: format!("{service}:bridge"), service }
    }
}

/// Carries requests or publications from one transport to all. Clones are the same bridge, for all cores of a worker.
#[derive(Debug, Clone)]
pub struct Bridge {
    config: Arc<Config>,
}

impl Bridge {
    /// A bridge that carries nothing yet.
    ///
    /// # Errors
    /// [`Error::Config`] if nothing is to be carried, or the bridge would look up a name that it announces itself: it would find
    /// itself.
    pub fn new(config: Config) -> Result<Bridge, Error> {
        if config.routes.is_empty() {
            return Err(Error::Config("a bridge needs a service to carry".into()));
        }
        let offered = |name: &str| config.routes.iter().any(|route| route.name == name);
        let own = config.routes.iter().find(|route| offered(&route.service));
        if let Some(Route { service, .. }) = own.filter(|_| config.to.is_empty()) {
            return Err(Error::Config(format!(
                "a bridge that looks up '{service}' and is announced as '{service}' would find itself; name its workers, or \
                 announce it as something else"
            )));
        }
        Ok(Bridge { config: config.into() })
    }

    /// Answers requests by those of the services behind, which are reached as the [`client`](Context::client) is told to. Streams are
    /// carried as well if it speaks HTTP.
    pub fn carry_requests(&self, context: &Context, services: &mut Services) {
        let timeout = self.config.timeout;
        for Route { service, name } in &self.config.routes {
            self.know_workers(context, service);
            let (client, behind) = (context.client.clone(), service.clone());
            services.add(name, move |request| {
                let (client, behind) = (client.clone(), behind.clone());
                async move { carry(&client, &behind, timeout, &request).await }
            });
            let (client, behind) = (context.client.clone(), service.clone());
            services.add_stream(name, move |request| {
                let (client, behind) = (client.clone(), behind.clone());
                async move { carry_stream(&client, &behind, timeout, &request).await }
            });
        }
    }

    /// Publishes by `publisher` what all publishers of the services behind publish, with its topics. Subscribers that ask for any
    /// of the names get all of it. A subscriber that does not keep up is the publisher's affair; if too much waits here, the
    /// publishers behind are made to wait.
    pub fn carry_publications(
        &self,
        context: &Context,
        services: &mut Services,
        publisher: &Publisher,
    ) {
        for Route { service, name } in &self.config.routes {
            services.publish(name, publisher);
            // One core hears for all.
            if context.core == 0 {
                self.know_workers(context, service);
                let heard = context.subscriber.subscribe(Subscribe::new(service).all());
                let heard = heard.expect("no topic is asked for, so none can be wrong");
                spawn_local(publish_again(heard, publisher.clone()));
            }
        }
    }

    fn know_workers(&self, context: &Context, service: &str) {
        if !self.config.to.is_empty() {
            context.link.fix(service, &self.config.to);
        }
    }
}

/// Asks a worker behind for what was asked here.
async fn carry(
    client: &Client,
    service: &str,
    timeout: Duration,
    request: &Request,
) -> Result<Reply, String> {
    let mut call = Call::new(service, request.payload().clone()).timeout(timeout);
    if client.transport() == Transport::Http {
        // What is said of a body was said of another one.
        let of_body = |name: &str| name.to_ascii_lowercase().starts_with("content-");
        for (name, value) in carried(request.headers()).filter(|(name, _)| !of_body(name)) {
            call = call.header(name, value);
        }
    }
    match client.request(call).await {
        Ok(result) => Ok(result.into()),
        // So a caller that knows another way may take it.
        Err(error) if is_busy(&error) => Ok(Reply::busy()),
        Err(error) => Err(told(&error, service)),
    }
}

/// Lets both bodies of a streamed request flow through, each as fast as who takes it at its end.
async fn carry_stream(
    client: &Client,
    service: &str,
    timeout: Duration,
    request: &StreamRequest,
) -> Result<(), String> {
    if client.transport() != Transport::Http {
        return Err(format!(
            "ERR_STREAM_HTTP: streams are HTTP's, and workers of '{service}' are spoken to otherwise"
        ));
    }
    let mut call = StreamCall::new(service).rid(request.rid().clone()).timeout(timeout);
    if let Some(action) = request.action() {
        call = call.action(action);
    }
    if let Some(args) = request.args_json().map_err(|error| error.to_string())? {
        call = call.args(args);
    }
    for (name, value) in carried(request.headers()) {
        call = call.header(name, value);
    }
    let stream = client.stream(call).await.map_err(|error| told(&error, service))?;
    let there = async {
        while let Some(piece) = request.read().await.map_err(|error| error.to_string())? {
            if stream.send(piece).await.is_err() {
                // Whoever has answered need not read on: the answer says what it is.
                return Ok(());
            }
        }
        stream.finish();
        Ok(())
    };
    let back = async {
        while let Some(piece) = stream.recv().await.map_err(|error| told(&error, service))? {
            request.write(piece).await.map_err(|error| error.to_string())?;
        }
        Ok(())
    };
    until_answered(there, back).await
}

/// Runs both ways of a stream until the answer has ended, or the request has failed.
async fn until_answered(
    there: impl Future<Output = Result<(), String>>,
    back: impl Future<Output = Result<(), String>>,
) -> Result<(), String> {
    let (mut there, mut back) = (pin!(there), pin!(back));
    let mut sent = false;
    poll_fn(|context| {
        if !sent && let Poll::Ready(ended) = there.as_mut().poll(context) {
            sent = true;
            if ended.is_err() {
                return Poll::Ready(ended);
            }
        }
        back.as_mut().poll(context)
    })
    .await
}

/// The headers that go on: not those that are about one connection (RFC 9110 section 7.6.1), or about what only the bridge
/// itself reads.
fn carried<'a>(
    headers: impl Iterator<Item = (&'a str, &'a [u8])>,
) -> impl Iterator<Item = (&'a str, &'a str)> {
    let all: Vec<(&str, &str)> = headers
        .filter_map(|(name, value)| Some((name, std::str::from_utf8(value).ok()?)))
        .collect();
    let named = |name: &str, list: &str| {
        list.split(',').any(|entry| entry.trim().eq_ignore_ascii_case(name))
    };
    let of_connection: Vec<&str> = all
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("connection"))
        .map(|(_, list)| *list)
        .collect();
    all.into_iter().filter(move |(name, _)| {
        !client::is_reserved(name)
            && !name.eq_ignore_ascii_case("accept-encoding")
            && !name.to_ascii_lowercase().starts_with("proxy-")
            && !name.to_ascii_lowercase().starts_with("sec-websocket-")
            && !of_connection.iter().any(|list| named(name, list))
    })
}

/// Whether there was too much to do, for the bridge or those behind, so that nobody has begun.
fn is_busy(error: &Error) -> bool {
    matches!(error, Error::Busy(_) | Error::Request { failure: Failure::Busy, .. })
}

/// What a caller is told: what a handler has said as it is, and of everything else what it was and where.
fn told(error: &Error, service: &str) -> String {
    if let Error::Remote(text) = error {
        return text.clone();
    }
    let text = error.to_string();
    let text =
        text.strip_prefix(error.code()).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(&text);
    let code = if is_busy(error) { "ERR_BUSY" } else { error.code() };
    format!("{code}: '{service}' behind the bridge: {text}")
}

/// Publishes what is heard, until the core stops.
async fn publish_again(mut heard: Subscription, publisher: Publisher) {
    let mut stop = pin!(shutdown());
    loop {
        let next = {
            let mut next = pin!(heard.next());
            poll_fn(|context| match stop.as_mut().poll(context) {
                Poll::Ready(()) => Poll::Ready(None),
                Poll::Pending => next.as_mut().poll(context).map(Some),
            })
            .await
        };
        let Some(Message { topic, kind, data, .. }) = next else { return };
        let data = match kind {
            // It was checked to be UTF-8.
            Kind::Text => Data::Text(String::from_utf8_lossy(&data).into_owned()),
            Kind::Binary => Data::Binary(data),
        };
        let topic = topic.unwrap_or_default();
        if let Err(error) = publisher.publish_when_ready(&topic, data).await {
            tracing::warn!(%error, "a message is not carried over the bridge");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_does_not_look_for_itself() {
        let refused = |routes: &[(&str, &str)], to: &[&str]| {
            let route = |(service, name): &(&str, &str)| Route {
                service: (*service).into(),
                name: (*name).into(),
            };
            let config = Config {
                routes: routes.iter().map(route).collect(),
                to: to.iter().map(|to| to.parse().unwrap()).collect(),
                ..Config::default()
            };
            Bridge::new(config).err().map(|error| error.to_string())
        };
        assert_eq!(refused(&[("a", "b")], &[]), None);
        assert_eq!(refused(&[("a", "a")], &["127.0.0.1:1"]), None);
        assert!(refused(&[], &[]).unwrap().starts_with("ERR_CONFIG: "));
        for routes in [&[("a", "a")][..], &[("a", "b"), ("b", "c")]] {
            assert!(refused(routes, &[]).unwrap().contains("would find itself"));
        }
        assert_eq!(Route::new("a").name, "a:bridge");
    }

    #[test]
    fn errors_keep_their_names() {
        let to = "127.0.0.1:1".parse().unwrap();
        let told = |error| told(&error, "a");
        assert_eq!(told(Error::Remote("any \"text\"".into())), "any \"text\"");
        assert_eq!(
            told(Error::LookupEmpty { service: "a".into() }),
            "ERR_GRAPE_LOOKUP_EMPTY: 'a' behind the bridge: nobody announces 'a'"
        );
        assert_eq!(
            told(Error::Request { to, failure: Failure::Connect("refused".into()) }),
            "ERR_REQUEST_GENERIC: 'a' behind the bridge: 127.0.0.1:1: no connection: refused"
        );
        assert_eq!(
            told(Error::Request { to, failure: Failure::Busy }),
            format!("ERR_BUSY: 'a' behind the bridge: 127.0.0.1:1: {}", Failure::Busy)
        );
        assert_eq!(
            told(Error::Grape("No nodes to query".into())),
            "ERR_GRAPE_GENERIC: 'a' behind the bridge: No nodes to query"
        );
    }

    #[test]
    fn headers_of_a_connection_stay_behind() {
        let headers: &[(&str, &[u8])] = &[
            ("Host", b"a"),
            ("connection", b"close, X-Hop"),
            ("x-hop", b"1"),
            ("X-Trace", b"2"),
            ("Transfer-Encoding", b"chunked"),
            ("_gr", b"[1,\"a\"]"),
            ("sec-websocket-key", b"3"),
            ("accept-encoding", b"gzip"),
            ("authorization", b"Basic 4"),
            ("x-binary", b"\xff"),
        ];
        let left: Vec<_> = carried(headers.iter().copied()).collect();
        assert_eq!(left, [("X-Trace", "2"), ("authorization", "Basic 4")]);
    }
}
