//! What compressed records are, by all codecs that Kafka has.
//!
//! By <https://kafka.apache.org/documentation/#recordbatch>, the frame formats of LZ4 and Zstandard, and xerial's of Snappy.

use std::io::Read as _;

use flate2::bufread::MultiGzDecoder;
use lz4_flex::block::decompress_into_with_dict;
use zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer, ResetDirective};

use super::wire::Get;

/// A batch's records are never more bytes than this, whatever they are compressed to.
pub(super) const EXPANDED_BYTES_MAX: usize = 128 << 20;
/// Room that is made at once, at least.
const ROOM_BYTES: usize = 64 << 10;
/// Room that is kept for later batches.
const KEPT_BYTES: usize = 8 << 20;
/// Zstandard's own limit for streams: 2 to the power of this, in bytes, are looked back at most.
const WINDOW_LOG_MAX: u32 = 27;

/// Magic of a LZ4 frame.
const LZ4_MAGIC: [u8; 4] = [0x04, 0x22, 0x4d, 0x18];
/// The mark of a block that is stored as it is.
const LZ4_STORED: u32 = 1 << 31;
/// So far back does a block look that depends on those before.
const LZ4_WINDOW: usize = 64 << 10;
/// How Java's snappy library begins, and two version numbers behind it.
const XERIAL_MAGIC: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];

/// Why records cannot be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// The bytes are not what they should be.
    Damaged(&'static str),
    /// Another kind of batch than is read here.
    Foreign(&'static str),
}

const TOO_MUCH: Fault = Fault::Foreign("it expands to more than 128 MiB");

/// Records of one batch at a time, and what codecs need.
#[derive(Default)]
pub(super) struct Expander {
    /// Room; what is behind [`Self::filled`] means nothing.
    out: Vec<u8>,
    filled: usize,
    number: u64,
    zstd: Option<DCtx<'static>>,
}

impl Expander {
    /// What [`Self::expand`] made last.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.out[..self.filled]
    }

    /// The how manieth that was.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Expands a batch's records; the codec is as its attributes say.
    pub(super) fn expand(&mut self, codec: u8, input: &[u8]) -> Result<(), Fault> {
        (self.filled, self.number) = (0, self.number + 1);
        if self.out.len() > KEPT_BYTES {
            self.out = Vec::new();
        }
        match codec {
            1 => self.gzip(input),
            2 => self.snappy(input),
            3 => self.lz4(input),
            4 => self.zstd(input),
            _ => Err(Fault::Foreign("it is compressed by a codec that is not known here")),
        }?;
        if self.filled > EXPANDED_BYTES_MAX { Err(TOO_MUCH) } else { Ok(()) }
    }

    /// How many bytes more there may be; one of them is too much, so that an end at the limit is seen.
    fn left(&self) -> usize {
        EXPANDED_BYTES_MAX + 1 - self.filled
    }

    /// Room for so many bytes more.
    fn room(&mut self, bytes: usize) -> Result<&mut [u8], Fault> {
        if bytes > self.left() {
            return Err(TOO_MUCH);
        }
        let end = self.filled + bytes;
        if self.out.len() < end {
            self.out.resize(end, 0);
        }
        Ok(&mut self.out[self.filled..end])
    }

    /// Room for some bytes more, twice as many each time.
    fn more_room(&mut self) -> Result<&mut [u8], Fault> {
        match self.left() {
            0 => Err(TOO_MUCH),
            left => self.room(self.filled.max(ROOM_BYTES).min(left)),
        }
    }

    fn gzip(&mut self, input: &[u8]) -> Result<(), Fault> {
        let mut decoder = MultiGzDecoder::new(input);
        loop {
            match decoder.read(self.more_room()?) {
                Ok(0) => return Ok(()),
                Ok(count) => self.filled += count,
                Err(_) => return Err(Fault::Damaged("its gzip is none")),
            }
        }
    }

    fn snappy(&mut self, input: &[u8]) -> Result<(), Fault> {
        let Some(framed) = input.strip_prefix(&XERIAL_MAGIC) else { return self.snappy_block(input) };
        let damaged = |_| Fault::Damaged("its snappy frame is none");
        let mut get = Get(framed);
        get.take(8).map_err(damaged)?;
        while !get.0.is_empty() {
            let length = usize::try_from(get.i32().map_err(damaged)?).unwrap_or(usize::MAX);
            let block = get.take(length).map_err(damaged)?;
            self.snappy_block(block)?;
        }
        Ok(())
    }

    fn snappy_block(&mut self, block: &[u8]) -> Result<(), Fault> {
        const DAMAGED: Fault = Fault::Damaged("its snappy is none");
        let length = snap::raw::decompress_len(block).map_err(|_| DAMAGED)?;
        // Three bytes make 64 at most: what claims more is not believed.
        if length > block.len().saturating_mul(32) {
            return Err(DAMAGED);
        }
        let count = snap::raw::Decoder::new().decompress(block, self.room(length)?).map_err(|_| DAMAGED)?;
        self.filled += count;
        Ok(())
    }

    fn lz4(&mut self, input: &[u8]) -> Result<(), Fault> {
        const DAMAGED: Fault = Fault::Damaged("its LZ4 frame is none");
        let damaged = |_| DAMAGED;
        let mut get = Get(input);
        while !get.0.is_empty() {
            if get.take(4).map_err(damaged)? != LZ4_MAGIC {
                return Err(DAMAGED);
            }
            let [flags, sizes] = *get.take(2).map_err(damaged)? else { return Err(DAMAGED) };
            let has = |bit: u8| flags >> bit & 1 == 1;
            if flags >> 6 != 1 {
                return Err(DAMAGED);
            }
            let block_max = match sizes >> 4 & 7 {
                size @ 4..=7 => 1 << (8 + 2 * size),
                _ => return Err(DAMAGED),
            };
            // The content's size, a dictionary's number, and the checksum of all this: the batch has one of its own.
            get.take(if has(3) { 8 } else { 0 } + if has(0) { 4 } else { 0 } + 1).map_err(damaged)?;
            let begin = self.filled;
            loop {
                let size = u32::from_le_bytes(get.take(4).map_err(damaged)?.try_into().map_err(|_| DAMAGED)?);
                if size == 0 {
                    break;
                }
                let block = get.take((size & !LZ4_STORED) as usize).map_err(damaged)?;
                self.lz4_block(block, size & LZ4_STORED != 0, block_max, begin)?;
                get.take(if has(4) { 4 } else { 0 }).map_err(damaged)?;
            }
            get.take(if has(2) { 4 } else { 0 }).map_err(damaged)?;
        }
        Ok(())
    }

    /// One block of a frame that began at `begin`.
    fn lz4_block(&mut self, block: &[u8], is_stored: bool, block_max: usize, begin: usize) -> Result<(), Fault> {
        const DAMAGED: Fault = Fault::Damaged("its LZ4 is none");
        if is_stored {
            if block.len() > block_max {
                return Err(DAMAGED);
            }
            self.room(block.len())?.copy_from_slice(block);
            self.filled += block.len();
            return Ok(());
        }
        // A byte makes 255 at most.
        let most = block_max.min(block.len().saturating_mul(255));
        let room = most.min(self.left());
        self.room(room)?;
        let (before, after) = self.out.split_at_mut(self.filled);
        let window = &before[begin.max(before.len().saturating_sub(LZ4_WINDOW))..];
        let count = decompress_into_with_dict(block, &mut after[..room], window);
        self.filled += count.map_err(|_| if room < most { TOO_MUCH } else { DAMAGED })?;
        Ok(())
    }

    fn zstd(&mut self, input: &[u8]) -> Result<(), Fault> {
        const DAMAGED: Fault = Fault::Damaged("its Zstandard is none");
        let mut context = match self.zstd.take() {
            Some(context) => context,
            None => DCtx::try_create().ok_or(Fault::Foreign("there is no memory to expand it"))?,
        };
        context.reset(ResetDirective::SessionAndParameters).map_err(|_| DAMAGED)?;
        context.set_parameter(DParameter::WindowLogMax(WINDOW_LOG_MAX)).map_err(|_| DAMAGED)?;
        let mut from = InBuffer::around(input);
        loop {
            let room = self.more_room()?;
            let (length, mut to) = (room.len(), OutBuffer::around(room));
            let left = context.decompress_stream(&mut to, &mut from).map_err(|_| DAMAGED)?;
            let count = to.pos();
            self.filled += count;
            // A frame ended, and there may be another; or it does not end, and there is no more of it.
            if from.pos() == input.len() && (left == 0 || count < length) {
                self.zstd = Some(context);
                return if left == 0 { Ok(()) } else { Err(DAMAGED) };
            }
        }
    }
}
