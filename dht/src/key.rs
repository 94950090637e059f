use crate::id::NodeId;
use bytes::Bytes;

/// What is looked up in the DHT: the raw UTF-8 name of a service, or the 20-byte target of an item.
/// Unlike a [`NodeId`] it has any length.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Bytes);

impl Key {
    /// The bytes of the key as they go on the wire.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl<T: Into<Bytes>> From<T> for Key {
    fn from(bytes: T) -> Self {
        Self(bytes.into())
    }
}

/// How far a node is from a key, by XOR: smaller is closer.
///
/// Node's k-bucket compares the bytes that both sides have and counts each byte that one side lacks as
/// 255. That adds the same to every node's distance, so here the rest of the node's own id stands in its
/// place: the order is the same, and nodes that are equally far still have one order everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Distance([u8; NodeId::LEN]);

impl Distance {
    /// The distance between `key` and `id`.
    pub fn between(key: &[u8], id: &NodeId) -> Self {
        let mut bytes = *id.as_bytes();
        for (byte, k) in bytes.iter_mut().zip(key) {
            *byte ^= k;
        }
        Self(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// k-bucket's rule with unlimited precision: a missing byte on either side counts as 255.
    fn node_rule(key: &[u8], id: &NodeId) -> Vec<u8> {
        (0..key.len().max(20))
            .map(|i| match (key.get(i), id.as_bytes().get(i)) {
                (Some(a), Some(b)) => a ^ b,
                _ => 255,
            })
            .collect()
    }

    #[test]
    fn order_is_nodes_order_for_keys_of_every_length() {
        let ids: Vec<NodeId> = (0..60u32)
            .map(|i| {
                let mut id = [0u8; 20];
                for (j, byte) in id.iter_mut().enumerate() {
                    *byte = (i.wrapping_mul(2_654_435_761).rotate_left(j as u32) >> 5) as u8;
                }
                NodeId::new(id)
            })
            .collect();
        for length in [0, 1, 2, 13, 19, 20, 21, 300] {
            let key: Vec<u8> = (0..length).map(|i| (i * 37 + 11) as u8).collect();
            for a in &ids {
                for b in &ids {
                    let theirs = node_rule(&key, a).cmp(&node_rule(&key, b));
                    let ours = Distance::between(&key, a).cmp(&Distance::between(&key, b));
                    assert!(theirs.is_eq() || theirs == ours, "length {length}");
                }
            }
        }
    }
}
