use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::{MESSAGE, STALL};

/// Round trips of one message at a time.
pub struct Latencies(Histogram<u64>);

impl Latencies {
    /// The time that `percent` of the round trips stayed within.
    pub fn percentile(&self, percent: f64) -> Duration {
        Duration::from_nanos(self.0.value_at_percentile(percent))
    }

    /// How many were measured.
    pub fn count(&self) -> u64 {
        self.0.len()
    }
}

/// Echoes one message at a time over one connection for `window`, after a warm-up of a tenth of it.
///
/// The client pauses `gap` between an answer and the next message, spinning, so that a server that parks has parked.
pub fn round_trips(addr: SocketAddr, window: Duration, gap: Duration) -> io::Result<Latencies> {
    let mut stream = TcpStream::connect(addr)?;
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)?;
    let mut histogram =
        Histogram::new_with_bounds(1, 10_000_000_000, 3).expect("bounds that are in order");
    let start = Instant::now();
    let message = [0x5a; MESSAGE];
    let mut answer = [0; MESSAGE];
    loop {
        let sent = Instant::now();
        stream.write_all(&message)?;
        let mut received = 0;
        while received < MESSAGE {
            match stream.read(&mut answer[received..]) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => received += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock && sent.elapsed() < STALL => {}
                Err(error) => return Err(error),
            }
        }
        let done = Instant::now();
        if done - start > window / 10 {
            histogram.saturating_record((done - sent).as_nanos() as u64);
        }
        if done - start > window {
            return Ok(Latencies(histogram));
        }
        while done.elapsed() < gap {
            std::hint::spin_loop();
        }
    }
}
