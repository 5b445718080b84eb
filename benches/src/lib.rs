//! Measuring approximate search: arrays in, curves of recall against speed out.
//!
//! One JSON object a line, so that runs of different programs can be set side by side:
//! `{"index", "build_s", "resident_bytes_per_vector", "hot_bytes_per_vector"}` once for each index, then
//! `{"index", "setting", "recall_at_10", "qps"}` for each setting.

pub mod measure;
pub mod npy;
