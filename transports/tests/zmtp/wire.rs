//! ZMTP's bytes, written out by hand so that they do not come from what is tested.

/// A greeting of version 3.`minor`.
pub(crate) fn greeting(minor: u8, mechanism: &str, as_server: u8) -> Vec<u8> {
    let mut bytes = vec![0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, minor];
    bytes.extend_from_slice(mechanism.as_bytes());
    bytes.resize(32, 0);
    bytes.push(as_server);
    bytes.resize(64, 0);
    bytes
}

/// A frame with a length of one byte, or of eight if it has to be or is `long`.
pub(crate) fn frame(flags: u8, body: &[u8], long: bool) -> Vec<u8> {
    let mut bytes = if long || body.len() > 255 {
        let mut header = vec![flags | 2];
        header.extend_from_slice(&(body.len() as u64).to_be_bytes());
        header
    } else {
        vec![flags, body.len() as u8]
    };
    bytes.extend_from_slice(body);
    bytes
}

/// A message of these parts.
pub(crate) fn message(parts: &[&[u8]]) -> Vec<u8> {
    let last = parts.len() - 1;
    let frames = parts.iter().enumerate();
    frames.flat_map(|(at, part)| frame(u8::from(at < last), part, false)).collect()
}

/// A command.
pub(crate) fn command(name: &str, data: &[u8]) -> Vec<u8> {
    frame(4, &[&[name.len() as u8], name.as_bytes(), data].concat(), false)
}

/// One property.
pub(crate) fn property(name: &str, value: &[u8]) -> Vec<u8> {
    let length = (value.len() as u32).to_be_bytes();
    [&[name.len() as u8], name.as_bytes(), &length, value].concat()
}

/// The metadata of a socket of this type.
pub(crate) fn socket(name: &str) -> Vec<u8> {
    property("Socket-Type", name.as_bytes())
}

/// What a NULL peer of 3.1 and this type says before its first message.
pub(crate) fn hello(name: &str) -> Vec<u8> {
    [greeting(1, "NULL", 0), command("READY", &socket(name))].concat()
}
