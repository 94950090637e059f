//! The service's stubs, from a description in Rust: protoc is not asked for.

use tonic_build::manual::{Builder, Method, Service};

fn main() {
    let say = Method::builder()
        .name("say")
        .route_name("Say")
        .input_type("crate::Message")
        .output_type("crate::Message")
        .codec_path("tonic_prost::ProstCodec")
        .build();
    Builder::new().compile(&[Service::builder().name("Echo").package("bench").method(say).build()]);
}
