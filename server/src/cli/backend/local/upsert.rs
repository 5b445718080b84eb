//! Points on their way into a directory.

use anyhow::Result;
use ragstone::{Batch, Collection, Op, Point};
use ragstone_rag::reserved;

use super::super::{NextBatch, OnPoints, PointsDone};
use super::views::written;

/// Writes batch after batch.
pub(super) fn all(rows: &Collection, next: NextBatch<'_>, done: OnPoints<'_>) -> Result<()> {
    while let Some(points) = next()? {
        done(upsert(rows, points)?);
    }
    Ok(())
}

/// Writes those of the points that fit.
fn upsert(rows: &Collection, points: Vec<Point>) -> Result<PointsDone> {
    let (mut refused, mut places, mut batch) = (Vec::new(), Vec::new(), Batch::new());
    for (index, point) in points.into_iter().enumerate() {
        match reserved::check_point(&format!("points[{index}]"), &point) {
            Ok(()) => {
                places.push(index);
                batch.ops.push(Op::Upsert(point));
            }
            Err(error) => refused.push((index, error.to_string())),
        }
    }
    let mut unfit = rows.refused(&batch).into_iter().peekable();
    let mut place = 0..places.len();
    batch.ops.retain(|_| {
        let place = place.next().unwrap_or_default();
        match unfit.next_if(|(other, _)| *other == place) {
            Some((_, error)) => {
                refused.push((places[place], error.to_string()));
                false
            }
            None => true,
        }
    });
    refused.sort_by_key(|(index, _)| *index);
    Ok(PointsDone { written: written(rows.write(batch)?), refused })
}
