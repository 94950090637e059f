use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token};

use super::{MESSAGE, Outcome, STALL};

/// How long an echo may take before it counts as lost and is sent again.
const LOST: Duration = Duration::from_millis(20);

/// A UDP echo client: several sockets, each with a window of datagrams in flight.
pub struct UdpEcho {
    poll: Poll,
    events: Events,
    sockets: Vec<Socket>,
}

struct Socket {
    socket: UdpSocket,
    slots: Vec<Slot>,
}

/// One place in a window. The number of the round trip tells an answer from a late copy of an earlier one.
#[derive(Clone, Copy)]
struct Slot {
    round: u32,
    sent: Instant,
    flying: bool,
}

impl UdpEcho {
    /// `sockets` sockets on 127.0.0.1 with `window` datagrams in flight each.
    pub fn connect(addr: SocketAddr, sockets: usize, window: usize) -> io::Result<Self> {
        let poll = Poll::new()?;
        let slot = Slot { round: 0, sent: Instant::now(), flying: false };
        let sockets = (0..sockets)
            .map(|index| {
                let mut socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0).into())?;
                socket.connect(addr)?;
                poll.registry().register(&mut socket, Token(index), Interest::READABLE)?;
                Ok(Socket { socket, slots: vec![slot; window] })
            })
            .collect::<io::Result<Vec<_>>>()?;
        Ok(Self { poll, events: Events::with_capacity(sockets.len()), sockets })
    }

    /// Sends for `window`, then takes the answers still out.
    pub fn run(&mut self, window: Duration) -> io::Result<Outcome> {
        let start = Instant::now();
        let (mut checked, mut progress) = (start, start);
        let mut outcome = Outcome::default();
        let mut flying = 0;
        for socket in &mut self.sockets {
            for index in 0..socket.slots.len() {
                socket.send(index, start)?;
                flying += 1;
            }
        }
        while flying > 0 {
            self.poll.poll(&mut self.events, Some(Duration::ZERO))?;
            let now = Instant::now();
            for event in &self.events {
                let socket = &mut self.sockets[event.token().0];
                while let Some(index) = socket.receive()? {
                    progress = now;
                    outcome.requests += 1;
                    if now - start < window {
                        socket.send(index, now)?;
                    } else {
                        flying -= 1;
                    }
                }
            }
            if now - checked > LOST {
                checked = now;
                self.sockets
                    .iter_mut()
                    .try_for_each(|socket| socket.send_lost_again(now, &mut outcome.lost))?;
            }
            if now - progress > STALL {
                return Err(io::Error::new(
                    ErrorKind::TimedOut,
                    format!("{flying} echoes never came back"),
                ));
            }
        }
        outcome.elapsed = start.elapsed();
        Ok(outcome)
    }
}

impl Socket {
    fn send(&mut self, index: usize, now: Instant) -> io::Result<()> {
        let slot = &mut self.slots[index];
        *slot = Slot { round: slot.round.wrapping_add(1), sent: now, flying: true };
        self.transmit(index)
    }

    fn transmit(&self, index: usize) -> io::Result<()> {
        let mut message = [0x5a; MESSAGE];
        message[..4].copy_from_slice(&(index as u32).to_le_bytes());
        message[4..8].copy_from_slice(&self.slots[index].round.to_le_bytes());
        match self.socket.send(&message) {
            // A full buffer is a loss like any other.
            Err(error) if error.kind() != ErrorKind::WouldBlock => Err(error),
            _ => Ok(()),
        }
    }

    fn send_lost_again(&mut self, now: Instant, lost: &mut u64) -> io::Result<()> {
        for index in 0..self.slots.len() {
            if self.slots[index].flying && now - self.slots[index].sent > LOST {
                *lost += 1;
                self.slots[index].sent = now;
                self.transmit(index)?;
            }
        }
        Ok(())
    }

    /// The slot of the next answer, None when there is none yet.
    fn receive(&mut self) -> io::Result<Option<usize>> {
        let mut answer = [0; MESSAGE + 1];
        loop {
            let count = match self.socket.recv(&mut answer) {
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(error),
            };
            if count != MESSAGE || answer[8..MESSAGE].iter().any(|&byte| byte != 0x5a) {
                return Err(io::Error::new(
                    ErrorKind::InvalidData,
                    "the echo differs from what was sent",
                ));
            }
            let number =
                |at: usize| u32::from_le_bytes(answer[at..at + 4].try_into().expect("four bytes"));
            let (index, round) = (number(0) as usize, number(4));
            if let Some(slot) = self.slots.get_mut(index)
                && slot.flying
                && slot.round == round
            {
                slot.flying = false;
                return Ok(Some(index));
            }
        }
    }
}
