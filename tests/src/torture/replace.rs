//! Another collection takes the place of one, with the same rows: in one go, in parts, or left half made for a later time.

use std::collections::BTreeSet;

use ragstone::{Collection, Db, Error, Point, PointId, Replacement, ScrollRequest, View};

use super::workload::schema;

/// Does it in a way that depends on a number. What is there afterwards is what was there before, under other etags.
pub(super) fn replace(db: &Db, name: &str, number: u64) -> Result<(), Error> {
    match number % 4 {
        0 => {
            let staged = db.stage_in_place_of(name, schema(name)?)?;
            copy(&db.collection(name)?.view(), staged.collection(), |_| true)?;
            staged.publish().map(drop)
        }
        1 => match db.replacement(name)? {
            Some(_) => db.abandon_replacement(name),
            None => half(&db.begin_replacement(name, schema(name)?)?),
        },
        _ => {
            let replacement = match db.replacement(name)? {
                // It has rows that were removed since.
                Some(left) => left,
                None => db.begin_replacement(name, schema(name)?)?,
            };
            half(&replacement)?;
            replacement.finish(|view| catch_up(view, replacement.collection()))
        }
    }
}

/// Copies every other row.
fn half(replacement: &Replacement) -> Result<(), Error> {
    let mut is_even = false;
    copy(&replacement.original().view(), replacement.collection(), |_| {
        is_even = !is_even;
        is_even
    })
}

/// Copies all rows, and removes those that are there and should not be.
fn catch_up(view: &View, to: &Collection) -> Result<(), Error> {
    let wanted: BTreeSet<PointId> = view.ids(None)?.map(|(id, _)| id).collect();
    let there = to.view();
    let gone: Vec<PointId> = there.ids(None)?.map(|(id, _)| id).filter(|id| !wanted.contains(id)).collect();
    to.delete(&gone)?;
    copy(view, to, |_| true)
}

fn copy(view: &View, to: &Collection, mut is_wanted: impl FnMut(&Point) -> bool) -> Result<(), Error> {
    let request = ScrollRequest { with_vectors: true, ..ScrollRequest::default() };
    let rows = view.rows(&request)?.map(|row| row.map(|row| Point { etag: None, ..row }));
    let points = rows.filter(|row| row.as_ref().map_or(true, &mut is_wanted));
    to.upsert(points.collect::<Result<_, _>>()?).map(drop)
}

#[cfg(test)]
mod tests {
    use super::super::rows::{Row, State};
    use super::super::workload::options;
    use super::*;

    fn rows(db: &Db) -> Vec<Point> {
        let request = ScrollRequest { with_vectors: true, ..ScrollRequest::default() };
        let view = db.collection("own-0-0").unwrap().view();
        view.rows(&request).unwrap().map(|row| Point { etag: None, ..row.unwrap() }).collect()
    }

    /// One after the other, in each order, over a replacement that was left as well.
    #[test]
    fn the_rows_are_those_that_were_there_before() {
        let db = Db::in_memory_with(options(3)).unwrap();
        db.create_collection("own-0-0", schema("own-0-0").unwrap()).unwrap();
        let mut seen = BTreeSet::new();
        for number in 1..40_u64 {
            let index = number * 7 % 30;
            let (row, collection) = (Row { thread: 0, index }, db.collection("own-0-0").unwrap());
            collection.upsert(vec![row.point(State::written(number))]).unwrap();
            collection.delete(&[Row { thread: 0, index: (index + 3) % 30 }.id()]).unwrap();
            let (before, id) = (rows(&db), collection.id());
            let way = [1, 1, 0, 1, 2, 1, 0, 3][number as usize % 8];
            replace(&db, "own-0-0", way).unwrap();
            assert_eq!(rows(&db), before, "{number}");
            let is_another = db.collection("own-0-0").unwrap().id() != id;
            assert_eq!(is_another, way != 1, "{number}");
            seen.insert((way, db.replacement("own-0-0").unwrap().is_some()));
        }
        let every = [(0, false), (1, false), (1, true), (2, false), (3, false)];
        assert_eq!(seen, BTreeSet::from(every));
    }
}
