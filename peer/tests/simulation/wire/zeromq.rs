//! ZeroMQ's part.

use bytes::BytesMut;
use grenache_engine::fill_random;
use grenache_transports::zmtp::{Config, Connection, Event, Mechanism, Metadata, Side, SocketType};

use super::stream::Stream;
use super::{Answer, Next, Purpose, Speaker, read_array, text};
use crate::client::draw;
use crate::speech::{Form, Lock, client_keys, server_keys};

struct ZeroMq {
    connection: Connection,
    manner: Manner,
}

/// What messages are on a connection.
struct Manner {
    purpose: Purpose,
    form: Form,
    /// Parts before a request, which come back before the answer.
    envelope: &'static [&'static [u8]],
}

/// As DEALERs send them, REQs, and DEALERs behind ROUTERs.
const ENVELOPES: [&[&[u8]]; 3] = [&[], &[b""], &[b"from", b"afar", b""]];

pub(super) async fn meet(
    stream: &Stream,
    purpose: Purpose,
    form: Form,
    lock: Lock,
) -> Option<(Box<dyn Speaker>, Vec<u8>)> {
    let mechanism = match lock {
        Lock::Null => Mechanism::null(Side::Connect),
        Lock::Curve => {
            let mut entropy = [0; 96];
            fill_random(&mut entropy);
            Mechanism::curve_client(server_keys().public, client_keys(), entropy)
        }
    };
    let socket = match purpose {
        Purpose::Requests => SocketType::Dealer,
        Purpose::Topics | Purpose::Everything => SocketType::Sub,
    };
    let (mut out, config) = (BytesMut::new(), Config::default());
    let mut connection = Connection::new(Metadata::new(socket), mechanism, config, &mut out);
    let input = loop {
        stream.write(&out.split());
        let received = stream.recv().await?;
        let mut input = &received[..];
        match connection.receive(&mut input, &mut out).expect("it keeps to the protocol") {
            None => {}
            Some(Event::Ready(_)) => break input.to_vec(),
            Some(event) => panic!("{event:?} in a handshake"),
        }
    };
    if purpose == Purpose::Everything {
        connection.subscribe(b"", &mut out).expect("it is ready");
    }
    stream.write(&out);
    let envelope = ENVELOPES[draw(3) as usize];
    let manner = Manner { purpose, form, envelope };
    Some((Box::new(ZeroMq { connection, manner }), input))
}

impl Manner {
    fn read(&self, parts: &[&[u8]]) -> Next {
        if self.purpose != Purpose::Requests {
            let [topic, message] = parts else { panic!("{} parts were published", parts.len()) };
            return Next::Published(Some(text(topic)), text(message));
        }
        let answer = parts.strip_prefix(self.envelope).expect("the envelope comes back");
        match (self.form, answer) {
            (Form::Array, [array]) => read_array(array),
            (Form::Frames, [rid, result]) => {
                let result = text(result);
                let answer = match &*result {
                    "ERR_BUSY" => Answer::Busy,
                    error if error.starts_with("ERR_") => Answer::Error(result),
                    json => Answer::Result(serde_json::from_str(json).expect("JSON")),
                };
                Next::Answer(text(rid), answer)
            }
            _ => panic!("an answer of {} parts", answer.len()),
        }
    }
}

impl Speaker for ZeroMq {
    fn ask(&mut self, out: &mut BytesMut, rid: &str, payload: &str) {
        let array = format!(r#"["{rid}","work",{payload}]"#);
        let request: &[&[u8]] = match self.manner.form {
            Form::Array => &[array.as_bytes()],
            Form::Frames => &[rid.as_bytes(), b"work", payload.as_bytes()],
        };
        let parts = [self.manner.envelope, request].concat();
        self.connection.send(&parts, out).expect("it is ready");
    }

    fn subscribe(&mut self, out: &mut BytesMut, prefix: &str) {
        self.connection.subscribe(prefix.as_bytes(), out).expect("it is ready");
    }

    fn ping(&mut self, out: &mut BytesMut) {
        self.connection.ping(std::time::Duration::ZERO, out).expect("it is ready");
    }

    fn close(&mut self, _out: &mut BytesMut, _code: u16) -> bool {
        false
    }

    fn receive(&mut self, input: &mut &mut [u8], out: &mut BytesMut) -> Option<Next> {
        let mut unread = &input[..];
        let next = loop {
            match self.connection.receive(&mut unread, out).expect("it keeps to the protocol") {
                None => break None,
                Some(Event::Message(message)) => {
                    let parts: Vec<&[u8]> = message.parts().collect();
                    break Some(self.manner.read(&parts));
                }
                Some(Event::Ping(_)) => {}
                Some(event) => panic!("{event:?} from a worker"),
            }
        };
        let read = input.len() - unread.len();
        *input = &mut std::mem::take(input)[read..];
        next
    }
}
