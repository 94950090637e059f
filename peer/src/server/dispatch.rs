//! From a request to its handler.

use std::borrow::Cow;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Waker;

use bytes::Bytes;
use grenache_transports::http::Headers;

use super::Server;
use super::compress::{self, Inflated};
use super::flow::Stream;
use super::owed::{self, Flight, Sent, What, drop_quietly, poll_work};
use super::reply::{self, Answer, Reply};
use super::request::{Origin, Request, header_text};
use super::services::{Found, StreamHandler};
use super::stream::StreamRequest;
use crate::envelope::{self, Malformed};
use crate::json::Json;

pub(super) const PARSE: &str = "ERR_REQUEST_PARSE";
const HEADER: &str = "ERR_HEADER_PARSE_GR";
pub(super) const NOT_FOUND: &str = "ERR_SERVICE_NOTFOUND";
pub(super) const BUSY: &str = "ERR_BUSY";

/// What the headers of a request say about it.
#[derive(Default)]
pub(super) struct Marks {
    /// Request and answer are compressed.
    gzip: bool,
    /// Header `_gr`: id and service, for those who do not look into the body.
    rid: Option<Json>,
    pub(super) key: Option<String>,
}

impl Marks {
    /// Reads headers. As in Node, a `_gr` that is JSON but does not name anything is as good as none.
    pub(super) fn read(headers: Headers<'_>) -> Result<Marks, Answer> {
        let mut marks = Marks::default();
        for (name, value) in headers {
            match name.len() {
                3 if name.eq_ignore_ascii_case("_gr") => {
                    let text = Bytes::from(header_text(value).into_owned());
                    if let Ok(named) = envelope::decode_request(&text) {
                        let falsy = matches!(named.rid.as_str(), "null" | "\"\"" | "0" | "false");
                        marks.rid = (!falsy).then_some(named.rid);
                        marks.key = (!named.key.is_empty()).then(|| named.key.into_owned());
                    } else if !text.is_empty() && Json::from_text(text).is_err() {
                        return Err(Answer::error(500, &Json::null(), HEADER));
                    }
                }
                12 if name.eq_ignore_ascii_case("grc-compress") => {
                    marks.gzip |= value.windows(4).any(|part| part == b"gzip");
                }
                _ => {}
            }
        }
        Ok(marks)
    }
}

/// A request that came on a connection, with the connection's waker.
pub(super) struct Arrival<'a> {
    pub(super) origin: Origin,
    pub(super) marks: Marks,
    pub(super) waker: &'a Waker,
}

impl Server {
    /// Begins a request whose body is here.
    pub(super) fn dispatch(self: &Rc<Self>, arrival: Arrival<'_>, body: Bytes) -> What {
        let marks = &arrival.marks;
        if let Some(key) = &marks.key
            && let Some(Found::Stream(service, handler)) = self.services.find(key, true)
        {
            let rid = marks.rid.clone().unwrap_or_default();
            return self.stream_whole(arrival, (rid, service), handler, body);
        }
        if marks.gzip {
            let Some(flight) = self.flight(body.len()) else { return busy(&Json::null()) };
            let (server, Arrival { origin, marks, .. }) = (self.clone(), arrival);
            return What::Job(Box::pin(async move {
                server.gzipped(origin, body, marks, flight).await
            }));
        }
        let Ok((rid, key, payload)) = identify(&body, marks) else { return self.no_request() };
        match self.services.find(&key, false) {
            None => not_found(rid),
            Some(Found::Stream(service, handler)) => {
                self.stream_whole(arrival, (rid, service), handler, body.clone())
            }
            Some(Found::Handler(service, handler)) => {
                let Some(flight) = self.flight(body.len()) else { return busy(&rid) };
                let origin = arrival.origin;
                let request = Request { service, rid: rid.clone(), payload, origin };
                let work = owed::begin(&self.counters, || handler(request));
                What::Call { rid, work, flight }
            }
        }
    }

    /// Begins a request whose body will be streamed; `None` if the service wants it whole.
    pub(super) fn dispatch_stream<'a>(
        &self,
        arrival: Arrival<'a>,
    ) -> Result<(What, Option<Rc<Stream>>), Arrival<'a>> {
        let Some(key) = &arrival.marks.key else { return Err(arrival) };
        let Some(Found::Stream(service, handler)) = self.services.find(key, true) else {
            return Err(arrival);
        };
        let rid = arrival.marks.rid.clone().unwrap_or_default();
        let Some(flight) = self.flight(0) else { return Ok((busy(&rid), None)) };
        let (what, stream) = self.stream(arrival, (rid, service), handler, flight);
        Ok((what, Some(stream)))
    }

    fn stream_whole(
        &self,
        arrival: Arrival<'_>,
        (rid, service): (Json, Rc<str>),
        handler: &StreamHandler,
        body: Bytes,
    ) -> What {
        let Some(flight) = self.flight(body.len()) else { return busy(&rid) };
        let (what, stream) = self.stream(arrival, (rid, service), handler, flight);
        stream.receive(body);
        stream.receive_end();
        what
    }

    fn stream(
        &self,
        arrival: Arrival<'_>,
        (rid, service): (Json, Rc<str>),
        handler: &StreamHandler,
        flight: Flight,
    ) -> (What, Rc<Stream>) {
        let Arrival { origin, waker, .. } = arrival;
        let stream = Stream::new(origin.peer.addr, self.config.stream_buffer, waker.clone());
        let request = StreamRequest { service, rid: rid.clone(), origin, stream: stream.clone() };
        let work = owed::begin(&self.counters, || handler(request));
        let (work, sent) = (Some((work, flight)), Sent::Nothing);
        (What::Stream { rid, stream: stream.clone(), work, sent }, stream)
    }

    /// Answers a compressed request.
    async fn gzipped(
        &self,
        origin: Origin,
        body: Bytes,
        marks: Marks,
        mut flight: Flight,
    ) -> Answer {
        let body = match compress::inflate(body, self.config.max_inflated, &mut flight).await {
            Inflated::Bytes(body) => body,
            Inflated::Busy => return Answer::error(503, &Json::null(), BUSY),
            Inflated::TooLarge => {
                self.counters.malformed.add(1);
                return Answer::too_large();
            }
        };
        let Ok((rid, key, payload)) = identify(&body, &marks) else {
            self.counters.malformed.add(1);
            return Answer::error(400, &Json::null(), PARSE);
        };
        let outcome = match self.services.find(&key, false) {
            // A stream is not compressed, so whoever wants one did not ask for it like this.
            None | Some(Found::Stream(..)) => Err(NOT_FOUND.to_owned()),
            Some(Found::Handler(service, handler)) => {
                let request = Request { service, rid: rid.clone(), payload, origin };
                let mut work = owed::begin(&self.counters, || handler(request));
                let outcome =
                    poll_fn(|context| poll_work(&mut work, &self.counters, context)).await;
                drop_quietly(work);
                outcome
            }
        };
        // The request is done with; its place goes with the answer.
        flight.resize(0);
        if let Ok(Reply { busy: true, .. }) = outcome {
            return Answer::error(503, &rid, BUSY);
        }
        let body = compress::deflate(reply::envelope(&rid, &outcome)).await;
        Answer { status: 200, body }
    }

    /// A place among the requests in hand.
    fn flight(&self, bytes: usize) -> Option<Flight> {
        Flight::take(&self.counters, &self.config, bytes)
    }

    fn no_request(&self) -> What {
        self.counters.malformed.add(1);
        What::Answer(Answer::error(400, &Json::null(), PARSE))
    }
}

/// Whose request it is, for which service, and what is asked. The headers go before the body.
fn identify<'a>(body: &'a Bytes, marks: &Marks) -> Result<(Json, Cow<'a, str>, Json), Malformed> {
    let request = envelope::decode_request(body)?;
    let rid = marks.rid.clone().unwrap_or(request.rid);
    let key = marks.key.clone().map_or(request.key, Cow::Owned);
    Ok((rid, key, request.payload))
}

fn busy(rid: &Json) -> What {
    What::Answer(Answer::error(503, rid, BUSY))
}

fn not_found(rid: Json) -> What {
    What::Outcome { rid, outcome: Err(NOT_FOUND.to_owned()) }
}
