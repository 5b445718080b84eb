//! Clients that misbehave: what a server on a network meets, made on purpose, for tests of the server and for its benches.
//!
//! - `connection.rs`: gRPC over plain HTTP/2, which a client library would not let misbehave;
//! - `bouts.rs`: what each kind does.
//!
//! A bout takes some seconds at most and leaves nothing behind but what the server keeps. What fails in it is what it is there for: a server
//! may refuse all of it. Everything follows from a seed.

mod bouts;
mod connection;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub use self::connection::Connection;

/// What ends a bout early: mostly that the server hung up.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Between a bout and the next.
const PAUSE: Duration = Duration::from_millis(20);

/// Whom clients misbehave against.
#[derive(Clone, Debug)]
pub struct Target {
    /// The gRPC port.
    pub grpc: SocketAddr,
    /// The HTTP port, if there is one.
    pub http: Option<SocketAddr>,
    /// A collection that is searched and written to.
    pub collection: String,
    /// Components of its vectors.
    pub dimension: usize,
}

/// A kind of misbehaviour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Abuse {
    /// Requests that come byte by byte.
    SlowWriters,
    /// Large answers that nobody takes.
    SlowReaders,
    /// Connections that say nothing, or nothing more.
    Silent,
    /// Messages that are too large, are no messages, or become much once they are read.
    HugeMessages,
    /// Streams by the thousand, begun and given up.
    ManyStreams,
    /// Streams of reflection by the thousand, which ask as much as they may and take nothing: without credentials, where a server lets them.
    Reflections,
    /// Headers beyond every limit, and header blocks without end.
    HeaderFloods,
    /// Bytes that are no protocol, or stop being one.
    RandomBytes,
}

impl Abuse {
    /// Every kind.
    pub const ALL: [Abuse; 8] = [
        Abuse::SlowWriters,
        Abuse::SlowReaders,
        Abuse::Silent,
        Abuse::HugeMessages,
        Abuse::ManyStreams,
        Abuse::Reflections,
        Abuse::HeaderFloods,
        Abuse::RandomBytes,
    ];

    /// Its name, for records.
    pub fn name(self) -> &'static str {
        match self {
            Abuse::SlowWriters => "slow_writers",
            Abuse::SlowReaders => "slow_readers",
            Abuse::Silent => "silent",
            Abuse::HugeMessages => "huge_messages",
            Abuse::ManyStreams => "many_streams",
            Abuse::Reflections => "reflections",
            Abuse::HeaderFloods => "header_floods",
            Abuse::RandomBytes => "random_bytes",
        }
    }

    /// One bout.
    ///
    /// # Errors
    /// What ended it early, which is no failure of a test: the server may hang up.
    pub async fn once(self, target: &Target, seed: u64) -> Result<(), Failure> {
        match self {
            Abuse::SlowWriters => bouts::slow_writers(target).await,
            Abuse::SlowReaders => bouts::slow_readers(target).await,
            Abuse::Silent => bouts::silent(target).await,
            Abuse::HugeMessages => bouts::huge_messages(target, seed).await,
            Abuse::ManyStreams => bouts::many_streams(target).await,
            Abuse::Reflections => bouts::reflections(target).await,
            Abuse::HeaderFloods => bouts::header_floods(target).await,
            Abuse::RandomBytes => bouts::random_bytes(target, seed).await,
        }
    }

    /// Bouts of so many clients, each one after the other, until the future is dropped; counts those that have ended.
    pub async fn go_on(self, target: &Target, clients: usize, bouts: &Arc<AtomicU64>) {
        let mut all = tokio::task::JoinSet::new();
        for client in 0..clients as u64 {
            let (target, bouts) = (target.clone(), Arc::clone(bouts));
            all.spawn(async move {
                for bout in 0_u64.. {
                    // Whatever the server does with it.
                    let _ = self.once(&target, (client << 32) + bout).await;
                    bouts.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(PAUSE).await;
                }
            });
        }
        // Ends with the set, which the future owns.
        while all.join_next().await.is_some() {}
    }
}
