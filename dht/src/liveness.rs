//! Keeping the table alive.

use crate::contact::Contact;
use crate::dht::Dht;
use crate::event::Event;
use crate::transaction::Purpose;
use core::net::SocketAddrV4;
use core::time::Duration;
use rand::RngExt;

/// Least and most time between two checks of the table; in between, a quarter of the time after which a
/// silent contact is pinged. Node: a minute, give or take half of it.
const CHECK: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(60));

impl Dht {
    /// Starts what only core 0 does.
    pub(crate) fn begin_maintenance(&mut self, now: Duration) {
        if self.config.shard == 0 {
            self.plan_check(now);
            self.run_bootstrap(now);
        }
    }

    pub(crate) fn maintain(&mut self, now: Duration) {
        self.run_bootstrap(now);
        if self.next_check.is_some_and(|at| at <= now) {
            self.check(now);
            self.plan_check(now);
        }
    }

    /// Jittered by half, so that grapes started together do not ping in step.
    fn plan_check(&mut self, now: Duration) {
        let pause = (self.config.node_liveness / 4).clamp(CHECK.0, CHECK.1);
        self.next_check = Some(now + pause.mul_f64(self.rng.random_range(0.5..1.5)));
    }

    /// Pings the contacts that were not heard of for long, or left their last query unanswered.
    fn check(&mut self, now: Duration) {
        let room = self.config.max_queries.saturating_sub(self.transactions.len());
        let liveness = self.config.node_liveness;
        let due = self.table.entries().filter(|e| e.failures > 0 || e.seen + liveness <= now);
        let due: Vec<Contact> = due.take(room).map(|entry| entry.contact).collect();
        for contact in due {
            self.ask(now, contact.addr, Some(contact.id), Purpose::Ping, true);
        }
    }

    /// A ping was answered. The other cores are told: they do not ping, and may have missed the contact.
    pub(crate) fn take_pong(&mut self, contact: Contact) {
        self.end_eviction(contact.addr);
        self.notice(Event::Contact(contact));
    }

    /// The node at `addr` was pinged, with whatever result.
    pub(crate) fn end_eviction(&mut self, addr: SocketAddrV4) {
        self.evicting = self.evicting.filter(|contact| contact.addr != addr);
    }
}
