//! One connection, or one UDP socket: asks what is to be asked, and notes what comes of it.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use grenache_engine::{Sleep, TcpStream, UdpSocket, now, sleep, sleep_until, timeout};
use grenache_peer::Channel;

use crate::core::{Destination, Group, Shared};
use crate::outcome::Fault;
use crate::recorder::Times;
use crate::talk::{Answers, Broken, Talk, Verdict};

/// The first and the longest pause after a connection that was not made.
const PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How often a conversation that is not open yet is reminded.
const REMINDER: Duration = Duration::from_millis(100);

/// What a lane sends through.
enum Socket {
    Stream(Channel),
    Datagrams(UdpSocket, std::net::SocketAddr),
}

/// How a connection has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// After at least one answer, be it a wrong one.
    Used,
    /// It came to nothing.
    InVain,
}

/// Keeps one connection of `group` and makes it anew when it ends; never returns. Dropping the future closes it.
pub(crate) async fn run(shared: Rc<Shared>, group: Rc<Group>, number: usize) {
    let (mut pause, mut first) = (PAUSE, true);
    loop {
        let destination = group.next_destination();
        group.opening.set(group.opening.get() + 1);
        let connected = connect(&shared, destination, (group.talk)(destination)).await;
        group.opening.set(group.opening.get() - 1);
        let ended = match connected {
            Ok((socket, talk)) => {
                shared.recorder.borrow_mut().connected(now());
                if std::mem::take(&mut first) {
                    shared.tried();
                }
                let open = Open { shared: &shared, group: &group, number };
                if number < group.stalled {
                    // It reads nothing as long as it lasts.
                    std::future::pending::<()>().await;
                }
                Lane::new(&open, socket, talk).converse().await
            }
            Err(why) => {
                shared.recorder.borrow_mut().connect_failed(why);
                if std::mem::take(&mut first) {
                    shared.tried();
                }
                Ended::InVain
            }
        };
        // A server that refuses or closes everything is not stormed.
        match ended {
            Ended::Used => pause = PAUSE,
            Ended::InVain => {
                sleep(pause).await;
                pause = (2 * pause).min(LONGEST_PAUSE);
            }
        }
    }
}

/// An open connection in the books.
struct Open<'a> {
    shared: &'a Shared,
    group: &'a Group,
    number: usize,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.group.demand.leave(self.number);
        if self.group.demand.len() > 0 {
            // It may have been woken for a request that it did not take.
            self.group.demand.wake();
        }
        self.shared.recorder.borrow_mut().disconnected();
    }
}

/// Connects, and opens the conversation as far as that has to come before all requests.
async fn connect(
    shared: &Shared,
    to: &Destination,
    mut talk: Box<dyn Talk>,
) -> Result<(Socket, Box<dyn Talk>), String> {
    if !shared.is_stream {
        let any = if to.addr.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let any = any.parse().expect("an address");
        let socket = UdpSocket::bind(any).map_err(|error| format!("no socket: {error}"))?;
        return Ok((Socket::Datagrams(socket, to.addr), talk));
    }
    let connected = timeout(shared.timeout, async {
        let stream = TcpStream::connect(to.addr).await.map_err(|error| text(&error))?;
        let channel = match &shared.connector {
            None => Channel::Plain(stream),
            Some(tls) => {
                let refused = |error| format!("TLS: {error}");
                tls.connect(stream, &to.name).await.map_err(refused)?
            }
        };
        open(&channel, &mut *talk).await.map(|()| channel)
    });
    let why = match connected.await {
        Ok(Ok(channel)) => return Ok((Socket::Stream(channel), talk)),
        Ok(Err(why)) => why,
        Err(_) => format!("not within {:?}", shared.timeout),
    };
    Err(format!("{}: {why}", to.addr))
}

/// Has both sides say what comes before requests.
async fn open(channel: &Channel, talk: &mut dyn Talk) -> Result<(), String> {
    let (mut out, mut answers) = (BytesMut::new(), Answers::new());
    while !talk.is_open() {
        talk.greet(now(), &mut out);
        channel.write(&out);
        out.clear();
        let broken = match poll_fn(|context| channel.poll_recv(context)).await {
            Ok(Some(mut data)) => match talk.receive(&mut data, &mut answers) {
                Ok(()) => continue,
                Err(broken) => broken,
            },
            Ok(None) => talk.end(&mut answers),
            Err(error) => return Err(text(&error)),
        };
        return Err(broken.why.into_owned());
    }
    talk.greet(now(), &mut out);
    if !out.is_empty() {
        channel.write(&out);
    }
    Ok(())
}

/// The system's words without its number.
fn text(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}

/// An open connection.
struct Lane<'a> {
    open: &'a Open<'a>,
    socket: Socket,
    talk: Box<dyn Talk>,
    /// The requests in flight by number, from `first` on; none where one is over before those before it.
    asked: VecDeque<Option<Times>>,
    first: u64,
    in_flight: usize,
    /// An answer has come.
    used: bool,
    /// Wakes when the first of them has had its time, or the conversation needs a reminder.
    timer: Option<Sleep>,
}

impl<'a> Lane<'a> {
    fn new(open: &'a Open<'a>, socket: Socket, talk: Box<dyn Talk>) -> Self {
        let asked = VecDeque::new();
        if open.shared.listens {
            open.shared.recorder.borrow_mut().listens(open.number);
        }
        Self { open, socket, talk, asked, first: 0, in_flight: 0, used: false, timer: None }
    }

    async fn converse(mut self) -> Ended {
        let ended = poll_fn(|context| {
            let shared = self.open.shared;
            let (mut out, mut answers) = shared.scratch.take();
            let polled = self.poll(context, &mut out, &mut answers);
            shared.scratch.set((out, answers));
            polled
        })
        .await;
        if let Some(broken) = ended {
            if self.open.shared.listens {
                self.open.shared.recorder.borrow_mut().lost(now(), &broken);
            }
            while let Some(times) = self.pop() {
                self.over(times, Verdict::Failed(broken.fault, broken.why.clone()));
            }
        }
        self.open.shared.notice();
        if self.used { Ended::Used } else { Ended::InVain }
    }

    /// Ready when the connection is over: broken, or, if not, because it has had its number of requests.
    fn poll(
        &mut self,
        context: &mut Context<'_>,
        out: &mut BytesMut,
        answers: &mut Answers,
    ) -> Poll<Option<Broken>> {
        let shared = self.open.shared;
        if let Poll::Ready(broken) = self.read(context, answers) {
            out.clear();
            self.talk.greet(now(), out);
            self.flush(out);
            return Poll::Ready(Some(broken));
        }
        if let Some(broken) = self.give_up_overdue() {
            return Poll::Ready(Some(broken));
        }
        out.clear();
        self.talk.greet(now(), out);
        self.flush(out);
        self.ask(context, out);
        if self.in_flight == 0 {
            if self.is_spent() {
                return Poll::Ready(None);
            }
            shared.notice();
        }
        self.arm(context);
        Poll::Pending
    }

    /// Takes all that has come. Ready if the connection is over.
    fn read(&mut self, context: &mut Context<'_>, answers: &mut Answers) -> Poll<Broken> {
        loop {
            let received = match &self.socket {
                Socket::Stream(channel) => match channel.poll_recv(context) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Ok(Some(mut data))) => self.talk.receive(&mut data, answers),
                    Poll::Ready(Ok(None)) => Err(self.talk.end(answers)),
                    Poll::Ready(Err(error)) => {
                        Err(Broken { fault: Fault::Reset, why: text(&error).into() })
                    }
                },
                Socket::Datagrams(socket, to) => match socket.poll_recv(context) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Ok(datagram)) if datagram.from != *to => continue,
                    Poll::Ready(Ok(mut datagram)) => self.talk.receive(&mut datagram.data, answers),
                    Poll::Ready(Err(error)) => {
                        Err(Broken { fault: Fault::Reset, why: text(&error).into() })
                    }
                },
            };
            for (number, verdict) in answers.drain(..) {
                self.answered(number, verdict);
            }
            if self.open.shared.listens {
                self.heard();
            }
            if let Err(broken) = received {
                return Poll::Ready(broken);
            }
        }
    }

    fn heard(&mut self) {
        let heard = self.talk.heard();
        if heard.messages > 0 {
            self.used = true;
            self.open.shared.recorder.borrow_mut().heard(self.open.number, heard, now());
        }
    }

    /// Numbers are compared by their lower 32 bits: more there are not on every wire.
    fn answered(&mut self, number: u64, verdict: Verdict) {
        let place = (number as u32).wrapping_sub(self.first as u32) as usize;
        match self.asked.get_mut(place).and_then(Option::take) {
            None => self.open.shared.recorder.borrow_mut().unasked(),
            Some(times) => {
                self.used = true;
                self.over(times, verdict);
                self.forget();
            }
        }
    }

    fn over(&mut self, times: Times, verdict: Verdict) {
        self.in_flight -= 1;
        self.open.shared.recorder.borrow_mut().over(times, now(), verdict);
    }

    /// Drops those in front that are over.
    fn forget(&mut self) {
        while let Some(None) = self.asked.front() {
            self.asked.pop_front();
            self.first += 1;
        }
    }

    /// Takes the first request in flight.
    fn pop(&mut self) -> Option<Times> {
        self.forget();
        let times = self.asked.pop_front()??;
        self.first += 1;
        Some(times)
    }

    fn first_deadline(&mut self) -> Option<Duration> {
        self.forget();
        let times = self.asked.front()?.as_ref()?;
        Some(times.sent.saturating_add(self.open.shared.timeout))
    }

    /// Gives up requests that have had their time. Where answers are told apart by their order alone, the connection is of
    /// no use after that.
    fn give_up_overdue(&mut self) -> Option<Broken> {
        while self.first_deadline().is_some_and(|deadline| deadline <= now()) {
            let times = self.pop()?;
            let why = format!("none within {:?}", self.open.shared.timeout);
            self.over(times, Verdict::Failed(Fault::Timeout, why.into()));
            if !self.talk.is_multiplexed() {
                let why = "another request on the connection had no answer in time".into();
                return Some(Broken { fault: Fault::Reset, why });
            }
        }
        None
    }

    /// Asks as much as there is and there is room for.
    fn ask(&mut self, context: &mut Context<'_>, out: &mut BytesMut) {
        let Open { shared, group, number } = *self.open;
        if !self.talk.is_open() || self.is_spent() {
            return;
        }
        while self.in_flight < shared.in_flight && !self.is_spent() {
            let now = now();
            let Some(intended) = group.demand.take(now) else {
                group.demand.wait(number, context.waker());
                break;
            };
            let times = Times { intended, sent: now };
            self.talk.ask(self.first + self.asked.len() as u64, out);
            self.asked.push_back(Some(times));
            self.in_flight += 1;
            shared.recorder.borrow_mut().sent(times);
            if let Socket::Datagrams(..) = self.socket {
                self.flush(out);
            }
        }
        self.flush(out);
        if self.in_flight == shared.in_flight && group.demand.len() > 0 {
            // It may have been woken for a request that it has no room for.
            group.demand.wake();
        }
    }

    fn is_spent(&self) -> bool {
        let asked = self.first + self.asked.len() as u64;
        self.open.shared.requests_per_connection.is_some_and(|most| asked >= most)
    }

    fn flush(&self, out: &mut BytesMut) {
        if out.is_empty() {
            return;
        }
        match &self.socket {
            Socket::Stream(channel) => channel.write(out),
            // A datagram that finds no room is lost like any other, and its request will be overdue.
            Socket::Datagrams(socket, to) => drop(socket.send_to(out, *to)),
        }
        out.clear();
    }

    /// Sets the timer. One that is early is left alone: that costs a turn now and then instead of a timer for each request.
    fn arm(&mut self, context: &mut Context<'_>) {
        let wanted =
            if self.talk.is_open() { self.first_deadline() } else { Some(now() + REMINDER) };
        let Some(wanted) = wanted else { return };
        if self.timer.as_ref().is_none_or(|timer| timer.deadline() > wanted) {
            self.timer = Some(sleep_until(wanted));
        }
        while let Some(timer) = &mut self.timer {
            if Pin::new(&mut *timer).poll(context).is_pending() {
                return;
            }
            // It was early: requests have been answered and sent since.
            timer.reset(wanted.max(now() + Duration::from_millis(1)));
        }
    }
}
