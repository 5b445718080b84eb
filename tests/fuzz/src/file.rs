//! A file taken apart at its checksums, and put together again with checksums that hold (grammar: `FORMAT.md` of the
//! engine).
//!
//! Parts are what may be changed at will, also in length: of the manifest and its copy their body, of a tombstone, a patch or a request file all before the
//! checksum, of a segment or of words beside it the sections, the meta section and the size of a block, of the log each record as
//! `log-id u64 | seq u64 | batch`.

/// What kind of file it is, with what its parts do not say.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Manifest {
        /// Magic and version.
        head: Vec<u8>,
    },
    Beside,
    Segment {
        /// Version and magic, as they end the footer.
        tail: Vec<u8>,
    },
    Log {
        /// The file's header, its checksum included.
        header: Vec<u8>,
        /// Of each frame, its position and time, and how many records it has.
        frames: Vec<(Vec<u8>, usize)>,
    },
}

/// A file in parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    kind: Kind,
    /// The parts.
    pub parts: Vec<Vec<u8>>,
}

const LOG_HEADER_BYTES: usize = 24;
const FRAME_HEADER_BYTES: usize = 36;
const RECORD_HEADER_BYTES: usize = 24;
const MANIFEST_HEAD_BYTES: usize = 12;
const FOOTER_BYTES: usize = 40;

impl File {
    /// Takes a sound file apart.
    ///
    /// # Panics
    /// If it is not what its name says.
    pub fn split(name: &str, bytes: &[u8]) -> Self {
        match name.split(['-', '.']).next() {
            Some("MANIFEST") => {
                let head = bytes[..MANIFEST_HEAD_BYTES].to_vec();
                let body = bytes[MANIFEST_HEAD_BYTES + 8..bytes.len() - 4].to_vec();
                Self { kind: Kind::Manifest { head }, parts: vec![body] }
            }
            Some("dead" | "patch" | "requests") => {
                Self { kind: Kind::Beside, parts: vec![bytes[..bytes.len() - 4].to_vec()] }
            }
            Some("segment" | "words") => {
                let footer = &bytes[bytes.len() - FOOTER_BYTES..];
                let (body_bytes, meta) = (u64_at(footer, 0) as usize, u64_at(footer, 8) as usize);
                let parts = [&bytes[..meta], &bytes[meta..body_bytes], &footer[16..20]];
                let tail = footer[24..FOOTER_BYTES - 4].to_vec();
                Self { kind: Kind::Segment { tail }, parts: parts.map(<[u8]>::to_vec).into() }
            }
            Some("log" | "kept") => Self::split_log(bytes),
            _ => panic!("{name} is no file of a database"),
        }
    }

    fn split_log(bytes: &[u8]) -> Self {
        let (header, mut rest) = bytes.split_at(LOG_HEADER_BYTES);
        let (mut frames, mut parts) = (Vec::new(), Vec::new());
        while !rest.is_empty() {
            let (frame, after) = rest.split_at(FRAME_HEADER_BYTES);
            let (mut records, after) = after.split_at(u32_at(frame, 28) as usize);
            let before = parts.len();
            while !records.is_empty() {
                let end = RECORD_HEADER_BYTES + u32_at(records, 16) as usize;
                parts.push([&records[..16], &records[RECORD_HEADER_BYTES..end]].concat());
                records = &records[end..];
            }
            frames.push((frame[12..28].to_vec(), parts.len() - before));
            rest = after;
        }
        Self { kind: Kind::Log { header: header.to_vec(), frames }, parts }
    }

    /// Puts the file together.
    pub fn join(&self) -> Vec<u8> {
        match &self.kind {
            Kind::Manifest { head } => {
                let body = &self.parts[0];
                with_crc([head, &(body.len() as u64).to_le_bytes()[..], body].concat())
            }
            Kind::Beside => with_crc(self.parts[0].clone()),
            Kind::Segment { tail } => self.join_segment(tail),
            Kind::Log { header, frames } => self.join_log(header, frames),
        }
    }

    fn join_segment(&self, tail: &[u8]) -> Vec<u8> {
        let [sections, meta, block_bytes] = &self.parts[..] else {
            unreachable!("a segment has three parts")
        };
        let body = [&sections[..], meta].concat();
        let mut block = block_bytes.clone();
        block.resize(4, 0);
        // No checksum is right over blocks of no bytes; one over everything is as good as any.
        let size = match u32_at(&block, 0) {
            0 => body.len().max(1),
            size => size as usize,
        };
        let table: Vec<u8> =
            body.chunks(size).flat_map(|chunk| crc32fast::hash(chunk).to_le_bytes()).collect();
        let footer = with_crc(
            [
                &(body.len() as u64).to_le_bytes()[..],
                &(sections.len() as u64).to_le_bytes(),
                &block,
                &crc32fast::hash(&table).to_le_bytes(),
                tail,
            ]
            .concat(),
        );
        [body, table, footer].concat()
    }

    fn join_log(&self, header: &[u8], frames: &[(Vec<u8>, usize)]) -> Vec<u8> {
        let (mut bytes, mut rest) = (header.to_vec(), &self.parts[..]);
        for (number, (place, count)) in frames.iter().enumerate() {
            let (records, after) = rest.split_at(*count);
            let records: Vec<u8> = records.iter().flat_map(|part| record(part)).collect();
            let number = (number as u64).to_le_bytes();
            let length = (records.len() as u32).to_le_bytes();
            bytes.extend(with_crc([b"RFRM", &number[..], place, &length].concat()));
            bytes.extend(records);
            rest = after;
        }
        bytes
    }
}

/// A log record of `log-id | seq | batch`; what is missing of the two numbers is zero.
fn record(part: &[u8]) -> Vec<u8> {
    let mut numbers = part[..part.len().min(16)].to_vec();
    numbers.resize(16, 0);
    let body = part.get(16..).unwrap_or_default();
    let head = [&numbers[..], &(body.len() as u32).to_le_bytes()].concat();
    let crc = crc32fast::hash(&[&head[..], body].concat()).to_le_bytes();
    [&head[..], &crc, body].concat()
}

/// Bytes and the checksum over them.
fn with_crc(mut bytes: Vec<u8>) -> Vec<u8> {
    let crc = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
    bytes
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}
