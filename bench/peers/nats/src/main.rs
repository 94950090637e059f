//! Request and reply over a NATS server, by async-nats: a responder that answers with what it was sent, and a requester, each
//! on one connection. Two or four of the requester's cost more CPU per request and carried fewer.

use std::net::SocketAddr;

use async_nats::{Client, ConnectOptions};
use futures_util::StreamExt;
use peers::{Ask, Failure};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SUBJECT: &str = "rest.bench.rpc";

const CLOSED: &str = "the NATS server has closed the connection";

fn main() -> Result<(), Failure> {
    let runtime = peers::current_thread()?;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["server", broker] => runtime.block_on(serve(broker.parse()?)),
        ["client", broker] => {
            let client = Requester(runtime.block_on(connect(broker.parse()?))?);
            peers::take_orders(|order| runtime.block_on(peers::run(order, &client)))
        }
        _ => Err("usage: peer-nats server | client <NATS server's address>".into()),
    }
}

async fn connect(broker: SocketAddr) -> Result<Client, Failure> {
    // The subjects are ours and right: looking at each again would be for nothing.
    let options =
        ConnectOptions::new().skip_subject_validation(true).request_timeout(Some(peers::TIMEOUT));
    Ok(options.connect(broker.to_string()).await?)
}

async fn serve(broker: SocketAddr) -> Result<(), Failure> {
    let client = connect(broker).await?;
    let mut requests = client.subscribe(SUBJECT).await?;
    // The broker has the subscription once it has passed on what was said after it.
    client.publish(SUBJECT, peers::HELLO.into()).await?;
    requests.next().await.ok_or(CLOSED)?;
    peers::listening(broker)?;
    while let Some(request) = requests.next().await {
        if let Some(reply) = request.reply {
            client.publish(reply, request.payload).await?;
        }
    }
    Err(CLOSED.into())
}

#[derive(Clone)]
struct Requester(Client);

impl Ask for Requester {
    async fn ask(&mut self) -> Result<(), Failure> {
        let reply = self.0.request(SUBJECT, peers::HELLO.into()).await?;
        peers::check(&reply.payload)
    }
}
