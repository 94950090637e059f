//! One of our subscribers, what it wants, and what has to hold for what it gets:
//!
//! - it was published, under this topic, and the topic is one that is wanted, or was shortly before;
//! - on one connection nothing comes twice, and what was published after its topic was subscribed to comes in that order;
//! - there are no gaps once all is well, and before that they are counted.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use grenache_engine::{now, sleep, timeout};
use grenache_peer::link::{self, Grape, Link};
use grenache_peer::subscribe::{self, Message, Stats, Subscription};
use grenache_peer::{Subscribe, Subscriber, websocket, zeromq};

use crate::client::draw;
use crate::network::{ROOTS, grape_url};
use crate::speech::{Lock, Speech};
use crate::worker::filler;

/// The topic of a message is its number by this.
pub(crate) const TOPICS: usize = 6;

/// After so long without a word the other side is asked whether it is there, and again so long later it is given up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(4);

/// So long after a topic was given up some of its messages may come: their last, asked for again, would come twice.
const STRAYS: Duration = Duration::from_secs(20);

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// What all share.
pub(crate) struct State {
    pub(crate) lock: Lock,
    pub(crate) publishing: Cell<bool>,
    /// Subscribers do as they like.
    pub(crate) free: Cell<bool>,
    /// Nothing happens any more, and everybody has got everything.
    pub(crate) well: Cell<bool>,
    /// Messages published so far; the next one's number.
    pub(crate) published: Cell<usize>,
    pub(crate) received: Cell<usize>,
    /// Messages of one topic that were skipped within a connection.
    pub(crate) gaps: Cell<usize>,
    pub(crate) listeners: RefCell<Vec<Rc<Listener>>>,
}

/// What a subscriber wants, and what it has got.
pub(crate) struct Listener {
    speech: Speech,
    /// It takes messages as they come. Of one that is slow it is not known on which connection they have come.
    quick: bool,
    topics: RefCell<[Topic; TOPICS]>,
    /// The connection that messages come on, by its number.
    connection: Cell<u64>,
    /// The highest number of a message on it.
    highest: Cell<usize>,
    pub(crate) received: Cell<usize>,
    pub(crate) stats: Cell<Stats>,
}

#[derive(Clone, Copy, Default)]
struct Topic {
    wanted: bool,
    /// When it was wanted no more: some may still come.
    removed: Option<Duration>,
    /// The last message on this connection, since it is wanted.
    last: Option<usize>,
}

pub(crate) fn topic(number: usize) -> String {
    format!("topic.{}", number % TOPICS)
}

pub(crate) fn message(number: usize) -> String {
    let size = match number % 50 {
        0 => 100_000,
        1..8 => 3000,
        _ => 10,
    };
    format!("{number} {}", filler(number, size))
}

impl Listener {
    /// It wants some topics from the beginning, one at least.
    pub(crate) fn new(speech: Speech, quick: bool, wanted: impl Fn(usize) -> bool) -> Listener {
        let one = |topic| Topic { wanted: wanted(topic), ..Topic::default() };
        Listener {
            speech,
            quick,
            topics: RefCell::new(std::array::from_fn(one)),
            connection: Cell::default(),
            highest: Cell::default(),
            received: Cell::default(),
            stats: Cell::default(),
        }
    }

    pub(crate) async fn run(self: Rc<Listener>, state: Rc<State>) {
        let grapes: Vec<String> = (0..ROOTS).map(grape_url).collect();
        let grapes = Grape::list(&grapes.join(",")).expect("grapes");
        let link = Link::new(&grapes, link::Config::default(), None).expect("a link");
        let config = subscribe::Config {
            transport: self.speech.transport(),
            max_waiting: 20,
            websocket: websocket::Config {
                ping_interval: PATIENCE,
                ping_timeout: PATIENCE,
                ..websocket::Config::default()
            },
            zeromq: zeromq::Config {
                ping_interval: PATIENCE,
                ping_timeout: PATIENCE,
                ..self.speech.zeromq()
            },
            ..subscribe::Config::default()
        };
        let subscriber = Subscriber::new(link, config, None).expect("a subscriber");
        let wants = self.wanted().into_iter().map(topic);
        let subscribe = wants.fold(Subscribe::new("news"), Subscribe::topic);
        let mut subscription = subscriber.subscribe(subscribe).expect("topics");
        loop {
            let message = timeout(ms(200), subscription.next()).await;
            self.stats.set(subscription.stats());
            message.into_iter().for_each(|message| self.check(&state, &message));
            if state.free.get() && draw(100) == 0 {
                self.change(&subscription);
            }
            if state.free.get() && !self.quick && draw(100) == 0 {
                sleep(ms(u64::from(draw(8000)))).await;
            }
        }
    }

    pub(crate) fn wanted(&self) -> Vec<usize> {
        let topics = self.topics.borrow();
        (0..TOPICS).filter(|topic| topics[*topic].wanted).collect()
    }

    /// Wants one topic more, or one less.
    fn change(&self, subscription: &Subscription) {
        let number = draw(TOPICS as u32) as usize;
        let one = &mut self.topics.borrow_mut()[number];
        let now = now();
        if one.wanted {
            subscription.remove(&topic(number));
            *one = Topic { removed: Some(now), ..Topic::default() };
        } else if one.removed.is_none_or(|removed| removed + STRAYS < now) {
            subscription.add(&topic(number)).expect("a topic");
            one.wanted = true;
        }
    }

    fn check(&self, state: &State, message: &Message) {
        let text = message.text().expect("text");
        let number: usize = text.split_once(' ').expect("a number").0.parse().expect("a number");
        assert!(text == self::message(number), "{number} is not what was published");
        assert_eq!(message.topic, Some(topic(number)));
        self.received.set(self.received.get() + 1);
        state.received.set(state.received.get() + 1);

        let mut topics = self.topics.borrow_mut();
        if self.connection.replace(self.stats.get().connections) != self.stats.get().connections {
            topics.iter_mut().for_each(|topic| topic.last = None);
            self.highest.set(0);
        }
        let one = &mut topics[number % TOPICS];
        if !one.wanted {
            assert!(one.removed.is_some() && !state.well.get(), "nobody wants {number}");
            return;
        }
        let highest = self.highest.replace(self.highest.get().max(number));
        // The first of a topic may be its last from before, which comes after later ones of others.
        let Some(last) = one.last.replace(number) else { return };
        if self.quick || state.well.get() {
            assert!(number > highest, "{number} after {highest}");
            let gap = (number - last) / TOPICS - 1;
            assert!(gap == 0 || !state.well.get(), "{number} after {last} of its topic");
            state.gaps.set(state.gaps.get() + gap);
        }
    }

    /// Whether it has the last message of every topic that it wants.
    pub(crate) fn has_all(&self, published: usize) -> bool {
        let is_last = |topic: &usize| {
            let last = self.topics.borrow()[*topic].last;
            last.is_some_and(|last| last + TOPICS >= published)
        };
        self.wanted().iter().all(is_last)
    }
}
