//! hyper on tokio: answers every request with 200 and one body, once it has read the request's.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use peers::Failure;
use tokio::net::TcpListener;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<(), Failure> {
    let answer = std::env::args().nth(1).ok_or("usage: peer-hyper <body of every answer>")?;
    peers::current_thread()?.block_on(serve(Bytes::from(answer)))
}

async fn serve(answer: Bytes) -> Result<(), Failure> {
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
    peers::listening(listener.local_addr()?)?;
    // Answers to pipelined requests leave together, as ours do. There is no time-out, which spares hyper its timers.
    let mut server = http1::Builder::new();
    server.pipeline_flush(true);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let answer = answer.clone();
        let service = service_fn(move |request| reply(request, answer.clone()));
        let connection = server.serve_connection(TokioIo::new(stream), service);
        // A connection that breaks is its client's affair.
        tokio::spawn(async move { drop(connection.await) });
    }
}

async fn reply(
    request: Request<Incoming>,
    answer: Bytes,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut body = request.into_body();
    while let Some(Ok(_)) = body.frame().await {}
    Ok(Response::new(Full::new(answer)))
}
