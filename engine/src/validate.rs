//! Everything that can be wrong with a request, found before anything of it is logged.
//!
//! Checks come in two steps. What depends on the schema alone is checked without a lock ([`prepare`]). What depends
//! on the fields that earlier writes brought is checked in the order of the log ([`resolve_fields`]). Nothing that
//! passed can fail later: applying is infallible.

mod vectors;

use std::collections::{BTreeMap, HashMap};

use crate::batch::{BatchField, Change, FieldChanges, PreparedBatch, Row};
use crate::clock::NEVER;
use crate::error::{Error, Result};
use crate::limits::{
    BATCH_OPS_MAX, COLLECTION_NAME_BYTES_MAX, FIELDS_MAX, ID_BYTES_MAX, PAYLOAD_BYTES_MAX,
    REQUEST_ID_BYTES_MAX, check_limit,
};
use crate::payload::{FieldTable, FieldType, Payload, Value};
use crate::point::{Batch, Op, Point, PointId, Precondition, Update, Vector};
use crate::schema::{DEFAULT_VECTOR, Schema, VectorId, check_field_name};
use crate::scope::RowFilter;
use crate::text::Analyzer;

pub(crate) use vectors::{dense, multi_query, sparse, vector};

/// Checks the name of a collection: `[A-Za-z0-9][A-Za-z0-9_.-]*`.
pub(crate) fn collection_name(name: &str) -> Result<()> {
    let reason = "a collection's name starts with a letter or digit, and goes on with letters, digits, `_`, `.` and `-`";
    check_limit("name", "COLLECTION_NAME_BYTES_MAX", COLLECTION_NAME_BYTES_MAX, name.len())?;
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    if !starts_well || !name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-')) {
        return Err(Error::invalid("name", reason));
    }
    Ok(())
}

/// Checks an id.
pub(crate) fn id(path: &str, id: &PointId) -> Result<()> {
    match id {
        PointId::Num(_) => Ok(()),
        PointId::Str(text) if text.is_empty() => Err(Error::invalid(path, "an id is not empty")),
        PointId::Str(text) => check_limit(path, "ID_BYTES_MAX", ID_BYTES_MAX, text.len()),
    }
}

/// Checks the preconditions of a batch, but for what they say of the rows.
pub(crate) fn preconditions(conditions: &[Precondition]) -> Result<()> {
    check_limit("preconditions", "BATCH_OPS_MAX", BATCH_OPS_MAX, conditions.len())?;
    let mut conditions = conditions.iter().enumerate();
    conditions.try_for_each(|(index, condition)| id(&format!("preconditions[{index}].id"), &condition.id))
}

/// Checks a batch against a schema, and finds the fields that it uses.
pub(crate) fn prepare(batch: Batch, schema: &Schema) -> Result<PreparedBatch> {
    check_limit("points", "BATCH_OPS_MAX", BATCH_OPS_MAX, batch.ops.len())?;
    if let Some(request) = &batch.request_id {
        check_limit("request_id", "REQUEST_ID_BYTES_MAX", REQUEST_ID_BYTES_MAX, request.len())?;
        if request.is_empty() {
            return Err(Error::invalid("request_id", "it is empty"));
        }
    }
    let mut prepared = Preparing { schema, fields: Vec::new(), numbers: HashMap::new() };
    let ops = batch.ops.into_iter().enumerate();
    let changes = ops.map(|(index, op)| prepared.change(index, op)).collect::<Result<Vec<_>>>()?;
    let (request_id, fields) = (batch.request_id, prepared.fields);
    Ok(PreparedBatch { request_id, fields, changes, ..PreparedBatch::default() })
}

/// The operations of a batch that do not fit, each with what writing it by itself would say: for the fields that there
/// are, and those that the operations before it bring, where they may.
pub(crate) fn refused(
    batch: &Batch,
    schema: &Schema,
    known: &FieldTable,
    rows: Option<&RowFilter>,
) -> Vec<(usize, Error)> {
    let mut table = known.clone();
    let mut refused = Vec::new();
    for (index, op) in batch.ops.iter().enumerate() {
        let mut alone = Preparing { schema, fields: Vec::new(), numbers: HashMap::new() };
        let fits = alone.change(index, op.clone()).and_then(|change| {
            let brought = PreparedBatch { fields: alone.fields, ..PreparedBatch::default() };
            if let Some(rows) = rows {
                check_brought(&brought, known, rows, |_| true)?;
            }
            resolve_fields(&brought, &mut table, schema.strict)?;
            match &change {
                Change::Update(changes) if schema.strict => {
                    check_unset([(index, changes)].into_iter(), &table)
                }
                _ => Ok(()),
            }
        });
        if let Err(error) = fits {
            refused.push((index, error));
        }
    }
    refused
}

struct Preparing<'a> {
    schema: &'a Schema,
    fields: Vec<BatchField>,
    numbers: HashMap<String, u16>,
}

impl Preparing<'_> {
    fn change(&mut self, index: usize, op: Op) -> Result<Change> {
        Ok(match op {
            Op::Upsert(point) => Change::Upsert(self.point(index, point)?),
            Op::Update(update) => Change::Update(self.update(index, update)?),
            Op::Delete(point_id) => {
                id(&format!("points[{index}].id"), &point_id)?;
                Change::Delete(point_id)
            }
        })
    }

    fn point(&mut self, index: usize, point: Point) -> Result<Row> {
        id(&format!("points[{index}].id"), &point.id)?;
        let vectors = self.vectors(index, point.vector, point.vectors)?;
        check_expiry(index, point.expires_at)?;
        check_payload_size(index, &point.payload)?;
        if let Some(tenant) = &self.schema.tenant
            && !point.payload.contains_key(tenant)
        {
            let reason = "a row of this collection has a value of its tenant key";
            return Err(Error::invalid(field_path(index, tenant), reason));
        }
        let mut values = Vec::with_capacity(point.payload.len());
        for (name, value) in point.payload {
            values.push((self.field(index, &name, &value)?, value));
        }
        Ok(Row { id: point.id, vectors, expires_at: point.expires_at.unwrap_or(NEVER), values })
    }

    /// The vectors of a point, by number.
    fn vectors(
        &self,
        index: usize,
        default: Option<Vec<f32>>,
        named: BTreeMap<String, Vector>,
    ) -> Result<Vec<(VectorId, Vector)>> {
        let mut vectors = Vec::with_capacity(usize::from(default.is_some()) + named.len());
        if let Some(components) = default {
            let path = format!("points[{index}].vector");
            let (number, kind) = self.schema.vector(&path, DEFAULT_VECTOR)?;
            vectors.push((number, vector(&path, Vector::Dense(components), kind)?));
        }
        // In the order of the names, which is that of the numbers.
        for (name, value) in named {
            let path = format!("points[{index}].vectors.{name}");
            if name == DEFAULT_VECTOR {
                return Err(Error::invalid(path, "the default vector is the point's `vector`"));
            }
            let (number, kind) = self.schema.vector(&path, &name)?;
            vectors.push((number, vector(&path, value, kind)?));
        }
        Ok(vectors)
    }

    fn update(&mut self, index: usize, update: Update) -> Result<FieldChanges> {
        let Update { id: row, set, unset, expires_at } = update;
        id(&format!("points[{index}].id"), &row)?;
        check_expiry(index, expires_at.flatten())?;
        check_payload_size(index, &set)?;
        check_limit(&format!("points[{index}].unset"), "FIELDS_MAX", FIELDS_MAX, unset.len())?;
        if let Some(tenant) = &self.schema.tenant
            && (set.contains_key(tenant) || unset.contains(tenant))
        {
            let reason = "a row stays with its tenant: delete it there, and write it here";
            return Err(Error::invalid(field_path(index, tenant), reason));
        }
        for name in &unset {
            check_field_name(&field_path(index, name), name)?;
            if set.contains_key(name) {
                return Err(Error::invalid(field_path(index, name), "a field is set or unset, not both"));
            }
        }
        let mut values = Vec::with_capacity(set.len());
        for (name, value) in set {
            values.push((self.field(index, &name, &value)?, value));
        }
        let expires_at = expires_at.map(|expires_at| expires_at.unwrap_or(NEVER));
        Ok(FieldChanges { id: row, set: values, unset, expires_at })
    }

    /// The batch's number of a field.
    fn field(&mut self, index: usize, name: &str, value: &Value) -> Result<u16> {
        let path = || field_path(index, name);
        value.check(path)?;
        let actual = value.field_type();
        if let Some(&number) = self.numbers.get(name) {
            let expected = self.fields[usize::from(number)].field_type;
            if expected != actual {
                return Err(Error::FieldType { field: path(), expected, actual });
            }
            return Ok(number);
        }
        check_field_name(&path(), name)?;
        check_limit("points", "FIELDS_MAX", FIELDS_MAX, self.fields.len() + 1)?;
        let number = self.fields.len() as u16;
        self.fields.push(BatchField { first: index, ..BatchField::new(name, actual) });
        self.numbers.insert(name.to_owned(), number);
        Ok(number)
    }
}

fn field_path(index: usize, name: &str) -> String {
    format!("points[{index}].payload.{name}")
}

/// The first and the last moment that there is stand for something else.
fn check_expiry(index: usize, expires_at: Option<i64>) -> Result<()> {
    match expires_at {
        Some(moment @ (i64::MIN | NEVER)) => {
            let reason = format!("{moment} is no moment; leave it out for a row that never expires");
            Err(Error::invalid(format!("points[{index}].expires_at"), reason))
        }
        _ => Ok(()),
    }
}

fn check_payload_size(index: usize, payload: &Payload) -> Result<()> {
    let size_bytes = payload.iter().map(|(name, value)| name.len() + value.size_bytes()).sum();
    if size_bytes > PAYLOAD_BYTES_MAX {
        check_limit(&format!("points[{index}].payload"), "PAYLOAD_BYTES_MAX", PAYLOAD_BYTES_MAX, size_bytes)?;
    }
    Ok(())
}

/// Refuses fields that the collection does not have, from a handle that shows some rows alone: they are of the whole collection, and whoever is the first to
/// write one says of which type it is for everybody. But those that the filter itself asks for, as far as they are set in rows that are shown, which `is_shown` says
/// by their index: without them no such row could be the first.
pub(crate) fn check_brought(
    batch: &PreparedBatch,
    known: &FieldTable,
    rows: &RowFilter,
    is_shown: impl Fn(usize) -> bool,
) -> Result<()> {
    let is_refused = |(index, field): &(usize, &BatchField)| {
        known.find(&field.name).is_none() && !(rows.fields().contains(&field.name) && is_shown(*index))
    };
    match batch.fields.iter().enumerate().find(is_refused) {
        Some((_, BatchField { name, first, .. })) => {
            Err(Error::UnknownField { field: field_path(*first, name) })
        }
        None => Ok(()),
    }
}

/// Checks the fields of a batch against those of the collection, and adds the new ones. An error adds none.
pub(crate) fn resolve_fields(batch: &PreparedBatch, fields: &mut FieldTable, strict: bool) -> Result<()> {
    let mut added: Vec<(&str, FieldType)> = Vec::new();
    for BatchField { name, field_type, text, first } in &batch.fields {
        match fields.find(name) {
            Some((_, expected)) if expected != *field_type => {
                return Err(Error::FieldType {
                    field: field_path(*first, name),
                    expected,
                    actual: *field_type,
                });
            }
            Some((field, _)) => check_analyzer(*text, fields.text(field), || field_path(*first, name))?,
            None if strict => return Err(Error::UnknownField { field: field_path(*first, name) }),
            None => {
                added.push((name, *field_type));
                let total = fields.len() + added.len();
                check_limit(&field_path(*first, name), "FIELDS_MAX", FIELDS_MAX, total)?;
            }
        }
    }
    if strict {
        let updates = batch.changes.iter().enumerate().filter_map(|(index, change)| match change {
            Change::Update(changes) => Some((batch.place(index), changes)),
            _ => None,
        });
        check_unset(updates, fields)?;
    }
    for (name, field_type) in added {
        fields.add(name, field_type);
    }
    for (name, text) in batch.fields.iter().filter_map(|field| Some((&field.name, field.text?))) {
        if let Some((field, _)) = fields.find(name) {
            // Since when, whoever applies it notes.
            fields.set_text(field, text, 0);
        }
    }
    Ok(())
}

/// A field is searched by word with one analyser for ever.
fn check_analyzer(
    wanted: Option<Analyzer>,
    there: Option<Analyzer>,
    path: impl Fn() -> String,
) -> Result<()> {
    match (wanted, there) {
        (Some(wanted), Some(there)) if wanted != there => {
            let reason = format!("the field is searched by word with the analyser {there}, not {wanted}");
            Err(Error::invalid(path(), reason))
        }
        _ => Ok(()),
    }
}

/// A strict collection takes no names that it does not know, not even to forget them.
pub(crate) fn check_unset<'a>(
    updates: impl Iterator<Item = (usize, &'a FieldChanges)>,
    fields: &FieldTable,
) -> Result<()> {
    for (index, changes) in updates {
        if let Some(name) = changes.unset.iter().find(|name| fields.find(name).is_none()) {
            return Err(Error::UnknownField { field: field_path(index, name) });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(batch: Batch) -> String {
        prepare(batch, &Schema::new(2).unwrap()).unwrap_err().to_string()
    }

    #[test]
    fn errors_name_the_place_and_the_limit() {
        let good = || Point::new(1, [1.0, 0.0]);
        let at_one = |point: Point| refused(Batch::new().upsert(good()).upsert(point));
        let cases = [
            (
                Point::new(1, [1.0]),
                "points[1].vector: the collection has vectors of 2 components, this has 1",
            ),
            (Point::new(1, [1.0, f32::NAN]), "points[1].vector: component 1 is NaN, not a finite number"),
            (Point::new(1, [f32::INFINITY, 0.0]), "points[1].vector: component 0 is inf"),
            (Point::new(1, [0.0, -0.0]), "points[1].vector: a zero vector"),
            (Point::new("", [1.0, 0.0]), "points[1].id: an id is not empty"),
            (
                Point::new("x".repeat(10 << 20), [1.0, 0.0]),
                "points[1].id: 10485760 is beyond the limit ID_BYTES_MAX = 512",
            ),
            (good().with("a", f64::NAN), "points[1].payload.a: NaN is not a finite number"),
            (good().with("", true), "points[1].payload.: a field's name is not empty"),
            (
                good().with("t", "x".repeat(PAYLOAD_BYTES_MAX)),
                "points[1].payload: 33554433 is beyond the limit PAYLOAD_BYTES_MAX",
            ),
        ];
        for (point, expected) in cases {
            let message = at_one(point);
            assert!(message.starts_with(expected), "{message}");
        }
        let mixed = Batch::new().upsert(good().with("a", 1i64)).upsert(good().with("a", "x"));
        assert_eq!(refused(mixed), "points[1].payload.a: the field is int, the value is string");
        let many = Batch::of(vec![Op::Delete(PointId::Num(1)); BATCH_OPS_MAX + 1]);
        assert!(refused(many).contains("BATCH_OPS_MAX"));
    }

    #[test]
    fn collection_names() {
        for name in ["a", "0.x-y_Z", "docs"] {
            assert!(collection_name(name).is_ok(), "{name}");
        }
        for name in ["", ".a", "-a", "a/b", "a b", "ä", "..", "a\0"] {
            assert!(collection_name(name).is_err(), "{name}");
        }
        assert!(collection_name(&"x".repeat(COLLECTION_NAME_BYTES_MAX + 1)).is_err());
    }

    #[test]
    fn a_refused_batch_adds_no_field() {
        let mut fields = FieldTable::default();
        fields.add("b", FieldType::Int);
        let schema = Schema::new(2).unwrap();
        let point = Point::new(1, [1.0, 0.0]).with("a", true).with("b", "text");
        let batch = prepare(Batch::new().upsert(point), &schema).unwrap();
        let error = resolve_fields(&batch, &mut fields, false).unwrap_err().to_string();
        assert_eq!(error, "points[0].payload.b: the field is int, the value is string");
        assert_eq!(fields.len(), 1);
        assert!(matches!(resolve_fields(&batch, &mut fields, true), Err(Error::UnknownField { .. })));
    }
}
