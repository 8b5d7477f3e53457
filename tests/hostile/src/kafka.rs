//! What brokers send: answers to every request of our own client, and record batches in every codec.
//!
//! ```text
//! which request (255: what stands in a log) | answer
//! ```

use ringmaster_bus::kafka::hostile;

/// A batch may expand to so much; while there is made room for twice as much, both are held. Then it is copied once, to be read again.
pub(crate) const MEMORY_MAX: usize = 4 * hostile::BATCH_BYTES_MAX;

const LOG: u8 = 255;

pub(crate) fn run(input: &[u8]) {
    match input.split_first() {
        Some((&LOG, bytes)) => hostile::log(bytes),
        Some((&number, bytes)) => hostile::answer(number, bytes),
        None => {}
    }
}
