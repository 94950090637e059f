use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// Announcements in flight; small enough for any socket buffer.
const WINDOW: usize = 64;

/// After this long an announcement is sent again; a peer announced twice is still one peer.
const AGAIN: Duration = Duration::from_millis(200);

/// Announces peers to a grape as other nodes do: by KRPC over UDP (BEP5), with the token that it gives.
pub struct Announcer {
    socket: UdpSocket,
    token: Vec<u8>,
}

impl Announcer {
    /// A node at `host` that has got its token from the grape at `dht`.
    pub fn new(host: Ipv4Addr, dht: SocketAddr) -> io::Result<Self> {
        let socket = UdpSocket::bind((host, 0))?;
        socket.connect(dht)?;
        socket.set_read_timeout(Some(AGAIN))?;
        let query = [
            b"d1:ad2:id20:".as_slice(),
            &[0x42; 20],
            b"9:info_hash3:anye1:q9:get_peers1:t4:\x00\x00\x00\x001:y1:qe",
        ]
        .concat();
        let mut answer = [0; 2048];
        for _ in 0..25 {
            socket.send(&query)?;
            if let Some(count) = receive(&socket, &mut answer)? {
                let token = token(&answer[..count])
                    .ok_or_else(|| io::Error::other("get_peers brought no token"))?;
                return Ok(Self { socket, token: token.to_vec() });
            }
        }
        Err(ErrorKind::TimedOut.into())
    }

    /// Announces every service of `services` with every port of `ports`; returns once all are acknowledged.
    pub fn announce(&self, services: &[String], ports: std::ops::Range<u16>) -> io::Result<u64> {
        let mut todo =
            services.iter().flat_map(|service| ports.clone().map(move |port| (service, port)));
        let mut flying: HashMap<u32, (&String, u16, Instant)> = HashMap::new();
        let (mut next, mut done) = (0_u32, 0);
        let mut answer = [0; 2048];
        loop {
            while flying.len() < WINDOW
                && let Some((service, port)) = todo.next()
            {
                next += 1;
                self.send(next, service, port)?;
                flying.insert(next, (service, port, Instant::now()));
            }
            if flying.is_empty() {
                return Ok(done);
            }
            let Some(count) = receive(&self.socket, &mut answer)? else {
                for (&id, (service, port, sent)) in &mut flying {
                    if sent.elapsed() > AGAIN {
                        self.send(id, service, *port)?;
                        *sent = Instant::now();
                    }
                }
                continue;
            };
            let answer = &answer[..count];
            if answer.ends_with(b"1:y1:qe") {
                // The grape wants to know us too; nodes that do not answer are common.
                continue;
            }
            if !answer.ends_with(b"1:y1:re") {
                let text = answer.escape_ascii();
                return Err(io::Error::new(
                    ErrorKind::InvalidData,
                    format!("announce_peer was answered with {text}"),
                ));
            }
            let id = after(answer, b"1:t4:")
                .and_then(|rest| rest.first_chunk())
                .map(|id| u32::from_be_bytes(*id));
            if id.is_some_and(|id| flying.remove(&id).is_some()) {
                done += 1;
            }
        }
    }

    fn send(&self, id: u32, service: &str, port: u16) -> io::Result<()> {
        let mut query = b"d1:ad2:id20:".to_vec();
        query.extend([0x42; 20]);
        query.extend(
            format!(
                "9:info_hash{}:{service}4:porti{port}e5:token{}:",
                service.len(),
                self.token.len()
            )
            .bytes(),
        );
        query.extend(&self.token);
        query.extend(b"e1:q13:announce_peer1:t4:");
        query.extend(id.to_be_bytes());
        query.extend(b"1:y1:qe");
        self.socket.send(&query).map(drop)
    }
}

/// None when nothing came in time.
fn receive(socket: &UdpSocket, answer: &mut [u8]) -> io::Result<Option<usize>> {
    match socket.recv(answer) {
        Ok(count) => Ok(Some(count)),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// The token of a get_peers answer.
fn token(answer: &[u8]) -> Option<&[u8]> {
    let rest = after(answer, b"5:token")?;
    let colon = rest.iter().position(|&byte| byte == b':')?;
    let length: usize = std::str::from_utf8(&rest[..colon]).ok()?.parse().ok()?;
    rest[colon + 1..].get(..length)
}

/// What follows the first `mark` in `bytes`.
fn after<'a>(bytes: &'a [u8], mark: &[u8]) -> Option<&'a [u8]> {
    let at = bytes.windows(mark.len()).position(|window| window == mark)?;
    Some(&bytes[at + mark.len()..])
}
