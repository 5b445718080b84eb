//! `ragstone points`.

mod operations;
mod upsert;
mod write;

use std::io::Write;

use anyhow::{Result, ensure};
use ragstone::PointId;
use ragstone_server::limits::PAGE_SIZE_MAX;
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
        PointsCommand::Scroll(args) => scroll(session, args),
        PointsCommand::Count(args) => count(session, &args),
        PointsCommand::Facet(args) => facet(session, &args),
    }
}

/// Points, as they are printed.
#[derive(Serialize)]
struct Page<'a> {
    points: &'a [PointView],
    /// Of pages, where the next one begins, if there is one.
    #[serde(rename = "next_page_token", skip_serializing_if = "Option::is_none")]
    next: Option<Option<String>>,
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

fn get(session: &Session, args: &GetArgs) -> Result<()> {
    let ids: Vec<PointId> = args.ids.iter().map(|id| json::parse_id(id)).collect();
    let points = session.backend.get(&args.collection.collection, &ids, args.with_vectors)?;
    if session.json { output::json(&Page { points: &points, next: None }) } else { lines(&points) }
}

fn scroll(session: &Session, args: ScrollArgs) -> Result<()> {
    ensure!(args.limit > 0, "--limit: a page has at least one row");
    ensure!(
        args.limit <= PAGE_SIZE_MAX,
        "--limit: {} is beyond the limit PAGE_SIZE_MAX = {PAGE_SIZE_MAX}; --all turns page after page",
        args.limit
    );
    let mut ask = ScrollAsk {
        filter: args.conditions.filter(session, &args.collection.collection)?,
        order: args.order_by.as_deref().map(super::order),
        limit: args.limit,
        page_token: args.page_token,
        with_vectors: args.with_vectors,
        fields: args.fields,
    };
    let mut all = Vec::new();
    loop {
        let (points, next) = session.backend.scroll(&args.collection.collection, &ask)?;
        if session.json {
            all.extend(points);
        } else {
            lines(&points)?;
        }
        match next {
            Some(token) if args.all => ask.page_token = token,
            next => {
                if session.json {
                    return output::json(&Page { points: &all, next: Some(next) });
                }
                if let Some(token) = next {
                    eprintln!("there are more: --page-token {token}");
                }
                return Ok(());
            }
        }
    }
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
