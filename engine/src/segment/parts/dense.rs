//! A dense vector of a sealed segment: exact rows, their codes and sketches, and the graph over them.
//!
//! ```text
//! dense info = vectors u32 | dimension u32 | metric u8 | element u8 | encoding u8 | walk-dimension u32
//! dense part = sections: vectors; codes, factors, parameters; sketches, sketch-factors, sketch-parameters; graph; present, before
//! vectors = element * dimension * vectors      the rows that have the vector, in the order of their slots: the nodes
//! codes   = code * vectors                 of the same rows, each padded to a multiple of 64 bytes; empty under f32
//! factors = f32 * factors * vectors        beside each code
//! parameters = f32 *                       what the encoding learned from the rows
//! sketches = block * (vectors / 8, rounded up)     a bit a component, of the same rows; empty where there are none
//! sketch-factors = u32 * vectors
//! sketch-parameters = f32 *
//! graph   = words as below, over the same rows
//! ```
//! `present` and `before` are those of `nodes.rs`; both are empty if the first rows are those that have the vector, as it is for the
//! first dense vector of a collection.
//!
//! An element is a 32-bit or, if the schema says so, a 16-bit float (binary16).
//!
//! Opening copies the parameters and reads the graph's header; everything else stays where it is.

mod write;

pub(in crate::segment) use write::write;

use std::ops::Range;

use super::PartsFile;
use super::nodes::Nodes;
use crate::codec::{Decoded, Decoder, Encoder};
use crate::dir::Blob;
use crate::graph::{GRAPH_HEADER_BYTES, GraphError, SealedGraph};
use crate::pace::{Halt, Pace};
use crate::schema::{DenseOptions, ElementType, EncodingKind, Metric, VectorId};
use crate::schema_codes::{
    decode_element, decode_encoding, decode_metric, element_code, encoding_code, metric_code,
};
use crate::segment::blocks::Fault;
use crate::segment::meta::{Meta, Part, PartKind, Section};
use crate::vectors::{Encodings, SealedCodes, SealedRows, SealedSketches};

/// What the directory says of a dense vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::segment) struct DenseInfo {
    /// Rows that have it.
    pub(in crate::segment) vectors: u32,
    pub(in crate::segment) dimension: u32,
    metric: Metric,
    pub(in crate::segment) element: ElementType,
    encoding: EncodingKind,
    walk_dimension: u32,
}

impl DenseInfo {
    /// Of so many rows.
    fn of(options: &DenseOptions, vectors: u32) -> Self {
        Self {
            vectors,
            dimension: options.dimension as u32,
            metric: options.metric,
            element: options.element,
            encoding: options.encoding,
            walk_dimension: options.walked() as u32,
        }
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Encoder::new();
        out.u32(self.vectors);
        out.u32(self.dimension);
        out.u8(metric_code(self.metric));
        out.u8(element_code(self.element));
        out.u8(encoding_code(self.encoding));
        out.u32(self.walk_dimension);
        out.into_bytes()
    }

    fn decode(input: &mut Decoder<'_>) -> Decoded<Self> {
        let (vectors, dimension) = (input.u32()?, input.u32()?);
        let (metric, element) = (decode_metric(input)?, decode_element(input)?);
        let encoding = decode_encoding(input)?;
        Ok(Self { vectors, dimension, metric, element, encoding, walk_dimension: input.u32()? })
    }

    /// What a part says, if it is about such a vector.
    pub(in crate::segment) fn read(part: &Part, rows: u32, options: &DenseOptions) -> Result<Self, String> {
        let info = part.info(Self::decode)?;
        if info != Self::of(options, info.vectors) || info.vectors > rows {
            return Err("the segment belongs to another collection".into());
        }
        Ok(info)
    }
}

/// Where codes or sketches lie: they, their factors, their parameters.
type CodeSections = [Section; 3];

/// A dense vector of a segment.
pub(crate) struct SealedDense {
    vectors: u32,
    /// Which rows have it.
    pub(crate) nodes: Nodes,
    /// Those rows, by node, for whoever reads them one after the other.
    pub(crate) rows: SealedRows,
    /// The same rows and their codes for whoever picks some: the rows through a map of their own, where a missing page
    /// comes alone. With the pages around it, each pick of a cold row would drive 31 others out of a full memory.
    pub(crate) picked_rows: SealedRows,
    pub(crate) graph: SealedGraph,
    graph_range: Range<usize>,
}

impl SealedDense {
    pub(in crate::segment) fn open(
        file: &PartsFile<'_>,
        meta: &Meta,
        number: VectorId,
        (options, encodings): (&DenseOptions, &Encodings),
    ) -> Result<Self, Fault> {
        let part = meta
            .part(PartKind::Dense, number)
            .ok_or_else(|| file.fault("the segment belongs to another collection"))?;
        let fault = |reason| file.fault(reason);
        let info = DenseInfo::read(part, file.rows, options).map_err(fault)?;
        let sections: [Section; 10] = part.sections().map_err(fault)?;
        let [vectors, codes, factors, parameters, ..] = sections;
        let [_, _, _, _, sketches, sketch_factors, sketch_parameters, graph, present, before] = sections;
        let (rows, picked_rows) = open_rows(file, vectors, &info)?;
        let codes = open_codes(file, [codes, factors, parameters], (encodings, &info))?;
        let (rows, picked_rows) = match codes {
            None => (rows, picked_rows),
            Some(codes) => (rows.with_codes(codes.clone()), picked_rows.with_codes(codes)),
        };
        let sketches =
            open_sketches(file, [sketches, sketch_factors, sketch_parameters], (encodings, &info))?;
        let rows = match sketches {
            None => rows,
            Some(sketches) => rows.with_sketches(sketches),
        };
        let (graph, graph_range) = open_graph(file, graph, &info)?;
        let nodes = Nodes::open(file, [present, before], info.vectors)?;
        Ok(Self { vectors: info.vectors, nodes, rows, picked_rows, graph, graph_range })
    }

    /// Rows that have it.
    pub(crate) fn vectors(&self) -> u32 {
        self.vectors
    }

    /// Checks the words of the graph, and how its nodes are numbered.
    pub(in crate::segment) fn check_structure(&self, pace: &mut Pace<'_>) -> Result<(), Halt<Fault>> {
        let fault = |error: GraphError| (self.graph_range.start + error.offset(), error.to_string());
        self.graph.verify(pace).map_err(|halt| halt.map(fault))?;
        self.nodes.check_structure(pace)
    }
}

fn open_rows(
    file: &PartsFile<'_>,
    section: Section,
    info: &DenseInfo,
) -> Result<(SealedRows, SealedRows), Fault> {
    let (vectors, dimension) = (info.vectors as usize, info.dimension as usize);
    let range = file
        .range(section, Some(vectors.saturating_mul(dimension).saturating_mul(info.element.size_bytes())))?;
    let rows = |bytes: &Blob| {
        SealedRows::new(bytes.clone(), range.clone(), (dimension, info.element))
            .map_err(|error| (range.start, error.to_string()))
    };
    Ok((rows(file.blob)?, rows(file.scattered)?))
}

/// The ranges of codes or sketches, their parameters checked, which are copied now.
fn coded_ranges(file: &PartsFile<'_>, sections: CodeSections) -> Result<[Range<usize>; 3], Fault> {
    let [codes, factors, parameters] = sections;
    let ranges = [file.range(codes, None)?, file.range(factors, None)?, file.range(parameters, None)?];
    file.check(ranges[2].clone())?;
    Ok(ranges)
}

fn open_codes(
    file: &PartsFile<'_>,
    sections: CodeSections,
    (encodings, info): (&Encodings, &DenseInfo),
) -> Result<Option<SealedCodes>, Fault> {
    let Some(codec) = encodings.sealed.codec() else { return Ok(None) };
    let ranges = coded_ranges(file, sections)?;
    let start = ranges[0].start;
    let codes = SealedCodes::new(file.blob.clone(), ranges, codec.layout(), info.vectors as usize);
    codes.map(Some).map_err(|error| (start, error.to_string()))
}

fn open_sketches(
    file: &PartsFile<'_>,
    sections: CodeSections,
    (encodings, info): (&Encodings, &DenseInfo),
) -> Result<Option<SealedSketches>, Fault> {
    let Some(sketcher) = &encodings.sketcher else { return Ok(None) };
    let ranges = coded_ranges(file, sections)?;
    let start = ranges[0].start;
    let sketches = SealedSketches::new(file.blob.clone(), ranges, sketcher, info.vectors as usize);
    sketches.map(Some).map_err(|error| (start, error.to_string()))
}

fn open_graph(
    file: &PartsFile<'_>,
    section: Section,
    info: &DenseInfo,
) -> Result<(SealedGraph, Range<usize>), Fault> {
    let range = file.range(section, None)?;
    file.check(range.start..range.end.min(range.start + GRAPH_HEADER_BYTES))?;
    let graph = SealedGraph::open(file.blob.clone(), range.clone())
        .map_err(|error| (range.start + error.offset(), error.to_string()))?;
    if graph.rows() != info.vectors as usize || graph.len() != graph.rows() {
        return Err((range.start, "the graph is over other rows than the segment's".into()));
    }
    Ok((graph, range))
}
