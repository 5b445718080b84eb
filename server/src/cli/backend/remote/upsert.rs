//! Points on their way to a server, as a stream.

use anyhow::Result;
use ragstone_client as client;

use super::super::{NextBatch, OnPoints, PointsDone, WriteView};
use super::{Remote, types};

pub(super) fn upsert(
    remote: &Remote,
    collection: &str,
    next: NextBatch<'_>,
    done: OnPoints<'_>,
) -> Result<()> {
    let mut failed = None;
    let batches = std::iter::from_fn(|| match next() {
        Ok(batch) => batch.map(|points| points.into_iter().map(types::point_out).collect()),
        Err(error) => {
            failed = Some(error);
            None
        }
    });
    let told = |acknowledged: client::PointsAcknowledged| {
        let receipt = acknowledged.receipt;
        let written = WriteView {
            seq: receipt.seq,
            points: receipt.points as u64,
            missing: 0,
            // A repetition is that of a connection that broke.
            repeated: false,
        };
        let refused = acknowledged.refused.into_iter().map(|item| (item.index, item.message)).collect();
        done(PointsDone { written, refused });
    };
    remote.call(remote.client.ingest_points(collection, tokio_stream::iter(batches), told))?;
    failed.map_or(Ok(()), Err)
}
