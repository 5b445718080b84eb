//! `ragstone points`.

mod operations;
mod upsert;
mod write;

use std::io::Write;

use anyhow::Result;
use ragstone::PointId;
use serde::Serialize;
use serde_json::json;

use super::Session;
use crate::cli::args::{CountArgs, FacetArgs, GetArgs, PointsCommand, ScrollArgs};
use crate::cli::backend::{PointView, ScrollAsk};
use crate::cli::{json, output};

pub(super) fn run(session: &Session, command: PointsCommand) -> Result<()> {
    match command {
        PointsCommand::Upsert(args) => upsert::run(session, &args),
        PointsCommand::Update(args) => write::update(session, &args),
        PointsCommand::Delete(args) => write::delete(session, &args),
        PointsCommand::Write(args) => operations::run(session, args),
        PointsCommand::Get(args) => get(session, &args),
        PointsCommand::Scroll(args) => scroll(session, &args),
        PointsCommand::Count(args) => count(session, &args),
        PointsCommand::Facet(args) => facet(session, &args),
    }
}

/// A point a line.
fn lines(points: &[PointView]) -> Result<()> {
    let mut out = std::io::stdout().lock();
    for point in points {
        serde_json::to_writer(&mut out, point)?;
        writeln!(out)?;
    }
    Ok(())
}

/// Points, as one JSON document.
#[derive(Serialize)]
struct Points<'a> {
    points: &'a [PointView],
}

fn get(session: &Session, args: &GetArgs) -> Result<()> {
    let ids: Vec<PointId> = args.ids.iter().map(|id| json::parse_id(id)).collect();
    let points = session.backend.get(&args.collection.collection, &ids, args.with_vectors)?;
    if session.json { output::json(&Points { points: &points }) } else { lines(&points) }
}

fn scroll(session: &Session, args: &ScrollArgs) -> Result<()> {
    let collection = args.collection.collection.as_str();
    let ask = ScrollAsk {
        filter: args.conditions.filter(session, collection)?,
        order: args.order_by.as_deref().map(super::order),
        after: args.after.as_deref().map(json::parse_id),
        with_vectors: args.with_vectors,
        fields: super::fields(&args.fields, args.without_payload),
    };
    args.paging.print(session, "points", |page| session.backend.scroll(collection, &ask, page), lines)
}

fn count(session: &Session, args: &CountArgs) -> Result<()> {
    let filter = args.conditions.filter(session, &args.collection.collection)?;
    let count = session.backend.count(&args.collection.collection, filter.as_ref())?;
    if session.json {
        return output::json(&json!({ "count": count }));
    }
    writeln!(std::io::stdout(), "{count}")?;
    Ok(())
}

fn facet(session: &Session, args: &FacetArgs) -> Result<()> {
    let filter = args.conditions.filter(session, &args.collection.collection)?;
    let collection = &args.collection.collection;
    let facet = session.backend.facet(collection, &args.field, filter.as_ref(), args.limit)?;
    if session.json {
        return output::json(&facet);
    }
    let mut out = std::io::stdout().lock();
    for of in &facet.counts {
        writeln!(out, "{:>10}  {}", of.count, output::harmless(&of.value.to_string()))?;
    }
    let (values, points) = (facet.values, facet.points);
    writeln!(out, "{points} points with {values} different values")?;
    Ok(())
}
