//! The engine: one pinned thread per core, each with a single-threaded async executor over io_uring,
//! epoll or a simulator; timers; TCP and UDP; and a mesh between the cores.
//!
//! A core owns everything it touches. Connections never move; what belongs to another core is sent
//! there over the [`Mesh`]. Everything a task waits for comes from its core's driver, also time and
//! randomness, so the same program runs in the simulator in virtual time from a seed.
//!
//! ```
//! use grenache_engine::{Config, Core, Runtime, TcpStream, spawn_local};
//!
//! let config = Config { tcp: vec!["127.0.0.1:0".parse().unwrap()], ..Config::default() };
//! let runtime = Runtime::<()>::start(config, |core: Core<()>| async move {
//!     let address = core.listeners[0].local_addr();
//!     spawn_local(async move {
//!         let (stream, _) = core.listeners[0].accept().await.unwrap();
//!         while let Ok(Some(bytes)) = stream.recv().await {
//!             stream.write(&bytes);
//!         }
//!     });
//!     let stream = TcpStream::connect(address).await.unwrap();
//!     stream.write(b"hello");
//!     assert_eq!(&stream.recv().await.unwrap().unwrap()[..], b"hello");
//! })
//! .unwrap();
//! runtime.join().unwrap();
//! ```

mod buffer;
mod buffer_ring;
mod config;
mod core;
mod driver;
mod error;
mod executor;
mod idle;
mod mesh;
mod net;
mod ring;
mod runtime;
mod send_queue;
pub mod signal;
pub mod sim;
mod stats;
mod sys;
mod task;
mod thread;
mod time;
mod waiters;
mod wake;
#[doc(hidden)] // Open to the benches.
pub mod wheel;

pub use buffer::RecvBuf;
pub use config::{BpfInstruction, Config, DriverChoice, DriverKind, Limits, Pinning};
pub use core::Core;
pub use error::{CorePanicked, StartError};
pub use executor::{driver_kind, fill_random, live_tasks, stats};
pub use idle::Idle;
pub use mesh::{Full, Mesh, Sender};
pub use net::bind::BindError;
pub use net::tcp::{TcpListener, TcpStream};
pub use net::udp::{Datagram, UdpSocket};
pub use runtime::{Poster, Runtime, Stopper};
pub use stats::Stats;
pub use task::{JoinError, JoinHandle, spawn_local};
pub use time::{
    Elapsed, Sleep, next_turn, now, shutdown, sleep, sleep_until, timeout, wall_clock, yield_now,
};
