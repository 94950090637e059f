//! gRPC by tonic: a server that answers with what it was sent, and its client, on one connection. Two to 64 connections cost
//! more CPU per request and carried fewer.

use std::net::{Ipv4Addr, SocketAddr};

use echo_client::EchoClient;
use echo_server::{Echo, EchoServer};
use peers::{Ask, Failure};
use tokio::net::TcpListener;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Request, Response, Status};

include!(concat!(env!("OUT_DIR"), "/bench.Echo.rs"));

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Both ways.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Message {
    /// What is echoed.
    #[prost(string, tag = "1")]
    pub payload: String,
}

fn main() -> Result<(), Failure> {
    let runtime = peers::current_thread()?;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["server"] => runtime.block_on(serve()),
        ["client", server] => {
            let endpoint =
                Endpoint::from_shared(format!("http://{server}"))?.timeout(peers::TIMEOUT);
            let client = Client(EchoClient::new(runtime.block_on(endpoint.connect())?));
            peers::take_orders(|order| runtime.block_on(peers::run(order, &client)))
        }
        _ => Err("usage: peer-tonic server | client <server's address>".into()),
    }
}

async fn serve() -> Result<(), Failure> {
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
    peers::listening(listener.local_addr()?)?;
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    Ok(Server::builder()
        .add_service(EchoServer::new(Service))
        .serve_with_incoming(incoming)
        .await?)
}

struct Service;

#[tonic::async_trait]
impl Echo for Service {
    async fn say(&self, request: Request<Message>) -> Result<Response<Message>, Status> {
        Ok(Response::new(request.into_inner()))
    }
}

#[derive(Clone)]
struct Client(EchoClient<Channel>);

impl Ask for Client {
    async fn ask(&mut self) -> Result<(), Failure> {
        let reply = self.0.say(Message { payload: peers::HELLO.to_owned() }).await?;
        peers::check(reply.into_inner().payload.as_bytes())
    }
}
