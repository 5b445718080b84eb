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
//! Where a grammar says `*`, order means nothing: what stands there is in the order of its bytes, and each once. A token's roles and the lists of its claims,
//! which make a filter, are in whatever order their issuer has them that time. Else, filters that mean the same and are not written the same have
//! tags of their own.

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
            in_any_order(values, typed, out);
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
            in_any_order(texts, |text: &String, out: &mut Encoder| out.str(text), out);
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
        Filter::And(filters) => {
            out.u8(8);
            in_any_order(filters, encode, out);
        }
        Filter::Or(filters) => {
            out.u8(9);
            in_any_order(filters, encode, out);
        }
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

/// Their number, and each of them once, in the order of their bytes.
fn in_any_order<T>(items: &[T], encode: impl Fn(&T, &mut Encoder), out: &mut Encoder) {
    let bytes = |item: &T| {
        let mut out = Encoder::new();
        encode(item, &mut out);
        out.into_bytes()
    };
    let mut items: Vec<Vec<u8>> = items.iter().map(bytes).collect();
    items.sort_unstable();
    items.dedup();
    out.u32(items.len() as u32);
    items.iter().for_each(|item| out.raw(item));
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
        assert_eq!(of(&every_kind), "33e8b09e01974b426950b01a1b68460c");
    }

    /// A repeat that came with a token whose roles or claims were in another order was not known, and done twice.
    #[test]
    fn what_may_stand_in_any_order_has_one_tag() {
        let of_numbers = |numbers: &[i64]| {
            Filter::In("f".into(), numbers.iter().map(|number| Value::Int(*number)).collect())
        };
        let of_texts =
            |texts: &[&str]| Filter::Contains("f".into(), texts.iter().map(|text| (*text).into()).collect());
        let (a, b) = (Filter::eq("f", 1), of_numbers(&[1, 2]));
        let (ways, turned) = (vec![a.clone(), b.clone()], vec![b.clone(), a, of_numbers(&[2, 1, 2])]);
        for (filter, same) in [
            (b, of_numbers(&[2, 1, 2])),
            (of_texts(&["a", "bc"]), of_texts(&["bc", "bc", "a"])),
            (Filter::And(ways.clone()), Filter::And(turned.clone())),
            (Filter::Not(Box::new(Filter::Or(ways))), Filter::Not(Box::new(Filter::Or(turned)))),
        ] {
            assert_eq!(of(&filter), of(&same), "{filter:?}");
        }
        assert_ne!(of(&of_numbers(&[1])), of(&of_numbers(&[1, 2])));
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
