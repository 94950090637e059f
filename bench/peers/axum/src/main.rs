//! axum: answers every request with 200 and one body, once it has read the request's.
//!
//! Served by hyper's own server as axum's documentation has it for those who want to set it up, and set up as `peer-hyper` is.
//! `axum::serve` would write each of several pipelined answers by itself.

use std::net::{Ipv4Addr, SocketAddr};

use axum::Router;
use axum::body::Bytes;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use peers::Failure;
use tokio::net::TcpListener;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<(), Failure> {
    let answer = std::env::args().nth(1).ok_or("usage: peer-axum <body of every answer>")?;
    peers::current_thread()?.block_on(serve(Bytes::from(answer)))
}

async fn serve(answer: Bytes) -> Result<(), Failure> {
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
    peers::listening(listener.local_addr()?)?;
    let router = Router::new().fallback(async move |_request: Bytes| answer.clone());
    let mut server = http1::Builder::new();
    server.pipeline_flush(true);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let service = TowerToHyperService::new(router.clone());
        let connection = server.serve_connection(TokioIo::new(stream), service);
        // A connection that breaks is its client's affair.
        tokio::spawn(async move { drop(connection.await) });
    }
}
