//! The meta section of a segment file: a directory of the parts that the segment consists of.
//!
//! ```text
//! meta    = segment u64 | rows u32 | count u16 | part*
//! part    = kind u8 | number u16 | info (length u32, bytes) | count u16 | section*
//! section = offset u64 | length u64
//! kind    = 1 ids | 2 dense vector | 3 columns | 4 text | 5 sparse vector | 6 multi-vector | 7 versions | 8 expiries
//!         | 9 index of a sparse vector
//! ```
//! `number` is that of the vector, or of the field of a text index, that the part is about, 0 for other kinds. What the bytes of `info` and
//! the sections mean is the business of each kind, one file each in `parts/`. Parts are in the order of kind and number,
//! and no two are alike. A section that was not written has offset and length 0.

use crate::codec::{Decoded, Decoder, Encoder};

/// What a part is about. A code is given once and never again for anything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum PartKind {
    /// The ids of all rows.
    Ids = 1,
    /// A dense vector: rows, codes, sketches, graph.
    Dense = 2,
    /// The fields' values.
    Columns = 3,
    /// The words of a field's texts.
    Text = 4,
    /// A sparse vector: the entries of rows.
    Sparse = 5,
    /// A multi-vector: the vectors of rows.
    Multi = 6,
    /// The versions of all rows.
    Versions = 7,
    /// When rows expire.
    Expiries = 8,
    /// The rows that have each dimension of a sparse vector.
    SparseIndex = 9,
}

impl PartKind {
    fn from_code(code: u8) -> Option<Self> {
        [
            Self::Ids,
            Self::Dense,
            Self::Columns,
            Self::Text,
            Self::Sparse,
            Self::Multi,
            Self::Versions,
            Self::Expiries,
            Self::SparseIndex,
        ]
        .into_iter()
        .find(|kind| *kind as u8 == code)
    }
}

/// Where a section lies in its file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Section {
    pub(super) offset: u64,
    pub(super) length_bytes: u64,
}

/// A part of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) kind: PartKind,
    /// Of the vector or the field.
    pub(super) number: u16,
    /// What its kind says of it.
    pub(super) info: Vec<u8>,
    pub(super) sections: Vec<Section>,
}

impl Part {
    /// Its sections, if it has as many as its kind is to have.
    pub(super) fn sections<const N: usize>(&self) -> Result<[Section; N], String> {
        let found = self.sections.len();
        self.sections.clone().try_into().map_err(|_| {
            format!("part {:?} {} has {found} sections, {N} are expected", self.kind, self.number)
        })
    }

    /// Reads its info, all of it.
    pub(super) fn info<T>(&self, read: impl FnOnce(&mut Decoder<'_>) -> Decoded<T>) -> Result<T, String> {
        let mut decoder = Decoder::new(&self.info);
        read(&mut decoder)
            .and_then(|info| decoder.finish().map(|()| info))
            .map_err(|error| format!("part {:?} {}: {}", self.kind, self.number, error.reason))
    }
}

/// The meta section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Meta {
    pub(super) segment: u64,
    pub(super) rows: u32,
    /// By kind and number.
    pub(super) parts: Vec<Part>,
}

impl Meta {
    /// Of these parts, in whatever order.
    pub(super) fn new(segment: u64, rows: u32, mut parts: Vec<Part>) -> Self {
        parts.sort_by_key(|part| (part.kind, part.number));
        Self { segment, rows, parts }
    }

    /// The part of a kind and number.
    pub(super) fn part(&self, kind: PartKind, number: u16) -> Option<&Part> {
        self.of_kind(kind).find(|part| part.number == number)
    }

    /// The parts of a kind, by number.
    pub(super) fn of_kind(&self, kind: PartKind) -> impl Iterator<Item = &Part> {
        self.parts.iter().filter(move |part| part.kind == kind)
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Encoder::new();
        out.u64(self.segment);
        out.u32(self.rows);
        out.u16(self.parts.len() as u16);
        for part in &self.parts {
            out.u8(part.kind as u8);
            out.u16(part.number);
            out.u32(part.info.len() as u32);
            out.raw(&part.info);
            out.u16(part.sections.len() as u16);
            for section in &part.sections {
                out.u64(section.offset);
                out.u64(section.length_bytes);
            }
        }
        out.into_bytes()
    }

    pub(super) fn decode(bytes: &[u8]) -> Decoded<Self> {
        let mut input = Decoder::new(bytes);
        let (segment, rows, count) = (input.u64()?, input.u32()?, input.u16()?);
        let mut parts: Vec<Part> = Vec::new();
        for _ in 0..count {
            let part = decode_part(&mut input)?;
            let key = |part: &Part| (part.kind, part.number);
            if parts.last().is_some_and(|last| key(last) >= key(&part)) {
                return input.error(format!("part {:?} {} is out of order", part.kind, part.number));
            }
            parts.push(part);
        }
        input.finish()?;
        Ok(Self { segment, rows, parts })
    }
}

fn decode_part(input: &mut Decoder<'_>) -> Decoded<Part> {
    let code = input.u8()?;
    let Some(kind) = PartKind::from_code(code) else {
        return input.error(format!("unknown kind of part {code}"));
    };
    let number = input.u16()?;
    let length = input.u32()? as usize;
    let info = input.raw(length)?.to_vec();
    let count = input.u16()?;
    let section =
        |_| -> Decoded<Section> { Ok(Section { offset: input.u64()?, length_bytes: input.u64()? }) };
    let sections = (0..count).map(section).collect::<Decoded<_>>()?;
    Ok(Part { kind, number, info, sections })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(kind: PartKind, number: u16) -> Part {
        let sections = vec![Section { offset: 64, length_bytes: u64::from(number) }; usize::from(number)];
        Part { kind, number, info: vec![7; usize::from(number)], sections }
    }

    #[test]
    fn a_directory_comes_back_and_no_prefix_of_it_is_one() {
        let parts = [part(PartKind::Columns, 2), part(PartKind::Ids, 0), part(PartKind::Dense, 1)];
        let meta = Meta::new(3, 4, parts.into());
        let bytes = meta.encode();
        assert_eq!(Meta::decode(&bytes).unwrap(), meta);
        assert!((0..bytes.len()).all(|length| Meta::decode(&bytes[..length]).is_err()));
        assert_eq!(meta.part(PartKind::Dense, 1).unwrap().sections::<1>().unwrap()[0].offset, 64);
        assert!(meta.part(PartKind::Dense, 1).unwrap().sections::<2>().is_err());
        assert!(meta.part(PartKind::Dense, 0).is_none());
    }

    #[test]
    fn parts_that_are_twice_there_or_out_of_order_are_refused() {
        let one = part(PartKind::Dense, 1);
        for parts in [vec![one.clone(), one.clone()], vec![part(PartKind::Columns, 0), one]] {
            let meta = Meta { segment: 1, rows: 0, parts };
            assert!(Meta::decode(&meta.encode()).unwrap_err().reason.contains("out of order"));
        }
    }

    /// The description of the format said eight sections when there were eleven.
    #[test]
    fn the_description_of_the_format_has_the_same_grammar() {
        let format = include_str!("../../FORMAT.md");
        let grammar = |source: &'static str| {
            let lines = source.lines().skip_while(|line| *line != "//! ```text").skip(1);
            lines.take_while(|line| *line != "//! ```").map(|line| line.trim_start_matches("//! "))
        };
        let sources = [
            include_str!("meta.rs"),
            include_str!("parts/ids.rs"),
            include_str!("parts/dense.rs"),
            include_str!("parts/nodes.rs"),
            include_str!("parts/sparse.rs"),
            include_str!("parts/multi.rs"),
            include_str!("parts/columns.rs"),
            include_str!("parts/indexes.rs"),
            include_str!("../text/index/words.rs"),
            include_str!("../text/index/postings.rs"),
            include_str!("parts/versions.rs"),
            include_str!("parts/expiries.rs"),
        ];
        for line in sources.into_iter().flat_map(grammar) {
            assert!(format.lines().any(|found| found == line), "FORMAT.md lacks `{line}`");
        }
    }
}
