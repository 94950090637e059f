//! What peers say of themselves once the security mechanism lets them (RFC 37, "Connection Metadata").

use bytes::Bytes;

use super::{Config, Error, Limit, Malformed, Misuse, SocketType, Unsupported, Version};

const SOCKET_TYPE: &str = "Socket-Type";
const IDENTITY: &str = "Identity";

/// Most bytes in an identity.
const MAX_IDENTITY: usize = 255;

/// What this side says of itself. It is encoded once; copies for further connections cost nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    socket: SocketType,
    encoded: Bytes,
}

impl Metadata {
    /// A socket of this type, without an identity.
    pub fn new(socket: SocketType) -> Self {
        Self { socket, encoded: Bytes::new() }.push(SOCKET_TYPE, socket.name().as_bytes())
    }

    /// Under what name a ROUTER is to know this side.
    ///
    /// # Errors
    /// It is empty, longer than 255 bytes, or begins with a zero: such names are for sockets to invent.
    pub fn with_identity(self, identity: &[u8]) -> Result<Self, Misuse> {
        match identity {
            [] | [0, ..] => Err(Misuse::Identity),
            long if long.len() > MAX_IDENTITY => Err(Misuse::Identity),
            _ => Ok(self.push(IDENTITY, identity)),
        }
    }

    /// Some other property; names that begin with `X-` are free for applications.
    ///
    /// # Errors
    /// It is not a name, or one that has its own method, or the value is too long.
    pub fn with(self, name: &str, value: &[u8]) -> Result<Self, Misuse> {
        let taken = [SOCKET_TYPE, IDENTITY].iter().any(|taken| taken.eq_ignore_ascii_case(name));
        if taken || !is_name(name.as_bytes()) || i32::try_from(value.len()).is_err() {
            return Err(Misuse::Property);
        }
        Ok(self.push(name, value))
    }

    /// The socket's type.
    pub const fn socket(&self) -> SocketType {
        self.socket
    }

    pub(super) fn encoded(&self) -> &[u8] {
        &self.encoded
    }

    fn push(self, name: &str, value: &[u8]) -> Self {
        let mut encoded = Vec::from(self.encoded);
        encoded.push(name.len() as u8);
        encoded.extend_from_slice(name.as_bytes());
        encoded.extend_from_slice(&(value.len() as u32).to_be_bytes());
        encoded.extend_from_slice(value);
        Self { encoded: encoded.into(), ..self }
    }
}

fn is_name(name: &[u8]) -> bool {
    let fits = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.+".contains(byte);
    (1..=255).contains(&name.len()) && name.iter().all(fits)
}

/// What the other side says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer<'a> {
    /// What version it speaks.
    pub version: Version,
    /// Its socket's type, which goes with ours.
    pub socket: SocketType,
    /// The name it wants to be known by; empty if it leaves that to us.
    pub identity: &'a [u8],
    /// All its properties, these included.
    pub properties: Properties<'a>,
}

impl<'a> Peer<'a> {
    /// Reads metadata and checks it against ours.
    pub(super) fn read(
        metadata: &'a [u8],
        version: Version,
        ours: SocketType,
        config: &Config,
    ) -> Result<Self, Error> {
        let (mut socket, mut identity) = (None, None);
        let mut properties = Properties(metadata);
        for _ in 0..config.max_properties {
            let Some((name, value)) = properties.next() else { break };
            if name.eq_ignore_ascii_case(SOCKET_TYPE) {
                if socket.replace(value).is_some() {
                    return Err(Malformed::SocketType.into());
                }
            } else if name.eq_ignore_ascii_case(IDENTITY) {
                let fits = value.len() <= MAX_IDENTITY && value.first() != Some(&0);
                if identity.replace(value).is_some() || !fits {
                    return Err(Malformed::Identity.into());
                }
            }
        }
        if !properties.0.is_empty() {
            return Err(match properties.next() {
                Some(_) => Limit::Properties.into(),
                None => Malformed::Metadata.into(),
            });
        }
        let socket = SocketType::read(socket.ok_or(Malformed::SocketType)?);
        let socket = socket.filter(|socket| ours.goes_with(*socket));
        Ok(Self {
            version,
            socket: socket.ok_or(Unsupported::SocketType)?,
            identity: identity.unwrap_or_default(),
            properties: Properties(metadata),
        })
    }
}

/// The properties of a peer: names, whose case does not matter, and values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Properties<'a>(&'a [u8]);

impl<'a> Properties<'a> {
    /// The value of the property of this name.
    pub fn get(mut self, name: &str) -> Option<&'a [u8]> {
        self.find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

impl<'a> Iterator for Properties<'a> {
    type Item = (&'a str, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (length, rest) = self.0.split_first()?;
        let (name, rest) = rest.split_at_checked((*length).into())?;
        let (length, rest) = rest.split_first_chunk()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (value, rest) = rest.split_at_checked(length)?;
        let name = core::str::from_utf8(name).ok().filter(|name| is_name(name.as_bytes()))?;
        self.0 = rest;
        Some((name, value))
    }
}
