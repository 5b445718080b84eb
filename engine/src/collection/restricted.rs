//! A batch of a handle that shows some rows alone (`scope.rs`), made of those that it may write.
//!
//! **Rules.** Each operation meets its row as the ones before it in the batch leave it.
//!
//! | operation | a row that is not shown has the id | otherwise |
//! |---|---|---|
//! | upsert | refused: the id is taken | refused unless the new row is shown |
//! | update | nothing, counted as missing | refused unless the row is shown afterwards |
//! | delete | nothing | as ever |
//! | precondition | as if there were no row; what expects none is refused | as ever |
//!
//! None brings a field that the collection does not have, but those that the filter asks for, with a row that is shown: what passes has them of the right
//! type (`validate::check_brought`).
//!
//! **Cost.** It is resolved like a batch that is made of rows (`resolving.rs`): a look-up for each row, after what was queued before is applied.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::resolving::Resolving;
use super::state::ViewState;
use crate::batch::{Change, PreparedBatch};
use crate::clock::NEVER;
use crate::error::{Error, Result};
use crate::payload::{CompiledFilter, Payload, Value};
use crate::point::{PointId, Precondition};
use crate::scope::RowFilter;
use crate::validate;

/// See the module's text.
pub(super) struct Restricted<'a> {
    rows: &'a RowFilter,
    conditions: &'a [Precondition],
    /// All that was asked for.
    asked: Vec<Change>,
    /// What is left of it.
    batch: PreparedBatch,
    /// Whether the filter can be asked of the rows that there are.
    fits: bool,
}

/// What is left of a batch.
#[derive(Default)]
struct Allowed {
    changes: Vec<Change>,
    /// Their places among all that were asked for.
    places: Vec<usize>,
    /// Updates that come to nothing.
    missing: usize,
    /// The fields, by their index in the batch, that are set in rows that are shown.
    shown: HashSet<usize>,
}

/// A row as it is before an operation, with the values that the filter asks for.
enum Before {
    Absent,
    NotShown,
    Shown(Payload),
}

impl<'a> Restricted<'a> {
    pub(super) fn new(
        rows: &'a RowFilter,
        mut batch: PreparedBatch,
        conditions: &'a [Precondition],
    ) -> Restricted<'a> {
        batch.request_id = batch.request_id.map(|id| rows.request_id(&id));
        let asked = std::mem::take(&mut batch.changes);
        Restricted { rows, conditions, asked, batch, fits: true }
    }

    /// The batch that was queued.
    pub(super) fn finish(self) -> PreparedBatch {
        self.batch
    }

    fn stored(&self, view: &ViewState, id: &PointId) -> Result<Before> {
        let Some(place) = view.locate_sound(id)? else { return Ok(Before::Absent) };
        let values = view.asked_of(self.rows, place);
        Ok(if self.shows(&values) { Before::Shown(values) } else { Before::NotShown })
    }

    fn shows(&self, values: &Payload) -> bool {
        self.fits && self.rows.shows(values)
    }

    /// The values that the filter asks for, of those that a change sets.
    fn asked_values<'b>(&'b self, values: &'b [(u16, Value)]) -> impl Iterator<Item = (String, Value)> + 'b {
        values.iter().filter_map(move |(field, value)| {
            let name = &self.batch.fields.get(usize::from(*field))?.name;
            self.rows.fields().contains(name).then(|| (name.clone(), value.clone()))
        })
    }

    /// What a change leaves of its row; `None` if it changes nothing. `index` is its place in the batch.
    fn after(&self, index: usize, change: &Change, before: &Before) -> Result<Option<Before>> {
        let refused = || Err(Error::OutOfScope { field: format!("points[{index}]") });
        let values: Payload = match (change, before) {
            (Change::Delete(_) | Change::Update(_), Before::NotShown) => return Ok(None),
            (Change::Delete(_), _) | (Change::Update(_), Before::Absent) => return Ok(Some(Before::Absent)),
            (Change::Upsert(_) | Change::Rewrite(_), Before::NotShown) => return refused(),
            (Change::Upsert(row) | Change::Rewrite(row), _) => self.asked_values(&row.values).collect(),
            (Change::Update(changes), Before::Shown(values)) => {
                let mut values = values.clone();
                values.extend(self.asked_values(&changes.set));
                changes.unset.iter().for_each(|name| drop(values.remove(name)));
                values
            }
        };
        if self.shows(&values) { Ok(Some(Before::Shown(values))) } else { refused() }
    }

    /// Fails with the first condition that is about a row that is not shown and does not hold of one that is not there.
    fn check_conditions(&self, view: &ViewState) -> Result<()> {
        for (index, Precondition { id, expect }) in self.conditions.iter().enumerate() {
            if matches!(self.stored(view, id)?, Before::NotShown) {
                let field = format!("preconditions[{index}]");
                return Err(match expect.is_met_by(None) {
                    true => Error::OutOfScope { field },
                    false => Error::Precondition { field, id: id.clone(), expected: *expect, actual: None },
                });
            }
        }
        Ok(())
    }

    /// What is left of the batch.
    fn allowed(&self, view: &ViewState) -> Result<Allowed> {
        let mut allowed = Allowed::default();
        let mut rows: HashMap<&PointId, Before> = HashMap::new();
        for (index, change) in self.asked.iter().enumerate() {
            let before = match rows.remove(change.id()) {
                Some(before) => before,
                None => self.stored(view, change.id())?,
            };
            let after = match self.after(index, change, &before)? {
                Some(after) => {
                    if matches!(after, Before::Shown(_)) {
                        allowed.shown.extend(set_by(change).iter().map(|(field, _)| usize::from(*field)));
                    }
                    allowed.changes.push(change.clone());
                    allowed.places.push(index);
                    after
                }
                None => {
                    allowed.missing += usize::from(matches!(change, Change::Update(_)));
                    before
                }
            };
            rows.insert(change.id(), after);
        }
        Ok(allowed)
    }
}

/// The values that a change sets.
fn set_by(change: &Change) -> &[(u16, Value)] {
    match change {
        Change::Upsert(row) | Change::Rewrite(row) => &row.values,
        Change::Update(changes) => &changes.set,
        Change::Delete(_) => &[],
    }
}

impl Resolving for Restricted<'_> {
    fn resolve(&mut self, view: &Arc<ViewState>, now: i64) -> Result<Option<i64>> {
        let view = view.at(now);
        self.fits = CompiledFilter::fits(self.rows, &view.fields);
        self.check_conditions(&view)?;
        let Allowed { changes, places, missing, shown } = self.allowed(&view)?;
        validate::check_brought(&self.batch, &view.fields, self.rows, |field| shown.contains(&field))?;
        (self.batch.changes, self.batch.places, self.batch.passed_over) = (changes, places, missing);
        // What has a name or conditions is queued even so: it is done, and they are to hold.
        let is_nothing =
            self.batch.changes.is_empty() && self.batch.request_id.is_none() && self.conditions.is_empty();
        Ok((!is_nothing).then_some(NEVER))
    }

    fn batch(&self) -> &PreparedBatch {
        &self.batch
    }

    /// Also on rows that it leaves alone, as they are not shown, and on those of its conditions.
    fn rests_on(&self) -> HashSet<&PointId> {
        let of_conditions = self.conditions.iter().map(|condition| &condition.id);
        self.asked.iter().map(Change::id).chain(of_conditions).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::PAYLOAD_BYTES_MAX;
    use crate::{
        Batch, Collection, Db, Expect, FieldType, Filter, Point, Schema, Scope, Sight, Update, WriteReceipt,
    };

    struct Own(Arc<RowFilter>);

    impl Scope for Own {
        fn sight(&self, _: &str) -> Sight {
            Sight::Rows(self.0.clone())
        }
    }

    /// A collection, and a handle on it that shows the rows of `a`.
    fn shared() -> (Collection, Collection) {
        let db = Db::in_memory().unwrap();
        let all = db.create_collection("c", Schema::new(2).unwrap()).unwrap();
        let rows = Arc::new(RowFilter::new(Filter::eq("tenant", "a")).unwrap());
        let own = db.within(Arc::new(Own(rows))).collection("c").unwrap();
        (all, own)
    }

    fn point(id: u64, tenant: &str) -> Point {
        Point::new(id, [1.0, 0.0]).with("tenant", tenant)
    }

    /// A request that was done was refused when it was sent again, where its id had become that of a row that is not shown.
    #[test]
    fn a_request_that_was_done_is_told_so_whatever_became_of_its_rows() {
        let (all, own) = shared();
        let upsert = |id: u64| Batch::new().upsert(point(id, "a"));
        for batch in [upsert(1).request("plain"), upsert(2).expect(2, Expect::Absent).request("conditional")]
        {
            let first = own.write(batch.clone()).unwrap();
            assert!(!first.repeated);
            all.upsert(vec![point(1, "b"), point(2, "b")]).unwrap();
            assert_eq!(own.write(batch).unwrap(), WriteReceipt { repeated: true, ..first });
            all.delete(&[2.into()]).unwrap();
        }
        let another = own.write(upsert(1).request("another"));
        assert!(matches!(another, Err(Error::OutOfScope { .. })), "{another:?}");
        assert_eq!(all.count(None).unwrap(), 1);
    }

    /// Updates of rows that are not shown counted as missing the first time alone.
    #[test]
    fn a_repeated_request_counts_what_it_passed_over() {
        let (all, own) = shared();
        all.upsert(vec![point(1, "b"), point(2, "a")]).unwrap();
        let update = |id: u64| Update::new(id).set("tenant", "a");
        let hidden = || Batch::new().update(update(1));
        for (batch, updated) in [(hidden().update(update(2)), 1), (hidden(), 0)] {
            let batch = batch.request(format!("{updated} updated"));
            let first = own.write(batch.clone()).unwrap();
            assert_eq!((first.updated, first.missing, first.repeated), (updated, 1, false));
            assert_eq!(own.write(batch).unwrap(), WriteReceipt { repeated: true, ..first });
        }
        let nothing = own.write(hidden()).unwrap();
        assert_eq!((nothing.updated, nothing.missing), (0, 1));
    }

    /// What was refused was named by its place among the operations on rows that are shown.
    #[test]
    fn an_operation_is_named_by_its_place_among_all_that_were_asked_for() {
        let db = Db::in_memory().unwrap();
        let text = |schema: crate::SchemaBuilder, name: &str| schema.field(name, FieldType::String);
        let schema = ["tenant", "long", "longer"].into_iter().fold(Schema::builder(2).strict(true), text);
        let all = db.create_collection("c", schema.build().unwrap()).unwrap();
        let half = || "x".repeat(PAYLOAD_BYTES_MAX / 2);
        all.upsert(vec![point(1, "a").with("long", half()), point(2, "b")]).unwrap();
        let rows = Arc::new(RowFilter::new(Filter::eq("tenant", "a")).unwrap());
        let own = db.within(Arc::new(Own(rows))).collection("c").unwrap();
        let refused = |update: Update| {
            let hidden = Batch::new().delete(2).update(Update::new(2).set("long", "x"));
            own.write(hidden.update(update)).unwrap_err().to_string()
        };
        let unknown = refused(Update::new(1).unset("unknown"));
        assert!(unknown.contains("points[2].payload.unknown"), "{unknown}");
        let too_long = refused(Update::new(1).set("longer", half()));
        assert!(too_long.starts_with("points[2].payload: "), "{too_long}");
    }

    /// A row that lacks the field was shown by its id, and written, though no read found any.
    #[test]
    fn a_filter_on_a_field_of_another_type_shows_no_row_that_lacks_it() {
        let db = Db::in_memory().unwrap();
        let all = db.create_collection("c", Schema::new(2).unwrap()).unwrap();
        let without_tenant = |id: u64| Point::new(id, [1.0, 0.0]).with("number", 3_i64);
        all.upsert(vec![point(1, "a"), without_tenant(2)]).unwrap();
        let of = |filter: &Filter| {
            let rows = Arc::new(RowFilter::new(filter.clone()).unwrap());
            db.within(Arc::new(Own(rows))).collection("c").unwrap()
        };
        let seven = || Filter::eq("tenant", 7);
        let neither = Filter::Not(Box::new(Filter::Or(vec![Filter::contains("tenant", "a"), seven()])));
        let either = Filter::Or(vec![Filter::eq("number", 3), seven()]);
        for filter in [Filter::Not(Box::new(seven())), either, neither] {
            let (own, ids) = (of(&filter), [PointId::Num(2)]);
            assert_eq!(own.count(None).unwrap(), 0, "{filter}");
            assert_eq!(own.get(&ids).unwrap(), [None], "{filter}");
            assert_eq!(own.view().etags(&ids).unwrap(), [None], "{filter}");
            let refused = own.upsert(vec![without_tenant(3)]);
            assert!(matches!(refused, Err(Error::OutOfScope { .. })), "{filter}: {refused:?}");
            assert_eq!(own.update(vec![Update::new(2).set("number", 3)]).unwrap().missing, 1, "{filter}");
            assert_eq!(own.delete(&ids).unwrap().deleted, 0, "{filter}");
        }
        // Where no row has the field yet, each lacks it.
        let unknown = of(&Filter::Not(Box::new(Filter::eq("absent", 7))));
        assert_eq!(unknown.get(&[2.into()]).unwrap(), all.get(&[2.into()]).unwrap());
        assert_eq!(all.get(&[3.into()]).unwrap(), [None]);
    }
}
