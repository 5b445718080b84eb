//! Rows of a user's own type, through serde.
//!
//! **Idea.** A struct is a row: its field `id` is the row's id, its field `vector` the vector, and every other one a payload
//! field of that name. `write.rs` takes a struct apart into a [`Point`], `read.rs` puts one together from a stored row. Lists of
//! strings and places are values of their own (`values.rs`), and whatever else is nested is JSON. What has no place in a row (bytes, a number
//! that no int holds) is refused with the field's name.
//!
//! **Cost.** One value is made for each field on the way in, as for a [`Point`] made by hand. On the way out fields are
//! read where the row has them; a vector is read only if the type has a field `vector`, or may be a map.

mod ids;
mod read;
mod values;
mod write;

use std::borrow::Cow;
use std::cell::OnceCell;
use std::fmt;

use serde_core::de::DeserializeOwned;
use serde_core::{Serialize, de, ser};

use crate::collection::{Collection, View, WriteReceipt};
use crate::error::{Error, Result};
use crate::payload::{Payload, Value};
use crate::point::{Point, PointId};
use crate::search::{Hit, SearchRequest, SearchStats};

/// The field of a type that is the row's id.
const ID: &str = "id";
/// The field of a type that is the row's vector.
const VECTOR: &str = "vector";

/// What does not fit, and in which field.
#[derive(Debug, Default)]
struct Fault {
    /// Unknown until it comes to where the name is known.
    field: Option<String>,
    reason: String,
}

impl Fault {
    fn new(reason: impl Into<String>) -> Self {
        Self { field: None, reason: reason.into() }
    }

    /// The fault is of this field, unless it says already of which it is.
    fn of(mut self, field: &str) -> Self {
        self.field.get_or_insert_with(|| field.to_owned());
        self
    }

    fn is_of(&self, field: &str) -> bool {
        self.field.as_deref() == Some(field)
    }

    fn parts(self) -> (String, String) {
        (self.field.unwrap_or_else(|| "row".into()), self.reason)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for Fault {}

impl ser::Error for Fault {
    fn custom<T: fmt::Display>(reason: T) -> Self {
        Self::new(reason.to_string())
    }
}

impl de::Error for Fault {
    fn custom<T: fmt::Display>(reason: T) -> Self {
        Self::new(reason.to_string())
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new("the row has no such field").of(field)
    }
}

/// Reads a row into a type. `vector` is asked only if the type has one.
pub(crate) fn read<'a, T: DeserializeOwned>(
    id: &'a PointId,
    payload: &'a Payload,
    vector: &'a dyn Fn() -> Option<&'a [f32]>,
) -> Result<T> {
    read::read(id, payload, vector).map_err(|fault| {
        let (field, reason) = fault.parts();
        Error::Row { id: id.clone(), field, reason }
    })
}

/// A row found, read into a type.
#[derive(Clone, Debug, PartialEq)]
pub struct TypedHit<T> {
    /// The row.
    pub row: T,
    /// As [`Hit::score`].
    pub score: f32,
}

/// What a search found, read into a type, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct TypedResponse<T> {
    /// As [`SearchResponse::hits`](crate::SearchResponse::hits).
    pub hits: Vec<TypedHit<T>>,
    /// How it was found.
    pub stats: SearchStats,
}

impl Point {
    /// A point of a value of the user's own type, a struct or a map: the field `id` is its id (an unsigned integer, a
    /// string or a [`PointId`]), the field `vector`, if there is one, its vector (a list of numbers), and each other field
    /// a payload field: a bool, an integer up to 2^63 - 1, a float, a string or an enum's variant without content, a list of
    /// strings, a [`GeoPoint`](crate::GeoPoint); any other list, map, struct or variant is JSON. A field that is `None` is not there.
    ///
    /// serde's attributes do what they always do: `rename` calls a field `id`, `skip` leaves one out, and `flatten` takes in
    /// the fields of another struct, or of a [`Payload`].
    ///
    /// ```
    /// use ragstone::{Point, Value};
    /// use serde::Serialize;
    ///
    /// #[derive(Serialize)]
    /// struct Note {
    ///     #[serde(rename = "id")]
    ///     path: String,
    ///     vector: Vec<f32>,
    ///     year: u16,
    ///     author: Option<String>,
    /// }
    ///
    /// let note = Note { path: "tea.md".into(), vector: vec![1.0, 0.0], year: 2024, author: None };
    /// assert_eq!(Point::from_row(&note)?, Point::new("tea.md", [1.0, 0.0]).with("year", Value::Int(2024)));
    /// # Ok::<(), ragstone::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Invalid`], naming the field whose value has no place in a row, or `id` if there is none.
    pub fn from_row<T: Serialize + ?Sized>(row: &T) -> Result<Point> {
        row.serialize(write::RowWriter).map_err(|fault| {
            let (field, reason) = fault.parts();
            Error::invalid(field, reason)
        })
    }

    /// The point as a value of the user's own type, the reverse of [`from_row`](Self::from_row).
    ///
    /// An int is read into a float too. A field that the type lacks is left aside, unless the type has
    /// `deny_unknown_fields`; payload fields called `id` and `vector` are out of reach. A map, and a type with a `flatten`ed one, gets
    /// the vector if it has a place for a list, and does without if not.
    ///
    /// ```
    /// use ragstone::{Error, Point};
    /// use serde::Deserialize;
    ///
    /// #[derive(Debug, Deserialize, PartialEq)]
    /// struct Year {
    ///     id: u64,
    ///     year: u16,
    ///     author: Option<String>,
    /// }
    ///
    /// let point = Point::new(7, [1.0, 0.0]).with("year", 2024);
    /// assert_eq!(point.to_row::<Year>()?, Year { id: 7, year: 2024, author: None });
    /// let error = point.with("year", "soon").to_row::<Year>().unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     "row `7` does not fit the type: year: invalid type: string \"soon\", expected u16"
    /// );
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Row`], naming the field that does not fit.
    pub fn to_row<T: DeserializeOwned>(&self) -> Result<T> {
        read(&self.id, &self.payload, &|| self.vector.as_deref())
    }
}

impl Hit {
    /// The hit's id and fields as a value of the user's own type, as [`Point::to_row`] gives it. A hit has no vector; for a
    /// type with one there is [`View::search_rows`].
    ///
    /// # Errors
    /// As there.
    pub fn to_row<T: DeserializeOwned>(&self) -> Result<T> {
        read(&self.id, &self.payload, &|| None)
    }
}

impl Collection {
    /// Inserts or replaces rows of the user's own type, as one batch: see [`Point::from_row`]. An integer in a field that is
    /// known for a timestamp is one, in microseconds since 1970 UTC, and what is in a field known for JSON is JSON.
    ///
    /// ```
    /// use ragstone::{Db, Filter, Schema, SearchRequest};
    /// use serde::{Deserialize, Serialize};
    ///
    /// #[derive(Debug, Deserialize, PartialEq, Serialize)]
    /// struct Note {
    ///     id: u64,
    ///     vector: [f32; 2],
    ///     title: String,
    ///     rating: Option<f32>,
    /// }
    ///
    /// let db = Db::in_memory()?;
    /// let notes = db.create_collection("notes", Schema::new(2)?)?;
    /// let tea = Note { id: 1, vector: [1.0, 0.0], title: "Tea".into(), rating: Some(4.5) };
    /// let sun = Note { id: 2, vector: [0.0, 1.0], title: "Sun".into(), rating: None };
    /// notes.upsert_rows([&tea, &sun])?;
    ///
    /// let found = notes.search_rows::<Note>(&SearchRequest::new([0.9, 0.1], 1))?;
    /// assert_eq!(found.hits[0].row, tea);
    /// assert_eq!(notes.get_rows::<Note>(&[2.into(), 3.into()])?, [Some(sun), None]);
    /// # Ok::<(), ragstone::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`write`](Self::write); [`Error::Invalid`] too for a value that has no place in a row, as
    /// `points[i].field`.
    pub fn upsert_rows<T: Serialize>(&self, rows: impl IntoIterator<Item = T>) -> Result<WriteReceipt> {
        let fields = self.schema();
        let point = |(index, row): (usize, T)| {
            let mut point =
                Point::from_row(&row).map_err(|error| error.within(&format!("points[{index}]")))?;
            for (name, value) in &mut point.payload {
                if let Some(declared) = fields.fields().get(name) {
                    *value = values::fitted(std::mem::replace(value, Value::Bool(false)), *declared);
                }
            }
            Ok(point)
        };
        self.upsert(rows.into_iter().enumerate().map(point).collect::<Result<_>>()?)
    }

    /// [`View::get_rows`] on the current state.
    ///
    /// # Errors
    /// As there.
    pub fn get_rows<T: DeserializeOwned>(&self, ids: &[PointId]) -> Result<Vec<Option<T>>> {
        self.view().get_rows(ids)
    }

    /// [`View::search_rows`] on the current state.
    ///
    /// # Errors
    /// As there.
    pub fn search_rows<T: DeserializeOwned>(&self, request: &SearchRequest) -> Result<TypedResponse<T>> {
        self.view().search_rows(request)
    }
}

impl View {
    /// [`get`](Self::get), read into the user's own type.
    ///
    /// # Errors
    /// As there; [`Error::Row`] for a row that does not fit the type.
    pub fn get_rows<T: DeserializeOwned>(&self, ids: &[PointId]) -> Result<Vec<Option<T>>> {
        let points = self.get(ids)?;
        points.iter().map(|point| point.as_ref().map(Point::to_row).transpose()).collect()
    }

    /// [`search`](Self::search), read into the user's own type, the vector too if the type has one. The fields of a hit are
    /// read whether the request [asks for them](SearchRequest::with_payload) or not.
    ///
    /// # Errors
    /// As [`search`](Self::search); [`Error::Row`] for a row that does not fit the type.
    pub fn search_rows<T: DeserializeOwned>(&self, request: &SearchRequest) -> Result<TypedResponse<T>> {
        let response = match request.with_payload {
            true => self.search(request)?,
            false => self.search(&SearchRequest { with_payload: true, ..request.clone() })?,
        };
        let hits = response.hits.iter().map(|hit| {
            let row = OnceCell::new();
            let vector = || row.get_or_init(|| self.vector(&hit.id)).as_deref();
            Ok(TypedHit { row: read(&hit.id, &hit.payload, &vector)?, score: hit.score })
        });
        Ok(TypedResponse { hits: hits.collect::<Result<_>>()?, stats: response.stats })
    }

    /// The vector of a row.
    fn vector(&self, id: &PointId) -> Option<Cow<'_, [f32]>> {
        let (segment, slot) = self.state.locate(id)?;
        self.state.default_vector(segment, slot)
    }
}

#[cfg(test)]
mod tests;
