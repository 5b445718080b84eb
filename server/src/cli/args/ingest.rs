//! The arguments of `ragstone ingest`.

use std::path::PathBuf;

use clap::Args;
use ragstone_rag::ingest::folder::FileKind;

use super::InCollection;

const EXAMPLES: &str = "\
Examples:
  ragstone ingest docs/                                   keep a folder's documents in step with the store
  ragstone ingest report.pdf src/ -c project              a PDF file and the source code of a folder
  ragstone ingest faq.csv --text-field question --text-field answer --id-field key
  ragstone ingest corpus.jsonl                            a document a line: id, title, text; other fields are for filters
  ragstone ingest logs/ --format text                     whatever the extensions say

Exit codes: 0 everything is stored; 3 some documents were left out, each with its reason on standard error (and under
`skipped` with --json); 130 interrupted: what was done is stored, and the same command goes on; 1 failed.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct IngestArgs {
    /// Files and folders. A folder is kept in step: what vanished from it is removed from the collection.
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// Remove all documents of a folder that holds none any more. Without it, that is an error: the folder may not be mounted.
    #[arg(long)]
    pub(crate) allow_empty: bool,
    #[command(flatten)]
    pub(crate) collection: InCollection,
    /// The model of the collection, if this command makes it; by default all-MiniLM-L6-v2, or the server's own.
    #[arg(long, value_name = "MODEL", default_value = "", hide_default_value = true)]
    pub(crate) model: String,
    /// A field that every chunk gets, for filters; may be repeated. true, false and numbers are typed, unless they are quoted twice:
    /// 'code="007"'.
    #[arg(long = "field", value_name = "NAME=VALUE")]
    pub(crate) fields: Vec<String>,
    /// The title of a document, if one file is given: embedded, and found by word, with each of its chunks. Records have their own titles.
    #[arg(long, value_name = "TITLE")]
    pub(crate) title: Option<String>,
    /// What all files are, whatever their extensions say: markdown, text, html, pdf, jsonl, csv, tsv, a media type such as
    /// text/markdown, code, or a language: rust, python, javascript, typescript, tsx, go, java, c, cpp.
    #[arg(long, value_name = "FORMAT", value_parser = kind)]
    pub(crate) format: Option<FileKind>,
    /// For JSON Lines and CSV: a field with a record's text; may be repeated, and then the texts are joined. By default text, content or body.
    #[arg(long = "text-field", value_name = "NAME")]
    pub(crate) text_fields: Vec<String>,
    /// For JSON Lines and CSV: the field with a record's id, which stands behind the file's path; by default id or _id, else its number.
    #[arg(long, value_name = "NAME")]
    pub(crate) id_field: Option<String>,
    /// For JSON Lines and CSV: the field with a record's title; by default title.
    #[arg(long, value_name = "NAME")]
    pub(crate) title_field: Option<String>,
    /// Megabytes of documents that may be read ahead of the model; on the way to a server, never more than 16.
    #[arg(long, value_name = "MB", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=16_384))]
    pub(crate) ahead_mb: u32,
}

fn kind(name: &str) -> Result<FileKind, String> {
    FileKind::parse(name).ok_or_else(|| "no format that is understood; --help lists them".to_owned())
}
