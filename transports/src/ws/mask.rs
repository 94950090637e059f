//! Masking (RFC 6455 section 5.3).

/// The key of one frame that a client sends: four bytes nobody can foresee.
pub type Mask = [u8; 4];

/// Masks, or unmasks, `data`, whose first byte is number `offset` of its frame.
#[inline]
pub(super) fn apply(data: &mut [u8], mask: Mask, offset: usize) {
    let key: [u8; 8] = core::array::from_fn(|at| mask[(offset + at) % 4]);
    // The compiler makes wider registers of it, but short messages have use for these.
    let (chunks, rest) = data.as_chunks_mut();
    for chunk in chunks {
        *chunk = (u64::from_ne_bytes(*chunk) ^ u64::from_ne_bytes(key)).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(key) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_its_key_wherever_it_is_cut() {
        let mask = [0x11, 0x22, 0x44, 0x88];
        let data: Vec<u8> = (0..200).collect();
        let expected: Vec<u8> =
            data.iter().enumerate().map(|(at, byte)| byte ^ mask[at % 4]).collect();
        for cut in 0..data.len() {
            let mut masked = data.clone();
            let (before, after) = masked.split_at_mut(cut);
            apply(before, mask, 0);
            apply(after, mask, cut);
            assert_eq!(masked, expected, "{cut}");
        }
    }
}
