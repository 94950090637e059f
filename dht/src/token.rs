use core::net::Ipv4Addr;
use core::time::Duration;
use sha1::{Digest, Sha1};

/// How long a secret lasts (BEP5: 5 minutes); a token is good until the one after its own has ended.
pub(crate) const EPOCH: Duration = Duration::from_secs(300);

/// Gives out tokens and knows them again: a pure function of secret, epoch and address, so that every
/// core of a grape agrees without a word.
pub(crate) struct Tokens {
    secret: [u8; 32],
}

impl Tokens {
    pub(crate) fn new(secret: [u8; 32]) -> Self {
        Self { secret }
    }

    /// The token for `ip`, good for 5 to 10 minutes.
    pub(crate) fn issue(&self, now: Duration, ip: Ipv4Addr) -> [u8; 20] {
        self.at(epoch(now), ip)
    }

    /// Whether `token` was given to `ip` in this epoch or the one before.
    pub(crate) fn accepts(&self, now: Duration, ip: Ipv4Addr, token: &[u8]) -> bool {
        let epoch = epoch(now);
        token == self.at(epoch, ip) || epoch.checked_sub(1).is_some_and(|e| token == self.at(e, ip))
    }

    fn at(&self, epoch: u64, ip: Ipv4Addr) -> [u8; 20] {
        let hash = Sha1::new().chain_update(self.secret);
        hash.chain_update(epoch.to_le_bytes()).chain_update(ip.octets()).finalize().into()
    }
}

fn epoch(now: Duration) -> u64 {
    now.as_secs() / EPOCH.as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_for_its_address_and_two_epochs() {
        let tokens = Tokens::new([1; 32]);
        let (ip, other) = (Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2));
        let at = Duration::from_secs(299);
        let token = tokens.issue(at, ip);
        assert!(tokens.accepts(at, ip, &token));
        assert!(tokens.accepts(Duration::from_secs(599), ip, &token));
        assert!(!tokens.accepts(Duration::from_secs(600), ip, &token));
        assert!(!tokens.accepts(at, other, &token));
        assert!(!tokens.accepts(at, ip, &token[..19]));
        assert!(!Tokens::new([2; 32]).accepts(at, ip, &token));
    }
}
