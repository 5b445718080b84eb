//! The hits of a query on their way into its answer.
//!
//! Many hits are first found without what is wanted of them, which is then fetched by slices: so an answer that becomes too large is noticed before all of
//! it has been read, and others have the processor between.

use ragstone::query::{Names, Query, QueryHit, QueryResponse as Found, Select};
use ragstone::{Filter, Point, PointId, View};
use ragstone_proto::v1::{self, QueryResponse};
use tonic::Status;

use super::Failed;
use crate::convert;
use crate::rpc::READ_SLICE;
use crate::rpc::answer::Budget;

/// Rows that a query returns at most.
pub(in crate::rpc) fn rows_of(query: &Query) -> usize {
    query.group.as_ref().map_or(query.k, |group| query.k.saturating_mul(group.per_group))
}

/// Whether a query may have so many hits that they are counted as they come, and others have the processor between some of them.
pub(in crate::rpc) fn are_many(query: &Query) -> bool {
    rows_of(query) > READ_SLICE
}

/// What is to be fetched by slices, of a query that finds many; it finds them without.
pub(in crate::rpc) fn later(query: &mut Query) -> Option<Select> {
    let is_later = are_many(query) && reads(query);
    is_later.then(|| std::mem::replace(&mut query.select, NOTHING))
}

/// Nothing but ids and scores.
const NOTHING: Select = Select { fields: Names::None, vectors: Names::None };

/// Whether the search itself reads something of the rows that it finds.
pub(in crate::rpc) fn reads(query: &Query) -> bool {
    query.select != NOTHING
}

/// Names that are looked up for every slice, each once. Errors name them by their places among those that the caller has, so that they are looked up
/// as they are before that.
pub(in crate::rpc) fn each_once(names: &mut Vec<String>) {
    names.sort_unstable();
    names.dedup();
}

/// Names of what is fetched later are refused before anything is searched, and though nothing be found.
pub(in crate::rpc) fn check_later(view: &View, later: Option<&mut Select>) -> ragstone::Result<()> {
    let Some(select) = later else { return Ok(()) };
    selected(view, &[], select)?;
    for names in [&mut select.fields, &mut select.vectors] {
        if let Names::Only(names) = names {
            each_once(names);
        }
    }
    Ok(())
}

/// What is wanted of hits. Whose they are was asked when they were searched.
pub(in crate::rpc) fn selected(
    view: &View,
    ids: &[PointId],
    select: &Select,
) -> ragstone::Result<Vec<Option<Point>>> {
    view.select(ids, Some(&Filter::AllTenants), select)
}

/// Hits on their way into the answer.
pub(in crate::rpc) struct Reading<'a> {
    pub(in crate::rpc) view: &'a View,
    /// What is still to be read of them.
    pub(in crate::rpc) later: Option<&'a Select>,
    /// What counts hits as they come, where they [are many](are_many).
    pub(in crate::rpc) budget: Option<&'a mut Budget>,
}

impl Reading<'_> {
    pub(in crate::rpc) fn answer(mut self, found: Found) -> Result<QueryResponse, Failed> {
        if let (Some(_), Some(budget)) = (&self.later, &mut self.budget) {
            // The search for so many rows took a while.
            budget.stand_back();
        }
        let hits = self.hits(found.hits)?;
        let mut groups = Vec::with_capacity(found.groups.len());
        for group in found.groups {
            groups.push(convert::hit_group(group.value, self.hits(group.hits)?));
        }
        Ok(QueryResponse {
            hits,
            groups,
            stats: Some(convert::query_stats(found.stats)),
            timings: Vec::new(),
            explain: found.explain.map(convert::explain),
        })
    }

    fn hits(&mut self, mut found: Vec<QueryHit>) -> Result<Vec<v1::Hit>, Failed> {
        let mut hits = Vec::with_capacity(found.len());
        let Some(select) = self.later else {
            for hit in found {
                hits.push(self.hit(hit)?);
            }
            return Ok(hits);
        };
        while !found.is_empty() {
            let slice = found.drain(..found.len().min(READ_SLICE)).collect();
            for hit in self.read(select, slice)? {
                hits.push(self.hit(hit)?);
            }
        }
        Ok(hits)
    }

    /// A hit, if it still fits.
    fn hit(&mut self, hit: QueryHit) -> Result<v1::Hit, Status> {
        let hit = convert::hit(hit);
        match &mut self.budget {
            Some(budget) => budget.spend(hit),
            None => Ok(hit),
        }
    }

    /// Fetches what is still to be read, of a view in which nothing expires meanwhile.
    fn read(&self, select: &Select, hits: Vec<QueryHit>) -> Result<Vec<QueryHit>, Failed> {
        let ids: Vec<PointId> = hits.iter().map(|hit| hit.point.id.clone()).collect();
        let points = selected(self.view, &ids, select).map_err(Failed::Engine)?;
        let there = hits.into_iter().zip(points);
        Ok(there.filter_map(|(hit, point)| Some(QueryHit { point: point?, ..hit })).collect())
    }
}

/// How many points an answer has, those of groups included.
pub(in crate::rpc) fn hits_in(answer: &QueryResponse) -> usize {
    answer.hits.len() + answer.groups.iter().map(|group| group.hits.len()).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten thousand long texts were read before the first of them was counted, where they were asked for by their field's name.
    #[test]
    fn what_many_hits_have_is_read_later_whatever_is_wanted_of_them() {
        let some = [
            Select::default(),
            Select { fields: Names::of(["text"]), ..NOTHING },
            Select { vectors: Names::of([""]), ..NOTHING },
            Select { vectors: Names::All, ..NOTHING },
        ];
        for select in some {
            let mut few = Query::nearest([1.0], READ_SLICE).select(select.clone());
            assert_eq!((later(&mut few), &few.select), (None, &select));
            assert!(!are_many(&few));
            let mut groups = Query::nearest([1.0], READ_SLICE).group("by", 2).select(select.clone());
            let mut many = Query::nearest([1.0], READ_SLICE + 1).select(select.clone());
            for query in [&mut groups, &mut many] {
                assert_eq!((later(query), &query.select), (Some(select.clone()), &NOTHING));
            }
        }
        let mut many = Query::nearest([1.0], READ_SLICE + 1).select(NOTHING);
        assert!(later(&mut many).is_none() && are_many(&many), "they are counted nevertheless");
    }

    /// A hundred thousand names of one field were looked up for each slice, and copied for each group.
    #[test]
    fn names_of_what_is_read_later_are_looked_up_once() {
        let db = ragstone::Db::in_memory().unwrap();
        let schema = ragstone::Schema::builder(2).sparse("words").build().unwrap();
        let rows = db.create_collection("rows", schema).unwrap();
        rows.upsert(vec![Point::new(1, [1.0, 0.0]).with("b", 1_i64).with("a", 2_i64)]).unwrap();
        let view = rows.view();
        let mut select =
            Select { fields: Names::of(["b", "a", "b", "b"]), vectors: Names::of(["words", "", "words"]) };
        check_later(&view, Some(&mut select)).unwrap();
        assert_eq!(select.fields, Names::of(["a", "b"]));
        assert_eq!(select.vectors, Names::of(["", "words"]));
        // They are named in errors as the caller has them.
        let mut select = Select { fields: Names::of(["b", "b", "c"]), ..NOTHING };
        let error = check_later(&view, Some(&mut select)).unwrap_err().to_string();
        assert!(error.contains("select.fields[2].c"), "{error}");
    }
}
