//! What the generator can drive on this machine: the same load against a server that does nothing.

use std::net::SocketAddr;
use std::time::Duration;

use crate::failure::Failure;
use crate::null_server::NullServer;
use crate::outcome::{Outcome, Pace};
use crate::plan::{Address, End, Plan, Target};
use crate::run::{Interrupt, run};
use crate::what::Security;

/// How long the check takes.
const WARM_UP: Duration = Duration::from_millis(200);
const WINDOW: Duration = Duration::from_secs(1);

/// From this share of what a null server allows on, a figure tells of the generator.
const NEAR: f64 = 0.8;

/// The most connections of a check. An open loop has more only to be ready for answers that take long.
const CONNECTIONS: usize = 64;

/// The load of `plan` in a closed loop against a server that does nothing, on the CPU after the generator's. Without TLS and CURVE.
///
/// # Errors
/// The engine does not start.
pub fn check(plan: &Plan, interrupt: &Interrupt) -> Result<Outcome, Failure> {
    let server = NullServer::start(plan.first_cpu + plan.cores, plan.driver, plan.idle);
    let server = server.map_err(|error| Failure::failed(error.to_string()))?;
    let checked = Plan {
        pace: Pace::Closed,
        connections: plan.connections.min(CONNECTIONS),
        in_flight: plan.in_flight.min(CONNECTIONS),
        warm_up: WARM_UP,
        end: End::After(WINDOW),
        server_pid: None,
        ..against(plan, &server)
    };
    run(&checked, interrupt, &mut |_| Ok(()))
}

/// The same plan with `server` as the target.
pub fn against(plan: &Plan, server: &NullServer) -> Plan {
    let addr: SocketAddr = if plan.what.is_stream() { server.tcp() } else { server.udp() };
    let services = plan.targets.iter().flat_map(|target| target.services.clone()).collect();
    let address = Address { addr, name: addr.ip().to_string() };
    let targets = vec![Target { services, addrs: vec![address] }];
    Plan { targets, security: Security::Open, ..plan.clone() }
}

/// Notes beside `outcome` what the check reached, and whether that was not much more.
pub fn compare(outcome: &mut Outcome, checked: &Outcome) {
    let generator = &mut outcome.generator;
    generator.null_server_rate = Some(checked.rate);
    generator.null_server_p50 = Some(checked.latency.uncorrected.p50);
    if outcome.rate > NEAR * checked.rate {
        generator.limited.push(format!(
            "against a null server the generator reached {:.0} requests per second, and {:.0} here: the server may be able \
             to do more",
            checked.rate, outcome.rate
        ));
    }
}
