//! The meta section of a segment file: what the segment is and where its parts lie.
//!
//! ```text
//! meta    = segment u64 | rows u32 | vectors u32 | dimension u32 | metric u8 | encoding u8
//!         | walk-dimension u32 | section * 11 | count u32 (field u16 | type u8 | count u32 | section)*
//! section = offset u64 | length u64        of vectors; of codes, their factors and parameters; of
//!                                          sketches, their factors and parameters; of graph, order, id-ends, ids;
//!                                          of a column
//! ```
//! Version 1 had neither the walk dimension nor the six sections of codes and sketches. Version 2 had no sketches for a while,
//! before anything was released; such files are not read.

use std::collections::BTreeMap;

use super::blocks::VERSION_1;
use crate::codec::{Decoded, Decoder, Encoder};
use crate::payload::{ColumnEntry, FieldId};
use crate::schema::{EncodingKind, Metric, Schema};
use crate::schema_codes::{decode_encoding, decode_field_type, decode_metric, encoding_code, metric_code};

/// Where a section lies in its file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Section {
    pub(super) offset: u64,
    pub(super) length_bytes: u64,
}

/// Where the codes or the sketches of the rows lie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct CodeSections {
    pub(super) codes: Section,
    pub(super) factors: Section,
    pub(super) parameters: Section,
}

/// The meta section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Meta {
    pub(super) segment: u64,
    pub(super) rows: u32,
    pub(super) vectors: u32,
    pub(super) dimension: u32,
    pub(super) metric: Metric,
    pub(super) encoding: EncodingKind,
    pub(super) walk_dimension: u32,
    pub(super) vector_rows: Section,
    pub(super) codes: CodeSections,
    pub(super) sketches: CodeSections,
    pub(super) graph: Section,
    pub(super) order: Section,
    pub(super) id_ends: Section,
    pub(super) ids: Section,
    pub(super) columns: BTreeMap<FieldId, ColumnEntry>,
}

impl Meta {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Encoder::new();
        out.u64(self.segment);
        out.u32(self.rows);
        out.u32(self.vectors);
        out.u32(self.dimension);
        out.u8(metric_code(self.metric));
        out.u8(encoding_code(self.encoding));
        out.u32(self.walk_dimension);
        let coded = [self.codes, self.sketches]
            .into_iter()
            .flat_map(|CodeSections { codes, factors, parameters }| [codes, factors, parameters]);
        let others = [self.graph, self.order, self.id_ends, self.ids];
        for section in std::iter::once(self.vector_rows).chain(coded).chain(others) {
            out.u64(section.offset);
            out.u64(section.length_bytes);
        }
        out.u32(self.columns.len() as u32);
        for (field, column) in &self.columns {
            out.u16(*field);
            out.u8(column.field_type.code());
            out.u32(column.count);
            out.u64(column.offset);
            out.u64(column.length_bytes);
        }
        out.into_bytes()
    }

    pub(super) fn decode(bytes: &[u8], version: u32) -> Decoded<Self> {
        let mut decoder = Decoder::new(bytes);
        let input = &mut decoder;
        let segment = input.u64()?;
        let (rows, vectors, dimension) = (input.u32()?, input.u32()?, input.u32()?);
        let (metric, encoding) = (decode_metric(input)?, decode_encoding(input)?);
        let walk_dimension = if version == VERSION_1 { dimension } else { input.u32()? };
        let mut section =
            || -> Decoded<Section> { Ok(Section { offset: input.u64()?, length_bytes: input.u64()? }) };
        let vector_rows = section()?;
        let mut coded = || match version {
            VERSION_1 => Ok(CodeSections::default()),
            _ => Ok(CodeSections { codes: section()?, factors: section()?, parameters: section()? }),
        };
        let (codes, sketches) = (coded()?, coded()?);
        let graph = section()?;
        let (order, id_ends, ids) = (section()?, section()?, section()?);
        let mut columns = BTreeMap::new();
        for _ in 0..input.count(23)? {
            let field = input.u16()?;
            let field_type = decode_field_type(input)?;
            let count = input.u32()?;
            let (offset, length_bytes) = (input.u64()?, input.u64()?);
            columns.insert(field, ColumnEntry { field_type, offset, length_bytes, count });
        }
        decoder.finish()?;
        Ok(Self {
            segment,
            rows,
            vectors,
            dimension,
            metric,
            encoding,
            walk_dimension,
            vector_rows,
            codes,
            sketches,
            graph,
            order,
            id_ends,
            ids,
            columns,
        })
    }

    /// Whether it is the meta section of this segment, of a collection with this schema.
    pub(super) fn belongs_to(&self, segment: u64, schema: &Schema) -> bool {
        self.segment == segment
            && self.dimension as usize == schema.dimension
            && self.metric == schema.metric
            && self.encoding == schema.encoding
            && self.walk_dimension as usize == schema.walk_dimension()
            && self.vectors <= self.rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The description of the format said eight when there were eleven.
    #[test]
    fn the_description_of_the_format_has_as_many_sections() {
        let none = CodeSections::default();
        let meta = Meta {
            segment: 1,
            rows: 0,
            vectors: 0,
            dimension: 2,
            metric: Metric::L2,
            encoding: EncodingKind::Int4,
            walk_dimension: 2,
            vector_rows: Section::default(),
            codes: none,
            sketches: none,
            graph: Section::default(),
            order: Section::default(),
            id_ends: Section::default(),
            ids: Section::default(),
            columns: BTreeMap::new(),
        };
        let bytes = meta.encode();
        assert_eq!(Meta::decode(&bytes, super::super::blocks::VERSION_1 + 1).unwrap(), meta);
        // Numbers and codes before the sections, the count of columns behind them.
        let sections = (bytes.len() - (8 + 3 * 4 + 2 + 4) - 4) / size_of::<[u64; 2]>();
        let line = format!("| section * {sections} | count u32 (field u16 | type u8 | count u32 | section)*");
        let format = include_str!("../../FORMAT.md");
        assert!(format.contains(&line), "FORMAT.md lacks `{line}`");
        let parts = ["codes", "factors", "parameters", "sketches", "sketch-factors", "sketch-parameters"];
        assert!(parts.iter().all(|part| format.lines().any(|line| line.starts_with(part))));
    }
}
