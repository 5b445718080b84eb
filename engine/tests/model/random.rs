//! Random operations and rows.

use ragstone::{Batch, Expect, Op, Point};

use super::DIMENSION;
use super::support::{Random, payload, update};

impl Random {
    pub(super) fn vector(&mut self) -> Vec<f32> {
        self.components(DIMENSION)
    }

    fn point(&mut self, tenant: Option<&'static str>) -> Point {
        let mut point = Point::new(self.id(), self.vector());
        if self.is_one_in(8) {
            point.vector = None;
        }
        Point { payload: payload(self, tenant), ..point }
    }

    /// Has some rows of a batch expire, soon or later, and others live longer.
    pub(super) fn let_expire(&mut self, batch: &mut Batch, now: i64) {
        for op in &mut batch.ops {
            let at = now + 1 + self.pick(&[2, 20, 200]).min(1 + self.below(200) as i64);
            match (op, self.below(5)) {
                (Op::Upsert(point), 0) => point.expires_at = Some(at),
                (Op::Update(update), 0) => update.expires_at = Some(Some(at)),
                (Op::Update(update), 1) => update.expires_at = Some(None),
                _ => {}
            }
        }
    }

    /// What a row may be expected to be.
    pub(super) fn expect(&mut self, etag: Option<u64>) -> Expect {
        match (self.below(8), etag) {
            (0, _) => Expect::Absent,
            (1, _) => Expect::Present,
            (2, _) => Expect::Etag(self.below(50)),
            (_, Some(etag)) if self.below(2) == 0 => Expect::Etag(etag),
            (_, Some(_)) => Expect::Present,
            (_, None) => Expect::Absent,
        }
    }

    pub(super) fn batch(&mut self, tenant: Option<&'static str>) -> Batch {
        let size = self.pick(&[1, 1, 3, 40, 200]);
        let mut batch = Batch::new();
        for _ in 0..size {
            batch = match self.below(8) {
                0 | 1 => batch.delete(self.id()),
                2 | 3 => batch.update(update(self, tenant)),
                _ => batch.upsert(self.point(tenant)),
            };
        }
        batch
    }
}
