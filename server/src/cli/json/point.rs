//! Points and their ids.
//!
//! ```json
//! {"id": "tea", "vector": [0.1, 0.9], "payload": {"title": "Tea", "year": 2024}, "expires_at": "2027-01-01T00:00:00Z"}
//! ```

use anyhow::{Context, Result, bail};
use ragstone::{Point, PointId, SparseVector, Update, Vector};
use serde_json::{Map, Value as Json, json};

use super::value::{Types, moment, payload, shown_moment, shown_payload};
use super::{floats, nothing_left, object};

/// An id: an unsigned integer or a string.
pub(crate) fn id(json: &Json, what: &str) -> Result<PointId> {
    match json {
        Json::String(text) => Ok(PointId::Str(text.clone())),
        json => match json.as_u64() {
            Some(number) => Ok(PointId::Num(number)),
            None => bail!("{what}: {json} is no id: an unsigned integer or a string is"),
        },
    }
}

/// An id as it is typed: digits are a number, unless they are quoted.
pub(crate) fn parse_id(text: &str) -> PointId {
    let quoted = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    match (quoted, text.parse()) {
        (Some(text), _) => text.into(),
        (None, Ok(number)) if text.bytes().all(|byte| byte.is_ascii_digit()) => PointId::Num(number),
        _ => text.into(),
    }
}

/// An id as it is printed.
pub(crate) fn shown_id(id: &PointId) -> Json {
    match id {
        PointId::Num(number) => json!(number),
        PointId::Str(text) => json!(text),
    }
}

/// A point.
pub(crate) fn point(json: Json, types: &Types) -> Result<Point> {
    let mut fields = object(json, "point")?;
    let named = fields.remove("id").context("id: a point has one")?;
    let mut point = Point::without_vector(id(&named, "id")?);
    if let Some(vector) = fields.remove("vector").filter(|vector| !vector.is_null()) {
        point.vector = Some(floats(vector, "vector")?);
    }
    if let Some(json) = fields.remove("vectors") {
        for (name, json) in object(json, "vectors")? {
            let vector = vector(json, &format!("vectors.{name}"))?;
            point.vectors.insert(name, vector);
        }
    }
    if let Some(json) = fields.remove("payload") {
        point.payload = payload(json, types, "payload")?;
    }
    if let Some(json) = fields.remove("expires_at").filter(|json| !json.is_null()) {
        point.expires_at = Some(moment(&json, "expires_at")?);
    }
    // What was printed has it; writes do not look at it.
    fields.remove("etag");
    nothing_left(&fields, "point", "id, vector, vectors, payload, expires_at")?;
    Ok(point)
}

/// Changes of a point: `{"id": "tea", "set": {"title": "Green tea"}, "unset": ["draft"], "expires_at": null}`, which is never.
pub(crate) fn update(json: Json, types: &Types) -> Result<Update> {
    let mut fields = object(json, "update")?;
    let named = fields.remove("id").context("id: an update has one")?;
    let mut update = Update::new(id(&named, "id")?);
    if let Some(json) = fields.remove("set") {
        // A field that is nothing from now on is not there.
        let fields = object(json, "set")?;
        let (nulls, values): (Map<_, _>, Map<_, _>) =
            fields.into_iter().partition(|(_, json)| json.is_null());
        update.set = payload(Json::Object(values), types, "set")?;
        update.unset = nulls.into_iter().map(|(name, _)| name).collect();
    }
    if let Some(json) = fields.remove("unset") {
        let names: Vec<String> =
            serde_json::from_value(json).context("unset: it is a list of field names")?;
        update.unset.extend(names);
    }
    if let Some(json) = fields.remove("expires_at") {
        update.expires_at = Some(match json {
            Json::Null => None,
            json => Some(moment(&json, "expires_at")?),
        });
    }
    nothing_left(&fields, "update", "id, set, unset, expires_at")?;
    Ok(update)
}

/// A vector of some kind: a list of numbers, of such lists, or `{"indices": [3, 17], "values": [0.5, 1.0]}`.
pub(crate) fn vector(json: Json, what: &str) -> Result<Vector> {
    match json {
        Json::Array(list) if list.iter().any(Json::is_array) => {
            let each = list.into_iter().enumerate();
            let vectors = each.map(|(index, json)| floats(json, &format!("{what}[{index}]")));
            Ok(Vector::Multi(vectors.collect::<Result<_>>()?))
        }
        Json::Object(mut sparse) => {
            let indices = sparse.remove("indices").unwrap_or_default();
            let indices = serde_json::from_value(indices)
                .with_context(|| format!("{what}.indices: it is a list of whole numbers"))?;
            let values = floats(sparse.remove("values").unwrap_or_default(), &format!("{what}.values"))?;
            nothing_left(&sparse, what, "indices, values")?;
            Ok(Vector::Sparse(SparseVector { indices, values }))
        }
        json => Ok(Vector::Dense(floats(json, what)?)),
    }
}

fn shown_vector(vector: &Vector) -> Json {
    match vector {
        Vector::Dense(vector) => json!(vector),
        Vector::Sparse(SparseVector { indices, values }) => json!({ "indices": indices, "values": values }),
        Vector::Multi(vectors) => json!(vectors),
        _ => Json::Null,
    }
}

/// A point as it is printed, which is as it is read.
pub(crate) fn shown_point(point: &Point) -> Map<String, Json> {
    let mut shown = Map::new();
    shown.insert("id".to_owned(), shown_id(&point.id));
    if let Some(vector) = &point.vector {
        shown.insert("vector".to_owned(), json!(vector));
    }
    if !point.vectors.is_empty() {
        let vectors = point.vectors.iter().map(|(name, vector)| (name.clone(), shown_vector(vector)));
        shown.insert("vectors".to_owned(), Json::Object(vectors.collect()));
    }
    shown.insert("payload".to_owned(), json!(shown_payload(&point.payload)));
    if let Some(time_us) = point.expires_at {
        shown.insert("expires_at".to_owned(), shown_moment(time_us));
    }
    if let Some(etag) = point.etag {
        shown.insert("etag".to_owned(), json!(etag));
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_printed_as_they_are_read() {
        let json = json!({
            "id": "a", "vector": [0.5, 1.0], "payload": {"year": 2026}, "expires_at": "1970-01-01T00:00:02Z",
        });
        let read = point(json.clone(), &Types::new()).unwrap();
        assert_eq!(read, Point::new("a", [0.5, 1.0]).with("year", 2026).expires_at(2_000_000));
        assert_eq!(json!(shown_point(&read)), json);
        let refused = |json| point(json, &Types::new()).unwrap_err().to_string();
        assert!(refused(json!({"vector": [1]})).starts_with("id: "));
        assert!(refused(json!({"id": -1})).starts_with("id: -1 is no id"));
        assert!(refused(json!({"id": 1, "vector": ["x"]})).starts_with("vector: "));
        assert!(refused(json!({"id": 1, "fields": {}})).starts_with("point: there is no `fields`"));
    }

    #[test]
    fn vectors_are_of_the_kind_that_they_look_like() {
        let json = json!({"id": 1, "vectors": {
            "dense": [0.5, 1.0],
            "sparse": {"indices": [3, 17], "values": [0.5, 1.0]},
            "multi": [[0.5], [1.0]],
        }, "payload": {}});
        let read = point(json.clone(), &Types::new()).unwrap();
        assert_eq!(read.vectors["dense"], Vector::from([0.5, 1.0]));
        assert_eq!(read.vectors["multi"], Vector::from(vec![vec![0.5], vec![1.0]]));
        assert_eq!(json!(shown_point(&read)), json);
        let refused = |json| format!("{:#}", vector(json, "v").unwrap_err());
        assert!(refused(json!("x")).starts_with("v: "));
        assert!(refused(json!([[1.0], 2.0])).starts_with("v[1]: "));
        assert!(refused(json!({"indices": [-1], "values": [1.0]})).starts_with("v.indices: "));
        assert!(refused(json!({"indices": [1]})).starts_with("v.values: "));
    }

    #[test]
    fn updates_set_and_unset() {
        let read =
            update(json!({"id": 7, "set": {"year": 2026}, "unset": ["draft"]}), &Types::new()).unwrap();
        assert_eq!(read, Update::new(7).set("year", 2026).unset("draft"));
        let read = |json| update(json, &Types::new()).unwrap();
        assert_eq!(read(json!({"id": 7, "set": {"draft": null}})), Update::new(7).unset("draft"));
        assert_eq!(read(json!({"id": 7, "expires_at": 9})), Update::new(7).expires_at(9));
        assert_eq!(read(json!({"id": 7, "expires_at": null})), Update::new(7).never_expires());
        let refused = |json| format!("{:#}", update(json, &Types::new()).unwrap_err());
        assert!(refused(json!({"id": 7, "unset": "draft"})).starts_with("unset: "));
        assert!(refused(json!({"id": 7, "payload": {}})).starts_with("update: there is no `payload`"));
    }

    #[test]
    fn digits_are_numbers_unless_quoted() {
        assert_eq!(parse_id("12"), PointId::Num(12));
        assert_eq!(parse_id("\"12\""), "12".into());
        for text in ["+1", "-1", "1.5", "tea", "99999999999999999999999", ""] {
            assert_eq!(parse_id(text), text.into());
        }
    }
}
