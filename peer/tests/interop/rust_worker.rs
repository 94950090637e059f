//! Our worker with the services of grape/tests/node/service.js.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Duration;

use grenache_engine::{sleep, spawn_local};
use grenache_peer::server::{Reply, Request, Services, StreamRequest};
use grenache_peer::worker;
use grenache_peer::{Error, Json};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::grapes;
use crate::pattern;
use crate::process::DEADLINE;
use crate::worker::Plan;

pub(crate) struct Worker {
    worker: Option<worker::Worker>,
    uploads: Receiver<(usize, String)>,
}

/// A handler's own error, or ours.
type Refused = Box<dyn std::error::Error>;

impl Worker {
    #[track_caller]
    pub(crate) fn start(plan: Plan<'_>) -> Worker {
        let (say, uploads) = mpsc::channel();
        let prefix = plan.prefix.to_string();
        let names: Vec<String> = plan.services.iter().map(ToString::to_string).collect();
        let own_name = plan.name.to_string();
        let config = worker::Config {
            listen: "127.0.0.1:0".parse().unwrap(),
            grapes: vec![format!("http://127.0.0.1:{}", grapes::api(plan.grape))],
            tls: plan.secure.map(|secure| secure.rust()),
            ..worker::Config::default()
        };
        let worker = worker::Worker::start(config, move |_, services| {
            for name in &names {
                add(services, &format!("{prefix}:{name}"), name, own_name.clone(), say.clone());
            }
        });
        let worker = worker.expect("a worker");
        let port = worker.addr().port();
        for name in plan.services {
            let service = format!("{}:{name}", plan.prefix);
            grapes::wait_for_announced(plan.grape, &service, port);
        }
        Worker { worker: Some(worker), uploads }
    }

    pub(crate) fn port(&self) -> u16 {
        self.worker.as_ref().expect("it runs").addr().port()
    }

    #[track_caller]
    pub(crate) fn uploaded(&mut self) -> (usize, String) {
        self.uploads.recv_timeout(DEADLINE).expect("a whole body")
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if let Some(worker) = self.worker.take() {
            worker.stop();
            let _ = worker.join();
        }
    }
}

/// Adds a service by its name in service.js.
fn add(
    services: &mut Services,
    service: &str,
    name: &str,
    own_name: String,
    say: Sender<(usize, String)>,
) {
    match name {
        "echo" => services.add(service, async |request: Request| {
            Ok::<_, Error>(Reply::from(request.payload().clone()))
        }),
        "name" => services.add(service, move |_| {
            let name = own_name.clone();
            async move { Reply::json(&name) }
        }),
        "fail" => services.add(service, async |request: Request| {
            let text: String = request.json()?;
            Err::<Reply, Refused>(text.into())
        }),
        "pick" => services.add(service, move |request: Request| {
            let name = own_name.clone();
            async move {
                if request.json::<String>()? == name {
                    return Err::<Reply, Refused>(format!("ERR_PICKED {name}").into());
                }
                Ok(Reply::json(&name)?)
            }
        }),
        "slow" => services.add(service, move |request: Request| {
            let name = own_name.clone();
            async move {
                sleep(Duration::from_millis(request.json()?)).await;
                Reply::json(&name)
            }
        }),
        "flaky" => {
            let calls = Rc::new(Cell::new(0_u64));
            services.add(service, move |request: Request| {
                let calls = calls.clone();
                async move {
                    calls.set(calls.get() + 1);
                    if calls.get() < request.json()? {
                        return Err::<Reply, Refused>(format!("ERR_FLAKY {}", calls.get()).into());
                    }
                    Ok(Reply::json(&calls.get())?)
                }
            });
        }
        "panic" => services.add(service, async |_| -> Result<Reply, Error> {
            panic!("as the test wants it");
        }),
        "compressed" => services.add(service, async |request: Request| {
            Reply::json(&(request.header("grc-compress") == Some("gzip")))
        }),
        "certificate" => services.add(service, async |request: Request| {
            Reply::json(&request.certificate().map_or(json!({}), |certificate| {
                json!({
                    "sha1": certificate.sha1().to_string(),
                    "sha256": certificate.sha256().to_string(),
                })
            }))
        }),
        "files" => services.add_stream(service, move |request| {
            let say = say.clone();
            async move { stream(Rc::new(request), say).await }
        }),
        // Announced, and nobody there.
        _ => services.announce(service),
    }
}

/// The actions of service.js.
async fn stream(request: Rc<StreamRequest>, say: Sender<(usize, String)>) -> Result<(), Refused> {
    match request.action().unwrap_or("null") {
        "echo" => {
            while let Some(piece) = request.read().await? {
                request.write(piece).await?;
            }
        }
        "upload" => {
            let (length, sha256) = digest(&request).await?;
            let args: Value = request.args()?;
            let header = request.header("x-test");
            let answer =
                json!({"length": length, "sha256": sha256, "args": args, "header": header});
            request.reply(Ok(&Json::of(&answer)?));
        }
        "download" => write(&request).await?,
        "both" => {
            let reader = request.clone();
            let read = spawn_local(async move {
                let uploaded = digest(&reader).await?;
                let _ = say.send(uploaded);
                Ok::<(), Error>(())
            });
            write(&request).await?;
            read.await.expect("no panic")?;
        }
        "early" => request.reply(Ok(&Json::of("world")?)),
        "fail" => {
            digest(&request).await?;
            return Err("ERR_STREAM_REFUSED".into());
        }
        "cut" => {
            request.write("some").await?;
            return Err("broken off".into());
        }
        action => return Err(format!("ERR_ACTION {action}").into()),
    }
    Ok(())
}

/// Reads the whole body; gives its length and digest.
async fn digest(request: &StreamRequest) -> Result<(usize, String), Error> {
    let (mut hash, mut length) = (Sha256::new(), 0);
    while let Some(piece) = request.read().await? {
        hash.update(&piece);
        length += piece.len();
    }
    Ok((length, pattern::hex(&hash.finalize())))
}

/// Writes the bytes that the arguments ask for.
async fn write(request: &StreamRequest) -> Result<(), Error> {
    let args: Value = request.args()?;
    let number = |name: &str| args[name].as_u64().expect("a number");
    let bytes = pattern::bytes(number("seed") as u32, number("length") as usize);
    for piece in bytes.chunks(65_536) {
        request.write(piece.to_vec()).await?;
    }
    Ok(())
}
