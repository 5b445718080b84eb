//! `ragstone ingest`, and the folder sync that the demo shares.

mod sync;

use std::path::Path;

use anyhow::{Result, ensure};
use ragstone::{CancelToken, Payload};
use ragstone_rag::ingest::folder::{self, FileKind};
use ragstone_rag::ingest::records::RecordOptions;
use ragstone_rag::{IngestOptions, reserved};
use serde::Serialize;

pub(super) use self::sync::Sync;
use super::Session;
use crate::cli::args::IngestArgs;
use crate::cli::output::{self, Incomplete};

/// Exit code of a run that left documents out.
const EXIT_SKIPPED: u8 = 3;

/// What a sync did.
#[derive(Debug, Default, Serialize)]
pub(super) struct Summary {
    pub(super) added: u64,
    pub(super) replaced: u64,
    pub(super) unchanged: u64,
    pub(super) removed: u64,
    /// Documents that could not be ingested; the rest went in.
    pub(super) skipped: Vec<Skipped>,
    /// Files in the folders that are no kind of document that is understood.
    pub(super) other_files: u64,
    /// Chunks of the documents that are stored now.
    pub(super) chunks: u64,
    /// Of these, those that keep the vectors they had.
    pub(super) chunks_kept: u64,
    /// Texts embedded by this run.
    pub(super) embedded: u64,
    /// Tokens embedded by this run.
    pub(super) tokens: u64,
    pub(super) seconds: f64,
    /// Whether it was ended before everything was looked at.
    pub(super) interrupted: bool,
}

/// A document that was left out.
#[derive(Debug, Serialize)]
pub(super) struct Skipped {
    /// Its file.
    pub(super) path: String,
    pub(super) reason: String,
}

impl Summary {
    /// One line for people.
    pub(super) fn line(&self) -> String {
        let Summary {
            added,
            replaced,
            unchanged,
            removed,
            skipped,
            other_files,
            chunks,
            chunks_kept,
            tokens,
            seconds,
            ..
        } = self;
        let rate =
            if *tokens > 0 { format!(", {:.0} tokens/s", *tokens as f64 / seconds) } else { String::new() };
        let kept = if added + replaced > 0 { format!(" ({chunks_kept} kept)") } else { String::new() };
        let skipped = skipped.len();
        let others =
            if *other_files > 0 { format!("; files of other kinds: {other_files}") } else { String::new() };
        format!(
            "{added} added, {replaced} replaced, {unchanged} unchanged, {removed} removed, {skipped} skipped; \
             {chunks} chunks{kept}, {tokens} tokens embedded in {seconds:.1} s{rate}{others}"
        )
    }

    /// What was left undone, if anything was.
    fn outcome(&self) -> Result<()> {
        let (skipped, done) = (self.skipped.len(), self.added + self.replaced + self.unchanged);
        if self.interrupted {
            let message = format!("interrupted: {done} documents are stored; the same command goes on");
            return Err(output::interrupted(message));
        }
        if skipped > 0 {
            let message = format!("{skipped} documents were left out, {done} are stored");
            return Err(Incomplete { code: EXIT_SKIPPED, message }.into());
        }
        Ok(())
    }
}

pub(super) fn run(session: &Session, args: &IngestArgs) -> Result<()> {
    let fields =
        args.fields.iter().map(|text| super::assignment("--field", text)).collect::<Result<Payload>>()?;
    // Every document would be refused for it.
    reserved::check_payload("--field", &fields)?;
    let collection = &args.collection.collection;
    let records = RecordOptions {
        id: args.id_field.clone(),
        title: args.title_field.clone(),
        text: args.text_fields.clone(),
        ..RecordOptions::default()
    };
    let cancel = CancelToken::new();
    output::on_interrupt(cancel.clone())?;
    let options = IngestOptions { ahead_bytes: (args.ahead_mb as usize) << 20, cancel };
    let accept = |_: &Path| true;
    let title = args.title.as_deref();
    let sync = Sync {
        collection,
        model: &args.model,
        title,
        fields,
        records,
        options,
        accept,
        allow_empty: args.allow_empty,
    };
    let scan = folder::scan_as(&args.paths, args.format, session.progress.as_ref())?;
    let is_one = matches!(scan.files.as_slice(), [file] if matches!(file.kind, FileKind::Document(_)));
    ensure!(
        title.is_none() || (is_one && scan.sources.is_empty()),
        "--title is that of one document: give its file alone, not a folder and not a file of records"
    );
    let summary = sync.run(session, scan)?;
    let told = if session.json {
        session.acknowledge(&summary)
    } else {
        output::line(format_args!("{collection} in {}: {}", session.backend.place(), summary.line()))
    };
    summary.outcome().and(told)
}
