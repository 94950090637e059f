//! Taking bytes off what was received.

/// Takes up to `len` bytes off `input`.
#[inline]
pub(crate) fn take<'i>(input: &mut &'i [u8], len: usize) -> &'i [u8] {
    let (taken, rest) = input.split_at(len.min(input.len()));
    *input = rest;
    taken
}

/// Takes up to `left` bytes off `input` and counts them off.
pub(crate) fn take_up_to<'i>(input: &mut &'i [u8], left: &mut u64) -> &'i [u8] {
    let data = take(input, usize::try_from(*left).unwrap_or(usize::MAX));
    *left -= data.len() as u64;
    data
}

/// Moves bytes off `input` into `buffer`, until that has `total`. It grows with what has come, not with what was promised.
pub(crate) fn fill(buffer: &mut Vec<u8>, total: usize, input: &mut &[u8]) {
    let missing = total - buffer.len();
    let data = take(input, missing);
    if buffer.capacity() - buffer.len() < data.len() {
        buffer.reserve_exact(missing.min(buffer.len().max(data.len())));
    }
    buffer.extend_from_slice(data);
}
