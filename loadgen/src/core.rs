//! What one core does during a run.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::mpsc;
use std::task::{Poll, Waker};
use std::time::Duration;

use bytes::BytesMut;
use grenache_engine::{now, shutdown, sleep_until, spawn_local, stats};
use grenache_peer::tls::Connector;

use crate::arrivals::Schedule;
use crate::demand::Demand;
use crate::lane;
use crate::outcome::Pace;
use crate::plan::{End, Plan};
use crate::process;
use crate::recorder::{Recorder, Slice};
use crate::services::Mix;
use crate::talk::{Answers, Talk};

/// How long after the last request's time-out the wait for answers ends in any case.
const GRACE: Duration = Duration::from_secs(1);

/// Requests that wait for a connection when the window ends may still leave within this time.
const TAIL: Duration = Duration::from_millis(250);

/// The length of a slice.
const SECOND: Duration = Duration::from_secs(1);

/// Where a lane connects to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Destination {
    pub(crate) addr: SocketAddr,
    /// Its name or address, which its certificate must bear.
    pub(crate) name: Rc<str>,
    /// The same with the port.
    pub(crate) host: Rc<str>,
}

/// Makes the conversation of a new connection.
pub(crate) type MakeTalk = Box<dyn Fn(&Destination) -> Box<dyn Talk>>;

/// Connections that may send the same requests, and those requests.
pub(crate) struct Group {
    pub(crate) demand: Demand,
    pub(crate) talk: MakeTalk,
    pub(crate) destinations: Vec<Destination>,
    pub(crate) next: Cell<usize>,
    /// Lanes, with and without a connection, and how many of them there may be.
    pub(crate) lanes: Cell<usize>,
    pub(crate) max_lanes: usize,
    /// So many of them, the first, connect and then read nothing.
    pub(crate) stalled: usize,
    /// Connections being made.
    pub(crate) opening: Cell<usize>,
}

impl Group {
    /// The destinations in turn.
    pub(crate) fn next_destination(&self) -> &Destination {
        let next = self.next.get();
        self.next.set((next + 1) % self.destinations.len());
        &self.destinations[next]
    }
}

/// What all lanes of a core share.
pub(crate) struct Shared {
    pub(crate) recorder: RefCell<Recorder>,
    pub(crate) groups: RefCell<Vec<Rc<Group>>>,
    /// Connections rather than datagrams.
    pub(crate) is_stream: bool,
    /// Nothing is asked: what comes is counted.
    pub(crate) listens: bool,
    pub(crate) connector: Option<Connector>,
    pub(crate) timeout: Duration,
    pub(crate) in_flight: usize,
    pub(crate) requests_per_connection: Option<u64>,
    /// Buffers that a lane uses while it is polled.
    pub(crate) scratch: Cell<(BytesMut, Answers)>,
    /// Lanes that have tried to connect.
    tried: Cell<usize>,
    /// Whoever waits for one of these to change.
    main: RefCell<Option<Waker>>,
}

impl Shared {
    pub(crate) fn new(plan: &Plan, connector: Option<Connector>) -> Self {
        Self {
            recorder: RefCell::new(Recorder::new()),
            groups: RefCell::default(),
            is_stream: plan.what.is_stream(),
            listens: plan.what.listens(),
            connector,
            timeout: plan.timeout,
            in_flight: plan.in_flight,
            requests_per_connection: plan.requests_per_connection,
            scratch: Cell::default(),
            tried: Cell::new(0),
            main: RefCell::new(None),
        }
    }

    /// The first attempt of a lane to connect is over.
    pub(crate) fn tried(&self) {
        self.tried.set(self.tried.get() + 1);
        self.wake_main();
    }

    /// A lane has nothing in flight; the last one ends the run.
    pub(crate) fn notice(&self) {
        if self.is_idle() {
            self.wake_main();
        }
    }

    /// No request is in flight and none will be.
    fn is_idle(&self) -> bool {
        let over = self.groups.borrow().iter().all(|group| group.demand.is_over());
        over && self.recorder.borrow().in_flight() == 0
    }

    fn wake_main(&self) {
        if let Some(main) = self.main.borrow_mut().take() {
            main.wake();
        }
    }
}

/// What a core tells whoever runs it.
#[derive(Debug)]
pub(crate) enum Report {
    /// Its first connections are made, or not.
    Ready { now: Duration, connected: u64, why_not: Option<String> },
    /// What it noted.
    Slice(Box<Part>),
}

/// A slice and what stands beside it.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) slice: Slice,
    /// What it is of.
    pub(crate) phase: Phase,
    /// When it began and ended.
    pub(crate) began: Duration,
    pub(crate) ended: Duration,
    /// CPU time of the core's thread so far, and time in which it had nothing to do.
    pub(crate) cpu: Duration,
    pub(crate) idle: Duration,
    /// Of the first core: what the server has used so far.
    pub(crate) server: Option<process::Usage>,
}

/// What a slice is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// A second of the warm-up, or its rest.
    WarmUp,
    /// A second of the window, or its rest.
    Window,
    /// The wait for the last answers. Comes once, last.
    Drain,
}

/// The main of core `index` of `cores`: connects, waits for the `start` of all, makes load, and reports what came of it.
pub(crate) async fn run(
    plan: &Plan,
    (index, cores): (usize, usize),
    reports: mpsc::Sender<(usize, Report)>,
    start: impl Future<Output = Option<Duration>>,
) {
    let connector = plan.security.tls().map(Connector::new).transpose();
    let shared = match connector {
        Ok(connector) => Rc::new(Shared::new(plan, connector)),
        Err(error) => {
            let why_not = Some(error.to_string());
            // Nobody listens any more if another core has failed.
            let _ = reports.send((index, Report::Ready { now: now(), connected: 0, why_not }));
            return;
        }
    };
    *shared.groups.borrow_mut() = plan.groups((index, cores));
    let load = Load { plan, shared, place: (index, cores), reports };
    load.connect().await;
    load.tell_ready();
    if let Some(start) = start.await {
        let interrupted = load.measure(start).await;
        load.drain(interrupted).await;
    }
}

struct Load<'a> {
    plan: &'a Plan,
    shared: Rc<Shared>,
    place: (usize, usize),
    reports: mpsc::Sender<(usize, Report)>,
}

/// Why a wait is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Over {
    Time,
    /// Nothing is in flight and nothing will be.
    Idle,
    Interrupted,
    /// A number of requests is to be sent, and none is answered any more.
    Stuck,
}

impl Load<'_> {
    /// Starts the first lanes, and waits until each has tried to connect once.
    async fn connect(&self) {
        let mut lanes = 0;
        for group in self.shared.groups.borrow().iter() {
            let first = match self.plan.pace {
                Pace::Closed => group.max_lanes,
                // Further ones come as they are needed.
                Pace::Open { .. } if self.shared.is_stream => {
                    group.max_lanes.min(group.destinations.len())
                }
                Pace::Open { .. } => group.max_lanes,
            };
            (0..first).for_each(|_| open(&self.shared, group));
            lanes += first;
        }
        let mut interrupted = pin!(shutdown());
        poll_fn(|context| {
            *self.shared.main.borrow_mut() = Some(context.waker().clone());
            if self.shared.tried.get() >= lanes {
                Poll::Ready(())
            } else {
                interrupted.as_mut().poll(context)
            }
        })
        .await;
    }

    fn tell_ready(&self) {
        let (connected, why_not) = self.shared.recorder.borrow().ready();
        let ready = Report::Ready { now: now(), connected, why_not };
        let _ = self.reports.send((self.place.0, ready));
    }

    /// Warm-up and window. True if it was interrupted.
    async fn measure(&self, start: Duration) -> bool {
        let window = start + self.plan.warm_up;
        let end = match self.plan.end {
            End::After(duration) => window.saturating_add(duration),
            End::Requests(_) => Duration::MAX,
        };
        self.shared.recorder.borrow_mut().measure(window..end);
        if self.wait(start, false).await == Over::Interrupted {
            return true;
        }
        self.begin(start);
        let counted = matches!(self.plan.end, End::Requests(_));
        let mut over = Over::Time;
        for (phase, begin, end) in [(Phase::WarmUp, start, window), (Phase::Window, window, end)] {
            let mut began = begin;
            // The warm-up has a slice also if it is empty: it marks where the window begins.
            while over == Over::Time {
                let until = began.saturating_add(SECOND).min(end);
                over = self.wait(until, counted).await;
                if counted && over == Over::Time && self.is_stuck() {
                    over = Over::Stuck;
                }
                let last = over != Over::Time || until == end;
                self.tell(phase, began, last);
                began = until;
                if last {
                    break;
                }
            }
        }
        self.shared.recorder.borrow_mut().cut(now());
        self.shared.groups.borrow().iter().for_each(|group| group.demand.finish());
        over == Over::Interrupted
    }

    /// Lets what is due leave, then waits for the answers that are still out, as long as they may take.
    async fn drain(&self, interrupted: bool) {
        let began = now();
        if !interrupted {
            self.wait(began + TAIL, true).await;
        }
        self.end();
        if !interrupted {
            let limit = now().saturating_add(self.plan.timeout).saturating_add(GRACE);
            self.wait(limit, true).await;
        }
        self.tell(Phase::Drain, began, false);
    }

    /// Opens the demand.
    fn begin(&self, start: Duration) {
        let groups = self.shared.groups.borrow();
        let requests = match self.plan.end {
            End::After(_) => None,
            End::Requests(all) => Some(share(all, self.place)),
        };
        match self.plan.pace {
            Pace::Closed => {
                for (number, group) in groups.iter().enumerate() {
                    group.demand.start(requests.map(|all| self.plan.portion(all, number)));
                }
            }
            Pace::Open { rate, arrivals } => {
                groups.iter().for_each(|group| group.demand.start(None));
                let seed = self.plan.seed_of(self.place.0);
                let schedule = Schedule::new(start, rate, arrivals, self.place, seed);
                let mix = Mix::new(&self.plan.weights(), seed);
                drop(spawn_local(pace(self.shared.clone(), schedule, mix, requests)));
            }
        }
    }

    /// Closes the demand. What still waits will not be sent.
    fn end(&self) {
        let mut recorder = self.shared.recorder.borrow_mut();
        for group in self.shared.groups.borrow().iter() {
            group.demand.stop().into_iter().for_each(|intended| recorder.unsent(intended));
        }
    }

    /// Whether nothing was rightly answered for so long that nothing will be.
    fn is_stuck(&self) -> bool {
        let alive = self.shared.recorder.borrow().alive();
        // Of an open loop only once all is due: until then it may have had nothing to ask.
        let waits = matches!(self.plan.pace, Pace::Open { .. })
            && self.shared.groups.borrow().iter().any(|group| group.demand.is_open());
        !waits && now().saturating_sub(alive) > self.plan.timeout.saturating_add(GRACE)
    }

    fn tell(&self, phase: Phase, began: Duration, edge: bool) {
        // Reading /proc takes a while; at the edges of the window nobody is held up by that.
        let pid = self.plan.server_pid.filter(|_| edge && self.place.0 == 0);
        let server = pid.and_then(|pid| process::usage(pid).ok());
        let slice = self.shared.recorder.borrow_mut().take();
        if phase == Phase::WarmUp {
            self.shared.recorder.borrow_mut().warmed_up();
        }
        let (cpu, idle) = (process::thread_time(), stats().spun + stats().parked);
        let part = Part { slice, phase, began, ended: now(), cpu, idle, server };
        let _ = self.reports.send((self.place.0, Report::Slice(Box::new(part))));
    }

    /// Waits until `deadline`, or until the run is interrupted, or, if `idle`, until nothing is in flight and nothing will be.
    async fn wait(&self, deadline: Duration, idle: bool) -> Over {
        let mut time = pin!(sleep_until(deadline));
        let mut interrupted = pin!(shutdown());
        poll_fn(|context| {
            if interrupted.as_mut().poll(context).is_ready() {
                return Poll::Ready(Over::Interrupted);
            }
            if time.as_mut().poll(context).is_ready() {
                return Poll::Ready(Over::Time);
            }
            *self.shared.main.borrow_mut() = Some(context.waker().clone());
            if idle && self.shared.is_idle() {
                return Poll::Ready(Over::Idle);
            }
            Poll::Pending
        })
        .await
    }
}

/// The share of one core in `all` requests.
fn share(all: u64, (index, cores): (usize, usize)) -> u64 {
    let (index, cores) = (index as u64, cores as u64);
    all / cores + u64::from(index < all % cores)
}

/// Starts another lane.
fn open(shared: &Rc<Shared>, group: &Rc<Group>) {
    let number = group.lanes.get();
    group.lanes.set(number + 1);
    drop(spawn_local(lane::run(shared.clone(), group.clone(), number)));
}

/// Has the requests of an open loop sent when they are due, by a connection with room or by a new one.
async fn pace(shared: Rc<Shared>, mut schedule: Schedule, mut mix: Mix, mut left: Option<u64>) {
    let groups = shared.groups.borrow().clone();
    while left != Some(0) {
        sleep_until(schedule.next()).await;
        while let Some(intended) = schedule.take(now()) {
            shared.recorder.borrow_mut().due(intended, now());
            let group = &groups[mix.draw()];
            if !group.demand.add(intended) {
                shared.recorder.borrow_mut().unsent(intended);
            } else if !group.demand.wake()
                && group.lanes.get() < group.max_lanes
                && group.opening.get() < group.demand.len()
            {
                open(&shared, group);
            }
            left = left.map(|left| left - 1);
            if left == Some(0) {
                break;
            }
        }
    }
    groups.iter().for_each(|group| group.demand.finish());
    shared.notice();
}
