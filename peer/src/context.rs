//! What work on a core needs to call others from there.

use std::fmt;
use std::time::Duration;

use grenache_engine::timeout;

use crate::client::{self, Client};
use crate::error::Error;
use crate::link::{self, Grape, Link};
use crate::subscribe::{self, Subscriber};
use crate::tls::{Authorities, ClientTls, Connector};

/// What a handler, or other work on a core, needs to call others from there. Clones are the same.
#[derive(Clone)]
#[non_exhaustive]
pub struct Context {
    /// The number of the core, from 0.
    pub core: usize,
    /// The way to the grapes. If there are none, its calls fail with [`Error::GrapeUnreachable`].
    pub link: Link,
    /// Calls other services.
    pub client: Client,
    /// Listens to publishers.
    pub subscriber: Subscriber,
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("core", &self.core).finish_non_exhaustive()
    }
}

/// How long connections to others may take to close once nobody uses them.
const CLOSING: Duration = Duration::from_secs(1);

impl Context {
    /// Takes no further calls and closes the connections. Calls that are still under way are nobody's any more, and not waited
    /// for.
    pub(crate) async fn close(&self) {
        let closing = async {
            self.client.close().await;
            self.link.close().await;
        };
        let _ = timeout(CLOSING, closing).await;
    }
}

/// How the contexts of all cores are made.
pub(crate) struct Contexts {
    grapes: Vec<Grape>,
    link: link::Config,
    client: client::Config,
    subscribe: subscribe::Config,
    tls: Option<ClientTls>,
}

impl Contexts {
    /// Checks what could fail later on a core, where nobody could be told.
    pub(crate) fn new(
        grapes: &[String],
        link: link::Config,
        client: client::Config,
        subscribe: subscribe::Config,
        tls: Option<ClientTls>,
    ) -> Result<Contexts, Error> {
        subscribe.check()?;
        let lists = grapes.iter().map(|list| Grape::list(list)).collect::<Result<Vec<_>, _>>()?;
        let grapes = lists.concat();
        match &tls {
            Some(tls) => drop(Connector::new(tls)?),
            None if grapes.iter().any(Grape::is_secure) => {
                drop(Connector::new(&ClientTls::new(Authorities::system()?))?);
            }
            None => {}
        }
        Ok(Contexts { grapes, link, client, subscribe, tls })
    }

    /// The context of this core.
    pub(crate) fn open(&self, core: usize) -> Result<Context, Error> {
        let link = Link::with(&self.grapes, self.link.clone(), self.tls.as_ref())?;
        let client = Client::new(link.clone(), self.client.clone(), self.tls.as_ref())?;
        let subscriber = Subscriber::new(link.clone(), self.subscribe.clone(), self.tls.as_ref())?;
        Ok(Context { core, link, client, subscriber })
    }
}
