//! `ragstone collection`.

mod reembed;
mod restore;
mod vectors;

use std::io::Write;

use anyhow::{Context, Result};
use ragstone::{Analyzer, DenseOptions, FieldType};
use ragstone_rag::CollectionSpec;
use serde_json::json;

use super::Session;
use super::conditions::field_type;
use crate::cli::args::{CollectionCommand, CreateArgs};
use crate::cli::backend::{ChunksView, CollectionView, NewFields};
use crate::cli::output;

pub(super) fn run(session: &Session, command: CollectionCommand) -> Result<()> {
    match command {
        CollectionCommand::List => list(session),
        CollectionCommand::Create(args) => create(session, args),
        CollectionCommand::AddField { name, fields, texts, if_etag } => {
            let fields = fields.iter().map(|text| field(text)).collect::<Result<Vec<_>>>()?;
            let texts = texts.iter().map(|name| text(name)).collect::<Result<Vec<_>>>()?;
            made(session, &session.backend.add_fields(&name, NewFields { fields, texts, if_etag })?)
        }
        CollectionCommand::Reembed(args) => reembed::run(session, &args),
        CollectionCommand::Restore(args) => restore::run(session, &args),
        CollectionCommand::Delete { name, if_etag } => delete(session, &name, if_etag.as_deref()),
        CollectionCommand::Info { name } => {
            let found = session.backend.collection(&name)?;
            show(session, &found.with_context(|| format!("collection `{name}` does not exist"))?)
        }
    }
}

fn list(session: &Session) -> Result<()> {
    let collections = session.backend.collections()?;
    if session.json {
        return output::json(&json!({ "collections": collections }));
    }
    let mut out = std::io::stdout().lock();
    if collections.is_empty() {
        writeln!(out, "no collections in {}", session.backend.place())?;
    }
    for collection in &collections {
        let CollectionView { name, points, dimension, metric, model, .. } = collection;
        let model = model.as_deref().unwrap_or("(vectors of your own)");
        writeln!(out, "{name}: {points} points, {dimension} dimensions, {metric}, {model}")?;
    }
    Ok(())
}

fn create(session: &Session, args: CreateArgs) -> Result<()> {
    let vectors = vectors::named(&args)?;
    let texts = args.texts.iter().map(|name| text(name)).collect::<Result<Vec<_>>>()?;
    let model = match (args.model, args.dimension) {
        (None, None) if !args.no_vector => Some(String::new()),
        (model, _) => model,
    };
    let DenseOptions { element, encoding, walk_dimension, graph, .. } =
        vectors::options(DenseOptions::new(0), &args.options, ',', "--options")?;
    let fields = args.fields.iter().map(|text| field(text)).collect::<Result<Vec<_>>>()?;
    let (metric, strict) = (args.metric.into(), args.strict);
    let spec = CollectionSpec {
        model,
        dimension: args.dimension,
        metric,
        element,
        encoding,
        walk_dimension,
        graph,
        vectors,
        fields,
        texts,
        tenant: args.tenant,
        strict,
        chunks: args.chunk.unwrap_or_default(),
        analyzer: args.analyzer.unwrap_or_default(),
        request_id: None,
    };
    made(session, &session.backend.create_collection(&args.name, spec)?)
}

fn delete(session: &Session, name: &str, if_etag: Option<&str>) -> Result<()> {
    session.backend.delete_collection(name, if_etag)?;
    if session.json {
        return session.acknowledge(&json!({ "deleted": name }));
    }
    output::line(format_args!("deleted collection {name}"))
}

/// Shows a collection that was made or changed.
fn made(session: &Session, collection: &CollectionView) -> Result<()> {
    if session.json { session.acknowledge(collection) } else { show(session, collection) }
}

fn show(session: &Session, collection: &CollectionView) -> Result<()> {
    if session.json {
        return output::json(collection);
    }
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", collection.name)?;
    writeln!(out, "  points     {} ({} with a vector)", collection.points, collection.vectors)?;
    for (name, kind) in &collection.vector_options {
        let name = if name.is_empty() { "(default)" } else { name };
        writeln!(out, "  vector     {name}: {kind}")?;
    }
    writeln!(out, "  model      {}", collection.model.as_deref().unwrap_or("none: vectors of your own"))?;
    if let (Some(ChunksView { tokens, overlap }), Some(analyzer)) = (&collection.chunks, &collection.analyzer)
    {
        writeln!(out, "  chunks     {tokens} tokens, {overlap} shared; words: {analyzer}")?;
    }
    for (name, analyzer) in &collection.texts {
        writeln!(out, "  text       {name}: {analyzer}")?;
    }
    if let Some(tenant) = &collection.tenant {
        writeln!(out, "  tenant     {tenant}")?;
    }
    if collection.strict {
        writeln!(out, "  strict     writes add no fields")?;
    }
    writeln!(out, "  etag       {}", collection.etag)?;
    // Fields of Ragstone's own are an implementation matter; `--json` has them.
    for (name, kind) in collection.fields.iter().filter(|(name, _)| !name.starts_with('_')) {
        writeln!(out, "  field      {name}: {kind}")?;
    }
    Ok(())
}

/// `FIELD` or `FIELD=ANALYSER`.
fn text(text: &str) -> Result<(String, Analyzer)> {
    let (name, analyzer) = text.split_once('=').unwrap_or((text, ""));
    let analyzer = match analyzer {
        "" => Analyzer::default(),
        analyzer => analyzer.parse().with_context(|| format!("--text {text}"))?,
    };
    Ok((name.to_owned(), analyzer))
}

fn field(text: &str) -> Result<(String, FieldType)> {
    let (name, kind) =
        text.split_once('=').with_context(|| format!("--field {text}: write it as NAME=TYPE"))?;
    let kind = field_type(kind).with_context(|| {
        format!(
            "--field {text}: `{kind}` is none of the types bool, int, float, string, timestamp, strings, geo, json"
        )
    })?;
    Ok((name.to_owned(), kind))
}
