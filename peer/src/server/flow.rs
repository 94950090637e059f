//! Both bodies of a streamed request, between its connection and its handler.

use std::cell::{RefCell, RefMut};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use super::reply;
use crate::error::Error;
use crate::json::Json;

/// What the connection and the handler of a streamed request share.
pub(super) struct Stream {
    /// Most bytes that wait in either direction; one piece may be over it.
    limit: usize,
    peer: SocketAddr,
    flow: RefCell<Flow>,
}

struct Flow {
    /// From the client.
    inbound: Queue,
    input: Input,
    /// To the client.
    outbound: Queue,
    output: Output,
    /// Something has been written.
    written: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
    /// The connection's task.
    connection: Waker,
}

/// What a piece takes besides its bytes: a client may send them one by one.
const PIECE: usize = 64;

#[derive(Default)]
struct Queue {
    pieces: VecDeque<Bytes>,
    /// That the pieces take.
    bytes: usize,
}

impl Queue {
    fn push(&mut self, piece: Bytes) {
        if !piece.is_empty() {
            self.bytes += piece.len() + PIECE;
            self.pieces.push_back(piece);
        }
    }

    fn pop(&mut self) -> Option<Bytes> {
        let piece = self.pieces.pop_front()?;
        self.bytes -= piece.len() + PIECE;
        Some(piece)
    }

    fn clear(&mut self) {
        *self = Queue::default();
    }
}

enum Input {
    Open,
    Ended,
    Failed(Error),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Output {
    Open,
    /// Ends when `outbound` is empty.
    Finished,
    /// The handler has failed after the beginning was written.
    Broken,
    /// Nobody is there to read it.
    Closed,
}

/// What the connection may send next.
pub(super) enum Outgoing {
    /// All that there will be.
    Whole(VecDeque<Bytes>),
    Piece(Bytes),
    /// Nothing yet.
    Nothing,
    End,
    /// No more, and it is not the whole: break off.
    Broken,
}

impl Stream {
    pub(super) fn new(peer: SocketAddr, limit: usize, connection: Waker) -> Rc<Stream> {
        let flow = Flow {
            inbound: Queue::default(),
            input: Input::Open,
            outbound: Queue::default(),
            output: Output::Open,
            written: false,
            reader: None,
            writer: None,
            connection,
        };
        Rc::new(Stream { limit: limit.max(1), peer, flow: RefCell::new(flow) })
    }

    pub(super) fn poll_read(
        &self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, Error>> {
        let mut flow = self.flow.borrow_mut();
        if let Some(piece) = flow.inbound.pop() {
            flow.tell_connection(context);
            return Poll::Ready(Ok(Some(piece)));
        }
        match &flow.input {
            Input::Ended => Poll::Ready(Ok(None)),
            Input::Failed(error) => Poll::Ready(Err(error.clone())),
            Input::Open => {
                flow.reader = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    pub(super) fn poll_write(
        &self,
        piece: &mut Option<Bytes>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Error>> {
        let mut flow = self.flow.borrow_mut();
        if flow.output != Output::Open {
            return Poll::Ready(Err(Error::Closed { to: self.peer }));
        }
        if flow.outbound.bytes >= self.limit {
            flow.writer = Some(context.waker().clone());
            return Poll::Pending;
        }
        flow.written = true;
        flow.outbound.push(piece.take().unwrap_or_default());
        flow.tell_connection(context);
        Poll::Ready(Ok(()))
    }

    pub(super) fn finish(&self) {
        self.end_with(Bytes::new());
    }

    pub(super) fn end_with(&self, last: Bytes) {
        let mut flow = self.flow.borrow_mut();
        if flow.output == Output::Open {
            flow.outbound.push(last);
            flow.output = Output::Finished;
            flow.connection.wake_by_ref();
        }
    }
}

/// The connection's side.
impl Stream {
    /// A piece of the request has come.
    pub(super) fn receive(&self, piece: Bytes) {
        let mut flow = self.flow.borrow_mut();
        if matches!(flow.input, Input::Open) {
            flow.inbound.push(piece);
            wake(flow, |flow| &mut flow.reader);
        }
    }

    /// The request is complete.
    pub(super) fn receive_end(&self) {
        let mut flow = self.flow.borrow_mut();
        if matches!(flow.input, Input::Open) {
            flow.input = Input::Ended;
            wake(flow, |flow| &mut flow.reader);
        }
    }

    /// Whether the client has to wait.
    pub(super) fn is_full(&self) -> bool {
        self.flow.borrow().inbound.bytes >= self.limit
    }

    /// Whether anybody is there to read.
    pub(super) fn is_wanted(&self) -> bool {
        matches!(self.flow.borrow().input, Input::Open)
    }

    /// Whether the handler waits for the client.
    pub(super) fn is_starving(&self) -> bool {
        let flow = self.flow.borrow();
        flow.reader.is_some() && flow.inbound.bytes == 0
    }

    /// No more of the request will come.
    pub(super) fn fail_input(&self, error: Error) {
        let mut flow = self.flow.borrow_mut();
        if matches!(flow.input, Input::Open) {
            flow.input = Input::Failed(error);
            wake(flow, |flow| &mut flow.reader);
        }
    }

    /// The client is gone.
    pub(super) fn hang_up(&self) {
        self.fail_input(Error::Closed { to: self.peer });
        let mut flow = self.flow.borrow_mut();
        flow.output = Output::Closed;
        flow.outbound.clear();
        wake(flow, |flow| &mut flow.writer);
    }

    /// The handler has ended with an error, which is the reply if there is nothing of one yet.
    pub(super) fn end_with_error(&self, rid: &Json, text: &str) {
        if !self.flow.borrow().written {
            self.end_with(reply::envelope(rid, &Err(text.to_owned())));
        }
        let mut flow = self.flow.borrow_mut();
        if flow.output == Output::Open {
            flow.output = Output::Broken;
        }
    }

    /// The handler has ended: what it has not read is not wanted.
    pub(super) fn abandon_input(&self) {
        let mut flow = self.flow.borrow_mut();
        flow.inbound.clear();
        flow.input = Input::Failed(Error::Closed { to: self.peer });
        wake(flow, |flow| &mut flow.reader);
    }

    /// The next to send. `first` is whether nothing was taken yet.
    pub(super) fn next(&self, first: bool) -> Outgoing {
        let mut flow = self.flow.borrow_mut();
        if first && flow.output == Output::Finished {
            return Outgoing::Whole(std::mem::take(&mut flow.outbound).pieces);
        }
        match flow.outbound.pop() {
            Some(piece) => {
                if flow.outbound.bytes < self.limit {
                    wake(flow, |flow| &mut flow.writer);
                }
                Outgoing::Piece(piece)
            }
            None => match flow.output {
                Output::Open => Outgoing::Nothing,
                Output::Finished => Outgoing::End,
                Output::Broken | Output::Closed => Outgoing::Broken,
            },
        }
    }
}

impl Flow {
    /// Something has changed that the connection has to look at. It does so anyway when it is what polls the handler.
    fn tell_connection(&self, context: &Context<'_>) {
        if !context.waker().will_wake(&self.connection) {
            self.connection.wake_by_ref();
        }
    }
}

/// Wakes with the borrow given back: a waker may be anything.
fn wake(mut flow: RefMut<'_, Flow>, which: impl FnOnce(&mut Flow) -> &mut Option<Waker>) {
    let waker = which(&mut flow).take();
    drop(flow);
    if let Some(waker) = waker {
        waker.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_small_pieces_are_as_much_as_a_large_one() {
        let peer = SocketAddr::from(([127, 0, 0, 1], 1));
        let stream = Stream::new(peer, 64 * 1024, Waker::noop().clone());
        let mut count = 0;
        while !stream.is_full() {
            stream.receive(Bytes::copy_from_slice(b"x"));
            count += 1;
        }
        assert!((100..=1024).contains(&count), "{count} pieces");
        let mut context = Context::from_waker(Waker::noop());
        for _ in 0..count {
            assert!(matches!(stream.poll_read(&mut context), Poll::Ready(Ok(Some(_)))));
        }
        assert_eq!(stream.flow.borrow().inbound.bytes, 0);
    }
}
