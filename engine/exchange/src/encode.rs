//! From rows to a batch of columns.

mod fields;
mod vectors;

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, StringArray, TimestampMicrosecondArray, UInt64Array};
use arrow_schema::SchemaRef;
use ragstone::{DEFAULT_VECTOR, Point, PointId};

use crate::error::{Error, Result};
use crate::layout::{Column, Role};

/// The rows as columns. Each row lies in the columns as a whole: one that has more than they hold is an error.
pub(crate) fn batch(points: &[Point], columns: &[Column], schema: &SchemaRef) -> Result<RecordBatch> {
    points.iter().try_for_each(|point| check(point, columns))?;
    let arrays = columns.iter().map(|column| array(points, &column.role)).collect::<Result<Vec<_>>>()?;
    RecordBatch::try_new(schema.clone(), arrays).map_err(Error::rows)
}

fn array(points: &[Point], role: &Role) -> Result<ArrayRef> {
    Ok(match role {
        Role::NumberId => {
            let number = |point: &Point| match &point.id {
                PointId::Num(number) => Some(*number),
                PointId::Str(_) => None,
            };
            Arc::new(points.iter().map(number).collect::<UInt64Array>())
        }
        Role::TextId => {
            let text = |point: &Point| match &point.id {
                PointId::Num(_) => None,
                PointId::Str(text) => Some(text.clone()),
            };
            Arc::new(points.iter().map(text).collect::<StringArray>())
        }
        Role::Expiry => {
            let moments: TimestampMicrosecondArray = points.iter().map(|point| point.expires_at).collect();
            Arc::new(moments.with_timezone("UTC"))
        }
        Role::Vector(name, kind) => vectors::array(points, name, kind)?,
        Role::Field(name, field_type) => fields::array(points, name, *field_type)?,
    })
}

/// A source may have told of less than there is: rows of a server are read page by page, while others write.
fn check(point: &Point, columns: &[Column]) -> Result<()> {
    let has = |is_it: &dyn Fn(&Role) -> bool| columns.iter().any(|column| is_it(&column.role));
    let missing = |what: String| {
        let reason = format!(
            "row `{}` has {what}, which the collection did not have before: export it again",
            point.id
        );
        Err(Error::rows(reason))
    };
    match &point.id {
        PointId::Num(_) if !has(&|role| *role == Role::NumberId) => {
            return missing("an integer as its id".into());
        }
        PointId::Str(_) if !has(&|role| *role == Role::TextId) => {
            return missing("a string as its id".into());
        }
        _ => {}
    }
    let default = point.vector.as_ref().map(|_| DEFAULT_VECTOR);
    for vector in default.into_iter().chain(point.vectors.keys().map(String::as_str)) {
        if !has(&|role| matches!(role, Role::Vector(name, _) if name == vector)) {
            return missing(format!("a vector `{vector}`"));
        }
    }
    for field in point.payload.keys() {
        if !has(&|role| matches!(role, Role::Field(name, _) if name == field)) {
            return missing(format!("a field `{field}`"));
        }
    }
    Ok(())
}
