//! What must hold in a simulated network, whatever happens to it:
//!
//! - every call is answered exactly once and in time, unless its grape lost its power meanwhile;
//! - what was acknowledged is found until it expires, as long as the network is whole, and fewer grapes
//!   have lost their power since than had stored it (what one half of a network stored is on the closest
//!   of that half, of which some half are among the closest of all: there, ten more must be left);
//! - an item that was acknowledged is found, in the version acknowledged or a later one, as long as
//!   fewer than ten grapes have lost their power since;
//! - nothing is found that has expired, or that nobody announced.

use std::collections::BTreeMap;
use std::net::SocketAddrV4;
use std::time::Duration;

use crate::client::NoAnswer;
use crate::items::Item;

/// After a cut the halves need so long to meet again.
const RECOVERY: Duration = Duration::from_secs(15);

/// A grape that has just started knows nobody yet.
const WARM_UP: Duration = Duration::from_secs(10);

pub(crate) struct Oracle {
    seed: u64,
    max_age: Duration,
    /// A datagram may arrive, again, so long after it was sent.
    longest_delay: Duration,
    items: Vec<Item>,
    announcements: BTreeMap<(String, SocketAddrV4), Announcement>,
    /// When grapes lost their power, and which.
    kills: Vec<(Duration, usize)>,
    starts: BTreeMap<usize, Duration>,
    healthy_since: Option<Duration>,
    open: usize,
    counts: Counts,
}

struct Announcement {
    /// Nobody has stored it before this.
    began: Duration,
    /// Grapes that may not count: those that are the closest only in one half of the network.
    doubtful: usize,
    /// When it was acknowledged, and by how many grapes; `None` if it was not.
    acknowledged: Option<(Duration, usize)>,
    /// Nobody has stored it after this.
    ended: Duration,
}

/// A call in progress.
pub(crate) struct Call {
    pub(crate) began: Duration,
    grape: usize,
}

#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) answered: usize,
    /// Calls whose grape lost its power.
    pub(crate) broken: usize,
    /// Times that a lookup had to find a peer, and did.
    pub(crate) had_to_be_found: usize,
    /// Times that a lookup must not find a peer any more, and did not.
    pub(crate) had_to_be_gone: usize,
    /// Times that a get had to find an item, and did.
    pub(crate) items_had_to_be_found: usize,
}

impl Oracle {
    pub(crate) fn new(seed: u64, max_age: Duration, longest_delay: Duration) -> Oracle {
        Oracle {
            seed,
            max_age,
            longest_delay,
            items: Vec::new(),
            announcements: BTreeMap::new(),
            kills: Vec::new(),
            starts: BTreeMap::new(),
            healthy_since: None,
            open: 0,
            counts: Counts::default(),
        }
    }

    pub(crate) fn healthy_since(&mut self, now: Duration) {
        self.healthy_since = Some(now);
    }

    pub(crate) fn cut(&mut self) {
        self.healthy_since = None;
    }

    pub(crate) fn killed(&mut self, grape: usize, now: Duration) {
        self.kills.push((now, grape));
    }

    pub(crate) fn started(&mut self, grape: usize, now: Duration) {
        self.starts.insert(grape, now);
    }

    pub(crate) fn begin(&mut self, grape: usize, now: Duration) -> Call {
        self.open += 1;
        Call { began: now, grape }
    }

    /// The answer of a call, if its grape lived to give one.
    pub(crate) fn end(
        &mut self,
        call: Call,
        answer: Result<String, NoAnswer>,
        now: Duration,
    ) -> Option<String> {
        self.open -= 1;
        match answer {
            Ok(text) => {
                self.counts.answered += 1;
                Some(text)
            }
            Err(NoAnswer) => {
                // It was without power at some time of the call.
                let dead = self.kills.iter().any(|(at, grape)| {
                    let back = self.starts.get(grape).filter(|back| *back > at).copied();
                    *grape == call.grape && back.is_none_or(|back| back >= call.began)
                });
                let waited = now - call.began;
                assert!(
                    dead,
                    "seed {}: no answer from grape {} after {waited:?} at {now:?}",
                    self.seed, call.grape
                );
                self.counts.broken += 1;
                None
            }
        }
    }

    pub(crate) fn announced(
        &mut self,
        service: &str,
        peer: SocketAddrV4,
        stored: Option<usize>,
        (began, now): (Duration, Duration),
    ) {
        let acknowledged = stored.filter(|stored| *stored > 0).map(|stored| (now, stored));
        // Of a grape that lost its power we learn late; what it sent before is stored by then.
        let doubtful = if self.is_whole(began) { 0 } else { 10 };
        let known = self.announcements.insert(
            (service.to_string(), peer),
            Announcement { began, doubtful, acknowledged, ended: now + self.longest_delay },
        );
        assert!(
            known.is_none_or(|known| known.ended < now),
            "the test announces one peer twice at a time"
        );
    }

    pub(crate) fn found(
        &mut self,
        service: &str,
        peers: &[SocketAddrV4],
        grape: usize,
        began: Duration,
        now: Duration,
    ) {
        let seed = self.seed;
        for peer in peers {
            let known = self.announcements.get(&(service.to_string(), *peer));
            // One that nobody knows is being announced right now: its call has not ended.
            if let Some(known) = known {
                let gone = known.ended + self.max_age;
                assert!(
                    gone >= began,
                    "seed {seed}: {service} at {peer} was found at {began:?}, expired at {gone:?}"
                );
            }
        }
        // A call of another client may be open for an unknown peer; more than those cannot be.
        let unknown = peers
            .iter()
            .filter(|peer| !self.announcements.contains_key(&(service.to_string(), **peer)))
            .count();
        assert!(unknown <= self.open, "seed {seed}: {unknown} peers of {service} out of nowhere");
        assert!(peers.len() <= 100, "seed {seed}: {} peers", peers.len());

        let whole = self.is_whole(began);
        let warm = self.starts.get(&grape).is_none_or(|start| *start + WARM_UP <= began);
        let mut sure = 0;
        for ((_, peer), known) in self
            .announcements
            .range((service.to_string(), SocketAddrV4::new(0.into(), 0))..)
            .take_while(|((name, _), _)| name == service)
        {
            if known.ended + self.max_age < began {
                assert!(!peers.contains(peer));
                self.counts.had_to_be_gone += 1;
            }
            let Some((at, stored)) = known.acknowledged else { continue };
            let surely_until = known.began + self.max_age;
            let lost = self.kills.iter().filter(|(kill, _)| *kill >= known.began).count();
            if at < began && now < surely_until && whole && warm && lost + known.doubtful < stored {
                assert!(
                    peers.contains(peer) || peers.len() == 100,
                    "seed {seed}: grape {grape} did not find {service} at {peer} at {began:?}..{now:?}: \
                     acknowledged at {at:?} by {stored}, {lost} grapes lost since; found {peers:?}"
                );
                sure += 1;
            }
        }
        self.counts.had_to_be_found += sure;
    }

    /// A put has ended, with its target if it was acknowledged.
    pub(crate) fn put(&mut self, target: Option<String>, seq: i64, text: String, began: Duration) {
        let safe_since = self.is_whole(began).then_some(began);
        let known = self.items.iter_mut().find(|item| item.text == text);
        match (known, target) {
            (Some(item), Some(_)) => {
                (item.seq, item.tried, item.safe_since) = (seq, seq, safe_since);
            }
            (Some(item), None) => item.tried = seq,
            (None, Some(target)) => {
                self.items.push(Item { target, seq, tried: seq, text, safe_since });
            }
            // Nobody knows what it would be found under.
            (None, None) => {}
        }
    }

    pub(crate) fn some_target(&self, draw: u32) -> Option<String> {
        let count = self.items.len();
        (count > 0).then(|| self.items[draw as usize % count].target.clone())
    }

    fn item(&self, target: &str) -> &Item {
        self.items.iter().find(|item| item.target == target).expect("an item that was put")
    }

    /// The version of an item that must be found from now on, and since when it is safe.
    pub(crate) fn acknowledged(&self, target: &str) -> Option<(i64, Duration)> {
        let item = self.item(target);
        item.safe_since.map(|since| (item.seq, since))
    }

    pub(crate) fn got(
        &mut self,
        target: &str,
        value: Option<&str>,
        acknowledged: Option<(i64, Duration)>,
        grape: usize,
        began: Duration,
    ) {
        let seed = self.seed;
        let item = self.item(target);
        let found = value.map(|value| {
            let seq = item.read(value);
            // One version more than was tried may be on its way right now.
            let next = format!("{}{}", item.text, item.tried + 1);
            seq.or((value == next).then_some(item.tried + 1))
                .unwrap_or_else(|| panic!("seed {seed}: {value} was found under {target}"))
        });
        let warm = self.starts.get(&grape).is_none_or(|start| *start + WARM_UP <= began);
        let Some((seq, since)) = acknowledged.filter(|_| warm && self.is_whole(began)) else {
            return;
        };
        let lost = self.kills.iter().filter(|(kill, _)| *kill >= since).count();
        if lost < 10 {
            assert!(
                found.is_some_and(|found| found >= seq),
                "seed {seed}: grape {grape} found {value:?} under {target} at {began:?}: version {seq} was \
                 acknowledged, {lost} grapes lost since"
            );
            self.counts.items_had_to_be_found += 1;
        }
    }

    /// Whether nothing is and was cut for a while.
    fn is_whole(&self, began: Duration) -> bool {
        self.healthy_since.is_some_and(|since| since + RECOVERY <= began)
    }

    pub(crate) fn finish(&self) -> Counts {
        assert_eq!(self.open, 0, "seed {}: calls without an answer", self.seed);
        self.counts.clone()
    }
}
