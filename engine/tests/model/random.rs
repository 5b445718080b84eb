//! Random operations, rows and filters.

use ragstone::{Batch, Expect, Filter, Op, Point, PointId, Update};

use super::{DIMENSION, conditions};

/// SplitMix64 (Steele, Lea and Flood 2014).
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(super) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }

    /// Between -1 and 1.
    pub(super) fn component(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }

    pub(super) fn vector(&mut self) -> Vec<f32> {
        (0..DIMENSION).map(|_| self.component()).collect()
    }

    pub(super) fn id(&mut self) -> PointId {
        let number = self.below(400);
        if number.is_multiple_of(4) { PointId::Str(format!("id-{number}")) } else { PointId::Num(number) }
    }

    pub(super) fn point(&mut self) -> Point {
        let mut point = Point::new(self.id(), self.vector());
        if self.below(8) == 0 {
            point.vector = None;
        }
        for (name, value) in conditions::values(self) {
            if self.below(4) > 0 {
                point = point.with(name, value);
            }
        }
        point
    }

    /// Changes some fields, takes others away.
    pub(super) fn update(&mut self) -> Update {
        let mut update = Update { set: self.point().payload, ..Update::new(self.id()) };
        if self.below(3) > 0 {
            // Else the row would be written anew most of the time.
            update.set.remove("title");
            return update;
        }
        for field in conditions::FIELDS.map(|(name, _)| name).into_iter().chain(["nobody has it"]) {
            match self.below(4) {
                0 => update.set.retain(|name, _| name != field),
                1 if !update.set.contains_key(field) => update = update.unset(field),
                _ => {}
            }
        }
        update
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

    pub(super) fn filter(&mut self, depth: u64) -> Filter {
        conditions::filter(self, depth)
    }

    pub(super) fn batch(&mut self) -> Batch {
        let size = self.pick(&[1, 1, 3, 40, 200]);
        let mut batch = Batch::new();
        for _ in 0..size {
            batch = match self.below(8) {
                0 | 1 => batch.delete(self.id()),
                2 | 3 => batch.update(self.update()),
                _ => batch.upsert(self.point()),
            };
        }
        batch
    }
}
