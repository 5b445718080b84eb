//! What tests against oracles share: random numbers, a database that is closed, reopened and killed, fields of every type, and
//! filters of every kind with what the documentation says of them, naively.

mod fields;
mod filters;
mod handles;
mod random;
mod store;

pub(crate) use fields::{
    CUSTOMER, FIELDS, ORDERED, TENANT, WORDS, by_value, declare, payload, update, words_of,
};
pub(crate) use filters::{of_read, of_rows, passes};
pub(crate) use handles::of_handle;
pub(crate) use random::Random;
pub(crate) use store::Store;

/// A vector of length one.
pub(crate) fn unit(vector: &[f32]) -> Vec<f32> {
    let length = vector.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
    vector.iter().map(|x| (f64::from(*x) / length) as f32).collect()
}
