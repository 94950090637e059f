//! KRPC messages (BEP5, BEP44), borrowed from their datagrams.

use crate::bencode::{self, Reader};
use crate::contact::COMPACT_PEER;
use crate::id::NodeId;

/// The most bytes of a transaction id that is echoed; a longer one makes the message malformed.
/// BEP5 speaks of 2 bytes, our own are 4.
pub const MAX_TRANSACTION: usize = 32;

/// Why a datagram is not a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// Malformed or over a limit: the bencoding.
    Bencode(bencode::Error),
    /// Malformed: a mandatory field is missing, doubled or of a wrong type.
    Field,
    /// Over a limit: the transaction id is longer than [`MAX_TRANSACTION`].
    Transaction,
}

impl From<bencode::Error> for Error {
    fn from(error: bencode::Error) -> Self {
        Self::Bencode(error)
    }
}

/// What a query asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// BEP5: is the node there?
    Ping,
    /// BEP5: contacts close to a target.
    FindNode,
    /// BEP5: peers of a key, or contacts close to it, and a token.
    GetPeers,
    /// BEP5: the sender is a peer of a key.
    AnnouncePeer,
    /// BEP44: an item, or contacts close to it, and a token.
    Get,
    /// BEP44: store an item.
    Put,
    /// Anything else.
    Unknown,
}

impl Method {
    pub(crate) fn name(self) -> &'static [u8] {
        match self {
            Self::Ping => b"ping",
            Self::FindNode => b"find_node",
            Self::GetPeers => b"get_peers",
            Self::AnnouncePeer => b"announce_peer",
            Self::Get => b"get",
            Self::Put => b"put",
            Self::Unknown => b"",
        }
    }

    fn from_name(name: &[u8]) -> Self {
        match name {
            b"ping" => Self::Ping,
            b"find_node" => Self::FindNode,
            b"get_peers" => Self::GetPeers,
            b"announce_peer" => Self::AnnouncePeer,
            b"get" => Self::Get,
            b"put" => Self::Put,
            _ => Self::Unknown,
        }
    }
}

/// A message, borrowed from its datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// The transaction id `t`, 0 to [`MAX_TRANSACTION`] bytes.
    pub transaction: &'a [u8],
    /// What it says.
    pub body: Body<'a>,
}

/// The kinds of messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body<'a> {
    /// `y` = `q`; without arguments when `a` is missing.
    Query(Method, Option<Fields<'a>>),
    /// `y` = `r`.
    Response(Fields<'a>),
    /// `y` = `e`: code and text; 0 and nothing where they are not given in the usual form.
    Error(i64, &'a [u8]),
}

/// The fields of `a` or `r` that mean something here. Types are checked, lengths and values are not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields<'a> {
    /// The sender's node id.
    pub id: Option<&'a [u8]>,
    /// `find_node`, `get`: what is looked for.
    pub target: Option<&'a [u8]>,
    /// `get_peers`, `announce_peer`: the key.
    pub info_hash: Option<&'a [u8]>,
    /// `announce_peer`: the peer's port, any integer.
    pub port: Option<i64>,
    /// `announce_peer`: use the port that the datagram came from.
    pub implied_port: bool,
    /// Proof that the sender owns its address.
    pub token: Option<&'a [u8]>,
    /// Contacts in compact form.
    pub nodes: Option<&'a [u8]>,
    /// The list of peers, raw; see [`Fields::peers`].
    pub values: Option<&'a [u8]>,
    /// The value of an item, raw bencode.
    pub v: Option<&'a [u8]>,
    /// Public key of a mutable item.
    pub k: Option<&'a [u8]>,
    /// Signature of a mutable item.
    pub sig: Option<&'a [u8]>,
    /// Salt of a mutable item.
    pub salt: Option<&'a [u8]>,
    /// Sequence number of a mutable item.
    pub seq: Option<i64>,
    /// The sequence number that `put` expects to replace.
    pub cas: Option<i64>,
}

impl<'a> Fields<'a> {
    fn parse(reader: &mut Reader<'a>) -> Result<Self, Error> {
        let mut fields = Self::default();
        reader.dict()?;
        while !reader.end()? {
            match reader.bytes()? {
                b"id" => fields.id = Some(reader.bytes()?),
                b"target" => fields.target = Some(reader.bytes()?),
                b"info_hash" => fields.info_hash = Some(reader.bytes()?),
                b"port" => fields.port = Some(reader.integer()?),
                // Anything but the number 0 is a yes, as in Node.
                b"implied_port" => fields.implied_port = reader.raw()? != b"i0e",
                b"token" => fields.token = Some(reader.bytes()?),
                b"nodes" => fields.nodes = Some(reader.bytes()?),
                b"values" => fields.values = Some(reader.raw()?),
                b"v" => fields.v = Some(reader.raw()?),
                b"k" => fields.k = Some(reader.bytes()?),
                b"sig" => fields.sig = Some(reader.bytes()?),
                b"salt" => fields.salt = Some(reader.bytes()?),
                b"seq" => fields.seq = Some(reader.integer()?),
                b"cas" => fields.cas = Some(reader.integer()?),
                _ => reader.skip()?,
            }
        }
        Ok(fields)
    }

    /// The sender's id, if it is one.
    pub fn node_id(&self) -> Option<NodeId> {
        self.id.and_then(NodeId::from_slice)
    }

    /// The peers in `values`; entries of other lengths than 6 are passed over.
    pub fn peers(&self) -> impl Iterator<Item = [u8; COMPACT_PEER]> + 'a {
        let mut reader = Reader::new(self.values.unwrap_or(b"le"));
        let mut open = reader.list().is_ok();
        core::iter::from_fn(move || {
            while open && reader.peek().is_ok_and(|byte| byte.is_ascii_digit()) {
                match reader.bytes() {
                    Ok(bytes) => match bytes.try_into() {
                        Ok(peer) => return Some(peer),
                        Err(_) => continue,
                    },
                    Err(_) => break,
                }
            }
            open = false;
            None
        })
    }
}

/// Parses one datagram.
pub fn parse(datagram: &[u8]) -> Result<Message<'_>, Error> {
    let mut reader = Reader::new(datagram);
    let (mut transaction, mut kind, mut method) = (None, None, None);
    let mut fields: Option<(u8, Fields<'_>)> = None;
    let mut error = (0, &b""[..]);
    reader.dict()?;
    while !reader.end()? {
        match reader.bytes()? {
            b"t" => transaction = Some(reader.bytes()?),
            b"y" => kind = Some(reader.bytes()?),
            b"q" => method = Some(Method::from_name(reader.bytes()?)),
            name @ (b"a" | b"r") => {
                if fields.is_some() {
                    return Err(Error::Field);
                }
                fields = Some((name[0], Fields::parse(&mut reader)?));
            }
            b"e" => error = parse_error(reader.raw()?).unwrap_or_default(),
            _ => reader.skip()?,
        }
    }
    reader.finish()?;
    let transaction = transaction.ok_or(Error::Field)?;
    if transaction.len() > MAX_TRANSACTION {
        return Err(Error::Transaction);
    }
    let body = match (kind, fields) {
        (Some(b"q"), Some((b'a', fields))) => {
            Body::Query(method.ok_or(Error::Field)?, Some(fields))
        }
        (Some(b"q"), None) => Body::Query(method.ok_or(Error::Field)?, None),
        (Some(b"r"), Some((b'r', fields))) => Body::Response(fields),
        (Some(b"e"), _) => Body::Error(error.0, error.1),
        _ => return Err(Error::Field),
    };
    Ok(Message { transaction, body })
}

fn parse_error(raw: &[u8]) -> Option<(i64, &[u8])> {
    let mut reader = Reader::new(raw);
    reader.list().ok()?;
    Some((reader.integer().ok()?, reader.bytes().ok()?))
}
