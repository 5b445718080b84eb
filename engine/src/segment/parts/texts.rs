//! The words of a sealed segment's texts: a part for each field that is searched by word.
//!
//! ```text
//! text info = analyzer u8 | analysis-version u16 | flavour u8 = 0 | length-width u8 | rows u32 | rows with a term u32 | terms u64
//! text part = sections: lengths, words, groups, postings
//! ```
//! The sections are those of `text/index/`. `analysis-version` counts changes of what analysers do: a part of another version, or by another
//! analyser than is asked for, is not read. Then, and for a segment that was written before the field was searched by
//! word, an index is made in memory when it is first asked for; a merge writes one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::{PartsFile, section};
use crate::codec::{Decoded, Decoder, Encoder};
use crate::error::Result;
use crate::faults;
use crate::payload::{FieldId, FieldTable};
use crate::segment::blocks::{BlockWriter, Fault};
use crate::segment::meta::{Meta, Part, PartKind};
use crate::segment::view::TextPart;
use crate::segment::writer::Writing;
use crate::text::{
    ANALYSIS_VERSION, Analyzer, Flavour, Index, IndexInfo, MergeSource, NOWHERE, Sections, Written, merge,
};

/// Lists of terms that are written between two looks at whether to go on.
const LISTS_PER_STEP: usize = 1 << 12;

/// Writes the words of a new segment: those of its sources, none analysed again.
pub(in crate::segment) fn write(writing: &Writing<'_>, out: &mut BlockWriter) -> Result<Vec<Part>> {
    let mut parts = Vec::new();
    let slots = new_slots(writing);
    for (field, analyzer) in writing.request.fields.texts() {
        writing.go_on()?;
        let mut owned: Vec<(Arc<Index>, &[u32])> = Vec::new();
        for (source, slots) in writing.request.sources.iter().zip(&slots) {
            for TextPart { first, rows, index } in source.texts(field, analyzer) {
                let slots = &slots[first as usize..(first + rows) as usize];
                owned.extend(index.map(|index| (index, slots)));
            }
        }
        let sources: Vec<MergeSource<'_>> =
            owned.iter().map(|(index, slots)| MergeSource { index, slots }).collect();
        if !sources.is_empty() {
            parts.push(write_one(writing, out, (field, analyzer), &sources)?);
        }
    }
    faults::point(writing.step("seal.texts", "merge.texts"));
    Ok(parts)
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

fn write_one(
    writing: &Writing<'_>,
    out: &mut BlockWriter,
    (field, analyzer): (FieldId, Analyzer),
    sources: &[MergeSource<'_>],
) -> Result<Part> {
    let rows = writing.rows.len() as u32;
    let mut written = None;
    let mut lists = 0;
    let postings = section(out, |out| {
        let sink = |list: &[u8]| {
            lists += 1;
            if lists % LISTS_PER_STEP == 0 {
                writing.go_on()?;
            }
            out.write(list)
        };
        written = Some(merge(Flavour::Counts, sources, rows, sink)?);
        Ok(())
    })?;
    let Some(Written { info, lengths, words, groups }) = written else { return Err(writing.stopped()) };
    let [lengths, words, groups] =
        [lengths, words, groups].map(|bytes| section(out, |out| out.write(&bytes)));
    let sections = vec![lengths?, words?, groups?, postings];
    let mut encoder = Encoder::new();
    encoder.u8(analyzer.code());
    encoder.u16(ANALYSIS_VERSION);
    info.encode(&mut encoder);
    Ok(Part { kind: PartKind::Text, number: field, info: encoder.into_bytes(), sections })
}

fn decode_info(input: &mut Decoder<'_>) -> Decoded<(u8, u16, IndexInfo)> {
    Ok((input.u8()?, input.u16()?, IndexInfo::decode(input)?))
}

/// An index that somebody makes, and others wait for.
type Made = Arc<OnceLock<Arc<Index>>>;

/// The words of a segment's texts.
pub(in crate::segment) struct SealedTexts {
    /// With the code of its analyser; none of another version.
    stored: BTreeMap<FieldId, (u8, Arc<Index>)>,
    fields: Vec<FieldId>,
    made: Mutex<BTreeMap<(FieldId, Analyzer), Made>>,
}

impl SealedTexts {
    pub(in crate::segment) fn open(file: &PartsFile<'_>, meta: &Meta) -> Result<Self, Fault> {
        let mut stored = BTreeMap::new();
        for part in meta.of_kind(PartKind::Text) {
            let (analyzer, version, info) = part.info(decode_info).map_err(|reason| file.fault(reason))?;
            let [lengths, words, groups, postings] = part.sections().map_err(|reason| file.fault(reason))?;
            let sections = Sections {
                lengths: file.range(lengths, None)?,
                words: file.range(words, None)?,
                groups: file.range(groups, None)?,
                postings: file.range(postings, None)?,
            };
            let start = sections.postings.start;
            let index = Index::open(file.blob.clone(), sections, info)
                .filter(|index| index.info.rows == file.rows && index.info.flavour == Flavour::Counts)
                .ok_or((start, "the words of a field do not fit their counts".to_owned()))?;
            if version == ANALYSIS_VERSION {
                stored.insert(part.number, (analyzer, Arc::new(index)));
            }
        }
        let fields = meta.of_kind(PartKind::Text).map(|part| part.number).collect();
        Ok(Self { stored, fields, made: Mutex::default() })
    }

    /// The words of a field as an analyser finds them; `make` makes an index where none is stored.
    pub(in crate::segment) fn get(
        &self,
        field: FieldId,
        analyzer: Analyzer,
        make: impl FnOnce() -> Index,
    ) -> Arc<Index> {
        if let Some((code, index)) = self.stored.get(&field)
            && *code == analyzer.code()
        {
            return index.clone();
        }
        let made = {
            let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
            made.entry((field, analyzer)).or_default().clone()
        };
        made.get_or_init(|| Arc::new(make())).clone()
    }

    /// Whether every part is of a field that the collection has.
    pub(in crate::segment) fn has_only(&self, fields: &FieldTable) -> bool {
        self.fields.iter().all(|field| usize::from(*field) < fields.len())
    }
}
