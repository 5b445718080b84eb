//! `ragstone points upsert`: JSON lines, batch by batch, to whatever place.
//!
//! Points that do not fit the collection are told of with the lines that they stand on, and the others go in. A line that cannot be read
//! ends it; the batches before it are written.

use std::collections::VecDeque;
use std::sync::Mutex;

use anyhow::{Context, Result, bail};
use ragstone::{Op, Point};
use serde::Serialize;

use super::write::{told, types};
use crate::cli::args::UpsertArgs;
use crate::cli::backend::{PointsDone, WriteView};
use crate::cli::command::{Session, lines};
use crate::cli::json;

/// Refused points that are told of one by one.
const REFUSED_SHOWN: usize = 20;

/// A point that was refused.
#[derive(Serialize)]
struct Refused {
    /// Where it stands: the file and the line.
    place: String,
    reason: String,
}

/// What was written, and what was not.
#[derive(Serialize)]
struct Upserted<'a> {
    #[serde(flatten)]
    written: &'a WriteView,
    refused: &'a [Refused],
}

pub(super) fn run(session: &Session, args: &UpsertArgs) -> Result<()> {
    let collection = args.collection.collection.as_str();
    if args.batch == 0 {
        bail!("--batch: a write has at least one point");
    }
    let types = types(session, collection)?;
    let mut points = lines(&args.file)?.map(|line| {
        let (place, raw) = line?;
        let point = json::point(&raw, &types).with_context(|| place.clone())?;
        Ok((place, point))
    });
    if args.write.is_conditional() || args.write.request_id.is_some() {
        let ops = points.map(|point| point.map(|(_, point)| Op::Upsert(point))).collect::<Result<_>>()?;
        return told(session, &session.backend.write(collection, args.write.batch(ops)?)?, "written");
    }

    // Where the points stand of the batches that are not acknowledged yet.
    let places: Mutex<VecDeque<Vec<String>>> = Mutex::default();
    let lock = || places.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let (mut total, mut refused) = (WriteView::default(), Vec::new());
    let mut next = || -> Result<Option<Vec<Point>>> {
        let (stand, batch): (Vec<String>, Vec<Point>) =
            points.by_ref().take(args.batch).collect::<Result<Vec<_>>>()?.into_iter().unzip();
        lock().push_back(stand);
        Ok(Some(batch).filter(|batch| !batch.is_empty()))
    };
    let (progress, mut writes) = (&*session.progress, 0_u64);
    let mut done = |done: PointsDone| {
        let stand = lock().pop_front().unwrap_or_default();
        refused.extend(done.refused.into_iter().map(|(index, reason)| {
            let place = stand.get(index).cloned().unwrap_or_default();
            Refused { place, reason }
        }));
        let points = done.written.points;
        total.add(done.written);
        // A single write shows no progress.
        writes += 1;
        match writes {
            1 => {}
            2 => {
                progress.begin("Writing", None, "points");
                progress.advance(total.points);
            }
            _ => progress.advance(points),
        }
    };
    let written = session.backend.upsert_all(collection, &mut next, &mut done);
    if writes > 1 {
        progress.end();
    }
    written.map_err(|error| match total.points {
        0 => error,
        points => error.context(format!("{points} points are written; then")),
    })?;
    let told = if session.json {
        session.acknowledge(&Upserted { written: &total, refused: &refused })
    } else {
        told(session, &total, "written")
    };
    if refused.is_empty() {
        return told;
    }
    let shown =
        refused.iter().take(REFUSED_SHOWN).map(|point| format!("\n  {}: {}", point.place, point.reason));
    let more = refused.len().saturating_sub(REFUSED_SHOWN);
    let more = if more > 0 { format!("\n  and {more} more") } else { String::new() };
    bail!("{} points were refused:{}{more}", refused.len(), shown.collect::<String>())
}
