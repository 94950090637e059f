use crate::contact::Contact;
use crate::id::NodeId;
use core::time::Duration;

/// A contact in a bucket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) contact: Contact,
    /// When it was last heard of.
    pub(crate) seen: Duration,
    /// Queries in a row that it left unanswered.
    pub(crate) failures: u8,
}

/// Up to K contacts at about the same distance, and as many spare ones that wait for a place.
#[derive(Debug, Default)]
pub(crate) struct Bucket {
    entries: Vec<Entry>,
    /// The newest last.
    spares: Vec<Contact>,
}

impl Bucket {
    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(crate) fn get_mut(&mut self, id: &NodeId) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| entry.contact.id == *id)
    }

    /// Adds a contact that is not in it; false if the bucket is full.
    pub(crate) fn insert(&mut self, now: Duration, contact: Contact, k: usize) -> bool {
        let room = self.entries.len() < k;
        if room {
            self.entries.push(Entry { contact, seen: now, failures: 0 });
            self.spares.retain(|spare| spare.id != contact.id);
        }
        room
    }

    /// Remembers a contact for when a place becomes free; the oldest spare makes room.
    pub(crate) fn spare(&mut self, contact: Contact, k: usize) {
        self.spares.retain(|spare| spare.id != contact.id && spare.addr != contact.addr);
        if self.spares.len() >= k {
            self.spares.remove(0);
        }
        self.spares.push(contact);
    }

    pub(crate) fn has_spare(&self) -> bool {
        !self.spares.is_empty()
    }

    pub(crate) fn take_spare(&mut self) -> Option<Contact> {
        self.spares.pop()
    }

    pub(crate) fn remove(&mut self, id: &NodeId) -> Option<Contact> {
        self.spares.retain(|spare| spare.id != *id);
        let at = self.entries.iter().position(|entry| entry.contact.id == *id)?;
        Some(self.entries.remove(at).contact)
    }

    /// The contact not heard of for longest.
    pub(crate) fn stalest(&self) -> Option<&Entry> {
        self.entries.iter().min_by_key(|entry| entry.seen)
    }

    /// Moves what `far` picks into another bucket.
    pub(crate) fn split_off(&mut self, far: impl Fn(&NodeId) -> bool) -> Self {
        let entries = self.entries.extract_if(.., |entry| far(&entry.contact.id)).collect();
        let spares = self.spares.extract_if(.., |spare| far(&spare.id)).collect();
        Self { entries, spares }
    }
}
