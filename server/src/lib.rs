//! The Ragstone server: `ragstone.v1` over gRPC, in front of one [`Rag`](ragstone_rag::Rag).
//!
//! ```text
//! request -> layer   : span, deadline, size limit, panics caught, one log line, counted
//!         -> access  : who asks, whether they may, and what they see of the database
//!         -> rpc/    : a file a service; parse -> apply -> respond
//!         -> convert : the only place where wire and engine types meet
//!         -> work    : a thread of the blocking pool, behind two bounded gates
//!         -> ragstone, ragstone-rag
//! ```
//!
//! Beside it, if it is asked for, an HTTP port (`http/`): metrics, health, and the OpenAI protocol over the same work.
//!
//! Invariants:
//! * work on CPU or disk never runs on the async runtime's threads, but for queries that are short: these are tried there for a millisecond at most, and
//!   make nothing that lasts (`work/here.rs`);
//! * every request is bounded in bytes, time and number ([`limits`]), and a refusal says which limit it was;
//! * every error carries `google.rpc` details (`ErrorReason` of the wire API lists the reasons);
//! * what was acknowledged is durable: shutting down loses nothing, whenever it happens;
//! * texts, questions and prompts are never logged, and in no span of a trace.
//!
//! The same services are to be had without any port, inside a process ([`in_process`]).
//!
//! Both ports have TLS if there are certificates (`tls`), and let only those in whom an authority vouches for if one is named (mutual TLS).
//!
//! By default everybody who reaches the server may do everything, so it listens on the loopback interface alone: elsewhere it does so once
//! callers are told apart ([`access`]) or show certificates, or if its operator insists.

pub mod access;
mod at_once;
mod calls;
mod columns;
mod config;
mod connections;
mod convert;
pub mod definition;
mod elements;
pub mod exchange;
mod generation;
mod hash;
mod health;
mod http;
pub mod in_process;
mod late;
mod layer;
pub mod limits;
mod listen;
mod logs;
mod memory;
mod metrics;
mod models;
mod open_calls;
mod operations;
mod page;
mod patience;
mod recall;
mod rpc;
pub mod scratch;
mod serve;
pub mod settings;
mod status;
mod telemetry;
mod tls;
mod token;
mod work;

pub use config::{DEFAULT_LISTEN, ServerConfig};
pub use in_process::InProcess;
pub use listen::{Listeners, ServeError, bind, shutdown_signal};
pub use logs::{LogFormat, init_logs};
pub use serve::{open_and_serve, serve};
pub use telemetry::TelemetryConfig;
pub use tls::{TlsError, TlsFiles};
