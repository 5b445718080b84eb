//! `ragstone points upsert` and `delete`.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};
use ragstone::PointId;
use serde_json::Value as Json;

use crate::cli::args::{DeleteArgs, UpsertArgs};
use crate::cli::backend::WriteView;
use crate::cli::command::Session;
use crate::cli::json::{self, Types};
use crate::cli::output;

pub(super) fn upsert(session: &Session, args: &UpsertArgs) -> Result<()> {
    let collection = args.collection.collection.as_str();
    if args.batch == 0 {
        bail!("--batch: a write has at least one point");
    }
    let types = types(session, collection)?;
    let (mut points, mut total) = (Vec::new(), WriteView::default());
    let mut write = |points| -> Result<()> {
        let written = session.backend.upsert(collection, points)?;
        total = WriteView { seq: written.seq, points: total.points + written.points };
        Ok(())
    };
    for line in lines(&args.file)? {
        let (place, json) = line?;
        points.push(json::point(json, &types).context(place)?);
        if points.len() == args.batch {
            write(std::mem::take(&mut points))?;
        }
    }
    if !points.is_empty() {
        write(points)?;
    }
    told(session, &total, "written")
}

pub(super) fn delete(session: &Session, args: &DeleteArgs) -> Result<()> {
    let ids: Vec<PointId> = args.ids.iter().map(|id| json::parse_id(id)).collect();
    let written = session.backend.delete(&args.collection.collection, &ids)?;
    told(session, &written, "removed")
}

/// The types of the collection's fields.
fn types(session: &Session, collection: &str) -> Result<Types> {
    let found = session.backend.collection(collection)?;
    Ok(json::types(&found.with_context(|| format!("collection `{collection}` does not exist"))?.fields))
}

/// JSON lines, each with where it stands; empty lines are passed over.
fn lines(file: &Path) -> Result<impl Iterator<Item = Result<(String, Json)>>> {
    let name = file.display().to_string();
    let reader: Box<dyn BufRead> = match name.as_str() {
        "-" => Box::new(std::io::stdin().lock()),
        _ => Box::new(BufReader::new(File::open(file).with_context(|| name.clone())?)),
    };
    let read = move |(index, line): (usize, std::io::Result<String>)| {
        let place = format!("{name}, line {}", index + 1);
        let json = match line {
            Ok(line) if line.trim().is_empty() => return None,
            Ok(line) => serde_json::from_str(&line).map_err(anyhow::Error::from),
            Err(error) => Err(error.into()),
        };
        Some(json.context(place.clone()).map(|json| (place, json)))
    };
    Ok(reader.lines().enumerate().filter_map(read))
}

fn told(session: &Session, written: &WriteView, what: &str) -> Result<()> {
    if session.json {
        return output::json(written);
    }
    writeln!(std::io::stdout(), "{} points {what}", written.points)?;
    Ok(())
}
