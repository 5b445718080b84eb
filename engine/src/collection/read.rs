//! Reading a view without searching it: points by id, pages in the order of the ids, counts.
//!
//! Once damage was found in a segment, pages and counts fail: without its rows they would be wrong. A row by its id does not
//! need the other segments: if it lives in a sound one it is nowhere else.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::ordered::Ordered;
use super::{Page, ScrollRequest, ViewState};
use crate::clock::NEVER;
use crate::error::{Error, Result};
use crate::interrupt::Watch;
use crate::limits::{BATCH_OPS_MAX, K_MAX, check_limit};
use crate::payload::{CompiledFilter, FieldId, Filter, Passing, Payload};
use crate::point::{Point, PointId, Vector};
use crate::query::{Cursor, each_once};
use crate::schema::{DEFAULT_VECTOR, VectorId, VectorKind};
use crate::segment::{Expiring, SegmentView};
use crate::validate;

/// Points by id, in the order asked.
pub(super) fn get(view: &ViewState, ids: &[PointId], watch: &Watch) -> Result<Vec<Option<Point>>> {
    check_limit("ids", "BATCH_OPS_MAX", BATCH_OPS_MAX, ids.len())?;
    ids.iter()
        .enumerate()
        .map(|(index, id)| {
            watch.check()?;
            validate::id(&format!("ids[{index}]"), id)?;
            let found = view.visible(id)?;
            Ok(found.map(|(index, slot)| {
                let payload = view.segments[index].payload(slot, &view.fields, None);
                let point = Point { payload, ..Point::without_vector(id.clone()) };
                with_vectors(with_marks(point, view, (index, slot)), view, (index, slot), |_| true)
            }))
        })
        .collect()
}

/// The point with the wanted vectors of its row.
pub(crate) fn with_vectors(
    mut point: Point,
    view: &ViewState,
    (segment, slot): (usize, u32),
    is_wanted: impl Fn(VectorId) -> bool,
) -> Point {
    let mut place = 0;
    for (number, name, kind) in view.schema.numbered() {
        let vector = || view.segments[segment].vector(slot, number, kind, place);
        match is_wanted(number).then(vector).flatten() {
            Some(Vector::Dense(components)) if name == DEFAULT_VECTOR => point.vector = Some(components),
            Some(vector) => drop(point.vectors.insert(name.to_owned(), vector)),
            None => {}
        }
        place += usize::from(matches!(kind, VectorKind::Dense(_)));
    }
    point
}

/// The point with what the row says of itself: which write changed it last, and when it expires.
pub(crate) fn with_marks(point: Point, view: &ViewState, (segment, slot): (usize, u32)) -> Point {
    let segment = &view.segments[segment];
    let expires_at = Some(segment.expires_at(slot)).filter(|at| *at != NEVER);
    Point { etag: Some(segment.version(slot)), expires_at, ..point }
}

/// How many rows pass.
pub(super) fn count(view: &ViewState, filter: Option<&Filter>, watch: &Watch) -> Result<u64> {
    view.check()?;
    watch.check()?;
    let filter = view.compiled(filter)?;
    let of_segment = |segment: &SegmentView| {
        watch.check()?;
        let count = match &filter {
            None => segment.live(),
            Some(filter) => segment.passing(Some(filter), watch).count(),
        };
        watch.went_on()?;
        Ok(count as u64)
    };
    view.segments.iter().map(of_segment).sum()
}

impl ViewState {
    /// The rows of each segment that pass.
    ///
    /// # Errors
    /// [`Error::Cancelled`].
    pub(crate) fn passing(&self, filter: Option<&CompiledFilter>, watch: &Watch) -> Result<Vec<Passing>> {
        watch.check()?;
        let passing = |segment: &SegmentView| {
            watch.check()?;
            let passing = segment.passing(filter, watch);
            watch.went_on()?;
            Ok(passing)
        };
        self.segments.iter().map(passing).collect()
    }
}

/// A page of rows.
pub(super) fn scroll(view: &ViewState, request: &ScrollRequest, watch: Watch) -> Result<Page> {
    if request.limit == 0 {
        return Err(Error::invalid("limit", "a page has at least one row"));
    }
    check_limit("limit", "K_MAX", K_MAX, request.limit)?;
    // One row more than the page has tells whether there are more.
    let mut walk = Walk::watched(view, request, request.limit + 1, watch)?;
    let (mut points, mut last) = (Vec::new(), None);
    while points.len() < request.limit
        && let Some(found) = walk.next()
    {
        walk.watch.check()?;
        if points.len() + 1 == request.limit {
            last = Some(walk.cursor(&found));
        }
        points.push(walk.point(found));
    }
    let next = if walk.next().is_some() { last } else { None };
    walk.watch.went_on()?;
    Ok(Page { points, next })
}

/// A row where it lies.
pub(super) struct Found {
    pub(super) id: PointId,
    /// Index of its segment.
    pub(super) segment: usize,
    pub(super) slot: u32,
}

/// The rows that a request asks for, in order. It keeps a bit for each row of the view.
pub(super) struct Walk<'a> {
    pub(super) view: &'a ViewState,
    rows: InOrder<'a>,
    fields: Option<Vec<FieldId>>,
    with_vectors: bool,
    /// Whether a row may expire while others are read.
    has_expiring: bool,
    /// Looked at by who reads the rows.
    pub(super) watch: Watch,
}

enum InOrder<'a> {
    OfIds(Merged<'a>),
    OfField(Ordered<'a>),
}

impl<'a> Walk<'a> {
    /// Rows in the order of a field are fetched `step` at a time.
    pub(super) fn new(view: &'a ViewState, request: &ScrollRequest, step: usize) -> Result<Self> {
        Self::watched(view, request, step, Watch::default())
    }

    /// The same, which may be ended.
    pub(super) fn watched(
        view: &'a ViewState,
        request: &ScrollRequest,
        step: usize,
        watch: Watch,
    ) -> Result<Self> {
        let after = request.after.as_ref();
        after.map_or(Ok(()), |after| validate::id("after", after.id()))?;
        view.check()?;
        let filter = view.compiled(request.filter.as_ref())?;
        let fields = request.fields.as_ref().map(|names| wanted_fields(view, names)).transpose()?;
        let passing = view.passing(filter.as_ref(), &watch)?;
        let rows = match &request.order {
            None => {
                after.map_or(Ok(None), |after| after.value(None))?;
                InOrder::OfIds(Merged::new(view, passing, after.map(Cursor::id)))
            }
            Some(by) => InOrder::OfField(Ordered::new(view, by, passing, (after, step))?),
        };
        let has_expiring = view.first_expiry() != NEVER;
        Ok(Self { view, rows, fields, with_vectors: request.with_vectors, has_expiring, watch })
    }

    /// Every row that is shown, whoever's it is, in the order of the ids.
    pub(super) fn of_all(view: &'a ViewState, after: Option<&PointId>) -> Result<Self> {
        view.check()?;
        let watch = Watch::default();
        let shown = view.compiled_rows();
        let passing = view.segments.iter().map(|segment| segment.passing(shown.as_ref(), &watch)).collect();
        let rows = InOrder::OfIds(Merged::new(view, passing, after));
        let has_expiring = view.first_expiry() != NEVER;
        Ok(Self { view, rows, fields: None, with_vectors: false, has_expiring, watch })
    }

    /// The next row; none either where the watch ended putting rows in the order of a field.
    pub(super) fn next(&mut self) -> Option<Found> {
        loop {
            let found = match &mut self.rows {
                InOrder::OfIds(rows) => rows.next(),
                InOrder::OfField(rows) => rows.next(&self.watch),
            }?;
            if !self.has_expiring || !self.has_expired(&found) {
                return Some(found);
            }
        }
    }

    fn has_expired(&self, found: &Found) -> bool {
        self.view.segments[found.segment].expires_at(found.slot) <= self.view.now()
    }

    /// The place of a row.
    fn cursor(&self, found: &Found) -> Cursor {
        match &self.rows {
            InOrder::OfIds(_) => found.id.clone().into(),
            InOrder::OfField(rows) => rows.cursor(found),
        }
    }

    /// The fields of a row that were asked for.
    pub(super) fn payload(&self, found: &Found) -> Payload {
        let segment = &self.view.segments[found.segment];
        segment.payload(found.slot, &self.view.fields, self.fields.as_deref())
    }

    /// What was asked for of a row.
    pub(super) fn point(&self, found: Found) -> Point {
        let payload = self.payload(&found);
        let point = Point { payload, ..Point::without_vector(found.id) };
        let point = with_marks(point, self.view, (found.segment, found.slot));
        match self.with_vectors {
            true => with_vectors(point, self.view, (found.segment, found.slot), |_| true),
            false => point,
        }
    }
}

fn wanted_fields(view: &ViewState, names: &[String]) -> Result<Vec<FieldId>> {
    let number = |(index, name): (usize, &String)| match view.fields.find(name) {
        Some((field, _)) => Ok(field),
        None => Err(Error::UnknownField { field: format!("fields[{index}].{name}") }),
    };
    Ok(each_once(names.iter().enumerate().map(number).collect::<Result<_>>()?))
}

/// The head of a walk: its next matching row, and which walk it is of.
type Head = Reverse<(PointId, usize, u32)>;

/// The matching rows of all segments in the order of their ids: the walks of the segments, merged. A live row is in one walk alone.
///
/// Every id is greater than the one before, also where the order of a segment that nobody verified yet is damaged: rows
/// out of order are left out, so that whoever turns page after page comes to an end.
struct Merged<'a> {
    view: &'a ViewState,
    passing: Vec<Passing>,
    walks: Vec<(usize, Box<dyn Iterator<Item = u32> + 'a>)>,
    heads: BinaryHeap<Head>,
    last: Option<PointId>,
}

impl<'a> Merged<'a> {
    fn new(view: &'a ViewState, passing: Vec<Passing>, after: Option<&PointId>) -> Self {
        let walks: Vec<_> = view
            .segments
            .iter()
            .zip(&passing)
            .enumerate()
            .flat_map(|(index, (segment, passing))| {
                segment.id_walks(passing, after).into_iter().map(move |walk| (index, walk))
            })
            .collect();
        let mut merged = Self { view, passing, walks, heads: BinaryHeap::new(), last: after.cloned() };
        (0..merged.walks.len()).for_each(|walk| merged.advance(walk));
        merged
    }

    /// Brings the next matching row of a walk to its head.
    fn advance(&mut self, walk: usize) {
        let (index, slots) = &mut self.walks[walk];
        let passing = &self.passing[*index];
        if let Some(slot) = slots.find(|slot| passing.contains(*slot)) {
            self.heads.push(Reverse((self.view.segments[*index].id(slot), walk, slot)));
        }
    }

    /// The next row.
    fn next(&mut self) -> Option<Found> {
        loop {
            let Reverse((id, walk, slot)) = self.heads.pop()?;
            self.advance(walk);
            if self.last.as_ref().is_none_or(|last| id > *last) {
                self.last = Some(id.clone());
                return Some(Found { id, segment: self.walks[walk].0, slot });
            }
        }
    }
}
