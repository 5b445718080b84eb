//! All rows of a view, one after the other in the order of their ids, or of a field.
//!
//! An iterator borrows its view and walks each segment as it is asked, so it reads nothing ahead, and takes a bit of
//! memory for each row of the view and a pointer for each segment, however many rows there are. Writes meanwhile do not
//! concern it: the view stays what it is.

use std::marker::PhantomData;

use serde_core::de::DeserializeOwned;

use super::read::{Found, Walk};
use super::{Page, ScrollRequest, View};
use crate::error::{Error, Result};
use crate::point::Point;
use crate::typed::{self, StoredVectors};

/// Rows that are fetched at once in the order of a field.
const ROWS_AHEAD: usize = 1_000;

/// Rows in order: [`View::iter`], [`View::rows`].
///
/// An item is an error, and the last then, if damage was found in a segment, or if the collection has a tenant key and
/// nobody said whose rows are meant.
pub struct Rows<'a> {
    state: State<'a>,
}

enum State<'a> {
    Walking(Walk<'a>),
    /// Why there are none, found before the first row was asked for.
    Refused(Error),
    Over,
}

impl std::fmt::Debug for Rows<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rows").finish_non_exhaustive()
    }
}

impl<'a> Rows<'a> {
    /// The rows read into a type, as [`Point::to_row`] does it. Their vectors are read where the type has one, whatever the
    /// request says.
    pub fn typed<T: DeserializeOwned>(self) -> TypedRows<'a, T> {
        TypedRows { rows: self, row: PhantomData }
    }

    fn next_with<T>(&mut self, read: impl FnOnce(&Walk<'a>, Found) -> Result<T>) -> Option<Result<T>> {
        // What is not put back is over.
        match std::mem::replace(&mut self.state, State::Over) {
            State::Walking(mut walk) => {
                // Damage that was found since makes rows be left out.
                if let Err(reason) = walk.view.check().and_then(|()| walk.watch.check()) {
                    return Some(Err(reason));
                }
                let Some(found) = walk.next() else { return walk.watch.went_on().err().map(Err) };
                let item = read(&walk, found);
                self.state = State::Walking(walk);
                Some(item)
            }
            State::Refused(damage) => Some(Err(damage)),
            State::Over => None,
        }
    }
}

impl Iterator for Rows<'_> {
    type Item = Result<Point>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_with(|walk, found| Ok(walk.point(found)))
    }
}

impl std::iter::FusedIterator for Rows<'_> {}

/// Rows read into a type: [`Rows::typed`].
///
/// A row that does not fit the type is an [`Error::Row`](crate::Error::Row); the rows after it follow.
pub struct TypedRows<'a, T> {
    rows: Rows<'a>,
    row: PhantomData<fn() -> T>,
}

impl<T> std::fmt::Debug for TypedRows<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TypedRows").field("rows", &self.rows).finish_non_exhaustive()
    }
}

impl<T: DeserializeOwned> Iterator for TypedRows<'_, T> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Self::Item> {
        self.rows.next_with(|walk, found| {
            let vectors = StoredVectors::at(walk.view, &found.id, (found.segment, found.slot));
            typed::read(&found.id, &walk.payload(&found), &vectors)
        })
    }
}

impl<T: DeserializeOwned> std::iter::FusedIterator for TypedRows<'_, T> {}

/// Pages of rows: [`View::pages`].
///
/// An item is an error as [`View::scroll`] gives it, and the last then.
#[derive(Debug)]
pub struct Pages {
    view: View,
    request: ScrollRequest,
    is_over: bool,
}

impl Iterator for Pages {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let page = self.view.scroll(&self.request);
        let next = page.as_ref().ok().and_then(|page| page.next.clone());
        self.is_over = next.is_none();
        self.request.after = next;
        Some(page)
    }
}

impl std::iter::FusedIterator for Pages {}

impl View {
    /// Every row with its vector and its fields, in the order of the ids. Of a collection with a tenant key it is
    /// [`rows`](Self::rows) that can say whose.
    ///
    /// ```
    /// use ragstone::{Db, Point, PointId, Schema};
    ///
    /// let db = Db::in_memory()?;
    /// let notes = db.create_collection("notes", Schema::new(2)?)?;
    /// notes.upsert(vec![Point::new("b", [0.0, 1.0]), Point::new(7, [1.0, 0.0]), Point::new("a", [1.0, 0.0])])?;
    /// let view = notes.view();
    /// let mut ids = Vec::new();
    /// for point in &view {
    ///     ids.push(point?.id);
    /// }
    /// assert_eq!(ids, [PointId::from(7), "a".into(), "b".into()]);
    /// # Ok::<(), ragstone::Error>(())
    /// ```
    pub fn iter(&self) -> Rows<'_> {
        let request = ScrollRequest { with_vectors: true, ..ScrollRequest::default() };
        let state = Walk::watched(&self.state, &request, ROWS_AHEAD, self.watch())
            .map_or_else(State::Refused, State::Walking);
        Rows { state }
    }

    /// The rows that a request asks for, in its order. Its [`limit`](ScrollRequest::limit) is not looked at.
    ///
    /// ```
    /// use ragstone::{Db, Filter, Point, Schema, ScrollRequest};
    ///
    /// let db = Db::in_memory()?;
    /// let notes = db.create_collection("notes", Schema::new(2)?)?;
    /// notes.upsert((0..9_u64).map(|id| Point::new(id, [1.0, id as f32]).with("even", id % 2 == 0)).collect())?;
    /// let even = ScrollRequest { filter: Some(Filter::eq("even", true)), ..ScrollRequest::default() };
    /// assert_eq!(notes.view().rows(&even)?.count(), 5);
    /// # Ok::<(), ragstone::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`scroll`](Self::scroll).
    pub fn rows(&self, request: &ScrollRequest) -> Result<Rows<'_>> {
        Ok(Rows { state: State::Walking(Walk::watched(&self.state, request, ROWS_AHEAD, self.watch())?) })
    }

    /// The pages that a request asks for, from its first on. The iterator holds the view, so it goes where it likes; each
    /// page evaluates the filter anew, so [`rows`](Self::rows) is the faster one.
    ///
    /// ```
    /// use ragstone::{Db, Point, Schema, ScrollRequest};
    ///
    /// let db = Db::in_memory()?;
    /// let notes = db.create_collection("notes", Schema::new(2)?)?;
    /// notes.upsert((0..9_u64).map(|id| Point::new(id, [1.0, id as f32])).collect())?;
    /// let pages = notes.view().pages(ScrollRequest { limit: 4, ..ScrollRequest::default() });
    /// let sizes: Vec<usize> = pages.map(|page| Ok(page?.points.len())).collect::<ragstone::Result<_>>()?;
    /// assert_eq!(sizes, [4, 4, 1]);
    /// # Ok::<(), ragstone::Error>(())
    /// ```
    pub fn pages(&self, request: ScrollRequest) -> Pages {
        Pages { view: self.clone(), request, is_over: false }
    }
}

impl<'a> IntoIterator for &'a View {
    type Item = Result<Point>;
    type IntoIter = Rows<'a>;

    fn into_iter(self) -> Rows<'a> {
        self.iter()
    }
}
