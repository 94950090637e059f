//! Our client, doing what grape/tests/node/caller.js does, from a thread of the test.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use grenache_engine::spawn_local;
use grenache_peer::handle::Config;
use grenache_peer::{Call, Error, Handle, Json, StreamCall, Transport, client};

use crate::caller::{Download, Options, Upload};
use crate::grapes::{self, Side};
use crate::pattern;
use crate::secure::ClientSide;

pub(crate) struct Caller {
    handle: Handle,
}

impl Caller {
    #[track_caller]
    pub(crate) fn start(transport: Transport, grape: Side, secure: Option<&ClientSide>) -> Caller {
        let config = Config {
            client: client::Config { transport, ..client::Config::default() },
            grapes: vec![format!("http://127.0.0.1:{}", grapes::api(grape))],
            client_tls: secure.map(ClientSide::rust),
            ..Config::default()
        };
        Caller { handle: Handle::start(config).expect("a handle") }
    }

    pub(crate) fn request(
        &mut self,
        service: &str,
        payload: &str,
        options: Options,
    ) -> Result<String, String> {
        let answer = self.handle.request(call(service, payload, options)).wait();
        answer.map(text).map_err(|error| error.to_string())
    }

    pub(crate) fn many(
        &mut self,
        requests: &[(String, String)],
    ) -> Vec<(usize, Result<String, String>)> {
        let calls: Vec<Call> = requests
            .iter()
            .map(|(service, payload)| call(service, payload, Options::default()))
            .collect();
        let order = self.handle.run(async move |context| {
            let order = Rc::new(RefCell::new(Vec::new()));
            let asked = calls.into_iter().enumerate().map(|(number, call)| {
                let (client, order) = (context.client.clone(), order.clone());
                spawn_local(async move {
                    let answer = client.request(call).await.map(text);
                    order.borrow_mut().push((number, answer.map_err(|error| error.to_string())));
                })
            });
            for asked in asked.collect::<Vec<_>>() {
                asked.await.map_err(|_| Error::Stopped)?;
            }
            Ok(order.take())
        });
        order.wait().expect("no task panics")
    }

    pub(crate) fn map(
        &mut self,
        service: &str,
        payload: &str,
        options: Options,
    ) -> Result<Vec<Result<String, String>>, String> {
        let call = call(service, payload, options);
        let limit = options.limit;
        let all = self.handle.run(async move |context| {
            let mut replies = context.client.map(call, limit).await?;
            let mut all = Vec::new();
            while let Some((_, reply)) = replies.next().await {
                all.push(reply.map(text).map_err(|error| error.to_string()));
            }
            Ok(all)
        });
        all.wait().map_err(|error| error.to_string())
    }

    pub(crate) fn stream(
        &mut self,
        service: &str,
        upload: &Upload<'_>,
    ) -> Result<Download, String> {
        let mut call = StreamCall::new(service)
            .timeout(Duration::from_secs(10))
            .action(upload.action)
            .args(Json::of(&upload.args).expect("JSON"));
        if let Some((name, value)) = upload.header {
            call = call.header(name, value);
        }
        let body = Bytes::from(pattern::bytes(upload.seed, upload.length));
        let came = self.handle.run(async move |context| {
            let stream = Rc::new(context.client.stream(call).await?);
            let sender = stream.clone();
            let sent = spawn_local(async move {
                for at in (0..body.len()).step_by(65_536) {
                    sender.send(body.slice(at..body.len().min(at + 65_536))).await?;
                }
                sender.finish();
                Ok::<(), Error>(())
            });
            let mut came = Vec::new();
            while let Some(piece) = stream.recv().await? {
                came.extend_from_slice(&piece);
            }
            sent.await.map_err(|_| Error::Stopped)??;
            Ok(came)
        });
        let came = came.wait().map_err(|error| error.to_string())?;
        Ok(Download {
            length: came.len(),
            sha256: pattern::digest(&came),
            text: (came.len() < 1000).then(|| String::from_utf8_lossy(&came).into_owned()),
        })
    }

    pub(crate) fn turns(&mut self, service: &str, turns: u32) -> Result<(), String> {
        let call = StreamCall::new(service).timeout(Duration::from_secs(10)).action("echo");
        let done = self.handle.run(async move |context| {
            let stream = context.client.stream(call).await?;
            for turn in 1..=turns {
                let piece = format!("turn {turn}");
                stream.send(piece.clone().into()).await?;
                let mut came = Vec::new();
                while came.len() < piece.len() {
                    came.extend_from_slice(&stream.recv().await?.expect("more of the reply"));
                }
                assert_eq!(came, piece.as_bytes());
            }
            stream.finish();
            assert_eq!(stream.recv().await?, None);
            Ok(())
        });
        done.wait().map_err(|error| error.to_string())
    }
}

fn call(service: &str, payload: &str, options: Options) -> Call {
    let payload = Json::from_text(payload.to_string()).expect("JSON");
    let timeout = Duration::from_millis(options.timeout_ms.unwrap_or(10_000));
    let mut call = Call::new(service, payload).timeout(timeout);
    if let Some(attempts) = options.attempts {
        call = call.attempts(attempts);
    }
    if options.compress { call.gzip() } else { call }
}

fn text(json: Json) -> String {
    json.as_str().to_string()
}
