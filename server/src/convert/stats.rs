//! What a database holds, and copies of it, as the wire has them.

use ragstone::{CollectionStats, DbStats};
use ragstone_proto::v1;
use ragstone_snapshot::Snapshot;

use super::operation::timestamp;

/// What the database holds; the server adds what it knows.
pub(crate) fn stats(stats: DbStats) -> v1::GetStatsResponse {
    let sealed = |of: fn(&CollectionStats) -> u64| stats.collections.iter().map(of).sum::<u64>();
    v1::GetStatsResponse {
        log_bytes: stats.log_bytes,
        log_position: stats.log_position,
        growing_bytes: stats.growing_bytes,
        sealed_segments: count(sealed(|of| of.sealed_segments as u64)),
        sealed_bytes: sealed(|of| of.sealed_bytes),
        lineage: stats.lineage.to_string(),
        collections: stats.collections.into_iter().map(collection).collect(),
        ..v1::GetStatsResponse::default()
    }
}

fn collection(stats: CollectionStats) -> v1::CollectionStats {
    v1::CollectionStats {
        name: stats.name,
        points: stats.points,
        vectors: stats.vectors,
        sealed_segments: count(stats.sealed_segments as u64),
        sealed_bytes: stats.sealed_bytes,
        dead_points: stats.dead_points,
        growing_points: stats.growing_points,
        growing_bytes: stats.growing_bytes,
        unlinked_points: stats.unlinked_points,
        seq: stats.seq,
        reembedding: stats.is_being_replaced,
    }
}

/// A snapshot in a store.
pub(crate) fn snapshot(snapshot: Snapshot) -> v1::Snapshot {
    v1::Snapshot {
        lineage: snapshot.lineage.to_string(),
        position: snapshot.position,
        position_time: Some(timestamp(snapshot.time_us)),
        create_time: Some(timestamp(snapshot.created_us)),
        bytes: snapshot.size_bytes(),
        name: snapshot.name,
    }
}

fn count(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
