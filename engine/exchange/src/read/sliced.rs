//! Arrow files whose batches are too large to be in memory.
//!
//! **Problem.** A batch of a file is read as a whole, and some tools write a table of any size as one batch: a million vectors of 384
//! components are 1.5 GB.
//!
//! **Idea.** A batch is a list of buffers, of which each column has a few, one after the other in the order of the schema: bits that say which
//! values are there, where lists and texts begin, values. So the rows from one to another are a range of each buffer, and of what lists have
//! within, the range that their beginnings tell. Those are read, and Arrow's own check of arrays decides whether they make sense.
//!
//! Compressed batches, dictionaries, views and unions are read as a whole: their buffers have no such ranges.

use std::collections::VecDeque;
use std::fs::File;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, make_array};
use arrow_buffer::{ArrowNativeType, BooleanBuffer, Buffer, NullBuffer};
use arrow_data::ArrayData;
use arrow_ipc::Block;
use arrow_schema::{DataType, SchemaRef};

use super::blocks::{self, Batch, Footer};
use super::{BYTES_AT_ONCE, Tried, told};

/// The rows of all batches of a file, some at a time.
pub(super) struct Sliced {
    file: File,
    schema: SchemaRef,
    /// Which columns, in ascending order, and the schema of these.
    columns: Vec<usize>,
    projected: SchemaRef,
    blocks: VecDeque<Block>,
    /// The batch in hand, and its rows that were not read yet.
    batch: Option<(Batch, Range<usize>)>,
    bytes_at_once: u64,
}

impl Sliced {
    /// Opens a file that has a batch of more than `large_bytes`, if it is one that can be read in parts.
    pub(super) fn open(mut file: File, columns: &[usize], large_bytes: u64) -> Tried<Option<Self>> {
        let Footer { schema, batches, .. } = blocks::footer(&mut file)?;
        let is_large =
            |block: &Block| u64::try_from(block.bodyLength()).is_ok_and(|length| length > large_bytes);
        let Some(schema) = schema.filter(|_| batches.iter().any(is_large)) else { return Ok(None) };
        if !schema.fields().iter().all(|field| has_ranges(field.data_type())) {
            return Ok(None);
        }
        for block in &batches {
            if blocks::batch(&mut file, block)?.is_compressed {
                return Ok(None);
            }
        }
        let projected = Arc::new(schema.project(columns).map_err(told)?);
        let (columns, schema) = (columns.to_vec(), Arc::new(schema));
        let blocks = batches.into();
        Ok(Some(Self { file, schema, columns, projected, blocks, batch: None, bytes_at_once: BYTES_AT_ONCE }))
    }

    fn next_rows(&mut self) -> Tried<Option<RecordBatch>> {
        loop {
            match self.batch.take() {
                Some((batch, rows)) if !rows.is_empty() => {
                    let row_bytes = (batch.body.end - batch.body.start) / (batch.rows as u64).max(1);
                    let at_once = (self.bytes_at_once / row_bytes.max(1)).max(1);
                    let middle = rows.end.min(rows.start.saturating_add(at_once as usize));
                    let read = self.rows(&batch, rows.start..middle)?;
                    self.batch = Some((batch, middle..rows.end));
                    return Ok(Some(read));
                }
                _ => {}
            }
            let Some(block) = self.blocks.pop_front() else { return Ok(None) };
            let batch = blocks::batch(&mut self.file, &block)?;
            let rows = 0..batch.rows;
            self.batch = Some((batch, rows));
        }
    }

    fn rows(&mut self, batch: &Batch, rows: Range<usize>) -> Tried<RecordBatch> {
        let schema = self.schema.clone();
        let mut parts = Parts { file: &mut self.file, batch, node: 0, buffer: 0 };
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(self.columns.len());
        for (at, field) in schema.fields().iter().enumerate() {
            if self.columns.contains(&at) {
                arrays.push(make_array(parts.read(field.data_type(), rows.clone())?));
            } else {
                parts.skip(field.data_type());
            }
        }
        RecordBatch::try_new(self.projected.clone(), arrays).map_err(told)
    }
}

impl Iterator for Sliced {
    type Item = Tried<RecordBatch>;

    fn next(&mut self) -> Option<Tried<RecordBatch>> {
        self.next_rows().transpose()
    }
}

/// The parts of a batch, in their order.
struct Parts<'a> {
    file: &'a mut File,
    batch: &'a Batch,
    /// The column, or part of one, that comes next, and its first buffer.
    node: usize,
    buffer: usize,
}

impl Parts<'_> {
    /// Reads the rows of what comes next.
    fn read(&mut self, data_type: &DataType, rows: Range<usize>) -> Tried<ArrayData> {
        let null_count = *self.batch.null_counts.get(self.node).ok_or("a batch lacks a column")?;
        self.node += 1;
        let builder = ArrayData::builder(data_type.clone()).len(rows.len());
        if *data_type == DataType::Null {
            return builder.build().map_err(told);
        }
        let nulls = self.bits(&rows, null_count > 0)?.map(NullBuffer::new);
        let builder = builder.nulls(nulls);
        let builder = match data_type {
            DataType::Boolean => {
                let bits = self.bits(&rows, true)?.ok_or("a batch lacks values")?;
                builder.add_buffer(bits.sliced())
            }
            DataType::Utf8 | DataType::Binary => {
                let (starts, values) = self.starts::<i32>(&rows)?;
                builder.add_buffer(starts).add_buffer(self.values(values, 1)?)
            }
            DataType::LargeUtf8 | DataType::LargeBinary => {
                let (starts, values) = self.starts::<i64>(&rows)?;
                builder.add_buffer(starts).add_buffer(self.values(values, 1)?)
            }
            DataType::List(item) => {
                let (starts, items) = self.starts::<i32>(&rows)?;
                builder.add_buffer(starts).add_child_data(self.read(item.data_type(), items)?)
            }
            DataType::LargeList(item) => {
                let (starts, items) = self.starts::<i64>(&rows)?;
                builder.add_buffer(starts).add_child_data(self.read(item.data_type(), items)?)
            }
            DataType::FixedSizeList(item, length) => {
                let items = times(&rows, usize::try_from(*length).map_err(told)?)?;
                builder.add_child_data(self.read(item.data_type(), items)?)
            }
            DataType::Struct(fields) => {
                let children = fields.iter().map(|field| self.read(field.data_type(), rows.clone()));
                builder.child_data(children.collect::<Tried<_>>()?)
            }
            other => {
                let width = other.primitive_width().ok_or_else(|| format!("{other} has no ranges"))?;
                builder.add_buffer(self.values(rows, width)?)
            }
        };
        builder.align_buffers(true).build().map_err(told)
    }

    /// Passes over what comes next.
    fn skip(&mut self, data_type: &DataType) {
        self.node += 1;
        self.buffer += match data_type {
            DataType::Null => 0,
            DataType::FixedSizeList(..) | DataType::Struct(_) => 1,
            DataType::Utf8 | DataType::Binary | DataType::LargeUtf8 | DataType::LargeBinary => 3,
            _ => 2,
        };
        match data_type {
            DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
                self.skip(item.data_type());
            }
            DataType::Struct(fields) => fields.iter().for_each(|field| self.skip(field.data_type())),
            _ => {}
        }
    }

    /// Bytes of the next buffer.
    fn bytes(&mut self, range: Range<u64>) -> Tried<Buffer> {
        let (start, length) = *self.batch.buffers.get(self.buffer).ok_or("a batch lacks a buffer")?;
        let from = self.batch.body.start.checked_add(start).and_then(|start| start.checked_add(range.start));
        match from {
            Some(from) if range.start <= range.end && range.end <= length => blocks::bytes(
                self.file,
                from..from.saturating_add(range.end - range.start),
                self.batch.body.end,
            ),
            _ => Err("a column is longer than its buffer".into()),
        }
    }

    /// The next buffer's bits, if they are wanted.
    fn bits(&mut self, rows: &Range<usize>, is_wanted: bool) -> Tried<Option<BooleanBuffer>> {
        let bits = match is_wanted {
            true => {
                let (first, last) = (rows.start as u64 / 8, (rows.end as u64).div_ceil(8));
                let buffer = self.bytes(first..last.max(first))?;
                Some(BooleanBuffer::new(buffer, rows.start % 8, rows.len()))
            }
            false => None,
        };
        self.buffer += 1;
        Ok(bits)
    }

    /// The next buffer's values of a width in bytes.
    fn values(&mut self, rows: Range<usize>, width: usize) -> Tried<Buffer> {
        let range = times(&rows, width)?;
        let values = self.bytes(range.start as u64..range.end as u64);
        self.buffer += 1;
        values
    }

    /// The next buffer's beginnings, counted from the first, and the range that they are of.
    fn starts<T: Start>(&mut self, rows: &Range<usize>) -> Tried<(Buffer, Range<usize>)> {
        if rows.is_empty() {
            self.buffer += 1;
            return Ok((Buffer::from_slice_ref([T::default()]), 0..0));
        }
        let buffer = self.values(rows.start..rows.end + 1, size_of::<T>())?;
        let mut starts: Vec<T> = buffer.typed_data::<T>().to_vec();
        let (Some(first), Some(last)) = (starts.first().copied(), starts.last().copied()) else {
            return Err("a list has no beginning".into());
        };
        for start in &mut starts {
            *start = start.less(first).ok_or("lists do not follow each other")?;
        }
        let (first, last) =
            (first.place().ok_or("a list begins nowhere")?, last.place().ok_or("a list ends nowhere")?);
        Ok((Buffer::from_vec(starts), first..last.max(first)))
    }
}

/// Where a list or a text begins.
trait Start: ArrowNativeType {
    fn less(self, first: Self) -> Option<Self>;
    fn place(self) -> Option<usize>;
}

impl Start for i32 {
    fn less(self, first: Self) -> Option<Self> {
        self.checked_sub(first)
    }

    fn place(self) -> Option<usize> {
        usize::try_from(self).ok()
    }
}

impl Start for i64 {
    fn less(self, first: Self) -> Option<Self> {
        self.checked_sub(first)
    }

    fn place(self) -> Option<usize> {
        usize::try_from(self).ok()
    }
}

fn times(rows: &Range<usize>, each: usize) -> Tried<Range<usize>> {
    match (rows.start.checked_mul(each), rows.end.checked_mul(each)) {
        (Some(start), Some(end)) => Ok(start..end),
        _ => Err("a column is too long".into()),
    }
}

/// Whether rows of such a column are ranges of its buffers.
fn has_ranges(data_type: &DataType) -> bool {
    match data_type {
        DataType::Null
        | DataType::Boolean
        | DataType::Utf8
        | DataType::LargeUtf8
        | DataType::Binary
        | DataType::LargeBinary => true,
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            has_ranges(item.data_type())
        }
        DataType::Struct(fields) => fields.iter().all(|field| has_ranges(field.data_type())),
        other => other.is_primitive(),
    }
}

#[cfg(test)]
mod tests;
