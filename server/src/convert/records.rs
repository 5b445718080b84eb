//! Files of records.

use bytes::Bytes;
use ragstone::Payload;
use ragstone_proto::v1;
use ragstone_rag::ingest::records::{RecordFormat, RecordOptions};
use ragstone_rag::ingest::{IngestReport, IngestStatus};
use ragstone_rag::limits::{DOCUMENT_BYTES_MAX, DOCUMENT_ID_BYTES_MAX};
use ragstone_rag::{Error, reserved};
use tonic::Status;

use super::unknown_enum;
use super::value::payload_in;
use crate::limits::{RECORD_FAILURES_MAX, RECORD_FIELDS_MAX, check_count};
use crate::status;

/// A file of records to store.
pub(crate) struct RecordsFile {
    pub(crate) collection: String,
    /// What it is called.
    pub(crate) file: String,
    pub(crate) source: String,
    pub(crate) format: RecordFormat,
    /// The types of fields are the collection's, which is not known here.
    pub(crate) options: RecordOptions,
    pub(crate) content: Bytes,
    pub(crate) metadata: Payload,
}

pub(crate) fn records_file(wire: v1::IngestRecordsRequest) -> Result<RecordsFile, Status> {
    let format = match v1::RecordFormat::try_from(wire.format) {
        Ok(v1::RecordFormat::JsonLines) => RecordFormat::JsonLines,
        Ok(v1::RecordFormat::Csv) => RecordFormat::Csv,
        Ok(v1::RecordFormat::Tsv) => RecordFormat::Tsv,
        Ok(v1::RecordFormat::Unspecified) | Err(_) => return Err(unknown_enum("format", wire.format)),
    };
    if wire.file.is_empty() {
        return Err(status::invalid("file", "it must not be empty"));
    }
    check_count("file", wire.file.len(), ("DOCUMENT_ID_BYTES_MAX", DOCUMENT_ID_BYTES_MAX))?;
    check_count("content", wire.content.len(), ("DOCUMENT_BYTES_MAX", DOCUMENT_BYTES_MAX))?;
    check_count("text_fields", wire.text_fields.len(), ("RECORD_FIELDS_MAX", RECORD_FIELDS_MAX))?;
    let metadata = payload_in(wire.metadata, "metadata")?;
    reserved::check_payload("metadata", &metadata).map_err(status::reserved)?;
    let named = |name: String| Some(name).filter(|name| !name.is_empty());
    let options = RecordOptions {
        id: named(wire.id_field),
        title: named(wire.title_field),
        text: wire.text_fields,
        ..RecordOptions::default()
    };
    Ok(RecordsFile {
        collection: wire.collection,
        file: wire.file,
        source: wire.source,
        format,
        options,
        content: wire.content,
        metadata,
    })
}

/// Counts what became of one more record.
pub(crate) fn count_record(
    counted: &mut v1::IngestRecordsResponse,
    id: Option<String>,
    outcome: Result<IngestReport, Error>,
) {
    match outcome {
        Ok(report) => {
            let count = match report.status {
                IngestStatus::Added => &mut counted.added,
                IngestStatus::Replaced => &mut counted.replaced,
                IngestStatus::Unchanged => &mut counted.unchanged,
            };
            *count += 1;
            counted.chunks += report.chunks as u64;
            counted.chunks_kept += report.chunks_kept as u64;
            counted.embedded += report.embedded as u64;
            counted.tokens += report.tokens as u64;
        }
        Err(error) => {
            counted.failed += 1;
            if counted.failures.len() < RECORD_FAILURES_MAX {
                let (id, reason) = (id.unwrap_or_default(), error.to_string());
                counted.failures.push(v1::RecordFailure { id, reason });
            }
        }
    }
}
