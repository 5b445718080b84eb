//! The arguments of `ragstone documents`.

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};

use super::{InCollection, Paging};

const EXAMPLES: &str = "\
Examples:
  ragstone documents list --source ~/notes              what a folder is stored as, by id
  ragstone documents get house/lease.md > lease.txt     its text, as it was extracted
  ragstone documents chunks house/lease.md --all        where it is divided, and under which headings
  ragstone documents delete house/lease.md              until it is ingested again";

#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(crate) enum DocumentsCommand {
    /// List documents by id, without their texts.
    List(ListDocumentsArgs),
    /// Print the text of a document, as chunks and citations count its characters; with --json, all that is stored of it.
    Get(GetDocumentArgs),
    /// List the chunks of a document, in their order.
    Chunks(ChunksArgs),
    /// Remove a document and its chunks. `ingest` stores it again if its file is still there.
    Delete(DeleteDocumentArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ListDocumentsArgs {
    #[command(flatten)]
    pub(crate) collection: InCollection,
    /// Only those of this source: for what `ingest` stored, the folder.
    #[arg(long, value_name = "SOURCE")]
    pub(crate) source: Option<String>,
    #[command(flatten)]
    pub(crate) paging: Paging,
}

#[derive(Debug, Args)]
pub(crate) struct GetDocumentArgs {
    /// The document's id: of a file its path within the folder, of a record FILE#ID.
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) collection: InCollection,
}

#[derive(Debug, Args)]
pub(crate) struct ChunksArgs {
    /// The document's id.
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) collection: InCollection,
    #[command(flatten)]
    pub(crate) paging: Paging,
}

#[derive(Debug, Args)]
pub(crate) struct DeleteDocumentArgs {
    /// The document's id.
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) collection: InCollection,
    /// A name for the removal, which makes it safe to repeat: it is done once, whatever was stored since, and gets the first answer again.
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) request_id: Option<String>,
}
