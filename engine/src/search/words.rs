//! Searching a view by word: the indexes of all its segments, one list of the best.
//!
//! The scores depend on all live rows of the view (`text/bm25.rs`), so a search is prepared once, by looking every term up
//! in every segment, and then asked: for the best rows, or for the scores of some.

use super::pieces::{Piece, Pieces, PostingsFound};
use crate::collection::ViewState;
use crate::error::{Error, Result};
use crate::interrupt::Watch;
use crate::limits::{FIELDS_MAX, QUERY_TERMS_MAX, check_limit};
use crate::payload::{CompiledFilter, FieldId};
use crate::segment::{SegmentView, TextPart};
use crate::text::{Analysis, Analyzer, FieldQuery, TextSearch};

/// Boosts are within these, so that no field's scores vanish beside another's.
const BOOST_MIN: f32 = 1e-3;
const BOOST_MAX: f32 = 1e3;

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WordsRequest<'a> {
    /// Fields and their boosts; all that are searched by word if there are none.
    pub(crate) fields: &'a [(String, f32)],
    pub(crate) text: &'a str,
    /// Only rows of which one field has all the terms.
    pub(crate) all_terms: bool,
}

/// A search of a view that was prepared.
#[derive(Debug)]
pub(crate) struct WordsSearch<'a> {
    pieces: Pieces<'a>,
    fields: Vec<FieldQuery>,
    /// Whether rows are found that have all terms in a field, and no others.
    pub(crate) all_terms: bool,
}

impl<'a> WordsSearch<'a> {
    /// Prepares a search.
    ///
    /// # Errors
    /// [`Error::UnknownField`], [`Error::Invalid`] or [`Error::Limit`], naming the field or the part of the query.
    pub(crate) fn new(view: &'a ViewState, request: &WordsRequest<'_>) -> Result<Self> {
        // A query that is of stop words alone has no terms that would be too many.
        check_limit("fields", "FIELDS_MAX", FIELDS_MAX, request.fields.len())?;
        let asked = fields_of(view, request.fields)?;
        let fields = analysed(&asked, request.text)?;
        let pieces =
            view.segments.iter().enumerate().flat_map(|(at, segment)| pieces_of(at, segment, &asked));
        let pieces = Pieces { view, pieces: pieces.collect() };
        Ok(Self { pieces, all_terms: request.all_terms, fields })
    }

    /// The best `k` of the live rows that pass the filter and have a term of the query, or all of them.
    pub(crate) fn best(&self, k: usize, filter: Option<&CompiledFilter>, watch: &Watch) -> PostingsFound {
        self.pieces.find((filter, watch), |parts| {
            TextSearch::new(&self.fields, parts).best(k, self.all_terms, watch)
        })
    }

    /// The scores of live rows, each a segment and a slot; `None` of those that have no term of the query.
    pub(crate) fn scores(&self, rows: &[(usize, u32)]) -> Vec<Option<f32>> {
        self.pieces.with(&[], |parts| {
            let search = TextSearch::new(&self.fields, parts);
            self.pieces.scores(rows, |piece, slots| search.scores(piece, slots))
        })
    }
}

/// The fields that are asked, with their analysers and boosts.
fn fields_of(view: &ViewState, fields: &[(String, f32)]) -> Result<Vec<(FieldId, Analyzer, f32)>> {
    if fields.is_empty() {
        let all: Vec<_> = view.fields.texts().map(|(field, analyzer)| (field, analyzer, 1.0)).collect();
        return match all.is_empty() {
            true => Err(Error::invalid("fields", "the collection has no field that is searched by word")),
            false => Ok(all),
        };
    }
    let of = |(name, boost): &(String, f32)| {
        let path = format!("fields.{name}");
        let text = view.fields.find(name).and_then(|(field, _)| Some((field, view.fields.text(field)?)));
        let Some((field, analyzer)) = text else {
            return Err(Error::invalid(path, "there is no field of that name that is searched by word"));
        };
        if !(BOOST_MIN..=BOOST_MAX).contains(boost) {
            return Err(Error::invalid(
                path,
                format!("a boost is from {BOOST_MIN} to {BOOST_MAX}, not {boost}"),
            ));
        }
        Ok((field, analyzer, *boost))
    };
    fields.iter().map(of).collect()
}

/// What is asked of each field. A text has as many terms as it likes, so those of a field are counted before the next one's are made, and it is analysed
/// once for all fields that are analysed alike.
fn analysed(asked: &[(FieldId, Analyzer, f32)], text: &str) -> Result<Vec<FieldQuery>> {
    let (mut fields, mut count): (Vec<FieldQuery>, usize) = (Vec::with_capacity(asked.len()), 0);
    for (_, analyzer, boost) in asked {
        let known = asked.iter().zip(&fields).find(|((_, of, _), _)| of == analyzer);
        let terms = match known {
            Some((_, field)) => field.terms.clone(),
            None => Analysis::new(*analyzer).query(text),
        };
        count += terms.terms.len();
        check_limit("query", "QUERY_TERMS_MAX", QUERY_TERMS_MAX, count)?;
        fields.push(FieldQuery { boost: *boost, terms });
    }
    Ok(fields)
}

/// The pieces of a segment: all fields have the same, as their rows are indexed together.
fn pieces_of(at: usize, segment: &SegmentView, asked: &[(FieldId, Analyzer, f32)]) -> Vec<Piece> {
    let mut parts: Vec<Piece> = Vec::new();
    for (place, (field, analyzer, _)) in asked.iter().enumerate() {
        for (number, TextPart { rows, index }) in segment.texts(*field, *analyzer).into_iter().enumerate() {
            if place == 0 {
                parts.push(Piece { segment: at, rows, indexes: Vec::with_capacity(asked.len()) });
            }
            if let Some(part) = parts.get_mut(number) {
                part.indexes.push(index);
            }
        }
    }
    parts
}
