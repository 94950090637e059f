//! The cores of one node: what `Runtime` does with threads, done in turns.

use std::any::Any;
use std::cell::RefCell;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};

use super::driver::SimulatedDriver;
use super::net::{CoreId, Net};
use super::site::Site;
use super::steer::Program;
use crate::config::Config;
use crate::core::Core;
use crate::driver::{Bound, Protocol};
use crate::error::StartError;
use crate::executor::{Executor, Parts};
use crate::idle::Idle;
use crate::mesh::{self, Ends};
use crate::net::bind::BindError;
use crate::stats::Stats;
use crate::task::{self, JoinError, JoinHandle};
use crate::wake::{Home, Notify};

/// Cores whose bells were rung.
pub(super) type Rung = Arc<Mutex<Vec<CoreId>>>;

pub(super) fn take_rung(rung: &Rung) -> Vec<CoreId> {
    std::mem::take(&mut *rung.lock().unwrap_or_else(PoisonError::into_inner))
}

struct Bell {
    core: CoreId,
    rung: Rung,
}

impl Notify for Bell {
    fn notify(&self) {
        self.rung.lock().unwrap_or_else(PoisonError::into_inner).push(self.core);
    }
}

/// A core of a node.
enum Life {
    /// Its main runs.
    Running(Rc<Executor>, JoinHandle<()>),
    /// Its main has returned; what it wrote leaves.
    Closing(Rc<Executor>),
    Over,
}

impl Life {
    fn executor(&self) -> Option<&Rc<Executor>> {
        match self {
            Self::Running(executor, _) | Self::Closing(executor) => Some(executor),
            Self::Over => None,
        }
    }
}

pub(super) struct Node {
    pub(super) ip: Ipv4Addr,
    pub(super) first: CoreId,
    pub(super) tcp: Vec<SocketAddr>,
    pub(super) udp: Vec<SocketAddr>,
    /// `Vec<Arc<Outside<M>>>`.
    pub(super) outside: Box<dyn Any>,
    homes: Vec<Arc<Home>>,
    lives: Vec<Life>,
    last: Vec<Stats>,
}

impl Node {
    /// Binds all sockets of a node and makes its cores, which run from their first turns on.
    pub(super) fn start<M, F, Fut>(
        net: &Rc<RefCell<Net>>,
        rung: &Rung,
        number: u32,
        ip: Ipv4Addr,
        config: &Config,
        main: F,
    ) -> Result<Self, StartError>
    where
        M: Send + 'static,
        F: Fn(Core<M>) -> Fut + 'static,
        Fut: Future<Output = ()> + 'static,
    {
        let cores = config.cores;
        if cores == 0 {
            return Err(StartError::NoCores);
        }
        let first = net.borrow().sites.len() as CoreId;
        let (tcp, udp) = bind_all(&mut net.borrow_mut(), ip, config, first)?;
        for index in 0..cores {
            let site = Site::new(number, index, ip, config.limits.clone());
            net.borrow_mut().sites.push(site);
        }
        let bell = |core| Box::new(Bell { core, rung: rung.clone() });
        let homes: Vec<Arc<Home>> =
            (first..).take(cores).map(|core| Home::new(bell(core))).collect();
        let all = mesh::build::<M>(&homes, config.limits.mesh_ring, config.limits.mesh_outside);
        let outside: Vec<_> = all.iter().map(Ends::outside).collect();
        let main = Rc::new(main);
        let mut lives = Vec::new();
        for (index, ends) in all.into_iter().enumerate() {
            let executor = Executor::new(Parts {
                index,
                driver: Box::new(SimulatedDriver::new(net, first + index as CoreId, first, cores)),
                home: homes[index].clone(),
                inbound: ends.links(),
                limits: config.limits.clone(),
                idle: Idle::Park,
            });
            let bound = |addresses: &[SocketAddr]| {
                addresses.iter().map(|&address| Bound { address, socket: None }).collect()
            };
            let _entered = executor.enter();
            let core = Core::open(&executor, cores, ends, bound(&tcp), bound(&udp))
                .map_err(|source| StartError::System { doing: "opening sockets", source })?;
            let main = main.clone();
            let main = task::spawn_on(&executor, async move { main(core).await });
            lives.push(Life::Running(executor, main));
        }
        let last = vec![Stats::default(); cores];
        Ok(Self { ip, first, tcp, udp, outside: Box::new(outside), homes, lives, last })
    }

    pub(super) fn cores(&self) -> std::ops::Range<CoreId> {
        self.first..self.first + self.lives.len() as CoreId
    }

    pub(super) fn is_over(&self) -> bool {
        self.lives.iter().all(|life| matches!(life, Life::Over))
    }

    pub(super) fn stop(&self) {
        self.homes.iter().for_each(|home| home.stop());
    }

    /// A turn of one core. Says when the next one is due.
    ///
    /// # Errors
    /// Its main panicked.
    pub(super) fn turn(&mut self, index: usize, net: &RefCell<Net>) -> Result<(), JoinError> {
        let core = self.first + index as CoreId;
        let Some(executor) = self.lives[index].executor().cloned() else { return Ok(()) };
        let more = {
            let _entered = executor.enter();
            executor.step()
        };
        let mut result = Ok(());
        if let Life::Running(_, main) = &self.lives[index]
            && main.is_finished()
        {
            result = main.take_result().unwrap_or(Err(JoinError::Aborted));
            self.lives[index] = Life::Closing(executor.clone());
            executor.abandon();
            let now = net.borrow().now;
            net.borrow_mut().wake(core, now);
        } else if matches!(self.lives[index], Life::Closing(_)) && !executor.is_closing() {
            self.last[index] = executor.stats();
            self.lives[index] = Life::Over;
            net.borrow_mut().end_core(core);
        }
        let mut net = net.borrow_mut();
        let now = net.now;
        if let Some(next) = if more { Some(now) } else { executor.next_deadline() } {
            net.wake(core, next);
        }
        result
    }

    /// Ends all cores on the spot. The network must have forgotten them.
    pub(super) fn kill(&mut self) {
        for (life, last) in self.lives.iter_mut().zip(&mut self.last) {
            if let Life::Running(executor, _) | Life::Closing(executor) =
                std::mem::replace(life, Life::Over)
            {
                *last = executor.stats();
                executor.abandon();
            }
        }
    }

    pub(super) fn stats(&self, index: usize) -> Stats {
        self.lives[index].executor().map_or(self.last[index], |executor| executor.stats())
    }

    pub(super) fn live_tasks(&self) -> usize {
        let tasks = |life: &Life| life.executor().map_or(0, |executor| executor.tasks().len());
        self.lives.iter().map(tasks).sum()
    }
}

type Addresses = (Vec<SocketAddr>, Vec<SocketAddr>);

fn bind_all(
    net: &mut Net,
    ip: Ipv4Addr,
    config: &Config,
    first: CoreId,
) -> Result<Addresses, StartError> {
    let steer = match &config.steer {
        Some(program) if config.cores > 1 => Some(Program::new(program).ok_or_else(|| {
            let source = std::io::Error::from_raw_os_error(libc::EINVAL);
            StartError::System { doing: "steering datagrams", source }
        })?),
        _ => None,
    };
    let machine = net.machine(ip);
    let mut bind = |protocol, addresses: &[SocketAddr], steer: &Option<Program>| {
        let name = if protocol == Protocol::Tcp { "TCP" } else { "UDP" };
        let mut bound = Vec::new();
        for &address in addresses {
            let cores = (first..).take(config.cores);
            bound.push(machine.bind(protocol, address, cores, steer.clone()).map_err(|errno| {
                machine.release(|core, _| core >= first);
                let source = std::io::Error::from_raw_os_error(errno);
                StartError::Bind(BindError { protocol: name, address, source })
            })?);
        }
        Ok::<_, StartError>(bound)
    };
    let tcp = bind(Protocol::Tcp, &config.tcp, &None)?;
    Ok((tcp, bind(Protocol::Udp, &config.udp, &steer)?))
}
