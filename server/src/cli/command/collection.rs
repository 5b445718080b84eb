//! `ragstone collection`.

use std::io::Write;

use anyhow::{Context, Result};
use ragstone::FieldType;
use ragstone_rag::CollectionSpec;
use serde_json::json;

use super::Session;
use super::conditions::field_type;
use crate::cli::args::{CollectionCommand, CreateArgs};
use crate::cli::backend::CollectionView;
use crate::cli::output;

pub(super) fn run(session: &Session, command: CollectionCommand) -> Result<()> {
    match command {
        CollectionCommand::List => list(session),
        CollectionCommand::Create(args) => create(session, args),
        CollectionCommand::Delete { name } => delete(session, &name),
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
    let model = match (args.model, args.dimension) {
        (None, None) => Some(String::new()),
        (model, _) => model,
    };
    let fields = args.fields.iter().map(|text| field(text)).collect::<Result<Vec<_>>>()?;
    let (metric, strict) = (args.metric.into(), args.strict);
    let spec = CollectionSpec { model, dimension: args.dimension, metric, fields, strict };
    show(session, &session.backend.create_collection(&args.name, spec)?)
}

fn delete(session: &Session, name: &str) -> Result<()> {
    session.backend.delete_collection(name)?;
    if session.json {
        return output::json(&json!({ "deleted": name }));
    }
    println!("deleted collection {name}");
    Ok(())
}

fn show(session: &Session, collection: &CollectionView) -> Result<()> {
    if session.json {
        return output::json(collection);
    }
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", collection.name)?;
    writeln!(out, "  points     {} ({} with a vector)", collection.points, collection.vectors)?;
    writeln!(out, "  vectors    {} dimensions, {}", collection.dimension, collection.metric)?;
    writeln!(out, "  model      {}", collection.model.as_deref().unwrap_or("none: vectors of your own"))?;
    // Fields of Ragstone's own are an implementation matter; `--json` has them.
    for (name, kind) in collection.fields.iter().filter(|(name, _)| !name.starts_with('_')) {
        writeln!(out, "  field      {name}: {kind}")?;
    }
    Ok(())
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
