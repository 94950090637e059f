//! placeholder
pub(crate) struct BufferRing;
impl BufferRing {
    pub(crate) fn bytes(&self, _b: u16) -> &[u8] {
        &[]
    }
    pub(crate) fn give_back(&self, _b: u16) {}
}
