//! The inverted indexes of a sealed segment: a part for each field that is searched by word, and for each sparse vector.
//!
//! ```text
//! text info = analyzer u8 | analysis-version u16 | flavour u8 = 0 | length-width u8 | rows u32 | rows with a term u32 | terms u64
//! text part = sections: lengths, words, groups, postings
//! sparse index info = flavour u8 = 1 | length-width u8 = 0 | rows u32 | rows with an entry u32 | entries u64
//! sparse index part = the same sections; lengths is empty
//! ```
//! The sections are those of `text/index/`. `analysis-version` counts changes of what analysers do: a part of another version, or by another
//! analyser than is asked for, is not read. Then, and for a segment that was written before the field was searched by
//! word, an index is made in memory when it is first asked for, until there is one in a file beside the segment (`segment/words.rs`); a merge
//! writes one.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::{PartsFile, section};
use crate::codec::{Decoded, Decoder, Encoder};
use crate::error::Result;
use crate::faults;
use crate::payload::{FieldId, FieldTable};
use crate::schema::{VectorId, VectorKind};
use crate::segment::TextPart;
use crate::segment::blocks::{BlockWriter, Fault};
use crate::segment::meta::{Meta, Part, PartKind, Section};
use crate::segment::writer::Writing;
use crate::text::{
    ANALYSIS_VERSION, Analyzer, Flavour, Index, IndexInfo, MergeSource, NOWHERE, Sections, Written, merge,
};

/// Lists of terms that are written between two looks at whether to go on.
const LISTS_PER_STEP: usize = 1 << 12;

/// Writes the indexes of a new segment, merged from those of its sources: nothing is analysed again.
pub(in crate::segment) fn write(writing: &Writing<'_>, out: &mut BlockWriter) -> Result<Vec<Part>> {
    let mut parts = Vec::new();
    let slots = new_slots(writing);
    for (field, analyzer) in writing.request.fields.texts() {
        writing.go_on()?;
        let info = text_info(analyzer);
        let sources = writing.request.sources.iter().map(|source| source.texts(field, analyzer));
        let sources = sources.zip(&slots).collect();
        parts.extend(write_one(writing, out, (PartKind::Text, field, info), sources)?);
    }
    for (number, _, kind) in writing.request.schema.numbered() {
        if matches!(kind, VectorKind::Sparse(_)) {
            let sources = writing.request.sources.iter().map(|source| source.sparse_indexes(number));
            let sources = sources.zip(&slots).collect();
            parts.extend(write_one(writing, out, (PartKind::SparseIndex, number, Encoder::new()), sources)?);
        }
    }
    faults::point(writing.step("seal.indexes", "merge.indexes"));
    Ok(parts)
}

/// What the info of a text part says before that of its index.
pub(in crate::segment) fn text_info(analyzer: Analyzer) -> Encoder {
    let mut info = Encoder::new();
    info.u8(analyzer.code());
    info.u16(ANALYSIS_VERSION);
    info
}

/// For each source, for each of its slots, the new slot.
fn new_slots(writing: &Writing<'_>) -> Vec<Vec<u32>> {
    let mut slots: Vec<Vec<u32>> =
        writing.request.sources.iter().map(|source| vec![NOWHERE; source.rows as usize]).collect();
    for (new, row) in (0..).zip(writing.rows) {
        slots[row.source][row.slot as usize] = new;
    }
    slots
}

/// Writes one index of those of all sources, each with the new slots of its rows; `info` says what comes before that of the index.
fn write_one(
    writing: &Writing<'_>,
    out: &mut BlockWriter,
    part: (PartKind, u16, Encoder),
    sources: Vec<(Vec<TextPart>, &Vec<u32>)>,
) -> Result<Option<Part>> {
    let mut owned: Vec<(Arc<Index>, Cow<'_, [u32]>)> = Vec::new();
    for (parts, slots) in sources {
        let with_slots = |TextPart { rows, index }| Some((index?, rows.slots(slots)));
        owned.extend(parts.into_iter().filter_map(with_slots));
    }
    if owned.is_empty() {
        return Ok(None);
    }
    let sources: Vec<MergeSource<'_>> =
        owned.iter().map(|(index, slots)| MergeSource { index, slots }).collect();
    let to = (sources.as_slice(), writing.rows.len() as u32);
    write_merged(out, part, to, &|| writing.go_on()).map(Some)
}

/// Writes one index of so many rows, of those of several sources.
pub(in crate::segment) fn write_merged(
    out: &mut BlockWriter,
    (kind, number, mut info): (PartKind, u16, Encoder),
    (sources, rows): (&[MergeSource<'_>], u32),
    go_on: &dyn Fn() -> Result<()>,
) -> Result<Part> {
    let flavour = if kind == PartKind::Text { Flavour::Counts } else { Flavour::Weights };
    out.align()?;
    let offset = out.position();
    let mut lists = 0;
    let written = merge(flavour, sources, rows, |list: &[u8]| {
        lists += 1;
        if lists % LISTS_PER_STEP == 0 {
            go_on()?;
        }
        out.write(list)
    })?;
    let postings = Section { offset, length_bytes: out.position() - offset };
    let Written { info: own, lengths, words, groups } = written;
    let [lengths, words, groups] =
        [lengths, words, groups].map(|bytes| section(out, |out| out.write(&bytes)));
    let sections = vec![lengths?, words?, groups?, postings];
    own.encode(&mut info);
    Ok(Part { kind, number, info: info.into_bytes(), sections })
}

fn decode_info(input: &mut Decoder<'_>) -> Decoded<(u8, u16, IndexInfo)> {
    Ok((input.u8()?, input.u16()?, IndexInfo::decode(input)?))
}

/// The indexes of a segment.
pub(in crate::segment) struct SealedIndexes {
    /// By field, with the code of its analyser; none of another version.
    texts: BTreeMap<FieldId, (u8, Arc<Index>)>,
    fields: Vec<FieldId>,
    sparse: BTreeMap<VectorId, Arc<Index>>,
}

impl SealedIndexes {
    pub(in crate::segment) fn open(file: &PartsFile<'_>, meta: &Meta) -> Result<Self, Fault> {
        let (mut texts, mut sparse) = (BTreeMap::new(), BTreeMap::new());
        for part in meta.of_kind(PartKind::Text) {
            let (analyzer, version, index) = open_text(file, part)?;
            if version == ANALYSIS_VERSION {
                texts.insert(part.number, (analyzer, Arc::new(index)));
            }
        }
        for part in meta.of_kind(PartKind::SparseIndex) {
            let info = part.info(IndexInfo::decode).map_err(|reason| file.fault(reason))?;
            sparse.insert(part.number, Arc::new(open_one(file, part, (info, Flavour::Weights))?));
        }
        let fields = meta.of_kind(PartKind::Text).map(|part| part.number).collect();
        Ok(Self { texts, fields, sparse })
    }

    /// The words of a field as an analyser finds them, if they are stored.
    pub(in crate::segment) fn text(&self, field: FieldId, analyzer: Analyzer) -> Option<&Arc<Index>> {
        let (_, index) = self.texts.get(&field).filter(|(code, _)| *code == analyzer.code())?;
        Some(index)
    }

    /// The index of a sparse vector, if it is stored.
    pub(in crate::segment) fn sparse(&self, number: VectorId) -> Option<&Arc<Index>> {
        self.sparse.get(&number)
    }

    /// Whether every part is of a field that the collection has.
    pub(in crate::segment) fn has_only(&self, fields: &FieldTable) -> bool {
        self.fields.iter().all(|field| usize::from(*field) < fields.len())
    }
}

/// Opens a text part; the code of its analyser and the version of that, and the index.
pub(in crate::segment) fn open_text(file: &PartsFile<'_>, part: &Part) -> Result<(u8, u16, Index), Fault> {
    let (analyzer, version, info) = part.info(decode_info).map_err(|reason| file.fault(reason))?;
    Ok((analyzer, version, open_one(file, part, (info, Flavour::Counts))?))
}

/// Opens the index of a part.
fn open_one(
    file: &PartsFile<'_>,
    part: &Part,
    (info, flavour): (IndexInfo, Flavour),
) -> Result<Index, Fault> {
    let [lengths, words, groups, postings] = part.sections().map_err(|reason| file.fault(reason))?;
    let sections = Sections {
        lengths: file.range(lengths, None)?,
        words: file.range(words, None)?,
        groups: file.range(groups, None)?,
        postings: file.range(postings, None)?,
    };
    let start = sections.postings.start;
    Index::open(file.blob.clone(), sections, info)
        .filter(|index| index.info.rows == file.rows && index.info.flavour == flavour)
        .ok_or((start, "an index does not fit the segment's rows".to_owned()))
}
