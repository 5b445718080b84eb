//! One call: its deadline, its attempts, its errors.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};
use tonic::{Request, Response, Status};

use crate::error::{Error, Result};
use crate::retry::{Repeat, may_repeat, pause};

/// What is known of a call before it is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Method {
    /// Names it in errors.
    pub(crate) name: &'static str,
    /// Its deadline where the user set none.
    pub(crate) timeout: Duration,
    /// Whether it may be made twice.
    pub(crate) repeat: Repeat,
}

impl Method {
    const fn new(name: &'static str, timeout_s: u64, repeat: Repeat) -> Method {
        Method { name, timeout: Duration::from_secs(timeout_s), repeat }
    }
}

/// Default deadlines: a read answers in milliseconds; an ingestion may embed megabytes of text; a download takes minutes.
pub(crate) mod methods {
    use super::{Method, Repeat};

    pub(crate) const CREATE_COLLECTION: Method = Method::new("CreateCollection", 60, Repeat::Safe);
    pub(crate) const GET_COLLECTION: Method = Method::new("GetCollection", 30, Repeat::Safe);
    pub(crate) const UPDATE_COLLECTION: Method = Method::new("UpdateCollection", 60, Repeat::Safe);
    pub(crate) const UPDATE_COLLECTION_IF: Method = Method::new("UpdateCollection", 60, Repeat::IfNotBegun);
    pub(crate) const LIST_COLLECTIONS: Method = Method::new("ListCollections", 30, Repeat::Safe);
    pub(crate) const DELETE_COLLECTION: Method = Method::new("DeleteCollection", 60, Repeat::Safe);
    pub(crate) const SET_ALIAS: Method = Method::new("SetAlias", 60, Repeat::IfNotBegun);
    pub(crate) const DELETE_ALIAS: Method = Method::new("DeleteAlias", 60, Repeat::IfNotBegun);
    pub(crate) const LIST_ALIASES: Method = Method::new("ListAliases", 30, Repeat::Safe);
    pub(crate) const REEMBED_COLLECTION: Method = Method::new("ReembedCollection", 120, Repeat::IfNotBegun);
    pub(crate) const GET_OPERATION: Method = Method::new("GetOperation", 30, Repeat::Safe);
    pub(crate) const LIST_OPERATIONS: Method = Method::new("ListOperations", 30, Repeat::Safe);
    pub(crate) const CANCEL_OPERATION: Method = Method::new("CancelOperation", 60, Repeat::Safe);
    pub(crate) const DELETE_OPERATION: Method = Method::new("DeleteOperation", 60, Repeat::IfNotBegun);
    pub(crate) const GET_STATS: Method = Method::new("GetStats", 30, Repeat::Safe);
    pub(crate) const TAKE_SNAPSHOT: Method = Method::new("TakeSnapshot", 60, Repeat::IfNotBegun);
    pub(crate) const LIST_SNAPSHOTS: Method = Method::new("ListSnapshots", 120, Repeat::Safe);
    pub(crate) const VERIFY_SNAPSHOT: Method = Method::new("VerifySnapshot", 120, Repeat::IfNotBegun);
    pub(crate) const RESTORE_COLLECTION: Method = Method::new("RestoreCollection", 120, Repeat::IfNotBegun);
    pub(crate) const EXPORT_COLLECTION: Method = Method::new("ExportCollection", 60, Repeat::IfNotBegun);
    pub(crate) const IMPORT_COLLECTION: Method = Method::new("ImportCollection", 60, Repeat::IfNotBegun);
    pub(crate) const CREATE_KEY: Method = Method::new("CreateKey", 60, Repeat::IfNotBegun);
    pub(crate) const LIST_KEYS: Method = Method::new("ListKeys", 30, Repeat::Safe);
    pub(crate) const REVOKE_KEY: Method = Method::new("RevokeKey", 60, Repeat::IfNotBegun);
    pub(crate) const ROTATE_KEY: Method = Method::new("RotateKey", 60, Repeat::IfNotBegun);
    pub(crate) const UPSERT_POINTS: Method = Method::new("UpsertPoints", 60, Repeat::Safe);
    pub(crate) const UPDATE_POINTS: Method = Method::new("UpdatePoints", 60, Repeat::Safe);
    pub(crate) const WRITE_POINTS: Method = Method::new("WritePoints", 60, Repeat::Safe);
    pub(crate) const GET_POINTS: Method = Method::new("GetPoints", 30, Repeat::Safe);
    pub(crate) const DELETE_POINTS: Method = Method::new("DeletePoints", 60, Repeat::Safe);
    pub(crate) const DELETE_POINTS_WHERE: Method = Method::new("DeletePoints", 60, Repeat::IfNotBegun);
    pub(crate) const SCROLL_POINTS: Method = Method::new("ScrollPoints", 30, Repeat::Safe);
    pub(crate) const COUNT_POINTS: Method = Method::new("CountPoints", 30, Repeat::Safe);
    pub(crate) const FACET_POINTS: Method = Method::new("FacetPoints", 30, Repeat::Safe);
    pub(crate) const BATCH_QUERY: Method = Method::new("BatchQuery", 120, Repeat::Safe);
    pub(crate) const SEARCH_RANGE: Method = Method::new("SearchRange", 60, Repeat::Safe);
    pub(crate) const EXPLAIN: Method = Method::new("Explain", 30, Repeat::Safe);
    pub(crate) const QUERY: Method = Method::new("Query", 30, Repeat::Safe);
    pub(crate) const INGEST_DOCUMENT: Method = Method::new("IngestDocument", 600, Repeat::Safe);
    pub(crate) const INGEST_RECORDS: Method = Method::new("IngestRecords", 600, Repeat::IfNotBegun);
    pub(crate) const GET_DOCUMENT: Method = Method::new("GetDocument", 30, Repeat::Safe);
    pub(crate) const LIST_DOCUMENTS: Method = Method::new("ListDocuments", 30, Repeat::Safe);
    pub(crate) const DELETE_DOCUMENT: Method = Method::new("DeleteDocument", 60, Repeat::Safe);
    pub(crate) const LIST_CHUNKS: Method = Method::new("ListChunks", 30, Repeat::Safe);
    pub(crate) const RETRIEVE: Method = Method::new("Retrieve", 30, Repeat::Safe);
    pub(crate) const ENRICH: Method = Method::new("Enrich", 30, Repeat::Safe);
    pub(crate) const GENERATE: Method = Method::new("Generate", 1_800, Repeat::IfNotBegun);
    pub(crate) const REGISTER_TEMPLATE: Method = Method::new("RegisterTemplate", 60, Repeat::Safe);
    pub(crate) const GET_TEMPLATE: Method = Method::new("GetTemplate", 30, Repeat::Safe);
    pub(crate) const LIST_TEMPLATES: Method = Method::new("ListTemplates", 30, Repeat::Safe);
    pub(crate) const DELETE_TEMPLATE: Method = Method::new("DeleteTemplate", 60, Repeat::IfNotBegun);
    pub(crate) const PREVIEW_TEMPLATE: Method = Method::new("PreviewTemplate", 30, Repeat::Safe);
    pub(crate) const EMBED: Method = Method::new("Embed", 120, Repeat::Safe);
    pub(crate) const RERANK: Method = Method::new("Rerank", 120, Repeat::Safe);
    pub(crate) const COUNT_TOKENS: Method = Method::new("CountTokens", 120, Repeat::Safe);
    pub(crate) const LIST_MODELS: Method = Method::new("ListModels", 30, Repeat::Safe);
    pub(crate) const PULL_MODEL: Method = Method::new("PullModel", 1_800, Repeat::Safe);
}

/// Deadline and retries of a client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    /// The deadline of every call, instead of each one's own.
    pub(crate) timeout: Option<Duration>,
    /// How often a call is repeated at most.
    pub(crate) retries: u32,
}

/// The longest deadline: a longer one is this one. A moment that is centuries off cannot be told.
const TIMEOUT_MAX: Duration = Duration::from_secs(365 * 86_400);

impl Policy {
    /// The same with this deadline for every call.
    pub(crate) fn within(self, timeout: Duration) -> Policy {
        Policy { timeout: Some(timeout.min(TIMEOUT_MAX)), ..self }
    }
}

/// Makes a call until it succeeds, fails for good, or its deadline would pass.
pub(crate) async fn call<Wire, Answer, Send, Sent>(
    policy: Policy,
    method: Method,
    wire: Wire,
    send: Send,
) -> Result<Answer>
where
    Wire: Clone,
    Send: Fn(Request<Wire>) -> Sent,
    Sent: Future<Output = Result<Response<Answer>, Status>>,
{
    let timeout = policy.timeout.unwrap_or(method.timeout);
    let deadline = Instant::now() + timeout;
    let mut attempt = 1;
    loop {
        let mut request = Request::new(wire.clone());
        request.set_timeout(deadline.saturating_duration_since(Instant::now()));
        let error = match timeout_at(deadline, send(request)).await {
            Ok(Ok(response)) => return Ok(response.into_inner()),
            Ok(Err(status)) if transport_gave_up(&status) => {
                return Err(Error::deadline(method.name, timeout));
            }
            Ok(Err(status)) => Error::from_status(&status),
            Err(_) => return Err(Error::deadline(method.name, timeout)),
        };
        if attempt > policy.retries || !may_repeat(&error, method.repeat) {
            return Err(error);
        }
        let pause = pause(attempt, &error);
        if Instant::now() + pause >= deadline {
            return Err(error);
        }
        sleep(pause).await;
        attempt += 1;
    }
}

/// The transport keeps the deadline too, and calls its passing a cancellation.
fn transport_gave_up(status: &Status) -> bool {
    status.code() == tonic::Code::Cancelled && status.message() == "Timeout expired"
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::error::Code;

    const METHOD: Method = Method::new("Test", 10, Repeat::Safe);

    async fn failing(failures: u32, retries: u32, status: fn() -> Status) -> (Result<u32>, u32) {
        failing_at(METHOD, failures, retries, status).await
    }

    async fn failing_at(
        method: Method,
        failures: u32,
        retries: u32,
        status: fn() -> Status,
    ) -> (Result<u32>, u32) {
        let calls = AtomicU32::new(0);
        let policy = Policy { timeout: None, retries };
        let result = call(policy, method, (), |_request| {
            let number = calls.fetch_add(1, Ordering::Relaxed);
            async move { if number < failures { Err(status()) } else { Ok(Response::new(number)) } }
        })
        .await;
        (result, calls.load(Ordering::Relaxed))
    }

    #[tokio::test(start_paused = true)]
    async fn unavailable_is_repeated_and_the_rest_is_not() {
        let (result, calls) = failing(2, 3, || Status::unavailable("gone")).await;
        assert_eq!((result.unwrap(), calls), (2, 3));
        let (result, calls) = failing(9, 3, || Status::unavailable("gone")).await;
        assert_eq!((result.unwrap_err().code(), calls), (Code::Unavailable, 4));
        let (result, calls) = failing(9, 3, || Status::internal("broken")).await;
        assert_eq!((result.unwrap_err().code(), calls), (Code::Internal, 1));
    }

    /// An alias that another client had moved on meanwhile was moved back.
    #[tokio::test(start_paused = true)]
    async fn an_alias_is_not_set_twice() {
        let (result, calls) = failing_at(methods::SET_ALIAS, 9, 3, || Status::unavailable("gone")).await;
        assert_eq!((result.unwrap_err().code(), calls), (Code::Unavailable, 1));
    }

    /// The end of such a call was beyond all moments, and reckoning it ended the program.
    #[tokio::test]
    async fn a_deadline_may_be_as_far_off_as_a_duration_is_long() {
        let policy = Policy { timeout: None, retries: 0 }.within(Duration::MAX);
        let answer = call(policy, METHOD, (), |_request| async { Ok(Response::new(1)) });
        assert_eq!(answer.await.unwrap(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn the_deadline_covers_every_attempt() {
        let started = Instant::now();
        let (result, _) = failing(u32::MAX, u32::MAX, || Status::unavailable("gone")).await;
        assert_eq!(result.unwrap_err().code(), Code::Unavailable);
        assert!(started.elapsed() <= METHOD.timeout);

        let never = call::<(), (), _, _>(Policy { timeout: None, retries: 3 }, METHOD, (), |_request| {
            std::future::pending()
        });
        assert_eq!(never.await.unwrap_err().code(), Code::DeadlineExceeded);
    }
}
