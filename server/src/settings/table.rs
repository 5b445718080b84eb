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
        "Accept gRPC connections at this address; port 0 takes a free port, which the log names.",
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
        "The stores that callers may take snapshots to and restore collections from: a directory, s3://bucket/prefix … as for `snapshot \
         --to`.",
    ),
    Setting::new(
        "exchange_dir",
        "DIR",
        Field::PathIf(|s| &mut s.server.exchange_dir),
        "The folder that callers may export collections to and import them from.",
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
        "How log lines are written: `text` for people, or `json`, one object a line. RUST_LOG sets what is logged.",
    ),
];

const TLS: &[Setting] = &[
    Setting::new(
        "tls.cert",
        "FILE",
        Field::PathIf(|s| &mut s.server.tls.cert),
        "The certificate of both ports: PEM, followed by the certificates between it and its authority. With it, both ports speak TLS \
         only.",
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
        "How often the three files are looked at. New certificates hold for later connections; broken ones change nothing and are logged.",
    ),
];

const ACCESS: &[Setting] = &[
    Setting::new(
        "auth",
        "BOOL",
        Field::Switch(|s| &mut s.server.access.required),
        "Ask every call for an API key (`ragstone key create`) or a token, on both ports. Health, /healthz and /readyz need none.",
    ),
    Setting::new(
        "insecure_listen",
        "BOOL",
        Field::Switch(|s| &mut s.server.access.insecure_listen),
        "Listen beyond this machine although callers are not asked who they are: whoever reaches the ports may do everything.",
    ),
    Setting::new(
        "jwt.keys",
        "SOURCE",
        Field::TextIf(|s| &mut s.server.access.jwt.keys),
        "Accept tokens (JWT) that are signed by one of these keys, too: a file or a URL of a JSON Web Key Set. Then every call needs \
         credentials.",
    ),
    Setting::new(
        "jwt.issuer",
        "ISS",
        Field::TextIf(|s| &mut s.server.access.jwt.issuer),
        "The issuer that tokens must name.",
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
        "The claim that holds a token's roles; `a.b` is the claim b within the claim a.",
    ),
    Setting::new(
        "jwt.roles",
        "ROLE=GRANT",
        Field::Lines {
            get: |s| s.server.access.jwt.role_texts(),
            set: |s, texts| s.server.access.jwt.set_role_texts(texts),
        },
        "What each role of a token is granted, for instance `reader=read on docs-* where tenant = $claims.tenant`. Several grants of one \
         role add up.",
    ),
    Setting::new(
        "jwt.per_second",
        "N",
        Field::RateIf(|s| &mut s.server.access.jwt.limits.per_second),
        "Calls a second that each subject of tokens may make, on average; 0 is no limit.",
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
        "Calls that each subject may make at once; if it is unset or 0, as many as in a second, and at least one.",
    ),
    Setting::new(
        "jwt.per_day",
        "N",
        Field::CountIf {
            get: |s| s.server.access.jwt.limits.per_day,
            set: |s, per_day| s.server.access.jwt.limits.per_day = per_day,
        },
        "Calls a day that each subject may make; 0 is no limit.",
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
        "Load that model as soon as the server is up, not at the first request that needs it.",
    ),
    Setting::new(
        "allow_any_model",
        "BOOL",
        Field::Switch(|s| &mut s.server.allow_any_model),
        "Let requests name any model: of the Hugging Face hub, a directory of this machine, a URL. Otherwise they may name only the \
         default model and those in the cache (`ragstone model pull`). The key of RAGSTONE_EMBED_API_KEY is sent only to the service of \
         RAGSTONE_EMBED_API_URL (by default OpenAI's).",
    ),
    Setting::new(
        "offline",
        "BOOL",
        Field::Switch(|s| &mut s.offline),
        "Fetch no model: use only models of the cache or of a directory.",
    )
    .global(),
    Setting::new(
        "generate_models",
        "NAME=URL",
        Field::Texts(|s| &mut s.generate_models),
        "Language models that may be asked for answers; the first is the default. NAME is what requests call it. URL is the base of an \
         OpenAI-compatible service, for instance small=http://127.0.0.1:11434/v1#llama3.2:3b, with the service's own name behind # if it \
         differs. Options stand behind ?, such as key_env=VARIABLE&total_s=600: key_env (the environment variable that holds the key), \
         connect_s, first_token_s, next_token_s, total_s (seconds; 10, 300, 60, 1800 by default).",
    ),
];

const ANSWER_CACHE: &[Setting] = &[
    Setting::new(
        "answer_cache.entries_max",
        "COUNT",
        Field::Number(|s| &mut s.server.answer_cache.entries_max),
        "How many answers of language models are kept. An answer is given again when the same caller asks the same, as long as nothing \
         was written to the collection. 0 turns this off.",
    ),
    Setting::new(
        "answer_cache.bytes_max",
        "BYTES",
        Field::Bytes(|s| &mut s.server.answer_cache.bytes_max),
        "About how many bytes of memory these answers may take. The least recently used go first.",
    ),
    Setting::new(
        "answer_cache.similarity_min",
        "SHARE",
        Field::Share(|s| &mut s.server.answer_cache.similarity_min),
        "How similar two questions must be to count as the same: the cosine of their vectors, 0 to 1. At 1, only the same text counts. \
         Below 1, wrong answers are possible at any value, as a question is near to its negation.",
    ),
    Setting::new(
        "answer_cache.lifetime",
        "TIME",
        Field::Time(|s| &mut s.server.answer_cache.lifetime),
        "How long an answer may be given again.",
    ),
];

const LIMITS: &[Setting] = &[
    Setting::new(
        "request_bytes_max",
        "BYTES",
        Field::Bytes(|s| &mut s.server.request_bytes_max),
        "Bytes that the message of one request may have.",
    ),
    Setting::new(
        "response_bytes_max",
        "BYTES",
        Field::Bytes(|s| &mut s.server.response_bytes_max),
        "Bytes that the message of one response may have.",
    ),
    Setting::new(
        "message_bytes_max",
        "BYTES",
        Field::Bytes(|s| &mut s.server.message_bytes_max),
        "Bytes of memory that the messages of all calls may take together: requests from their first byte until they are answered, \
         answers until they have gone. More is refused for a moment.",
    ),
    Setting::new(
        "concurrent_requests_max",
        "COUNT",
        Field::Number(|s| &mut s.server.concurrent_requests_max),
        "How many requests of a kind (reads; writes; fetches of models) may arrive, wait for a thread or be worked on at a time.",
    ),
    Setting::new(
        "concurrent_streams_max",
        "COUNT",
        Field::Number(|s| &mut s.server.concurrent_streams_max),
        "The same for calls that stream. They may last long, so they have places of their own.",
    ),
    Setting::new(
        "concurrent_generations_max",
        "COUNT",
        Field::Number(|s| &mut s.server.concurrent_generations_max),
        "How many answers of language models may be under way. Each takes a thread that waits.",
    ),
    Setting::new(
        "caller_share_max",
        "SHARE",
        Field::Share(|s| &mut s.server.caller_share_max),
        "The share of the places of a kind (requests, streams and answers apart) that one key, or one subject of tokens, may have at a \
         time: above 0, at most 1, and 8 places in any case. Without `auth` or `jwt.keys` callers are not told apart, and one may have \
         all. The same share of `message_bytes_max` bounds the messages of more than 64 KiB of one caller (where callers are not told \
         apart, of one connection), unless an eighth of that memory is free.",
    ),
    Setting::new(
        "worker_threads_max",
        "COUNT",
        Field::Number(|s| &mut s.server.worker_threads_max),
        "How many requests of a kind are worked on at a time: threads that compute, or wait for the disk.",
    )
    .default_is("4 a core, 16 at least"),
    Setting::new(
        "large_requests_max",
        "COUNT",
        Field::Number(|s| &mut s.server.large_requests_max),
        "How many large things are worked on together at a time, so that others are answered meanwhile: reads that ask for much (more \
         than 100 rows, groups, batches, ranges), requests of more than 1 MiB that are read, answers of more than 1 MiB that are written. \
         Callers take turns; where they are not told apart, connections do.",
    )
    .default_is("1 fewer than cores, 1 at least"),
    Setting::new(
        "grpc_connections_max",
        "COUNT",
        Field::Number(|s| &mut s.server.grpc_connections_max),
        "Connections to the gRPC port at a time. For one more, the one that has rested longest is closed; if none rests, the new one \
         waits.",
    ),
    Setting::new(
        "http_connections_max",
        "COUNT",
        Field::Number(|s| &mut s.server.http_connections_max),
        "Connections to the HTTP port at a time. For one more, the one that has rested longest is closed; if none rests, the new one \
         waits.",
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
        "The same for a call that streams.",
    ),
    Setting::new(
        "answer_stall_timeout",
        "TIME",
        Field::Time(|s| &mut s.server.answer_stall_timeout),
        "How long a caller may take nothing of an answer before it is given up. For an answer that is not streamed, and for all of the \
         HTTP port, the connection must take 16,384 bytes for each second beyond that.",
    ),
    Setting::new(
        "http_header_timeout",
        "TIME",
        Field::Time(|s| &mut s.server.http_header_timeout),
        "How long the headers of a request to the HTTP port may take, and on the gRPC port the beginning of HTTP/2.",
    ),
    Setting::new(
        "read_wait",
        "TIME",
        Field::Time(|s| &mut s.server.read_wait),
        "How long a read waits for the server to come to the write that the read must include.",
    ),
    Setting::new(
        "model_wait",
        "TIME",
        Field::Time(|s| &mut s.server.model_wait),
        "How long a request waits for its model to load before it is told to come back.",
    ),
    Setting::new(
        "shutdown_grace",
        "TIME",
        Field::Time(|s| &mut s.server.shutdown_grace),
        "How long a shutdown waits for the requests that are being worked on.",
    ),
];

const TELEMETRY: &[Setting] = &[
    Setting::new(
        "otlp_endpoint",
        "URL",
        Field::TextIf(|s| &mut s.server.telemetry.otlp_endpoint),
        "Send traces to the OTLP collector (gRPC) at this URL, for instance http://127.0.0.1:4317, or https://…, whose certificate a \
         public authority must vouch for. Off unless given. Spans hold names, numbers and durations, never texts or prompts.",
    )
    .variable_too("OTEL_EXPORTER_OTLP_ENDPOINT"),
    Setting::new(
        "trace_sample",
        "SHARE",
        Field::Share(|s| &mut s.server.telemetry.trace_sample),
        "The share of calls that is traced, 0 to 1. A caller who sends a traceparent header decides for that call.",
    ),
    Setting::new(
        "recall_sample",
        "SHARE",
        Field::Share(|s| &mut s.server.telemetry.recall_sample),
        "The share of dense queries, 0 to 1, that is answered a second time by comparing every row. This measures the recall of the first \
         answer (ragstone_recall_… of /metrics). One runs at a time, while nobody waits. 0.001 costs little.",
    ),
];
