//! Listeners: accepting.

// Descriptors come from the kernel as numbers.
#![allow(unsafe_code)]

use std::os::fd::{FromRawFd, OwnedFd};

use socket2::SockRef;

use super::ring::Completion;
use super::{Op, UringDriver};
use crate::driver::{Flow, Key};
use crate::net::bind;
use crate::net::table::Sockets;

impl UringDriver {
    pub(super) fn accepted(&mut self, key: Key, completion: Completion, sockets: &mut Sockets) {
        if completion.result >= 0 {
            // SAFETY: the kernel made this descriptor for us.
            let fd = unsafe { OwnedFd::from_raw_fd(completion.result) };
            self.open_accepted(key, fd, sockets);
        } else {
            match -completion.result {
                libc::ECANCELED | libc::ECONNABORTED | libc::EINTR | libc::EAGAIN => {}
                errno => {
                    if let Some(io) = self.io(key)
                        && !io.closing
                    {
                        io.wanted = false;
                        sockets.accept_failed(key, errno);
                    }
                }
            }
        }
        if !completion.more() {
            self.multishot_ended(key, sockets);
        }
    }

    fn open_accepted(&mut self, listener: Key, fd: OwnedFd, sockets: &mut Sockets) {
        // A peer that is gone already has no address; there is nobody to serve.
        let peer = SockRef::from(&fd).peer_addr();
        let Ok(peer) = peer.and_then(|peer| bind::to_socket_address(&peer)) else { return };
        let (stream, flow) = sockets.accepted(listener, peer);
        if let Some(stream) = stream {
            self.insert(stream, fd, Op::Receive);
            self.want(stream, true);
        }
        if flow == Flow::Pause {
            self.want(listener, false);
        }
    }
}
