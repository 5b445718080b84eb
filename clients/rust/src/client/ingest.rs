//! The calls that stream what is to be stored.

use ragstone_proto::v1;
use ragstone_proto::v1::ingest_documents_response::Outcome;
use tokio_stream::{Stream, StreamExt as _};

use super::Client;
use crate::document::IngestDocument;
use crate::error::Result;
use crate::ingest::{DocumentAcknowledged, Ingested, PointsAcknowledged, Window, ingest};
use crate::point::Point;
use crate::retry::request_id;

impl Client {
    /// Inserts or replaces points as they come, batch after batch, each of which is a write of its own: at most 100,000 points and
    /// what the server takes at once (32 MiB by default). `acknowledged` is told of each, in order, when it is
    /// durable. Points that do not fit the collection are refused, and told of, and the others of their batch stored.
    ///
    /// The next batch is taken when fewer than [`INGEST_UNACKNOWLEDGED_MAX`](crate::INGEST_UNACKNOWLEDGED_MAX) are under way, so
    /// the stream is asked for no more than the server stores. When the connection breaks, what was not acknowledged is sent again, as
    /// often as the client's retries say without any acknowledgement in between; the server does nothing twice. Without
    /// a deadline by default.
    ///
    /// ```no_run
    /// # use ragstone_client::{Client, Error, Point};
    /// # async fn run(client: Client) -> Result<(), Error> {
    /// let batches = (0..1_000u64).map(|batch| {
    ///     (0..500).map(|row| Point::new(batch * 500 + row, [batch as f32, row as f32])).collect()
    /// });
    /// let ingested = client
    ///     .ingest_points("notes", tokio_stream::iter(batches), |done| {
    ///         println!("batch {}: {} points, {} refused", done.batch, done.receipt.points, done.refused.len());
    ///     })
    ///     .await?;
    /// assert_eq!(ingested.stored, 500_000);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `Code::NotFound` (no such collection), `Code::ResourceExhausted` (a batch beyond the server's limits, a full disk),
    /// `Code::Unavailable`. What was acknowledged before is stored.
    pub async fn ingest_points(
        &self,
        collection: &str,
        batches: impl Stream<Item = Vec<Point>> + Send,
        mut acknowledged: impl FnMut(PointsAcknowledged) + Send,
    ) -> Result<Ingested> {
        let (mut sequence, mut ingested) = (0.., Ingested::default());
        let messages = batches.map(|points| v1::IngestPointsRequest {
            collection: collection.to_owned(),
            sequence: sequence.next().unwrap_or_default(),
            points: points.into_iter().map(Point::into_wire).collect(),
            request_id: request_id(),
        });
        let service = self.points();
        let open = |request| {
            let mut service = service.clone();
            async move { service.ingest_points(request).await }
        };
        let told = |answer: v1::IngestPointsResponse| {
            self.written.note(answer.write_token.clone());
            ingested.stored += u64::from(answer.upserted);
            ingested.refused += answer.refused.len() as u64;
            acknowledged(PointsAcknowledged::from_wire(answer));
            Ok(())
        };
        ingest((self.policy, "IngestPoints", Window::of_points()), messages, open, told).await?;
        Ok(ingested)
    }

    /// Stores documents as they come; `acknowledged` is told of each, in order, when it is durable, or why it is refused, which one
    /// that is larger than the server takes (32 MiB by default) is too. It goes on and takes up again as
    /// [`ingest_points`](Self::ingest_points) does: what is stored already is found to be unchanged, or to be done by its request id if it was
    /// given one. Up to [`INGEST_DOCUMENTS_UNACKNOWLEDGED_MAX`](crate::INGEST_DOCUMENTS_UNACKNOWLEDGED_MAX) documents and
    /// [`INGEST_DOCUMENTS_BYTES_MAX`](crate::INGEST_DOCUMENTS_BYTES_MAX) bytes are under way, of which the server embeds many together: for many
    /// documents it is the fast way. The documents name one collection.
    ///
    /// # Errors
    /// `Code::NotFound` (no such collection); `Code::FailedPrecondition` (it has no model, or its model differs);
    /// `Code::InvalidArgument` (documents of two collections); `Code::Unavailable`. What was acknowledged before is stored.
    pub async fn ingest_documents(
        &self,
        documents: impl Stream<Item = IngestDocument> + Send,
        mut acknowledged: impl FnMut(DocumentAcknowledged) + Send,
    ) -> Result<Ingested> {
        let (mut sequence, mut ingested) = (0.., Ingested::default());
        let messages = documents.map(|document| v1::IngestDocumentsRequest {
            sequence: sequence.next().unwrap_or_default(),
            document: Some(document.into_wire()),
        });
        let service = self.documents();
        let open = |request| {
            let mut service = service.clone();
            async move { service.ingest_documents(request).await }
        };
        let told = |answer: v1::IngestDocumentsResponse| {
            match &answer.outcome {
                Some(Outcome::Stored(report)) => {
                    self.written.note(report.write_token.clone());
                    ingested.stored += 1;
                }
                _ => ingested.refused += 1,
            }
            acknowledged(DocumentAcknowledged::from_wire(answer)?);
            Ok(())
        };
        ingest((self.policy, "IngestDocuments", Window::of_documents()), messages, open, told).await?;
        Ok(ingested)
    }
}
