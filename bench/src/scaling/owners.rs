//! The part of a request that has an owner: done here, or moved over the mesh to the core it belongs to.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::task::{Poll, Waker};

use grenache_engine::{Mesh, Sender};
use slab::Slab;

use super::{Payload, STAMP, Window};

/// What goes over the mesh. As in the grape, an answer is a message of its own that names its ticket.
pub(super) enum Message {
    /// From outside: work for a window.
    Work(Box<Window>),
    /// A request that the receiver owns.
    Ask(u32, Box<Payload>),
    /// The answer to the receiver's request of that ticket.
    Answer(u32, Box<Payload>),
}

// No more than the grape's.
const _: () = assert!(size_of::<Message>() <= 16);

enum Asked {
    Waiting(Option<Waker>),
    Answered(Box<Payload>),
}

/// Who answers what, as one core sees it.
pub(super) struct Owners {
    index: usize,
    mesh: Mesh<Message>,
    asked: RefCell<Slab<Asked>>,
    share: Cell<f64>,
    active: Cell<usize>,
    /// Requests since the share was set, and those of them that went elsewhere.
    begun: Cell<u64>,
    moved: Cell<u64>,
}

impl Owners {
    pub(super) fn new(index: usize, mesh: Mesh<Message>) -> Self {
        Self {
            index,
            mesh,
            asked: RefCell::default(),
            share: Cell::new(0.0),
            active: Cell::new(1),
            begun: Cell::new(0),
            moved: Cell::new(0),
        }
    }

    /// This core's number.
    pub(super) fn index(&self) -> u8 {
        self.index as u8
    }

    /// From now on this share of the requests belongs to the others of the first `active` cores, to each in turn.
    pub(super) fn share(&self, share: f64, active: usize) {
        self.share.set(share);
        self.active.set(active);
        self.begun.set(0);
        self.moved.set(0);
    }

    /// Answers a request, or has its owner do so.
    pub(super) async fn answer(&self, mut request: Payload) -> Payload {
        let Some(owner) = self.owner() else {
            self.sign(&mut request);
            return request;
        };
        let ticket = self.asked.borrow_mut().insert(Asked::Waiting(None));
        self.send(owner, Message::Ask(ticket as u32, Box::new(request)));
        poll_fn(|context| {
            let mut asked = self.asked.borrow_mut();
            match &mut asked[ticket] {
                Asked::Waiting(waker) => {
                    *waker = Some(context.waker().clone());
                    return Poll::Pending;
                }
                Asked::Answered(_) => {}
            }
            let Asked::Answered(answer) = asked.remove(ticket) else {
                unreachable!("as seen above")
            };
            Poll::Ready(*answer)
        })
        .await
    }

    /// Serves the mesh until there is an order.
    pub(super) async fn order(&self) -> Window {
        loop {
            match self.mesh.recv().await {
                (_, Message::Work(window)) => return *window,
                (Sender::Core(core), Message::Ask(ticket, mut request)) => {
                    self.sign(&mut request);
                    self.send(core, Message::Answer(ticket, request));
                }
                (_, Message::Answer(ticket, answer)) => {
                    let slot = &mut self.asked.borrow_mut()[ticket as usize];
                    if let Asked::Waiting(Some(waker)) = slot {
                        waker.wake_by_ref();
                    }
                    *slot = Asked::Answered(answer);
                }
                (Sender::Outside, Message::Ask(..)) => {
                    unreachable!("only orders come from outside")
                }
            }
        }
    }

    /// The other core that the next request belongs to, if it does. Evenly spread rather than drawn: the share is exact.
    fn owner(&self) -> Option<usize> {
        let begun = self.begun.get() + 1;
        self.begun.set(begun);
        let due = (begun as f64 * self.share.get()) as u64;
        let moved = self.moved.get();
        if due == moved {
            return None;
        }
        self.moved.set(due);
        let others = self.active.get() as u64 - 1;
        Some((self.index + 1 + (moved % others) as usize) % self.active.get())
    }

    fn sign(&self, request: &mut Payload) {
        request[STAMP] = self.index();
    }

    fn send(&self, core: usize, message: Message) {
        let sent = self.mesh.send(core, message);
        sent.expect("a ring has room for all requests in flight");
    }
}
