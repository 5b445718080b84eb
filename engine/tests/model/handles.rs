//! Writes through handles that show some rows alone: a row that is not shown is not there for updates, deletions and conditions, but its id
//! is taken; and nothing is written that would not be shown.

use ragstone::{Batch, Error, Expect, Filter, Metric, Op};

use super::Run;
use super::oracle::{Oracle, change};
use super::support::{TENANT, of_handle, of_rows, passes};

/// What comes of an operation.
#[derive(Clone, Copy, PartialEq)]
enum Fate {
    /// It is done.
    Done,
    /// It is about a row that is not shown, and does nothing.
    PassedOver,
    /// The batch is refused for it.
    Refused,
}

/// Why a batch is refused, and what of it the error names.
#[derive(Debug)]
enum Refusal {
    OutOfScope(String),
    Unmet(String),
}

impl Oracle {
    /// What comes of each operation, as those before it leave the rows; one that is refused leaves them as they are.
    fn fates(&self, ops: &[Op], shown: &Filter) -> Vec<Fate> {
        let mut rows = self.points.clone();
        let fate = |op: &Op| {
            let id = match op {
                Op::Upsert(point) => &point.id,
                Op::Update(update) => &update.id,
                Op::Delete(id) => id,
            };
            let is_hidden = rows.get(id).is_some_and(|row| !passes(shown, row));
            let after = match (op, rows.get(id)) {
                (Op::Upsert(_), _) if is_hidden => return Fate::Refused,
                _ if is_hidden => return Fate::PassedOver,
                (Op::Upsert(point), _) => Some(point.clone()),
                (Op::Update(update), Some(row)) => {
                    let mut row = row.clone();
                    change(&mut row, update);
                    Some(row)
                }
                (Op::Update(_), None) | (Op::Delete(_), _) => None,
            };
            match after {
                Some(row) if !passes(shown, &row) => return Fate::Refused,
                Some(row) => drop(rows.insert(id.clone(), row)),
                None => drop(rows.remove(id)),
            }
            Fate::Done
        };
        ops.iter().map(fate).collect()
    }

    /// Why a batch is refused, if it is.
    fn refusal(&self, batch: &Batch, fates: &[Fate], shown: &Filter) -> Option<Refusal> {
        for (index, condition) in batch.preconditions.iter().enumerate() {
            if self.points.get(&condition.id).is_some_and(|row| !passes(shown, row)) {
                let field = format!("preconditions[{index}]");
                // That there is a row is told to who expects none; of any other it is not there.
                return Some(match condition.expect {
                    Expect::Absent => Refusal::OutOfScope(field),
                    Expect::Present | Expect::Etag(_) => Refusal::Unmet(field),
                });
            }
        }
        match fates.iter().position(|fate| *fate == Fate::Refused) {
            Some(index) => Some(Refusal::OutOfScope(format!("points[{index}]"))),
            None => self.unmet(batch).map(Refusal::Unmet),
        }
    }
}

impl Run {
    /// Writes a batch through a handle.
    fn write_within(&mut self) {
        let rows = of_handle(&mut self.random, self.tenant);
        let shown = rows.filter();
        let mut batch = self.random.batch(self.tenant);
        self.random.let_expire(&mut batch, self.store.now());
        let mut fates = self.oracle.fates(&batch.ops, shown);
        if !self.random.is_one_in(3) {
            // One operation that is refused is enough for all of them.
            let mut of = fates.iter();
            batch.ops.retain(|_| of.next() != Some(&Fate::Refused));
            fates.retain(|fate| *fate != Fate::Refused);
        }
        for _ in 0..self.random.pick(&[0, 0, 0, 1, 2]) {
            let id = self.random.id();
            let etag = self.oracle.points.get(&id).and_then(|point| point.etag);
            batch = batch.expect(id, self.random.expect(etag));
        }
        let collection = self.store.within(&rows);
        if let Some(refusal) = self.oracle.refusal(&batch, &fates, shown) {
            let error = collection.write(batch).unwrap_err();
            let is_expected = match (&error, &refusal) {
                (Error::OutOfScope { field, .. }, Refusal::OutOfScope(expected))
                | (Error::Precondition { field, .. }, Refusal::Unmet(expected)) => field == expected,
                _ => false,
            };
            assert!(is_expected, "{error} {refusal:?} {rows:?}");
            return;
        }
        let is_passed_over =
            |(op, fate): &(&Op, &Fate)| **fate == Fate::PassedOver && matches!(op, Op::Update(_));
        let passed_over = batch.ops.iter().zip(&fates).filter(is_passed_over).count();
        let mut of = fates.iter();
        let mut done = batch.ops.clone();
        done.retain(|_| of.next() == Some(&Fate::Done));
        let has_conditions = !batch.preconditions.is_empty();
        let receipt = collection.write(batch).unwrap();
        let mut expected = [0; 4];
        match done.is_empty() {
            false => expected = self.oracle.write(&Batch::of(done)),
            // Whether conditions alone are a write is of no account.
            true if has_conditions && receipt.seq > self.oracle.seq => self.oracle.seq += 1,
            true => {}
        }
        expected[3] += passed_over;
        let counts = [receipt.upserted, receipt.deleted, receipt.updated, receipt.missing];
        assert_eq!((receipt.seq, counts), (self.oracle.seq, expected), "{rows:?}");
    }

    /// Deletes by a filter through a handle.
    fn delete_within(&mut self) {
        let rows = of_handle(&mut self.random, self.tenant);
        let filter = of_rows(&mut self.random, self.tenant);
        let before = self.oracle.points.len();
        self.oracle.points.retain(|_, point| !(passes(&filter, point) && passes(rows.filter(), point)));
        let deleted = before - self.oracle.points.len();
        self.oracle.seq += u64::from(deleted > 0);
        let receipt = self.store.within(&rows).delete_where(&filter).unwrap();
        assert_eq!((receipt.seq, receipt.deleted), (self.oracle.seq, deleted), "{filter:?} {rows:?}");
    }
}

fn run(metric: Metric, seed: u64, tenant: Option<&'static str>) {
    let mut run = Run::new(metric, seed, tenant);
    for _ in 0..100 {
        run.step();
        match run.random.below(6) {
            0 => run.delete_within(),
            _ => run.write_within(),
        }
        run.check_reads();
    }
}

#[test]
fn of_all_rows() {
    run(Metric::Dot, 12, None);
}

#[test]
fn of_tenants() {
    run(Metric::Cosine, 13, Some(TENANT));
}
