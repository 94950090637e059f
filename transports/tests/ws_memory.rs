//! What a connection takes of the heap, counted at the allocator.

use bytes::BytesMut;
use grenache_transports::ws::{
    Config, Connection, Deflate, Deflater, Error, Event, Kind, Role, frame,
};
use peak_alloc::PeakAlloc;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

/// As much as is received at once.
const RECEIVED: usize = 8 * 1024;

/// What a run takes at most, beyond what there was before.
fn peak<T>(run: impl FnOnce() -> T) -> (usize, T) {
    let before = HEAP.current_usage();
    HEAP.reset_peak_usage();
    let result = run();
    (HEAP.peak_usage() - before, result)
}

fn client(max_message: usize, deflate: bool) -> Connection {
    let config = Config { max_frame: u64::MAX, max_message, ..Config::default() };
    let mut connection = Connection::new(Role::Client, config);
    if deflate {
        connection.inflate(Deflate::default());
    }
    connection
}

/// Receives all of `bytes`; gives the size of the message, if there is one.
fn receive(connection: &mut Connection, bytes: &mut [u8]) -> Result<Option<usize>, Error> {
    let mut size = None;
    for mut input in bytes.chunks_mut(RECEIVED) {
        while let Some(event) = connection.receive(&mut input)? {
            let Event::Message(message) = event else { panic!("{event:?}") };
            size = Some(message.data.len());
        }
    }
    Ok(size)
}

/// One test, so that nothing else allocates meanwhile.
#[test]
fn memory_is_in_proportion_to_what_comes() {
    a_message_in_parts();
    a_message_in_the_smallest_fragments();
    a_promise();
    a_bomb();
    nothing_but_blocks();
    small_messages();
}

fn a_message_in_parts() {
    const SIZE: usize = 16 << 20;
    let mut wire = BytesMut::new();
    frame::write_message(&mut wire, Kind::Binary, None, &vec![1; SIZE]);
    let mut connection = client(SIZE, false);
    let (bytes, size) = peak(|| receive(&mut connection, &mut wire));
    assert_eq!(size, Ok(Some(SIZE)));
    // While it grows the old buffer is there as well.
    assert!(bytes < 2 * SIZE, "{bytes} bytes");
    let (_, message) = peak(|| connection.take_message());
    let before = HEAP.current_usage();
    drop(message);
    let held = before - HEAP.current_usage();
    assert!(held <= SIZE + 64, "{held} bytes are held for a message of {SIZE}");
}

/// Each byte has a frame of its own. A buffer that grew by what comes would be copied for every one.
fn a_message_in_the_smallest_fragments() {
    const SIZE: usize = 1 << 20;
    let mut connection = client(SIZE, false);
    assert_eq!(receive(&mut connection, &mut [0x02, 1, 7]), Ok(None));
    let (mut grown, mut before) = (0, HEAP.current_usage());
    for _ in 0..SIZE - 2 {
        assert_eq!(receive(&mut connection, &mut [0x00, 1, 7]), Ok(None));
        grown += usize::from(HEAP.current_usage() != before);
        before = HEAP.current_usage();
    }
    assert_eq!(receive(&mut connection, &mut [0x80, 1, 7]), Ok(Some(SIZE)));
    assert!(grown <= 20, "its buffer has grown {grown} times");
}

fn a_promise() {
    let mut header = [0x82, 127, 0, 0, 0, 1, 0, 0, 0, 0, 1, 2, 3];
    let mut connection = client(usize::MAX, false);
    let (bytes, size) = peak(|| receive(&mut connection, &mut header));
    assert_eq!(size, Ok(None));
    assert!(bytes <= 32 << 10, "{bytes} bytes for three that came");
}

fn a_bomb() {
    const LIMIT: usize = 1 << 20;
    let mut wire = BytesMut::new();
    let mut deflater = Deflater::new(Role::Server, Deflate::default());
    deflater.write_message(&mut wire, Kind::Binary, None, &vec![0; 64 << 20]);
    assert!(wire.len() < LIMIT, "{} bytes", wire.len());
    let mut connection = client(LIMIT, true);
    let (bytes, size) = peak(|| receive(&mut connection, &mut wire));
    assert_eq!(size, Err(Error::MessageTooLarge));
    assert!(bytes < 2 * LIMIT + 100_000, "{bytes} bytes for a limit of {LIMIT}");
    let before = HEAP.current_usage();
    drop(connection);
    let kept = before - HEAP.current_usage();
    assert!(kept < 1024, "{kept} bytes are kept after the end");
}

/// A payload of which nothing comes out, in blocks that are the last ones, each of two bytes.
fn nothing_but_blocks() {
    const BLOCKS: usize = 2 << 20;
    let mut wire = BytesMut::new();
    frame::write_message_header(&mut wire, Kind::Binary, 2 * BLOCKS);
    wire[0] |= 0x40;
    wire.extend_from_slice(&[0x03, 0x00].repeat(BLOCKS));
    let mut connection = client(usize::MAX, true);
    let (bytes, size) = peak(|| receive(&mut connection, &mut wire));
    assert_eq!(size, Ok(Some(0)));
    assert!(bytes < 64 << 10, "{bytes} bytes for nothing");
}

/// Messages that somebody keeps take what they are long, not what a buffer was.
fn small_messages() {
    let text = |number: usize| format!("the message number {number:04}, with a few words in it");
    let fragments = |number: usize| {
        let text = text(number);
        let (a, b) = text.as_bytes().split_at(20);
        [&[0x01, 20], a, &[0x80, b.len() as u8], b].concat()
    };
    let whole = |number: usize| {
        let mut wire = BytesMut::new();
        frame::write_message(&mut wire, Kind::Text, None, text(number).as_bytes());
        wire.to_vec()
    };
    let mut deflater = Deflater::new(Role::Server, Deflate::default());
    let compressed = |number: usize| {
        let mut wire = BytesMut::new();
        deflater.write_message(&mut wire, Kind::Text, None, text(number).as_bytes());
        wire.to_vec()
    };
    held("in a frame that is cut", whole, text);
    held("in fragments", fragments, text);
    held("compressed", compressed, text);
}

fn held(how: &str, mut wire: impl FnMut(usize) -> Vec<u8>, text: impl Fn(usize) -> String) {
    const COUNT: usize = 1000;
    let mut connection = client(1 << 20, true);
    let mut kept = Vec::with_capacity(COUNT);
    let before = HEAP.current_usage();
    for number in 0..COUNT {
        let mut wire = wire(number);
        let (mut a, mut b) = wire.split_at_mut(5);
        assert_eq!(connection.receive(&mut a), Ok(None));
        let event = connection.receive(&mut b);
        assert!(matches!(event, Ok(Some(Event::Message(message))) if message.assembled));
        kept.push(connection.take_message());
        assert_eq!(kept[number], text(number));
    }
    let each = (HEAP.current_usage() - before) / COUNT;
    assert!(each < 512, "{each} bytes are held for a message of 54 {how}");
}
