//! Feeds bytes to a connection, in parts, and writes down what comes out.

use grenache_transports::ws::{Close, Config, Connection, Deflate, Error, Event, Kind, Role};

/// Who reads, and how.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader {
    pub(crate) role: Role,
    pub(crate) config: Config,
    pub(crate) deflate: Option<Deflate>,
}

/// What came out, owned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Out {
    Message(Kind, Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<(u16, String)>),
    Error(Error),
}

/// Where a connection stands when all has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Between,
    Within,
    Finished,
}

impl Reader {
    pub(crate) fn new(role: Role) -> Reader {
        Reader { role, config: Config::default(), deflate: None }
    }

    pub(crate) fn connection(&self) -> Connection {
        let mut connection = Connection::new(self.role, self.config);
        if let Some(agreed) = self.deflate {
            connection.inflate(agreed);
        }
        connection
    }

    /// All events of `parts`.
    pub(crate) fn replay<'p>(&self, parts: impl IntoIterator<Item = &'p [u8]>) -> (Vec<Out>, End) {
        let mut connection = self.connection();
        let mut out = Vec::new();
        for part in parts {
            let mut part = part.to_vec();
            let mut input = &mut part[..];
            while self.next(&mut connection, &mut input, &mut out) {}
            assert!(input.is_empty(), "nothing may be left over");
            assert!(connection.buffered() <= self.config.max_message, "the limit holds");
        }
        (out, end(&connection))
    }

    /// Takes one event, or an error.
    fn next(&self, connection: &mut Connection, input: &mut &mut [u8], out: &mut Vec<Out>) -> bool {
        let event = match connection.receive(input) {
            Ok(None) => return false,
            Ok(Some(event)) => event,
            Err(error) => {
                out.push(Out::Error(error));
                return true;
            }
        };
        let event = match event {
            Event::Message(message) => {
                let (kind, data) = (message.kind, message.data.to_vec());
                assert!(data.len() <= self.config.max_message, "the limit holds");
                assert!(kind == Kind::Binary || str::from_utf8(&data).is_ok());
                // Every other one stays, for the next to use its buffer.
                if out.len().is_multiple_of(2) {
                    let assembled = message.assembled;
                    let taken = connection.take_message();
                    assert_eq!(taken, if assembled { &data[..] } else { b"" });
                }
                Out::Message(kind, data)
            }
            Event::Ping(payload) => Out::Ping(payload.to_vec()),
            Event::Pong(payload) => Out::Pong(payload.to_vec()),
            Event::Close(close) => {
                Out::Close(close.map(|Close { code, reason }| (code, reason.to_owned())))
            }
        };
        out.push(event);
        true
    }

    /// The events of `bytes` in one part, after making sure that those cut in two anywhere, or that come one by one, are the
    /// same. Long inputs are cut near their ends and at some places between.
    pub(crate) fn everywhere(&self, bytes: &[u8]) -> (Vec<Out>, End) {
        let whole = self.replay([bytes]);
        let (len, step) = (bytes.len(), bytes.len() / 50 + 1);
        let near = |at: usize| len < 1000 || at < 40 || at + 40 > len || at.is_multiple_of(step);
        for at in (1..len).filter(|&at| near(at)) {
            let (a, b) = bytes.split_at(at);
            assert_eq!(self.replay([a, b]), whole, "cut at {at}: {}", start(bytes));
        }
        assert_eq!(self.replay(bytes.chunks(1)), whole, "one by one: {}", start(bytes));
        whole
    }
}

fn end(connection: &Connection) -> End {
    if connection.is_finished() {
        assert!(!connection.is_within(), "nothing goes on after the end");
        assert_eq!(connection.buffered(), 0, "nothing is kept after the end");
        return End::Finished;
    }
    if connection.is_within() {
        return End::Within;
    }
    assert_eq!(connection.buffered(), 0, "nothing is kept between messages");
    End::Between
}

fn start(bytes: &[u8]) -> String {
    bytes[..bytes.len().min(100)].escape_ascii().to_string()
}
