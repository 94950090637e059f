//! A core's clients, which ask the core itself.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;

use grenache_engine::{TcpStream, now, spawn_local};

use super::owners::Owners;
use super::{Count, MESSAGE, Payload, STAMP, Window, Work, echo, http, wrong};

/// All clients of a core.
pub(super) struct Clients {
    work: Work,
    server: SocketAddr,
    count: usize,
    /// Those that ask nothing now; all of them, between windows.
    idle: RefCell<Vec<Client>>,
}

impl Clients {
    /// So many clients of the core that listens on `server`, connected when they are first needed.
    pub(super) fn new(work: Work, server: SocketAddr, count: usize) -> Self {
        Self { work, server, count, idle: RefCell::default() }
    }

    /// Keeps one request in flight on each connection for a window.
    pub(super) async fn ask(&self, owners: &Owners, window: Window) -> io::Result<Count> {
        let mut clients = self.idle.take();
        while clients.len() < self.count {
            let stream = TcpStream::connect(self.server).await?;
            clients.push(Client::new(self.work, stream, clients.len() as u8));
        }
        owners.share(window.share, window.active);
        let (start, index) = (now(), owners.index());
        let asking = clients.into_iter().map(|mut client| {
            spawn_local(async move {
                let mut count = Count::default();
                while now() - start < window.time {
                    count.crossed += u64::from(client.ask().await? != index);
                    count.answered += 1;
                }
                io::Result::Ok((client, count))
            })
        });
        let mut sum = Count::default();
        for task in asking.collect::<Vec<_>>() {
            let (client, count) = task.await.map_err(io::Error::other)??;
            self.idle.borrow_mut().push(client);
            sum.answered += count.answered;
            sum.crossed += count.crossed;
        }
        sum.elapsed = now() - start;
        Ok(sum)
    }
}

/// The client's end of one connection.
struct Client {
    carrier: Carrier,
    /// The last request; the next has the next number.
    request: Payload,
}

enum Carrier {
    Echo(echo::Client),
    Http(Box<http::Client>),
}

impl Client {
    fn new(work: Work, stream: TcpStream, filling: u8) -> Self {
        let mut request = [filling; MESSAGE];
        request[..=STAMP].fill(0);
        let carrier = match work {
            Work::Echo => Carrier::Echo(echo::Client::new(stream)),
            Work::Http => Carrier::Http(Box::new(http::Client::new(stream))),
            Work::Arithmetic => unreachable!("it asks nobody"),
        };
        Self { carrier, request }
    }

    /// Sends the next request and takes its answer; which core gave it.
    async fn ask(&mut self) -> io::Result<u8> {
        let number = u64::from_le_bytes(self.request[..8].try_into().expect("eight bytes"));
        self.request[..8].copy_from_slice(&number.wrapping_add(1).to_le_bytes());
        let mut answer = match &mut self.carrier {
            Carrier::Echo(client) => client.ask(&self.request).await?,
            Carrier::Http(client) => client.ask(&self.request).await?,
        };
        let core = std::mem::take(&mut answer[STAMP]);
        if answer != self.request {
            return Err(wrong("an answer differs from its request"));
        }
        Ok(core)
    }
}
