//! Where an Arrow file has what, read without reading it.
//!
//! Arrow's own reader checks what it reads, with one exception: how long a compressed buffer is when it is unpacked is believed, and memory for
//! it asked for. A changed byte there would end the process. So these lengths are looked at before anything else is.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;

use arrow_buffer::{Buffer, MutableBuffer};
use arrow_ipc::reader::read_footer_length;
use arrow_ipc::{Block, Message, MessageHeader, RecordBatch, root_as_footer, root_as_message};
use arrow_schema::Schema;

use super::{Tried, told};

/// Bytes that the compressed buffers of a batch may have together, unpacked: all of them are in memory at once.
const UNPACKED_BYTES_MAX: u64 = 4 << 30;
/// How much larger it may be than it is packed: zstd makes four bytes of a block of 128 KiB that repeats one.
const UNPACKED_RATIO_MAX: u64 = 1 << 16;
/// The length that says that a buffer is not packed, as it got no smaller.
const NOT_PACKED: i64 = -1;

/// Where a batch has what.
#[derive(Clone, Debug)]
pub(super) struct Batch {
    pub(super) rows: usize,
    /// Its bytes in the file.
    pub(super) body: Range<u64>,
    /// Of each column and each part of it, how many values are not there.
    pub(super) null_counts: Vec<i64>,
    /// Where its buffers begin and how long they are.
    pub(super) buffers: Vec<(u64, u64)>,
    pub(super) is_compressed: bool,
}

/// What stands at the end of a file.
pub(super) struct Footer {
    /// None if it was written on a machine of another byte order.
    pub(super) schema: Option<Schema>,
    pub(super) batches: Vec<Block>,
    pub(super) dictionaries: Vec<Block>,
}

/// Reads what stands at the end of a file.
pub(super) fn footer(file: &mut File) -> Tried<Footer> {
    let size = file.metadata().map_err(told)?.len();
    let mut end = [0; 10];
    file.seek(SeekFrom::End(-10)).map_err(told)?;
    file.read_exact(&mut end).map_err(told)?;
    let length = read_footer_length(end).map_err(told)? as u64;
    let start = size.checked_sub(10 + length).ok_or("its footer is longer than the file")?;
    let bytes = bytes(file, start..start + length, size)?;
    let footer = root_as_footer(&bytes).map_err(told)?;
    let schema = footer.schema().filter(|schema| schema.endianness().equals_to_target_endianness());
    Ok(Footer {
        schema: schema.map(arrow_ipc::convert::try_fb_to_schema).transpose().map_err(told)?,
        batches: footer.recordBatches().into_iter().flatten().copied().collect(),
        dictionaries: footer.dictionaries().into_iter().flatten().copied().collect(),
    })
}

/// Reads where a block of a file has what.
pub(super) fn batch(file: &mut File, block: &Block) -> Tried<Batch> {
    let size = file.metadata().map_err(told)?.len();
    let (start, length) = (unsigned(block.offset())?, unsigned(block.metaDataLength().into())?);
    let body = start.checked_add(length).ok_or("a batch is beyond the file")?;
    let bytes = bytes(file, start..body, size)?;
    // Four bytes of a mark, which older files lack, and four with the length.
    let skip = if bytes.starts_with(&[0xff; 4]) { 8 } else { 4 };
    let message = root_as_message(bytes.get(skip..).ok_or("a batch has no message")?).map_err(told)?;
    let end = body.checked_add(unsigned(block.bodyLength())?).filter(|end| *end <= size);
    let header = header(&message).ok_or("a batch is none")?;
    described(&header, body..end.ok_or("a batch is beyond the file")?)
}

/// The batch that a message is of; a dictionary is a batch of one column.
fn header<'a>(message: &Message<'a>) -> Option<RecordBatch<'a>> {
    match message.header_type() {
        MessageHeader::DictionaryBatch => message.header_as_dictionary_batch()?.data(),
        _ => message.header_as_record_batch(),
    }
}

fn described(header: &RecordBatch<'_>, body: Range<u64>) -> Tried<Batch> {
    let nodes = header.nodes().into_iter().flatten();
    let buffers = header.buffers().into_iter().flatten();
    let buffers = buffers.map(|buffer| Ok((unsigned(buffer.offset())?, unsigned(buffer.length())?)));
    Ok(Batch {
        rows: usize::try_from(header.length()).map_err(told)?,
        body,
        null_counts: nodes.map(|node| node.null_count()).collect(),
        buffers: buffers.collect::<Tried<_>>()?,
        is_compressed: header.compression().is_some(),
    })
}

/// Checks how long the compressed buffers of a file say that they are.
pub(super) fn check_file(file: &mut File) -> Tried<()> {
    let footer = footer(file)?;
    for block in footer.dictionaries.iter().chain(&footer.batches) {
        let batch = batch(file, block)?;
        check_lengths(file, &batch)?;
    }
    Ok(())
}

/// The same of a stream, message after message.
pub(super) fn check_stream(file: &mut File) -> Tried<()> {
    let size = file.metadata().map_err(told)?.len();
    let mut at = 0_u64;
    while let Some((message, start)) = next_length(file, at, size)? {
        let body = start.checked_add(message).ok_or("a message is beyond the file")?;
        let bytes = bytes(file, start..body, size)?;
        let message = root_as_message(&bytes).map_err(told)?;
        let end = body.checked_add(unsigned(message.bodyLength())?).ok_or("a message is beyond the file")?;
        if let Some(header) = header(&message) {
            check_lengths(file, &described(&header, body..end.min(size))?)?;
        }
        at = end;
    }
    Ok(())
}

/// The length of the message at a place, and where it begins; none at the end.
fn next_length(file: &mut File, at: u64, size: u64) -> Tried<Option<(u64, u64)>> {
    let mut next = |at: u64| -> Tried<Option<i32>> {
        let end = at.checked_add(4).filter(|end| *end <= size);
        let Some(end) = end else { return Ok(None) };
        let bytes = bytes(file, at..end, size)?;
        Ok(bytes.first_chunk().map(|bytes| i32::from_le_bytes(*bytes)))
    };
    let (length, start) = match next(at)? {
        Some(-1) => (next(at + 4)?, at + 8),
        length => (length, at + 4),
    };
    match length {
        None | Some(0) => Ok(None),
        Some(length) => Ok(Some((unsigned(length.into())?, start))),
    }
}

fn check_lengths(file: &mut File, batch: &Batch) -> Tried<()> {
    if !batch.is_compressed {
        return Ok(());
    }
    let mut all = 0_u64;
    for (start, length) in batch.buffers.iter().filter(|(_, length)| *length > 0) {
        let at = batch.body.start.checked_add(*start).ok_or("a buffer is beyond its batch")?;
        let prefix = bytes(file, at..at.saturating_add(8), batch.body.end)?;
        let unpacked = prefix.first_chunk().map_or(0, |bytes| i64::from_le_bytes(*bytes));
        let most = UNPACKED_BYTES_MAX.min(length.saturating_mul(UNPACKED_RATIO_MAX));
        if unpacked == NOT_PACKED {
            continue;
        }
        let unpacked = unsigned(unpacked)?;
        all = all.saturating_add(unpacked);
        if unpacked > most {
            return Err(format!("a buffer of {length} bytes says that it has {unpacked} when unpacked"));
        }
        if all > UNPACKED_BYTES_MAX {
            return Err(format!(
                "a batch says that it has more than {UNPACKED_BYTES_MAX} bytes when unpacked"
            ));
        }
    }
    Ok(())
}

/// Bytes of a file, which end before `end`.
pub(super) fn bytes(file: &mut File, range: Range<u64>, end: u64) -> Tried<Buffer> {
    if range.start > range.end || range.end > end {
        return Err("a part of it would be beyond its end".into());
    }
    let length = usize::try_from(range.end - range.start).map_err(told)?;
    let mut buffer = MutableBuffer::from_len_zeroed(length);
    file.seek(SeekFrom::Start(range.start)).map_err(told)?;
    file.read_exact(buffer.as_slice_mut()).map_err(told)?;
    Ok(buffer.into())
}

fn unsigned(number: i64) -> Tried<u64> {
    u64::try_from(number).map_err(told)
}
