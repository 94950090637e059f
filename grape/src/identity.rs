//! What all cores of one grape share, and nobody else knows.

use grenache_dht::NodeId;

/// A grape's name in the network and its secrets, drawn anew at every start.
#[derive(Clone)]
pub struct Identity {
    /// The node's id.
    pub id: NodeId,
    /// Key of the write tokens that this grape hands out.
    pub token_secret: [u8; 32],
    /// Key of the hash that spreads keys over the cores.
    pub owner_seed: u64,
}

impl Identity {
    /// Draws an identity from `fill`, which fills a slice with random bytes.
    pub fn draw(mut fill: impl FnMut(&mut [u8])) -> Identity {
        let (mut id, mut token_secret, mut owner_seed) = ([0; 20], [0; 32], [0; 8]);
        fill(&mut id);
        fill(&mut token_secret);
        fill(&mut owner_seed);
        Identity { id: NodeId::from(id), token_secret, owner_seed: u64::from_le_bytes(owner_seed) }
    }
}
