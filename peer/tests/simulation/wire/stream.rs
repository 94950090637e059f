//! A stream that can fall silent.

use std::cell::Cell;
use std::net::SocketAddr;
use std::ops::DerefMut;

use grenache_engine::TcpStream;

pub(super) struct Stream {
    stream: TcpStream,
    /// Bytes that are sent before it falls silent; further ones go nowhere.
    left: Cell<usize>,
}

impl Stream {
    pub(super) async fn connect(to: SocketAddr) -> Option<Stream> {
        let stream = TcpStream::connect(to).await.ok()?;
        Some(Stream { stream, left: Cell::new(usize::MAX) })
    }

    /// Nothing more is sent after so many bytes.
    pub(super) fn falls_silent(&self, after: usize) {
        self.left.set(self.left.get().min(after));
    }

    pub(super) fn write(&self, bytes: &[u8]) {
        let count = bytes.len().min(self.left.get());
        if count > 0 {
            self.left.set(self.left.get() - count);
            self.stream.write(&bytes[..count]);
        }
    }

    /// What comes next; none if it has ended.
    pub(super) async fn recv(&self) -> Option<impl DerefMut<Target = [u8]> + use<>> {
        self.stream.recv().await.ok()?
    }

    pub(super) fn shutdown(&self) {
        self.stream.shutdown();
    }

    pub(super) fn abort(self) {
        self.stream.abort();
    }
}
