//! What a completion belongs to.

use crate::driver::Key;

/// What an operation is, in the top byte of its user data. The rest is a [`Key`], for `Packet` the
/// index of the packet.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Op {
    Accept,
    Receive,
    Send,
    Connect,
    Finish,
    ReceiveDatagrams,
    Packet,
    Bell,
    /// Cancels and closes, whose outcome nobody needs.
    Quiet,
}

const OPS: [Op; 9] = [
    Op::Accept,
    Op::Receive,
    Op::Send,
    Op::Connect,
    Op::Finish,
    Op::ReceiveDatagrams,
    Op::Packet,
    Op::Bell,
    Op::Quiet,
];

pub(super) fn user_data(op: Op, key: Key) -> u64 {
    (op as u64) << 56 | u64::from(key.generation) << 32 | u64::from(key.slot)
}

pub(super) fn op_of(user_data: u64) -> Op {
    OPS.get((user_data >> 56) as usize).copied().unwrap_or(Op::Quiet)
}

pub(super) fn key_of(user_data: u64) -> Key {
    Key { slot: user_data as u32, generation: (user_data >> 32) as u32 & 0x00ff_ffff }
}
