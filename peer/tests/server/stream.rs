use grenache_peer::server::Services;
pub fn add_services(services: &mut Services) {
    services.add_stream("stream echo", |request| async move {
        while let Some(piece) = request.read().await? {
            request.write(piece).await?;
        }
        Ok::<_, grenache_peer::Error>(())
    });
}
