use std::io;
use std::rc::Rc;

use bytes::BytesMut;
use grenache_engine::{TcpStream, wall_clock};
use grenache_transports::http::client::{
    self, Event as Answer, Expected, Response, Start, request,
};
use grenache_transports::http::{self, Connection, Event, date::Date, response};

use super::owners::Owners;
use super::{Payload, wrong};

/// Serves one connection: answers requests one by one. Ends it at the first that is wrong.
pub(super) async fn serve(stream: TcpStream, owners: Rc<Owners>) {
    let mut connection = Connection::new(http::Config::default());
    let mut date = Date::new(wall_clock());
    let mut out = BytesMut::new();
    while let Ok(Some(received)) = stream.recv().await {
        let mut input = &received[..];
        loop {
            let (payload, persistence) = match connection.receive(&mut input) {
                Ok(Some(Event::Request(request))) => match Payload::try_from(request.body) {
                    Ok(payload) => (payload, request.persistence),
                    Err(_) => return,
                },
                Ok(None) => break,
                Ok(Some(_)) | Err(_) => return,
            };
            let answer = owners.answer(payload).await;
            response::write(&mut out, 200, persistence, date.at(wall_clock()), &[], &answer);
        }
        stream.write(&out);
        out.clear();
    }
}

/// The client's end: one request in flight.
pub(super) struct Client {
    stream: TcpStream,
    connection: client::Connection,
    out: BytesMut,
}

impl Client {
    pub(super) fn new(stream: TcpStream) -> Self {
        let connection = client::Connection::new(client::Config::default());
        Self { stream, connection, out: BytesMut::new() }
    }

    pub(super) async fn ask(&mut self, payload: &Payload) -> io::Result<Payload> {
        let start = Start::new("POST", "/", "127.0.0.1").map_err(io::Error::other)?;
        request::write(&mut self.out, start, &[], payload);
        self.stream.write(&self.out);
        self.out.clear();
        self.connection.expect(Expected::default()).map_err(io::Error::other)?;
        loop {
            let received = self.stream.recv().await?.ok_or(io::ErrorKind::UnexpectedEof)?;
            match self.connection.receive(&mut &received[..]).map_err(io::Error::other)? {
                Some(Answer::Response(Response { head, body, .. })) if head.status == 200 => {
                    return Payload::try_from(body).map_err(|_| wrong("a body of another length"));
                }
                Some(_) => return Err(wrong("an answer other than 200")),
                None => {}
            }
        }
    }
}
