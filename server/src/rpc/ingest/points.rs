//! `IngestPoints`.

use std::collections::BTreeMap;

use ragstone::{Batch, Collection, Op, Point};
use ragstone_proto::v1::{IngestPointsRequest, IngestPointsResponse, RefusedItem};
use ragstone_rag::Rag;
use tonic::Status;

use super::super::paths::{at_places, renamed};
use super::super::{Services, token_of};
use super::{Numbered, Out, Store, UnderWay};
use crate::limits::{INGEST_AHEAD_MAX, INGEST_REFUSED_MAX, check_count};
use crate::{convert, status};

/// Stores the points of a stream.
pub(super) struct PointStream {
    pub(super) services: Services,
    pub(super) numbered: Numbered,
}

impl Store for PointStream {
    type Message = IngestPointsRequest;
    type Answer = IngestPointsResponse;

    const AHEAD: usize = INGEST_AHEAD_MAX;
    const TOGETHER: usize = 1;

    fn services(&self) -> &Services {
        &self.services
    }

    fn bytes(_: &IngestPointsRequest) -> usize {
        0
    }

    async fn store(
        &mut self,
        messages: Vec<(IngestPointsRequest, UnderWay)>,
        out: &Out<IngestPointsResponse>,
    ) -> Result<(), Status> {
        for (message, _under_way) in messages {
            let answer = self.write(message).await?;
            if out.send(Ok(answer)).await.is_err() {
                break;
            }
        }
        Ok(())
    }
}

impl PointStream {
    /// Writes the points of a message.
    async fn write(&mut self, message: IngestPointsRequest) -> Result<IngestPointsResponse, Status> {
        let IngestPointsRequest { collection, sequence, points, request_id } = message;
        let collection = self.numbered.next(sequence, ("collection", collection))?;
        let store = move |rag: &Rag| {
            let rows = rag.db().collection(&collection)?;
            let (readable, mut refused) = convert::readable_upserts(points)?;
            let (mut batch, places) = fitting(&rows, readable, &mut refused)?;
            check_count("points", refused.len(), ("INGEST_REFUSED_MAX", INGEST_REFUSED_MAX))?;
            batch.request_id = Some(request_id).filter(|id| !id.is_empty());
            let receipt = rows.write(batch).map_err(|error| at_places(error, &places))?;
            let write_token = token_of(rag, &receipt);
            let upserted = convert::count(receipt.upserted);
            Ok(IngestPointsResponse {
                sequence,
                seq: receipt.seq,
                upserted,
                repeated: receipt.repeated,
                refused,
                write_token,
            })
        };
        self.services.answered(store).await
    }
}

/// The points that fit the collection, as a batch, and their places in the request; those that do not go to the refused ones, in the order
/// of the request.
fn fitting(
    rows: &Collection,
    readable: Vec<(usize, Point)>,
    refused: &mut Vec<RefusedItem>,
) -> Result<(Batch, Vec<usize>), Status> {
    let (places, points): (Vec<usize>, Vec<Point>) = readable.into_iter().unzip();
    let mut batch = Batch::of(points.into_iter().map(Op::Upsert).collect());
    let unfit: BTreeMap<usize, ragstone::Error> = rows.refused(&batch).into_iter().collect();
    let mut place = 0..;
    batch.ops.retain(|_| place.next().is_none_or(|place| !unfit.contains_key(&place)));
    let fit = places.iter().enumerate().filter(|(place, _)| !unfit.contains_key(place));
    let fit: Vec<usize> = fit.map(|(_, index)| *index).collect();
    for (place, error) in unfit {
        // The engine names a point by its place among those that it got.
        let (index, named) = (places[place], format!("points[{place}]"));
        let error = renamed(error, |field| field.replacen(&named, &format!("points[{index}]"), 1));
        refused.push(status::refused_item(status::engine(error), index)?);
    }
    refused.sort_by_key(|item| item.index);
    Ok((batch, fit))
}
