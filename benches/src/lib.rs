//! Measuring approximate search: arrays in, curves of recall against speed out.
//!
//! One JSON object a line, so that runs of different programs can be set side by side:
//! `{"index", "build_s", "resident_bytes_per_vector", "hot_bytes_per_vector"}` once for each index, then
//! `{"index", "setting", "recall_at_10", "qps"}` for each setting.
//!
//! The programs stand in `src/bin/`; what they share is here: the arguments and the data that they name
//! ([`arguments`], [`data`], [`npy`]), an index made through the public interface ([`index`], [`encoding`]), time,
//! memory, disk and recall ([`measure`], [`disk`], [`curve`], [`quantiles`], [`latencies`]), the truth ([`exact`]), and the workloads
//! ([`rows`], [`growth`], [`clusters`], [`selections`], [`turnover`]), all of them seeded ([`random`]).

pub mod arguments;
pub mod clusters;
pub mod curve;
pub mod data;
pub mod disk;
pub mod encoding;
pub mod exact;
pub mod growth;
pub mod index;
pub mod latencies;
pub mod measure;
pub mod npy;
pub mod quantiles;
pub mod random;
pub mod rows;
pub mod selections;
pub mod turnover;

/// What a benchmark ends with when it cannot go on.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;
