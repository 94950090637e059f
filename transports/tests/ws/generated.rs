//! Random conversations written out, cut at random, and read back.

use bytes::BytesMut;
use grenache_transports::ws::{Close, Config, Deflate, Deflater, Kind, Role, frame};
use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};

use crate::frames::{BINARY, CONTINUATION, FIN, ROLES, TEXT, frame};
use crate::replay::{End, Out, Reader};

/// One side of a conversation, which the reader `role` hears.
struct Writer {
    role: Role,
    deflater: Option<Deflater>,
    wire: BytesMut,
    out: Vec<Out>,
}

impl Writer {
    fn new(role: Role, agreed: Option<Deflate>) -> Writer {
        let writes = match role {
            Role::Server => Role::Client,
            Role::Client => Role::Server,
        };
        let deflater = agreed.map(|agreed| Deflater::new(writes, agreed));
        Writer { role, deflater, wire: BytesMut::new(), out: Vec::new() }
    }

    fn mask(&self, rng: &mut StdRng) -> Option<[u8; 4]> {
        (self.role == Role::Server).then(|| rng.random())
    }

    fn message(&mut self, rng: &mut StdRng) {
        let size = [0, 1, 5, 60, 125, 126, 300, 3000][rng.random_range(0..8)];
        let kind = if rng.random_ratio(1, 2) { Kind::Text } else { Kind::Binary };
        let data = match kind {
            Kind::Text => {
                let some = ["a", "word ", "\u{e9}", "\u{20ac}", "\u{10ffff}", "{\"json\":1}"];
                (0..size / 3).map(|_| some[rng.random_range(0..some.len())]).collect::<String>()
            }
            .into_bytes(),
            Kind::Binary => {
                let mut data = vec![0; size];
                rng.fill_bytes(&mut data[size / 2..]);
                data
            }
        };
        let mask = self.mask(rng);
        match &mut self.deflater {
            Some(deflater) if rng.random_ratio(1, 2) => {
                deflater.write_message(&mut self.wire, kind, mask, &data);
            }
            _ if rng.random_ratio(1, 2) => {
                frame::write_message(&mut self.wire, kind, mask, &data);
            }
            _ => self.fragments(rng, kind, &data),
        }
        self.out.push(Out::Message(kind, data));
    }

    fn fragments(&mut self, rng: &mut StdRng, kind: Kind, data: &[u8]) {
        let mut first = if kind == Kind::Text { TEXT } else { BINARY };
        let mut rest = data;
        loop {
            let (piece, after) = rest.split_at(rng.random_range(0..=rest.len()));
            let fin = if after.is_empty() && rng.random_ratio(1, 2) { FIN } else { 0 };
            self.wire.extend(frame(self.role, first | fin, piece));
            if fin != 0 {
                return;
            }
            if rng.random_ratio(1, 4) {
                self.control(rng);
            }
            (first, rest) = (CONTINUATION, after);
        }
    }

    fn control(&mut self, rng: &mut StdRng) {
        let mut payload = vec![0; rng.random_range(0..126)];
        rng.fill_bytes(&mut payload);
        let mask = self.mask(rng);
        if rng.random_ratio(1, 2) {
            frame::write_ping(&mut self.wire, mask, &payload);
            self.out.push(Out::Ping(payload));
        } else {
            frame::write_pong(&mut self.wire, mask, &payload);
            self.out.push(Out::Pong(payload));
        }
    }

    fn close(&mut self, rng: &mut StdRng) {
        let close = rng.random_ratio(1, 2).then(|| (rng.random_range(3000..5000), "why\u{20ac}"));
        let mask = self.mask(rng);
        let written = close.map(|(code, reason)| Close { code, reason });
        frame::write_close(&mut self.wire, mask, written);
        self.out.push(Out::Close(close.map(|(code, reason)| (code, reason.to_owned()))));
    }
}

/// Messages and control frames, and what was agreed upon before them.
fn conversation(rng: &mut StdRng, role: Role, length: usize) -> (Writer, Option<Deflate>) {
    let agreed = rng.random_ratio(2, 3).then(|| Deflate {
        server_no_context_takeover: rng.random(),
        client_no_context_takeover: rng.random(),
        server_max_window_bits: rng.random_ratio(1, 2).then(|| rng.random_range(9..=15)),
        client_max_window_bits: rng.random_ratio(1, 2).then(|| rng.random_range(9..=15)),
    });
    let mut writer = Writer::new(role, agreed);
    for _ in 0..length {
        match rng.random_range(0..4) {
            0 => writer.control(rng),
            _ => writer.message(rng),
        }
    }
    (writer, agreed)
}

#[test]
fn what_is_written_is_what_is_read() {
    let mut rng = StdRng::seed_from_u64(6);
    for round in 0..1000 {
        let role = ROLES[round % 2];
        let length = rng.random_range(0..20);
        let (mut writer, deflate) = conversation(&mut rng, role, length);
        let end = if rng.random_ratio(1, 4) {
            writer.close(&mut rng);
            End::Finished
        } else {
            End::Between
        };
        let largest = [1, 3, 40, 400, 4000, 40_000][rng.random_range(0..6)];
        let mut parts = Vec::new();
        let mut rest = &writer.wire[..];
        while !rest.is_empty() {
            let (part, after) = rest.split_at(rng.random_range(1..=largest.min(rest.len())));
            parts.push(part);
            rest = after;
        }
        let said = Reader { deflate, ..Reader::new(role) }.replay(parts);
        assert!(said == (writer.out, end), "round {round}");
    }
}

#[test]
fn a_broken_byte_gives_the_same_however_it_is_cut() {
    let mut rng = StdRng::seed_from_u64(7);
    for round in 0..3000 {
        let role = ROLES[round % 2];
        let (writer, deflate) = conversation(&mut rng, role, 4);
        let mut bytes = writer.wire.to_vec();
        for _ in 0..rng.random_range(1..4) {
            if bytes.is_empty() {
                break;
            }
            let at = rng.random_range(0..bytes.len());
            match rng.random_range(0..4) {
                0 => bytes[at] = rng.random(),
                1 => bytes[at] ^= 1 << rng.random_range(0..8),
                2 => bytes.insert(at, rng.random()),
                _ => drop(bytes.remove(at)),
            }
        }
        let max_message = [usize::MAX, 3000, 300, 50][rng.random_range(0..4)];
        let config = Config { max_message, keep_buffer: 100, ..Config::default() };
        let reader = Reader { config, deflate, ..Reader::new(role) };
        let whole = reader.replay([&bytes[..]]);
        assert_eq!(reader.replay(bytes.chunks(1)), whole, "round {round}");
        let (a, b) = bytes.split_at(rng.random_range(0..=bytes.len()));
        assert_eq!(reader.replay([a, b]), whole, "round {round}");
    }
}
