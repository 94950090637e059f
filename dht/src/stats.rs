/// Counters since the start. Everything that is dropped is counted in one of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Datagrams received.
    pub received: u64,
    /// Queries answered, with an error too.
    pub answered: u64,
    /// Queries sent, with those sent again.
    pub asked: u64,
    /// Queries sent again.
    pub resent: u64,
    /// Queries that nobody answered in time.
    pub timed_out: u64,
    /// Dropped: datagrams that are no message.
    pub malformed: u64,
    /// Dropped: queries without the fields or values they need, or unknown ones.
    pub ignored: u64,
    /// Dropped: senders whose id is not 20 bytes, is our own, or whose address cannot be.
    pub bad_senders: u64,
    /// Dropped: answers to no query of ours: late, doubled or made up.
    pub unexpected: u64,
    /// Dropped: answers from another address than the one asked.
    pub wrong_address: u64,
    /// Answers that carry another id than expected.
    pub wrong_id: u64,
    /// Queries refused for a bad token.
    pub bad_tokens: u64,
    /// Announcements and items refused for a limit.
    pub over_limit: u64,
    /// Items refused for a bad signature, in puts and in answers.
    pub bad_signatures: u64,
    /// Dropped: datagrams to send, because the driver did not take the ones before.
    pub untransmitted: u64,
    /// Dropped: events other than the end of a command, for the same reason.
    pub unnoticed: u64,
    /// Peers stored now.
    pub peers: usize,
    /// Services that have peers now.
    pub services: usize,
    /// Items stored now.
    pub items: usize,
    /// Contacts in the table now.
    pub contacts: usize,
    /// Queries in flight now.
    pub queries: usize,
    /// Commands in flight now.
    pub operations: usize,
    /// Traversals in flight now.
    pub traversals: usize,
}
