//! How the comparison talks to the programs in this workspace: systems that people would pick instead of ours, each as well
//! tuned as its library allows, on one thread where the library has no threads of its own.
//!
//! A server prints `listening <address>` first. A client prints a line when it is ready, takes orders from standard input, a
//! line each, and answers each with a line of JSON: the talk of `grenache_bench::client`. Both end when their standard input
//! does.

use std::error::Error;
use std::future::Future;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::process;
use std::str::FromStr;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tokio::runtime::{self, Runtime};

/// Why a peer ended.
pub type Failure = Box<dyn Error + Send + Sync>;

/// What every request carries and every reply brings back.
pub const HELLO: &str = "hello";

/// How long a client waits for a reply; the same as ours and Node's.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// Tells where a server listens, and ends the process when standard input does.
pub fn listening(addr: SocketAddr) -> io::Result<()> {
    say(&format!("listening {addr}"))?;
    end_with_input();
    Ok(())
}

/// Ends the process when standard input does.
pub fn end_with_input() {
    thread::spawn(|| {
        // A broken input is an end of it too.
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        process::exit(0);
    });
}

/// Takes orders until standard input ends; `run` does what each says.
pub fn take_orders(mut run: impl FnMut(Order) -> Result<Tally, Failure>) -> Result<(), Failure> {
    say(r#"{"ready":true}"#)?;
    for line in io::stdin().lines() {
        let tally = run(line?.parse()?)?;
        say(&tally.line())?;
    }
    Ok(())
}

/// Prints a line for whoever gives orders.
pub fn say(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

/// A runtime on this thread alone.
pub fn current_thread() -> io::Result<Runtime> {
    runtime::Builder::new_current_thread().enable_all().build()
}

/// Keep so many requests in flight for so long, then wait for those that are out: `run <in flight> <ms>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// Requests in flight, at least 1.
    pub flying: usize,
    /// From the first request until no more go out.
    pub window: Duration,
}

impl FromStr for Order {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let words: Vec<&str> = line.split(' ').collect();
        if let ["run", flying, millis] = words[..]
            && let (Ok(flying @ 1..), Ok(millis)) = (flying.parse(), millis.parse())
        {
            return Ok(Self { flying, window: Duration::from_millis(millis) });
        }
        Err(format!("what is {line:?}? An order reads: run <in flight> <ms>"))
    }
}

/// What came of an order so far.
pub struct Tally {
    start: Instant,
    last: Instant,
    window: Duration,
    times: Histogram<u64>,
}

impl Tally {
    /// The window opens now.
    pub fn new(order: Order) -> Self {
        let times = Histogram::new_with_bounds(1, 100_000_000_000, 3);
        let start = Instant::now();
        Self {
            start,
            last: start,
            window: order.window,
            times: times.expect("bounds that are in order"),
        }
    }

    /// Counts the reply to a request that went out at `asked`. True while the window is open: another may follow.
    pub fn answered(&mut self, asked: Instant) -> bool {
        self.last = Instant::now();
        self.times.saturating_record((self.last - asked).as_nanos() as u64);
        self.last - self.start < self.window
    }

    /// As JSON, in nanoseconds.
    fn line(&self) -> String {
        format!(
            r#"{{"requests":{},"elapsed":{},"p50":{},"p99":{}}}"#,
            self.times.len(),
            (self.last - self.start).as_nanos(),
            self.times.value_at_percentile(50.0),
            self.times.value_at_percentile(99.0),
        )
    }
}

/// A client that sends [`HELLO`] and checks that it comes back.
pub trait Ask: Clone + Send + 'static {
    /// One request and its reply.
    fn ask(&mut self) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// Does what `order` says with a task for each request in flight.
pub async fn run(order: Order, client: &impl Ask) -> Result<Tally, Failure> {
    let tally = Arc::new(Mutex::new(Tally::new(order)));
    let tasks: Vec<_> = (0..order.flying)
        .map(|_| {
            let (mut client, tally) = (client.clone(), tally.clone());
            tokio::spawn(async move {
                loop {
                    let asked = Instant::now();
                    client.ask().await?;
                    if !tally.lock().expect("nobody panics with it").answered(asked) {
                        return Ok::<_, Failure>(());
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await??;
    }
    let tally = Arc::into_inner(tally).expect("all tasks have ended");
    Ok(tally.into_inner().expect("nobody panics with it"))
}

/// An error unless `reply` is what was sent.
pub fn check(reply: &[u8]) -> Result<(), Failure> {
    if reply == HELLO.as_bytes() {
        Ok(())
    } else {
        Err(format!("it replied {:?}", String::from_utf8_lossy(reply)).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_orders() {
        let order = Order { flying: 64, window: Duration::from_millis(400) };
        assert_eq!("run 64 400".parse(), Ok(order));
        for wrong in ["", "run", "run 64", "run 0 400", "run 64 400 1", "run many 400", "find x"] {
            assert!(wrong.parse::<Order>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn counts_replies_until_the_window_closes() {
        let mut open = Tally::new(Order { flying: 1, window: TIMEOUT });
        assert!(open.answered(open.start) && open.answered(open.start));
        assert!(open.line().starts_with(r#"{"requests":2,"elapsed":"#), "{}", open.line());
        let mut closed = Tally::new(Order { flying: 1, window: Duration::ZERO });
        assert!(!closed.answered(closed.start));
    }
}
