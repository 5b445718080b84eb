//! The table of all settings.

use super::Setting;
use super::field::Field;
use crate::logs::LogFormat;

/// Settings of one subject.
#[derive(Clone, Copy, Debug)]
pub struct Group {
    /// What they are about.
    pub title: &'static str,
    /// The settings.
    pub settings: &'static [Setting],
}

/// All settings. Those of a further subject are a further group.
pub const GROUPS: &[Group] = &[
    Group { title: "Places", settings: PLACES },
    Group { title: "TLS", settings: TLS },
    Group { title: "Access", settings: ACCESS },
    Group { title: "Models", settings: MODELS },
    Group { title: "Answers that are kept", settings: ANSWER_CACHE },
    Group { title: "Limits", settings: LIMITS },
    Group { title: "Times", settings: TIMES },
    Group { title: "Telemetry", settings: TELEMETRY },
];

const PLACES: &[Setting] = &[
    Setting::new("data", "DIR", Field::Path(|s| &mut s.data), "The directory of the database.").global(),
    Setting::new(
        "listen",
        "ADDR",
        Field::Text(|s| &mut s.listen),
        "Accept connections here; port 0 takes a free one, which the log names.",
    ),
    Setting::new(
        "http_listen",
        "ADDR",
        Field::TextIf(|s| &mut s.http_listen),
        "Also listen here for HTTP: /metrics, /healthz, /readyz and the OpenAI protocol (/v1/models, /v1/embeddings, \
         /v1/chat/completions), for instance on 127.0.0.1:6734. Off unless given.",
    ),
    Setting::new(
        "snapshot_stores",
        "URL",
        Field::Texts(|s| &mut s.server.snapshot_stores),
        "The stores that callers may have snapshots taken to and collections restored from: a directory, s3://bucket/prefix … as for \
         `snapshot --to`.",
    ),
    Setting::new(
        "exchange_dir",
        "DIR",
        Field::PathIf(|s| &mut s.server.exchange_dir),
        "The folder whose files callers may have collections exported to and imported from.",
    ),
    Setting::new(
        "log_format",
        "FORMAT",
        Field::Choice {
            words: &["text", "json"],
            get: |s| match s.log_format {
                LogFormat::Text => 0,
                LogFormat::Json => 1,
            },
            set: |s, place| s.log_format = if place == 1 { LogFormat::Json } else { LogFormat::Text },
        },
        "How log lines are written: `text` for people, or `json`, an object a line; RUST_LOG sets what is logged.",
    ),
];

const TLS: &[Setting] = &[
    Setting::new(
        "tls.cert",
        "FILE",
        Field::PathIf(|s| &mut s.server.tls.cert),
        "The certificate of both ports: PEM, followed by those between it and its authority. With it, nobody is answered without TLS.",
    )
    .global(),
    Setting::new(
        "tls.key",
        "FILE",
        Field::PathIf(|s| &mut s.server.tls.key),
        "The key of the certificate: PEM (PKCS #8, PKCS #1 or SEC 1).",
    )
    .global(),
    Setting::new(
        "tls.client_ca",
        "FILE",
        Field::PathIf(|s| &mut s.server.tls.client_ca),
        "Let in only clients that show a certificate of these authorities (PEM): mutual TLS.",
    ),
    Setting::new(
        "tls.reload_interval",
        "TIME",
        Field::Time(|s| &mut s.server.tls.reload_interval),
        "How often the three files are looked at: new certificates hold for connections from then on, broken ones change nothing and are \
         logged.",
    ),
];

const ACCESS: &[Setting] = &[
    Setting::new(
        "auth",
        "BOOL",
        Field::Switch(|s| &mut s.server.access.required),
        "Demand an API key (`ragstone key create`) or a token of every call, on both ports. Health, /healthz and /readyz are for \
         everybody.",
    ),
    Setting::new(
        "insecure_listen",
        "BOOL",
        Field::Switch(|s| &mut s.server.access.insecure_listen),
        "Listen beyond this machine though nobody is asked who they are: whoever reaches the ports may do everything.",
    ),
    Setting::new(
        "jwt.keys",
        "SOURCE",
        Field::TextIf(|s| &mut s.server.access.jwt.keys),
        "Take tokens (JWT) that are signed by one of these keys, too: a file or a URL of a JSON Web Key Set. Then every call needs \
         credentials.",
    ),
    Setting::new(
        "jwt.issuer",
        "ISS",
        Field::TextIf(|s| &mut s.server.access.jwt.issuer),
        "What tokens must name as their issuer.",
    ),
    Setting::new(
        "jwt.audience",
        "AUD",
        Field::TextIf(|s| &mut s.server.access.jwt.audience),
        "What tokens must name among their audience.",
    ),
    Setting::new(
        "jwt.roles_claim",
        "CLAIM",
        Field::Text(|s| &mut s.server.access.jwt.roles_claim),
        "The claim that has a token's roles; `a.b` is the claim b within the claim a.",
    ),
    Setting::new(
        "jwt.roles",
        "ROLE=GRANT",
        Field::Lines {
            get: |s| s.server.access.jwt.role_texts(),
            set: |s, texts| s.server.access.jwt.set_role_texts(texts),
        },
        "What roles of tokens are granted, for instance `reader=read on docs-* where tenant = $claims.tenant`; several of one role add up.",
    ),
    Setting::new(
        "jwt.per_second",
        "N",
        Field::RateIf(|s| &mut s.server.access.jwt.limits.per_second),
        "Calls a second of each subject of tokens, on average; 0 is without end.",
    ),
    Setting::new(
        "jwt.burst",
        "N",
        Field::CountIf {
            get: |s| s.server.access.jwt.limits.burst.map(u64::from),
            set: |s, burst| {
                s.server.access.jwt.limits.burst =
                    burst.map(|burst| u32::try_from(burst).unwrap_or(u32::MAX));
            },
        },
        "Calls of each of them that may come at once; as many as in a second, and one at least, if it is unset or 0.",
    ),
    Setting::new(
        "jwt.per_day",
        "N",
        Field::CountIf {
            get: |s| s.server.access.jwt.limits.per_day,
            set: |s, per_day| s.server.access.jwt.limits.per_day = per_day,
        },
        "Calls a day of each of them; 0 is without end.",
    ),
    Setting::new(
        "jwt.refresh",
        "TIME",
        Field::Time(|s| &mut s.server.access.jwt.refresh),
        "After how long the keys of tokens are read again.",
    ),
];

const MODELS: &[Setting] = &[
    Setting::new(
        "model",
        "MODEL",
        Field::Text(|s| &mut s.server.default_model),
        "The model that is used where a request names none: a name, an org/name of the Hugging Face hub, a directory, or https://host/v1#name.",
    ),
    Setting::new(
        "load_default_model",
        "BOOL",
        Field::Switch(|s| &mut s.server.load_default_model),
        "Load that model as soon as the server is up, rather than by the first request that needs it.",
    ),
    Setting::new(
        "allow_any_model",
        "BOOL",
        Field::Switch(|s| &mut s.server.allow_any_model),
        "Let requests name any model: of the Hugging Face hub, a directory of this machine, a URL. Otherwise only the default model and \
         those in the cache (`ragstone model pull`). The key of RAGSTONE_EMBED_API_KEY goes to the service of RAGSTONE_EMBED_API_URL \
         (by default OpenAI's) alone.",
    ),
    Setting::new(
        "offline",
        "BOOL",
        Field::Switch(|s| &mut s.offline),
        "Fetch no model: use only what the cache or a directory has.",
    )
    .global(),
    Setting::new(
        "generate_models",
        "NAME=URL",
        Field::Texts(|s| &mut s.generate_models),
        "Language models that may be asked for answers, the first by default. NAME is what requests call it, URL the base of an \
         OpenAI-compatible service, for instance small=http://127.0.0.1:11434/v1#llama3.2:3b, with the service's own name behind # if it \
         differs. Settings stand behind ?, such as key_env=VARIABLE&total_s=600: key_env (the environment variable that holds the key), \
         connect_s, first_token_s, next_token_s, total_s (seconds; 10, 300, 60, 1800 by default).",
    ),
];

const ANSWER_CACHE: &[Setting] = &[
    Setting::new(
        "answer_cache.entries_max",
        "COUNT",
        Field::Number(|s| &mut s.server.answer_cache.entries_max),
        "Keep so many answers of language models, and give them again when the same caller asks the same, as long as nothing was written to the \
         collection. Off at 0.",
    ),
    Setting::new(
        "answer_cache.bytes_max",
        "BYTES",
        Field::Bytes(|s| &mut s.server.answer_cache.bytes_max),
        "Bytes of memory that they may take, about; those that were used the longest ago go first.",
    ),
    Setting::new(
        "answer_cache.similarity_min",
        "SHARE",
        Field::Share(|s| &mut s.server.answer_cache.similarity_min),
        "The cosine of two questions' vectors, 0 to 1, from which on they are taken for the same one. At 1 only the same text is; below, wrong \
         answers are possible at any value, as a question is near to its negation.",
    ),
    Setting::new(
        "answer_cache.lifetime",
        "TIME",
        Field::Time(|s| &mut s.server.answer_cache.lifetime),
        "How long an answer is given again.",
    ),
];

const LIMITS: &[Setting] = &[
    Setting::new(
        "request_bytes_max",
        "BYTES",
        Field::Bytes(|s| &mut s.server.request_bytes_max),
        "Bytes of one request's message.",
    ),
    Setting::new(
        "response_bytes_max",
        "BYTES",
        Field::Bytes(|s| &mut s.server.response_bytes_max),
        "Bytes of one response's message.",
    ),
    Setting::new(
        "message_bytes_max",
        "BYTES",
        Field::Bytes(|s| &mut s.server.message_bytes_max),
        "Bytes of memory of the messages of all calls together: requests from their first byte until they are answered, and answers until \
         they have gone. More is refused for a moment.",
    ),
    Setting::new(
        "concurrent_requests_max",
        "COUNT",
        Field::Number(|s| &mut s.server.concurrent_requests_max),
        "Requests of a kind (reads; writes; fetches of models) that arrive, wait for a thread or are being worked on.",
    ),
    Setting::new(
        "concurrent_streams_max",
        "COUNT",
        Field::Number(|s| &mut s.server.concurrent_streams_max),
        "The same of calls that stream, which may last and have places of their own.",
    ),
    Setting::new(
        "concurrent_generations_max",
        "COUNT",
        Field::Number(|s| &mut s.server.concurrent_generations_max),
        "Answers of language models that are under way; each takes a thread that waits.",
    ),
    Setting::new(
        "caller_share_max",
        "SHARE",
        Field::Share(|s| &mut s.server.caller_share_max),
        "The part of the places of a kind (requests, streams and answers apart) that one key, or one subject of tokens, may have at a time: \
         above 0, and 1 at most; 8 places in any case. Without `auth` or `jwt.keys` callers are not told apart, and one may have all. The same part of \
         `message_bytes_max` is the most that answers of more than 1 MiB may have of one caller, or where callers are not told apart of one connection, \
         until they have gone; one alone is always answered.",
    ),
    Setting::new(
        "worker_threads_max",
        "COUNT",
        Field::Number(|s| &mut s.server.worker_threads_max),
        "Requests of a kind that are being worked on: threads that compute, or wait for the disk.",
    )
    .default_is("4 a core, 16 at least"),
    Setting::new(
        "large_requests_max",
        "COUNT",
        Field::Number(|s| &mut s.server.large_requests_max),
        "Reads that ask for much (more than 100 rows, groups, batches, ranges) that are worked on, requests of more than 1 MiB that are read, \
         and answers of as much that are written, together at a time: others are answered meanwhile. Callers have these turns one after the other, \
         and where they are not told apart, connections have.",
    )
    .default_is("1 fewer than cores, 1 at least"),
    Setting::new(
        "grpc_connections_max",
        "COUNT",
        Field::Number(|s| &mut s.server.grpc_connections_max),
        "Connections to the gRPC port at a time; for one more that which has rested longest is closed, and where none rests it waits.",
    ),
    Setting::new(
        "http_connections_max",
        "COUNT",
        Field::Number(|s| &mut s.server.http_connections_max),
        "Connections to the HTTP port at a time; for one more that which has rested longest is closed, and where none rests it waits.",
    ),
];

const TIMES: &[Setting] = &[
    Setting::new(
        "request_timeout",
        "TIME",
        Field::Time(|s| &mut s.server.request_timeout),
        "After how long a request is given up, whatever deadline its caller set.",
    ),
    Setting::new(
        "stream_timeout",
        "TIME",
        Field::Time(|s| &mut s.server.stream_timeout),
        "The same, of a call that streams.",
    ),
    Setting::new(
        "answer_stall_timeout",
        "TIME",
        Field::Time(|s| &mut s.server.answer_stall_timeout),
        "How long a caller may take nothing of an answer before it is given up; of one that is not streamed, and of all of the HTTP port, its connection \
         must take 16,384 bytes for each second beyond that.",
    ),
    Setting::new(
        "http_header_timeout",
        "TIME",
        Field::Time(|s| &mut s.server.http_header_timeout),
        "How long the headers of a request to the HTTP port may take, and on the gRPC port what HTTP/2 begins with.",
    ),
    Setting::new(
        "read_wait",
        "TIME",
        Field::Time(|s| &mut s.server.read_wait),
        "How long a read waits for the server to come to the write that it is to find.",
    ),
    Setting::new(
        "model_wait",
        "TIME",
        Field::Time(|s| &mut s.server.model_wait),
        "How long a request waits for its model to be loaded before it is told to come back.",
    ),
    Setting::new(
        "shutdown_grace",
        "TIME",
        Field::Time(|s| &mut s.server.shutdown_grace),
        "How long shutting down waits for the requests that are being worked on.",
    ),
];

const TELEMETRY: &[Setting] = &[
    Setting::new(
        "otlp_endpoint",
        "URL",
        Field::TextIf(|s| &mut s.server.telemetry.otlp_endpoint),
        "Tell traces to the OTLP collector (gRPC) at this URL, http://127.0.0.1:4317 for instance, or https://…, whose certificate a public \
         authority must vouch for. Off unless given. Spans hold names, numbers and durations, never texts or prompts.",
    )
    .variable_too("OTEL_EXPORTER_OTLP_ENDPOINT"),
    Setting::new(
        "trace_sample",
        "SHARE",
        Field::Share(|s| &mut s.server.telemetry.trace_sample),
        "The share of calls that is traced, 0 to 1, of those whose caller has not decided that with a traceparent header.",
    ),
    Setting::new(
        "recall_sample",
        "SHARE",
        Field::Share(|s| &mut s.server.telemetry.recall_sample),
        "The share of dense queries, 0 to 1, that is answered a second time by comparing every row, to measure the recall of the first \
         answer (ragstone_recall_… of /metrics); one at a time, while nobody waits. 0.001 costs little.",
    ),
];
