//! Frames put together bit by bit, also such as nobody may send.

use grenache_transports::ws::{Mask, Role};

pub(crate) const FIN: u8 = 0x80;
pub(crate) const COMPRESSED: u8 = 0x40;
pub(crate) const CONTINUATION: u8 = 0x0;
pub(crate) const TEXT: u8 = 0x1;
pub(crate) const BINARY: u8 = 0x2;
pub(crate) const CLOSE: u8 = 0x8;
pub(crate) const PING: u8 = 0x9;
pub(crate) const PONG: u8 = 0xa;

pub(crate) const MASK: Mask = [0x37, 0xfa, 0x21, 0x3d];
pub(crate) const ROLES: [Role; 2] = [Role::Server, Role::Client];

/// The mask that the reader `role` wants of what it gets.
pub(crate) fn mask_for(role: Role) -> Option<Mask> {
    (role == Role::Server).then_some(MASK)
}

/// A frame for the reader `role`, with its first byte as it is given.
pub(crate) fn frame(role: Role, first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = head(role, first, payload.len() as u64);
    bytes.extend(payload.iter().enumerate().map(|(at, byte)| match mask_for(role) {
        Some(mask) => byte ^ mask[at % 4],
        None => *byte,
    }));
    bytes
}

/// What stands before so many bytes of payload.
pub(crate) fn head(role: Role, first: u8, length: u64) -> Vec<u8> {
    let class = match length {
        0..126 => length as u8,
        126..0x1_0000 => 126,
        _ => 127,
    };
    head_as(role, first, class, length)
}

/// The same with the length in a form of choice: 126 for two bytes, 127 for eight.
pub(crate) fn head_as(role: Role, first: u8, class: u8, length: u64) -> Vec<u8> {
    let mask = mask_for(role);
    let mut bytes = vec![first, class | if mask.is_some() { 0x80 } else { 0 }];
    match class {
        126 => bytes.extend((length as u16).to_be_bytes()),
        127 => bytes.extend(length.to_be_bytes()),
        _ => {}
    }
    bytes.extend(mask.into_iter().flatten());
    bytes
}
