//! The Ragstone server: `ragstone.v1` over gRPC, in front of one [`Rag`](ragstone_rag::Rag).
//!
//! ```text
//! request -> layer   : span, deadline, size limit, panics caught, one log line
//!         -> rpc/    : a file a service; parse -> apply -> respond
//!         -> convert : the only place where wire and engine types meet
//!         -> work    : a thread of the blocking pool, behind two bounded gates
//!         -> ragstone, ragstone-rag
//! ```
//!
//! Beside it, if it is asked for, an HTTP port (`http/`): metrics, health, and the OpenAI protocol over the same work.
//!
//! Invariants:
//! * work on CPU or disk never runs on the async runtime's threads;
//! * every request is bounded in bytes, time and number ([`limits`]), and a refusal says which limit it was;
//! * every error carries `google.rpc` details (`ErrorReason` of the wire API lists the reasons);
//! * what was acknowledged is durable: shutting down loses nothing, whenever it happens;
//! * texts, questions and prompts are never logged.
//!
//! Deliberately absent: transport security and authentication. The server listens on the loopback interface by default;
//! put it behind a proxy that has both before it listens elsewhere.

mod calls;
mod config;
mod convert;
pub mod exchange;
mod generation;
mod health;
mod http;
mod late;
mod layer;
pub mod limits;
mod listen;
mod logs;
mod metrics;
mod models;
mod operations;
mod page;
mod rpc;
pub mod scratch;
mod serve;
mod status;
mod token;
mod work;

pub use config::{DEFAULT_LISTEN, ServerConfig};
pub use listen::{Listeners, ServeError, bind, shutdown_signal};
pub use logs::{LogFormat, init_logs};
pub use serve::{open_and_serve, serve};
