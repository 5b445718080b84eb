//! How a server runs.

use std::path::PathBuf;
use std::time::Duration;

use ragstone_rag::answers::AnswerCacheOptions;
use ragstone_rag::embed::DEFAULT_MODEL;
use ragstone_snapshot::Repository;
use tokio::sync::Semaphore;

use crate::access::AccessConfig;
use crate::limits;
use crate::listen::ServeError;
use crate::telemetry::TelemetryConfig;
use crate::tls::{Tls, TlsFiles};

/// Where a server listens by default: reachable from this machine only.
pub const DEFAULT_LISTEN: &str = "127.0.0.1:6733";

/// Threads that may block for what has neither a turn nor the place of an answer: operations, models that are loaded, scrapes, files that are looked at.
const OTHER_THREADS_MAX: usize = 512;

/// How a server runs; every part has a default.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// The model that is used where a request names none.
    pub default_model: String,
    /// Whether the default model is loaded (fetched first, if need be) as soon as the server is up, rather than by the
    /// first request that needs it. Until it is loaded, the health of InferenceService is NOT_SERVING.
    pub load_default_model: bool,
    /// Whether a request may name any model. Off by default: only the default model and those that are here already
    /// (loaded, or in the cache) may be named, since any other name makes the server fetch from the hub, read a directory
    /// of this machine or call a URL.
    pub allow_any_model: bool,
    /// Bytes of one request's message.
    pub request_bytes_max: usize,
    /// Bytes of one response's message.
    pub response_bytes_max: usize,
    /// Bytes of memory of the messages of all calls together: requests from their first byte until they are answered, and answers until they
    /// have gone. More is refused for a moment.
    pub message_bytes_max: usize,
    /// Requests of a kind (reads; writes; fetches of models) that arrive, wait for a thread or are being worked on.
    pub concurrent_requests_max: usize,
    /// The same of calls that stream, which may last and have places of their own.
    pub concurrent_streams_max: usize,
    /// Requests of a kind that are being worked on: threads that compute, or wait for the disk.
    pub worker_threads_max: usize,
    /// Reads that ask for much (more than [`SHORT_READ_ROWS_MAX`](limits::SHORT_READ_ROWS_MAX) rows, groups, batches, ranges) that are worked on,
    /// requests of more than [`SHORT_MESSAGE_BYTES_MAX`](limits::SHORT_MESSAGE_BYTES_MAX) bytes that are read, and answers of as much that are written,
    /// together at a time: others are answered meanwhile.
    pub large_requests_max: usize,
    /// Answers of language models that are under way; each takes a thread that waits.
    pub concurrent_generations_max: usize,
    /// The part of the places of a kind, and of those of streams, that one caller may have at a time: above 0, and 1 at most; some
    /// ([`CALLER_PLACES_MIN`](limits::CALLER_PLACES_MIN)) in any case. Where callers are not told apart ([`access`](Self::access)), one may have all.
    /// The same part of [`message_bytes_max`](Self::message_bytes_max) is the most that messages may have of one caller, or where callers are not told apart
    /// of one connection, unless enough is free for others ([`BEYOND_SHARE_MAX`](limits::BEYOND_SHARE_MAX)).
    pub caller_share_max: f64,
    /// How long a caller may take nothing of an answer before it is given up. Of an answer of one message over gRPC, and of all answers of the HTTP port, all
    /// waiting counts, and each [`BODY_BYTES_PER_SECOND_MIN`](limits::BODY_BYTES_PER_SECOND_MIN) that the connection takes, of whatever answer, make up for
    /// a second of it.
    pub answer_stall_timeout: Duration,
    /// Connections to the gRPC port at a time; for one more that which has rested longest is closed, and where none rests it waits.
    pub grpc_connections_max: usize,
    /// Connections to the HTTP port at a time; for one more that which has rested longest is closed, and where none rests it waits.
    pub http_connections_max: usize,
    /// How long the headers of a request to the HTTP port may take, and on the gRPC port what HTTP/2 begins with.
    pub http_header_timeout: Duration,
    /// After how long a request is given up, whatever deadline its caller set.
    pub request_timeout: Duration,
    /// The same, of a call that streams.
    pub stream_timeout: Duration,
    /// The stores that callers may have snapshots taken to, verified in and collections restored from, as `ragstone snapshot --to` names them. None by default.
    pub snapshot_stores: Vec<String>,
    /// How long a read waits for the server to come to the write that it is to find.
    pub read_wait: Duration,
    /// How long a request waits for its model to be loaded before it is told to come back.
    pub model_wait: Duration,
    /// The folder whose files callers may have collections written to and read from. None by default.
    pub exchange_dir: Option<PathBuf>,
    /// Who may do what. By default everybody who reaches the server may do everything.
    pub access: AccessConfig,
    /// How long shutting down waits for the requests that are being worked on.
    pub shutdown_grace: Duration,
    /// The certificates of both ports; without TLS by default.
    pub tls: TlsFiles,
    /// Which answers of language models are kept and given again; none by default.
    pub answer_cache: AnswerCacheOptions,
    /// What it tells of itself: traces, and the recall that is measured.
    pub telemetry: TelemetryConfig,
}

impl Default for ServerConfig {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self {
            default_model: DEFAULT_MODEL.to_owned(),
            load_default_model: true,
            allow_any_model: false,
            request_bytes_max: limits::REQUEST_BYTES_MAX,
            response_bytes_max: limits::RESPONSE_BYTES_MAX,
            message_bytes_max: limits::MESSAGE_BYTES_MAX,
            concurrent_requests_max: limits::CONCURRENT_REQUESTS_MAX,
            concurrent_streams_max: limits::CONCURRENT_STREAMS_MAX,
            // Writers wait for the disk together (one fsync serves them all), so there are more of them than cores.
            worker_threads_max: (4 * cores).max(16),
            large_requests_max: cores.saturating_sub(1).max(1),
            concurrent_generations_max: limits::CONCURRENT_GENERATIONS_MAX,
            caller_share_max: limits::CALLER_SHARE_MAX,
            answer_stall_timeout: Duration::from_secs(limits::ANSWER_STALL_SECONDS_MAX),
            grpc_connections_max: limits::GRPC_CONNECTIONS_MAX,
            http_connections_max: limits::HTTP_CONNECTIONS_MAX,
            http_header_timeout: Duration::from_secs(limits::HTTP_HEADER_SECONDS_MAX),
            request_timeout: Duration::from_secs(limits::REQUEST_SECONDS_MAX),
            stream_timeout: Duration::from_secs(limits::STREAM_SECONDS_MAX),
            snapshot_stores: Vec::new(),
            read_wait: Duration::from_secs(limits::READ_WAIT_SECONDS_MAX),
            model_wait: limits::MODEL_WAIT,
            exchange_dir: None,
            access: AccessConfig::default(),
            shutdown_grace: Duration::from_secs(30),
            tls: TlsFiles::default(),
            answer_cache: AnswerCacheOptions::default(),
            telemetry: TelemetryConfig::default(),
        }
    }
}

impl ServerConfig {
    /// Finds out what a server would not start for, apart from ports and the database. Reads the files of certificates, so it blocks for a
    /// moment.
    ///
    /// # Errors
    /// [`ServeError::Config`], [`ServeError::Tls`].
    pub fn check(&self) -> Result<(), ServeError> {
        self.checked().map(drop)
    }

    /// The same, and the certificates, if there are any.
    pub(crate) fn checked(&self) -> Result<Option<Tls>, ServeError> {
        match self.problems().next() {
            Some((field, reason)) => Err(ServeError::Config { field, reason }),
            None => Ok(Tls::load(&self.tls)?),
        }
    }

    /// All of it at once: what [`check`](Self::check) finds once the one before is mended.
    pub(crate) fn all_problems(&self) -> Vec<ServeError> {
        let of_parts = self.problems().map(|(field, reason)| ServeError::Config { field, reason });
        // Where one of the files is not named, that is among the parts.
        let of_files = match self.tls.problem() {
            None => Tls::load(&self.tls).err().map(ServeError::Tls),
            Some(_) => None,
        };
        of_parts.chain(of_files).collect()
    }

    /// How many threads that may block the runtime of a server is to have (`tokio::runtime::Builder::max_blocking_threads`): one for each request
    /// of any kind that may be worked on at a time, one for each answer of a language model that may be under way, and some for all else. They
    /// are begun as they are needed. Where there are fewer, answers that wait for their model keep whoever reads or writes waiting, too.
    pub fn blocking_threads_max(&self) -> usize {
        // Reads, writes and fetches of models have turns of their own.
        let working = self.worker_threads_max.saturating_mul(3);
        let all = working.saturating_add(self.concurrent_generations_max).saturating_add(OTHER_THREADS_MAX);
        all.min(Semaphore::MAX_PERMITS)
    }

    /// Whether no other machine may reach the ports: whoever reaches them may do everything, and the operator has not insisted on that.
    pub(crate) fn is_for_this_machine_alone(&self) -> bool {
        !self.access.is_on() && self.tls.client_ca.is_none() && !self.access.insecure_listen
    }

    /// The parts that are not acceptable, and why.
    fn problems(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let nameless = self.default_model.is_empty().then_some(("default_model", "is empty"));
        let positive = [
            ("request_bytes_max", self.request_bytes_max),
            ("response_bytes_max", self.response_bytes_max),
            ("message_bytes_max", self.message_bytes_max),
            ("concurrent_requests_max", self.concurrent_requests_max),
            ("concurrent_streams_max", self.concurrent_streams_max),
            ("worker_threads_max", self.worker_threads_max),
            ("large_requests_max", self.large_requests_max),
            ("concurrent_generations_max", self.concurrent_generations_max),
            ("answer_stall_timeout", self.answer_stall_timeout.as_millis().min(1) as usize),
            ("grpc_connections_max", self.grpc_connections_max),
            ("http_connections_max", self.http_connections_max),
            ("http_header_timeout", self.http_header_timeout.as_millis().min(1) as usize),
            ("request_timeout", self.request_timeout.as_millis().min(1) as usize),
            ("stream_timeout", self.stream_timeout.as_millis().min(1) as usize),
        ];
        let zero = positive
            .into_iter()
            .filter(|(_, value)| *value == 0)
            .map(|(name, _)| (name, "is 0 and must be above it"));
        // A message of gRPC tells its length in 32 bits.
        let messages =
            [("request_bytes_max", self.request_bytes_max), ("response_bytes_max", self.response_bytes_max)];
        let long = messages.into_iter().filter(|(_, bytes)| u32::try_from(*bytes).is_err());
        let long = long.map(|(name, _)| (name, "is not below 4 GiB, as a message is"));
        let is_share = (0.0..=1.0).contains(&self.answer_cache.similarity_min);
        let similarity = (!is_share).then_some(("answer_cache.similarity_min", "is not between 0 and 1"));
        let has_some = self.caller_share_max > 0.0 && self.caller_share_max <= 1.0;
        let share = (!has_some).then_some(("caller_share_max", "is not above 0, and 1 at most"));
        // Logs, operations and whoever sees what the server holds name the store, which has its credentials from the environment.
        let has_password = self.snapshot_stores.iter().any(|store| has_password(store));
        let reason = "has a password in a URL, which goes into the environment";
        let store = has_password.then_some(("snapshot_stores", reason));
        let is_none = |store: &String| store.is_empty() || Repository::check_url(store).is_err();
        let is_no_place = self.snapshot_stores.iter().any(is_none);
        let reason =
            "has a store that cannot be one: it is a directory, s3://bucket/prefix, gs://… or az://…";
        let store = store.or(is_no_place.then_some(("snapshot_stores", reason)));
        let parts =
            [self.access.problem(), self.tls.problem(), self.telemetry.problem(), similarity, share, store];
        nameless.into_iter().chain(zero).chain(long).chain(parts.into_iter().flatten())
    }
}

/// Whether a URL has a password before its host; a name alone stands there in those of Azure.
fn has_password(url: &str) -> bool {
    let authority = url.split_once("://").and_then(|(_, rest)| rest.split(['/', '?', '#']).next());
    authority.and_then(|authority| authority.rsplit_once('@')).is_some_and(|(user, _)| user.contains(':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// It was in the line of the log that each snapshot has, and `observe` was told of it.
    #[test]
    fn a_store_has_no_password_in_its_url() {
        let refused = |store: &str| {
            let config = ServerConfig { snapshot_stores: vec![store.to_owned()], ..ServerConfig::default() };
            match config.check() {
                Ok(()) => false,
                Err(ServeError::Config { field, .. }) => field == "snapshot_stores",
                Err(other) => panic!("{other}"),
            }
        };
        for sound in
            ["/backups", "a:b@c", "s3://bucket/a:b@c", "abfss://container@account.dfs.core.windows.net/x"]
        {
            assert!(!refused(sound), "{sound}");
        }
        for wrong in ["s3://key:secret@bucket/prefix", "gs://key:a@b@bucket", "s3://key:@bucket?x=y"] {
            assert!(refused(wrong), "{wrong}");
        }
    }

    /// With the 512 of a runtime that is not told, as many answers that waited for their model stopped reads, writes and scrapes.
    #[test]
    fn there_are_threads_for_all_that_may_be_worked_on_and_some_more() {
        let config = ServerConfig {
            concurrent_generations_max: 1_000,
            worker_threads_max: 600,
            ..ServerConfig::default()
        };
        assert!(config.blocking_threads_max() > 1_000 + 3 * 600);
        let endless = ServerConfig { worker_threads_max: usize::MAX, ..config };
        // A runtime adds its own to them.
        assert!(endless.blocking_threads_max() < usize::MAX / 2);
    }

    /// A server ran with it, and the first snapshot at night was the first to say so.
    #[test]
    fn a_store_is_a_place_that_can_be_one() {
        for (store, can_be) in [
            ("/backups", true),
            ("file:///backups", true),
            ("s3://bucket/prefix", true),
            ("az://container", true),
            ("s4://bucket/prefix", false),
            ("s3:/bucket/prefix", false),
            ("ftp://host/prefix", false),
            ("", false),
        ] {
            let config = ServerConfig { snapshot_stores: vec![store.to_owned()], ..ServerConfig::default() };
            let refused = matches!(config.check(), Err(ServeError::Config { field: "snapshot_stores", .. }));
            assert_eq!(refused, !can_be, "{store}");
        }
    }
}
