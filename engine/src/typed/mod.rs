//! Rows of a user's own type, through serde.
//!
//! **Idea.** A struct is a row: its field `id` is the row's id, its field `vector` the default vector, its field `vectors` has those
//! with names (`vectors.rs`), and every other one is a payload field of that name. `write.rs` takes a struct apart into a [`Point`],
//! `read.rs` puts one together from a stored row. Lists of strings and places are values of their own (`values.rs`), and whatever else
//! is nested is JSON. What has no place in a row (bytes, a number
//! that no int holds) is refused with the field's name.
//!
//! **Cost.** One value is made for each field on the way in, as for a [`Point`] made by hand. On the way out fields are
//! read where the row has them; vectors are read only if the type has a field for them, or may be a map, and of those with names all.

mod ids;
mod read;
mod values;
mod vectors;
mod write;

use std::fmt;

use serde_core::de::DeserializeOwned;
use serde_core::{Serialize, de, ser};

use self::vectors::NoVectors;
pub(crate) use self::vectors::{RowVectors, StoredVectors};
use crate::collection::{Collection, View, WriteReceipt};
use crate::error::{Error, Result};
use crate::payload::{Payload, Value};
use crate::point::{Point, PointId};
use crate::search::{Hit, SearchRequest, SearchStats};

/// The field of a type that is the row's id.
const ID: &str = "id";
/// The field of a type that is the row's default vector.
const VECTOR: &str = "vector";
/// The field of a type that has the row's named vectors.
const VECTORS: &str = "vectors";

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

    /// The fault is in this field, or in one of its own.
    fn within(self, field: &str) -> Self {
        let path = self.field.as_ref().map_or_else(|| field.to_owned(), |inner| format!("{field}.{inner}"));
        Self { field: Some(path), ..self }
    }

    /// Whether it is that a vector is missing, or does not fit.
    fn is_of_vectors(&self) -> bool {
        let field = self.field.as_deref();
        field.is_some_and(|field| field == VECTOR || field.split('.').next() == Some(VECTORS))
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

/// Reads a row into a type.
pub(crate) fn read<'a, T: DeserializeOwned>(
    id: &'a PointId,
    payload: &'a Payload,
    vectors: &'a dyn RowVectors,
) -> Result<T> {
    read::read(id, payload, vectors).map_err(|fault| {
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
    /// string or a [`PointId`]), the field `vector`, if there is one, its default vector (a list of numbers), the field `vectors`, if there
    /// is one, its named vectors (below), and each other field a payload field: a bool, an integer up to 2^63 - 1, a float, a string or
    /// an enum's variant without content, a list of
    /// strings, a [`GeoPoint`](crate::GeoPoint); any other list, map, struct or variant is JSON. A field that is `None` is not there.
    ///
    /// `vectors` is a struct or a map with a field for each named vector. Its shape tells its kind: a list of numbers is dense, a list of
    /// such lists a multi-vector, and a [`SparseVector`](crate::SparseVector), or whatever else has `indices` and `values`, sparse. A
    /// [`Vector`](crate::Vector) is any of them, and `None` is not there.
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
    /// `deny_unknown_fields`; payload fields called `id`, `vector` and `vectors` are out of reach. A map, and a type with a `flatten`ed one, gets
    /// the vectors if it has places for them, and does without if not.
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
        read(&self.id, &self.payload, self)
    }
}

impl Hit {
    /// The hit's id and fields as a value of the user's own type, as [`Point::to_row`] gives it. A hit has no vectors; for a
    /// type with some there is [`View::search_rows`].
    ///
    /// # Errors
    /// As there.
    pub fn to_row<T: DeserializeOwned>(&self) -> Result<T> {
        read(&self.id, &self.payload, &NoVectors)
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
    /// Rows with named vectors of each kind:
    ///
    /// ```
    /// use ragstone::{Db, DenseOptions, MultiOptions, Schema, SearchRequest, SparseVector};
    /// use serde::{Deserialize, Serialize};
    ///
    /// #[derive(Debug, Deserialize, PartialEq, Serialize)]
    /// struct Photo {
    ///     id: String,
    ///     vectors: PhotoVectors,
    ///     year: u16,
    /// }
    ///
    /// #[derive(Debug, Deserialize, PartialEq, Serialize)]
    /// struct PhotoVectors {
    ///     image: [f32; 2],
    ///     words: Option<SparseVector>,
    ///     regions: Vec<[f32; 2]>,
    /// }
    ///
    /// let db = Db::in_memory()?;
    /// let schema = Schema::without_vector()
    ///     .vector("image", DenseOptions::new(2))
    ///     .sparse("words")
    ///     .multi("regions", MultiOptions::new(2));
    /// let photos = db.create_collection("photos", schema.build()?)?;
    /// let words = SparseVector { indices: vec![7, 4_000_000_000], values: vec![0.5, 1.0] };
    /// let vectors = PhotoVectors { image: [1.0, 0.0], words: Some(words), regions: vec![[0.0, 1.0], [1.0, 0.0]] };
    /// let hill = Photo { id: "hill.jpg".into(), vectors, year: 2024 };
    /// photos.upsert_rows([&hill])?;
    ///
    /// let found = photos.search_rows::<Photo>(&SearchRequest::new([0.9, 0.1], 1).of("image"))?;
    /// assert_eq!(found.hits[0].row, hill);
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

    /// [`search`](Self::search), read into the user's own type, the vectors too if the type has them. The fields of a hit are
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
            let vectors = StoredVectors::of(&self.state, &hit.id);
            Ok(TypedHit { row: read(&hit.id, &hit.payload, &vectors)?, score: hit.score })
        });
        Ok(TypedResponse { hits: hits.collect::<Result<_>>()?, stats: response.stats })
    }
}

#[cfg(test)]
mod tests;
