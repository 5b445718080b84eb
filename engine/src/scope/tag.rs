//! What tells the requests of one row filter from those of another.
//!
//! **Problem.** Ids of requests are stored with what tells whose they are, and a repeat is known by both: also one that comes after a restart, of a program that
//! another version of Rust made. A hash of the standard library, and the text that `{:?}` makes of a filter, may be others by then, and the write would
//! be done twice.
//!
//! **Idea.** The bytes of the filter are written as everything on disk is, and of their SHA-256 the first half is taken: nobody who chooses a value of
//! their filter can make it that of somebody else.
//!
//! ```text
//! tag     = the first 16 bytes, as hexadecimal digits, of the SHA-256 of: version u8 = 1 | filter
//! filter  = 0 u8 | field str | typed                     =        1 u8 | field str | count u32 | typed*           in
//!         | 2 u8 | field str | bound bound bound bound   >, >=, <, <=
//!         | 3 u8 | field str | text str                  prefix   4 u8 | field str | count u32 | str*             contains
//!         | 5 u8 | field str                             exists   6 u8 | field str | lat u64 | lon u64 | metres u64   radius, the bits of each
//!         | 7 u8 | field str | text str                  words
//!         | 8 u8 | count u32 | filter*                   and      9 u8 | count u32 | filter*                      or
//!         | 10 u8 | filter                               not      11 u8                                           all tenants
//! bound   = 0 u8 | 1 u8 typed        typed = type u8 | value, as `payload/encoded.rs` has it
//! ```
//!
//! Filters that mean the same and are not written the same have tags of their own.

use sha2::{Digest as _, Sha256};

use crate::codec::Encoder;
use crate::payload::{Filter, Value, encode_value};

/// Changes with the bytes: requests that were done before are not known any more then.
const VERSION: u8 = 1;

/// The tag of a filter.
pub(super) fn of(filter: &Filter) -> String {
    let mut out = Encoder::new();
    out.u8(VERSION);
    encode(filter, &mut out);
    let digest = Sha256::digest(out.into_bytes());
    digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// Recursive: a row filter is at most [`FILTER_DEPTH_MAX`](crate::limits::FILTER_DEPTH_MAX) deep.
fn encode(filter: &Filter, out: &mut Encoder) {
    match filter {
        Filter::Eq(field, value) => {
            begin(0, field, out);
            typed(value, out);
        }
        Filter::In(field, values) => {
            begin(1, field, out);
            out.u32(values.len() as u32);
            values.iter().for_each(|value| typed(value, out));
        }
        Filter::Range(field, range) => {
            begin(2, field, out);
            for bound in [&range.gt, &range.gte, &range.lt, &range.lte] {
                out.u8(u8::from(bound.is_some()));
                if let Some(value) = bound {
                    typed(value, out);
                }
            }
        }
        Filter::Prefix(field, text) => {
            begin(3, field, out);
            out.str(text);
        }
        Filter::Contains(field, texts) => {
            begin(4, field, out);
            out.u32(texts.len() as u32);
            texts.iter().for_each(|text| out.str(text));
        }
        Filter::Exists(field) => begin(5, field, out),
        Filter::GeoRadius(field, place, metres) => {
            begin(6, field, out);
            [place.lat, place.lon, *metres].iter().for_each(|number| out.u64(number.to_bits()));
        }
        Filter::Match(field, text) => {
            begin(7, field, out);
            out.str(text);
        }
        Filter::And(filters) => all(8, filters, out),
        Filter::Or(filters) => all(9, filters, out),
        Filter::Not(filter) => {
            out.u8(10);
            encode(filter, out);
        }
        Filter::AllTenants => out.u8(11),
    }
}

fn begin(kind: u8, field: &str, out: &mut Encoder) {
    out.u8(kind);
    out.str(field);
}

fn all(kind: u8, filters: &[Filter], out: &mut Encoder) {
    out.u8(kind);
    out.u32(filters.len() as u32);
    filters.iter().for_each(|filter| encode(filter, out));
}

fn typed(value: &Value, out: &mut Encoder) {
    out.u8(value.field_type().code());
    encode_value(value, out);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::{GeoPoint, Range};

    /// The tags are in request files: computed by another program (Python's `struct` and `hashlib`), of the bytes that the grammar says.
    #[test]
    fn tags_are_the_same_for_all_time() {
        let tenant = Filter::eq("tenant", "a");
        assert_eq!(of(&tenant), "4b7b30c7d77bfa62a9eea30ae7777ee0");
        let range = Range { gte: Some(2020_i64.into()), lt: Some(2.5.into()), ..Range::default() };
        let every_kind = Filter::And(vec![
            Filter::Or(vec![tenant, Filter::In("n".into(), vec![(-1_i64).into(), true.into()])]),
            Filter::Range("year".into(), range),
            Filter::Not(Box::new(Filter::And(vec![
                Filter::Prefix("p".into(), "ü".into()),
                Filter::Contains("w".into(), vec!["x".into(), "y".into()]),
                Filter::Exists("e".into()),
                Filter::GeoRadius("g".into(), GeoPoint::new(52.5, -13.25), 1000.0),
            ]))),
        ]);
        assert_eq!(of(&every_kind), "4be6fa62e8b73238a0d1f20fb1490a74");
    }

    #[test]
    fn filters_that_look_alike_have_tags_of_their_own() {
        let pair =
            |first: &str, second: &str| Filter::Contains("f".into(), vec![first.into(), second.into()]);
        let bound = || Some(Value::Int(1));
        let filters = [
            Filter::eq("f", 1),
            Filter::eq("f", 1.0),
            Filter::eq("f", "1"),
            Filter::Eq("f".into(), Value::Timestamp(1)),
            Filter::In("f".into(), vec![1_i64.into()]),
            pair("ab", "c"),
            pair("a", "bc"),
            Filter::Range("f".into(), Range { gt: bound(), ..Range::default() }),
            Filter::Range("f".into(), Range { gte: bound(), ..Range::default() }),
            Filter::Range("f".into(), Range { lt: bound(), ..Range::default() }),
            Filter::Range("f".into(), Range { lte: bound(), ..Range::default() }),
            Filter::And(vec![Filter::eq("f", 1)]),
            Filter::Or(vec![Filter::eq("f", 1)]),
            Filter::Or(vec![Filter::Or(Vec::new()), Filter::eq("f", 1)]),
            Filter::Or(vec![Filter::Or(vec![Filter::eq("f", 1)])]),
        ];
        let mut tags: Vec<String> = filters.iter().map(of).collect();
        tags.sort_unstable();
        tags.dedup();
        assert_eq!(tags.len(), filters.len());
    }
}
