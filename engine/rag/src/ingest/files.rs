//! A file's documents.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ragstone::Payload;

use super::folder::FileEntry;
use super::media::{UnknownExtension, extension};
use super::records::{self, RecordFormat, RecordOptions, Records};
use super::{DocumentInput, MediaType};
use crate::error::{Error, Result};
use crate::limits::DOCUMENT_BYTES_MAX;

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A document.
    Document(MediaType),
    /// Records, each a document.
    Records(RecordFormat),
}

impl FileKind {
    /// The kind by the extension of a file's name, as [`MediaType::from_name`]; `.jsonl`, `.ndjson`, `.csv` and `.tsv` are records.
    ///
    /// # Errors
    /// The extension, if it is none of those understood.
    pub fn from_name(name: &str) -> Result<FileKind, UnknownExtension> {
        let file = name.rsplit(['/', '\\']).next().unwrap_or(name);
        match extension(file).and_then(RecordFormat::from_extension) {
            Some(format) => Ok(FileKind::Records(format)),
            None => MediaType::from_name(name).map(FileKind::Document),
        }
    }

    /// The kind of a name: `jsonl`, `csv`, `tsv`, or as of [`MediaType::parse`].
    pub fn parse(name: &str) -> Option<FileKind> {
        let records = RecordFormat::parse(name).map(FileKind::Records);
        records.or_else(|| MediaType::parse(name).map(FileKind::Document))
    }
}

/// A document of a file.
#[derive(Debug)]
pub struct Loaded {
    /// Bytes of the file that were read for it.
    pub bytes: u64,
    /// The document, or why there is none: then the next one may be whole.
    pub document: Result<DocumentInput>,
}

/// The documents of a file, read as they are asked for: [`FileEntry::documents`].
pub struct FileDocuments {
    entry: FileEntry,
    left: Left,
}

enum Left {
    One(MediaType, File),
    Records { records: Box<Records<BufReader<Counted>>>, read: Arc<AtomicU64>, told: u64 },
    Nothing,
}

/// A file, and how much of it was read.
struct Counted {
    file: File,
    read: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        let read = self.file.read(bytes)?;
        self.read.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

impl FileDocuments {
    pub(super) fn open(entry: &FileEntry, options: &RecordOptions) -> Result<FileDocuments> {
        let file = File::open(&entry.path).map_err(|source| io(&entry.path, "open", source))?;
        let left = match entry.kind {
            FileKind::Document(media_type) => Left::One(media_type, file),
            FileKind::Records(format) => {
                let read = Arc::new(AtomicU64::new(0));
                let file = BufReader::new(Counted { file, read: read.clone() });
                let records = Box::new(records::read(file, format, options.clone()));
                Left::Records { records, read, told: 0 }
            }
        };
        Ok(FileDocuments { entry: entry.clone(), left })
    }

    fn whole(&self, media_type: MediaType, mut file: File) -> Loaded {
        let mut content = Vec::new();
        // One byte more tells a file that is too large from one that is just not.
        let read = file.by_ref().take(DOCUMENT_BYTES_MAX as u64 + 1).read_to_end(&mut content);
        let document = match read {
            Err(source) => Err(io(&self.entry.path, "read", source)),
            Ok(bytes) if bytes > DOCUMENT_BYTES_MAX => Err(Error::Limit {
                field: format!("content of `{}`", self.entry.id),
                limit: "DOCUMENT_BYTES_MAX",
                max: DOCUMENT_BYTES_MAX as u64,
                actual: self.entry.bytes.max(bytes as u64),
            }),
            Ok(_) => Ok(DocumentInput {
                id: self.entry.id.clone(),
                title: String::new(),
                source: self.entry.source.clone(),
                media_type: Some(media_type),
                content,
                metadata: Payload::new(),
                request_id: None,
            }),
        };
        Loaded { bytes: self.entry.bytes, document }
    }
}

impl Iterator for FileDocuments {
    type Item = Loaded;

    fn next(&mut self) -> Option<Loaded> {
        match std::mem::replace(&mut self.left, Left::Nothing) {
            Left::Nothing => None,
            Left::One(media_type, file) => Some(self.whole(media_type, file)),
            Left::Records { mut records, read, told } => {
                let record = records.next()?;
                let now = read.load(Ordering::Relaxed);
                self.left = Left::Records { records, read, told: now };
                let document = record.map(|record| record.into_document(&self.entry.id, &self.entry.source));
                Some(Loaded { bytes: now - told, document })
            }
        }
    }
}

fn io(path: &PathBuf, operation: &'static str, source: std::io::Error) -> Error {
    Error::Io { operation, path: path.to_owned(), source }
}
