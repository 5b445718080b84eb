//! What is in the store against what must be.
//!
//! *Lost* is what was acknowledged and is not there: a collection, a row, the latest state of a row; or a live row that its
//! own vector does not find. *Phantom* is what is there and was never written or was deleted, and half of a batch. *Corrupt*
//! is everything that contradicts itself: files that do not open, rows that are not what their operation wrote, counts
//! that differ.

use std::collections::{BTreeMap, BTreeSet};

use ragstone::{Collection, Db, Error, Point, ScrollRequest, SearchRequest};

use super::THREADS;
use super::model::{Model, Rows, Written};
use super::rows::{Random, Row, State};
use super::workload::shared_name;

/// Rows of a collection that are searched for, dead or alive.
const SEARCHED_ROWS_MAX: u64 = 60;
/// Width of a walk that visits whatever can be reached.
const EF_OF_ALL: usize = 2_000;

/// What was found wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Acknowledged and not there.
    pub lost: u64,
    /// There and not to be.
    pub phantom: u64,
    /// Not what anybody wrote.
    pub corrupt: u64,
    /// What it is about.
    pub stories: Vec<String>,
}

impl Findings {
    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.lost + self.phantom + self.corrupt == 0
    }

    pub(super) fn corrupt(&mut self, story: String) {
        self.corrupt += 1;
        self.stories.push(format!("corrupt: {story}"));
    }

    /// A database that does not open has lost everything.
    pub(super) fn lost_rows(&mut self, rows: u64) {
        self.lost += rows;
        self.stories.push(format!("lost: all of {rows} rows"));
    }

    pub(super) fn add(&mut self, other: Findings) {
        self.lost += other.lost;
        self.phantom += other.phantom;
        self.corrupt += other.corrupt;
        self.stories.extend(other.stories);
    }

    pub(super) fn lost(&mut self, story: String) {
        self.lost += 1;
        self.stories.push(format!("lost: {story}"));
    }

    pub(super) fn phantom(&mut self, story: String) {
        self.phantom += 1;
        self.stories.push(format!("phantom: {story}"));
    }
}

/// Compares everything, and settles in the model what became of the operations under way.
pub(super) fn compare(db: &Db, model: &mut Model, random: &mut Random) -> Findings {
    let mut findings = Findings::default();
    match read(db, &mut findings) {
        Ok(found) => {
            let clock = model.clock;
            for (thread, state) in model.threads.iter_mut().enumerate() {
                let Found { rows: found, etags } = &found[thread];
                let came_through = state.under_way.take();
                if live(&state.rows, clock) != *found {
                    match came_through {
                        Some(after) if live(&after, clock) == *found => state.rows = after,
                        after => {
                            let outcomes = [Some(&state.rows), after.as_ref()].into_iter().flatten();
                            let states: Vec<Live> = outcomes.map(|rows| live(rows, clock)).collect();
                            explain(thread, &states, found, &mut findings);
                            continue;
                        }
                    }
                } else if let Some(after) = came_through {
                    forget_etags(&mut state.rows, &after);
                }
                check_etags(thread, &mut state.rows, etags, &mut findings);
            }
        }
        Err(error) => findings.corrupt(format!("reading: {error}")),
    }
    if findings.is_empty() {
        search(db, model, random, &mut findings);
    }
    findings
}

/// The states of a thread's live rows, by collection.
pub(super) type Live = BTreeMap<String, BTreeMap<u64, State>>;

/// Those that are there at a moment.
pub(super) fn live(rows: &Rows, clock: i64) -> Live {
    let of_one = |rows: &BTreeMap<u64, Written>| {
        let there = rows.iter().filter(|(index, row)| row.is_there(**index, clock));
        there.map(|(index, row)| (*index, row.state)).collect()
    };
    rows.iter().map(|(name, rows)| (name.clone(), of_one(rows))).collect()
}

/// What there is of a thread.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    pub(super) rows: Live,
    /// Of the same rows.
    etags: BTreeMap<String, BTreeMap<u64, Option<u64>>>,
}

/// What was under way may have been done where nothing shows it but etags: a row was written as it was.
fn forget_etags(rows: &mut Rows, after: &Rows) {
    for (name, rows) in rows {
        for (index, row) in rows {
            let after = after.get(name).and_then(|after| after.get(index));
            row.etag = row.etag.filter(|_| after.is_none_or(|after| after.etag.is_some()));
        }
    }
}

/// Etags are those that were told; what nobody was told is known from now on.
fn check_etags(
    thread: usize,
    rows: &mut Rows,
    found: &BTreeMap<String, BTreeMap<u64, Option<u64>>>,
    findings: &mut Findings,
) {
    for (name, etags) in found {
        let Some(rows) = rows.get_mut(name) else { continue };
        for (index, found) in etags {
            let Some(row) = rows.get_mut(index) else { continue };
            if found.is_none() || row.etag.is_some_and(|etag| Some(etag) != *found) {
                let told = row.etag;
                findings.corrupt(format!(
                    "{name}: row {index} of thread {thread} has etag {found:?}, {told:?} was told"
                ));
            }
            row.etag = *found;
        }
    }
}

/// Reads every collection in every way but searching.
pub(super) fn read(db: &Db, findings: &mut Findings) -> Result<Vec<Found>, Error> {
    let mut found = vec![Found::default(); THREADS as usize];
    for info in db.collections() {
        let owner = info.name.strip_prefix("own-").and_then(|rest| rest.split('-').next()?.parse().ok());
        let owners: Vec<usize> = owner.map_or((0..THREADS as usize).collect(), |owner| vec![owner]);
        for &owner in &owners {
            found[owner].rows.insert(info.name.clone(), BTreeMap::new());
        }
        let collection = db.collection(&info.name)?;
        let points = scroll(&collection)?;
        if points.len() as u64 != info.points || collection.count(None)? != info.points {
            findings.corrupt(format!("{}: {} rows, counted {}", info.name, points.len(), info.points));
        }
        let vectors = points.iter().filter(|point| point.vector.is_some()).count() as u64;
        if vectors != info.vectors {
            findings.corrupt(format!("{}: {vectors} vectors, counted {}", info.name, info.vectors));
        }
        let ids: Vec<_> = points.iter().map(|point| point.id.clone()).collect();
        let by_id: Vec<Point> = collection.get(&ids)?.into_iter().flatten().collect();
        if by_id != points {
            findings.corrupt(format!("{}: rows by id differ from those in pages", info.name));
        }
        for point in points {
            let (row, etag, point) = (Row::of(&point.id), point.etag, Point { etag: None, ..point });
            match (row, State::of(&point)) {
                (Some(row), Some(state)) if point == row.point(state) => {
                    let Some(found) = found.get_mut(row.thread as usize) else { continue };
                    found.rows.get_mut(&info.name).map(|rows| rows.insert(row.index, state));
                    found.etags.entry(info.name.clone()).or_default().insert(row.index, etag);
                }
                _ => findings.corrupt(format!("{}: nobody wrote {point:?}", info.name)),
            }
        }
    }
    Ok(found)
}

fn scroll(collection: &Collection) -> Result<Vec<Point>, Error> {
    let (mut points, mut after) = (Vec::new(), None);
    loop {
        let request = ScrollRequest { limit: 500, with_vectors: true, after, ..ScrollRequest::default() };
        let page = collection.scroll(&request)?;
        points.extend(page.points);
        after = page.next;
        if after.is_none() {
            return Ok(points);
        }
    }
}

/// Says of each row that is wrong what is wrong with it. `states` are those that the thread's rows may be in, oldest first.
pub(super) fn explain(thread: usize, states: &[Live], found: &Live, findings: &mut Findings) {
    let mut is_explained = false;
    let names: BTreeSet<&String> = states.iter().flat_map(BTreeMap::keys).chain(found.keys()).collect();
    for name in names {
        let is_there = found.contains_key(name);
        if states.iter().any(|state| state.contains_key(name) == is_there) {
            continue;
        }
        is_explained = true;
        let story = format!("collection {name} of thread {thread}");
        if is_there { findings.phantom(story) } else { findings.lost(story) }
    }
    for (name, rows) in found {
        let states: Vec<_> = states.iter().filter_map(|state| state.get(name)).collect();
        let known = states.iter().flat_map(|state| state.keys());
        let indexes: BTreeSet<u64> = rows.keys().chain(known).copied().collect();
        for index in indexes {
            let is = rows.get(&index);
            let may_be: BTreeSet<Option<&State>> = states.iter().map(|state| state.get(&index)).collect();
            if may_be.contains(&is) || states.is_empty() {
                continue;
            }
            is_explained = true;
            let story = format!("{name}: row {index} of thread {thread} is {is:?}, not one of {may_be:?}");
            // An older state of a row that lives is the loss of the newer one.
            match may_be.last().copied().flatten() {
                Some(newest) if is <= Some(newest) => findings.lost(story),
                _ => findings.phantom(story),
            }
        }
    }
    if !is_explained {
        findings.phantom(format!("half of a batch of thread {thread}"));
    }
}

/// Live rows are found by their vectors, dead ones are not.
fn search(db: &Db, model: &Model, random: &mut Random, findings: &mut Findings) {
    for name in model.collections() {
        let Ok(collection) = db.collection(&name) else { continue };
        let rows: Vec<(Row, Written)> = model
            .threads
            .iter()
            .enumerate()
            .filter_map(|(thread, state)| Some((thread as u64, state.rows.get(&name)?)))
            .flat_map(|(thread, rows)| rows.iter().map(move |(&index, row)| (Row { thread, index }, *row)))
            .filter(|(row, written)| row.has_vector() && written.state.version > 0)
            .collect();
        let one_in = (rows.len() as u64).div_ceil(SEARCHED_ROWS_MAX);
        for (row, written) in rows {
            if random.below(one_in) > 0 {
                continue;
            }
            let is_there = written.is_there(row.index, model.clock);
            match (is_found(&collection, row, written.state.version), is_there) {
                (Ok(true), true) | (Ok(false), false) => {}
                (Ok(false), true) => findings.lost(format!("{name}: a search does not find {row:?}")),
                (Ok(true), false) => {
                    findings.phantom(format!("{name}: a search finds {row:?}, which is gone"))
                }
                (Err(error), _) => findings.corrupt(format!("{name}: searching {row:?}: {error}")),
            }
        }
    }
}

/// Whether a row is among the nearest of its own vector. A walk may miss it, if a wide one does not.
fn is_found(collection: &Collection, row: Row, version: u64) -> Result<bool, Error> {
    let id = row.id();
    for ef in [64, EF_OF_ALL] {
        let found = collection.search(&SearchRequest::new(row.vector(version), 3).ef(ef))?;
        if found.hits.iter().any(|hit| hit.id == id && hit.score < 1e-3) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Makes the collections that all threads write to, where they are not there yet.
pub(super) fn make_shared(db: &Db) -> Result<(), Error> {
    for index in 0..super::workload::SHARED {
        let name = shared_name(index);
        db.create_collection(&name, super::workload::schema(&name)?)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(etag: Option<u64>) -> Rows {
        let row = Written { state: State::written(3), is_live: true, etag };
        Rows::from([("c".to_owned(), BTreeMap::from([(5, row)]))])
    }

    #[test]
    fn an_etag_is_the_one_that_was_told_and_one_that_was_not_is_learnt() {
        let found = |etag| BTreeMap::from([("c".to_owned(), BTreeMap::from([(5, etag)]))]);
        let corrupt = |mut known: Rows, etag| {
            let mut findings = Findings::default();
            check_etags(0, &mut known, &found(etag), &mut findings);
            (findings.corrupt, known)
        };
        assert_eq!(corrupt(rows(Some(7)), Some(7)), (0, rows(Some(7))));
        assert_eq!(corrupt(rows(None), Some(7)), (0, rows(Some(7))));
        assert_eq!(corrupt(rows(Some(7)), Some(8)).0, 1);
        assert_eq!(corrupt(rows(None), None).0, 1);
        // What was under way wrote the row as it is.
        let mut known = rows(Some(7));
        forget_etags(&mut known, &rows(None));
        assert_eq!(corrupt(known, Some(8)).0, 0);
        let mut known = rows(Some(7));
        forget_etags(&mut known, &rows(Some(7)));
        assert_eq!(corrupt(known, Some(8)).0, 1);
    }
}
