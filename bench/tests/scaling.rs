//! The cores of the scaling bench count what they did, and nothing else.

use std::time::Duration;

use grenache_bench::scaling::{Config, Cores, Count, Window, Work, accepted};
use grenache_engine::DriverChoice;

const DRIVERS: [DriverChoice; 2] = [DriverChoice::Auto, DriverChoice::Epoll];

fn start(work: Work, cores: usize, driver: DriverChoice) -> Cores {
    Cores::start(Config { work, cores, connections: 4, driver }).unwrap()
}

fn window(active: usize, share: f64) -> Window {
    Window { time: Duration::from_millis(50), active, share }
}

#[test]
fn the_share_that_crosses_is_exact_on_every_core() {
    for driver in DRIVERS {
        for work in [Work::Echo, Work::Http] {
            let cores = start(work, 3, driver);
            for share in [0.0, 0.125, 0.5, 2.0 / 3.0, 1.0] {
                let counts = cores.run(window(3, share)).unwrap();
                assert_eq!(counts.len(), 3);
                for Count { answered, crossed, elapsed } in counts {
                    assert!(answered >= 4, "each connection asks at least once");
                    let due = answered as f64 * share;
                    assert!(
                        (crossed as f64 - due).abs() <= 1.0,
                        "{crossed} of {answered}: {share}"
                    );
                    assert!(elapsed >= Duration::from_millis(50));
                }
            }
        }
    }
}

#[test]
fn cores_that_are_not_active_do_nothing() {
    let cores = start(Work::Echo, 4, DriverChoice::Auto);
    for active in [1, 2, 4] {
        assert_eq!(cores.run(window(active, 0.0)).unwrap().len(), active);
    }
    let alone = cores.run(window(1, 0.0)).unwrap();
    assert_eq!(alone[0].crossed, 0);
}

#[test]
fn arithmetic_needs_no_connection() {
    let counts = start(Work::Arithmetic, 2, DriverChoice::Auto).run(window(2, 0.0)).unwrap();
    assert!(counts.iter().all(|count| count.answered > 0 && count.crossed == 0));
}

#[test]
fn what_cannot_be_done_is_an_error() {
    let cores = start(Work::Echo, 2, DriverChoice::Auto);
    for wrong in [window(0, 0.0), window(3, 0.0), window(2, 1.5), window(2, -0.1), window(1, 0.5)] {
        assert!(cores.run(wrong).is_err(), "{wrong:?}");
    }
    assert!(cores.run(window(2, 0.5)).is_ok(), "it goes on after an error");
    let config = Config { work: Work::Echo, cores: 2, connections: 600, driver: DRIVERS[0] };
    assert!(Cores::start(config).is_err(), "more in flight than a ring holds");
}

#[test]
fn every_connection_is_given_to_one_core() {
    let counts = accepted(4, 200).unwrap();
    assert_eq!((counts.len(), counts.iter().sum::<usize>()), (4, 200));
    assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
}
