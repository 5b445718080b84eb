//! Points and their ids.
//!
//! ```json
//! {"id": "tea", "vector": [0.1, 0.9], "payload": {"title": "Tea", "year": 2024}, "expires_at": "2027-01-01T00:00:00Z"}
//! ```

use anyhow::{Context, Result, bail};
use ragstone::{Point, PointId, SparseVector, Update, Vector};
use serde_json::value::RawValue;
use serde_json::{Value as Json, json};

use super::value::{Types, moment, payload, shown_moment, shown_payload};
use super::{RawObject, ShownPoint, floats, is_null, nothing_left, parsed, raw_object};

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
pub(crate) fn point(raw: &RawValue, types: &Types) -> Result<Point> {
    let mut fields = raw_object(raw, "point")?;
    let mut point = Point::without_vector(named(&mut fields).context("id: a point has one")??);
    if let Some(vector) = fields.remove("vector").filter(|vector| !is_null(vector)) {
        point.vector = Some(floats(parsed(&vector, "vector")?, "vector")?);
    }
    if let Some(vectors) = fields.remove("vectors") {
        for (name, raw) in raw_object(&vectors, "vectors")? {
            let what = format!("vectors.{name}");
            point.vectors.insert(name, vector(parsed(&raw, &what)?, &what)?);
        }
    }
    if let Some(raw) = fields.remove("payload") {
        point.payload = payload(raw_object(&raw, "payload")?, types, "payload")?;
    }
    if let Some(raw) = fields.remove("expires_at").filter(|raw| !is_null(raw)) {
        point.expires_at = Some(moment(&parsed(&raw, "expires_at")?, "expires_at")?);
    }
    // What was printed has it; writes do not look at it.
    fields.remove("etag");
    nothing_left(fields.keys(), "point", "id, vector, vectors, payload, expires_at")?;
    Ok(point)
}

/// The id among the parts of what has one.
pub(super) fn named(fields: &mut RawObject) -> Option<Result<PointId>> {
    let raw = fields.remove("id")?;
    Some(parsed(&raw, "id").and_then(|json| id(&json, "id")))
}

/// Changes of a point: `{"id": "tea", "set": {"title": "Green tea"}, "unset": ["draft"], "expires_at": null}`, which is never.
pub(crate) fn update(raw: &RawValue, types: &Types) -> Result<Update> {
    let mut fields = raw_object(raw, "update")?;
    let mut update = Update::new(named(&mut fields).context("id: an update has one")??);
    if let Some(raw) = fields.remove("set") {
        // A field that is nothing from now on is not there.
        let (nulls, values): (RawObject, RawObject) =
            raw_object(&raw, "set")?.into_iter().partition(|(_, raw)| is_null(raw));
        update.set = payload(values, types, "set")?;
        update.unset = nulls.into_keys().collect();
    }
    if let Some(raw) = fields.remove("unset") {
        let names: Vec<String> =
            serde_json::from_str(raw.get()).context("unset: it is a list of field names")?;
        update.unset.extend(names);
    }
    if let Some(raw) = fields.remove("expires_at") {
        update.expires_at = Some(match parsed(&raw, "expires_at")? {
            Json::Null => None,
            json => Some(moment(&json, "expires_at")?),
        });
    }
    nothing_left(fields.keys(), "update", "id, set, unset, expires_at")?;
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
            nothing_left(sparse.keys(), what, "indices, values")?;
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
pub(crate) fn shown_point(point: &Point) -> ShownPoint {
    ShownPoint {
        etag: point.etag,
        expires_at: point.expires_at.map(shown_moment),
        id: shown_id(&point.id),
        payload: shown_payload(&point.payload),
        vector: point.vector.clone(),
        vectors: point.vectors.iter().map(|(name, vector)| (name.clone(), shown_vector(vector))).collect(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::to_raw_value;

    use super::*;

    fn read(json: &Json) -> Result<Point> {
        point(&to_raw_value(json).unwrap(), &Types::new())
    }

    #[test]
    fn points_are_printed_as_they_are_read() {
        let json = json!({
            "id": "a", "vector": [0.5, 1.0], "payload": {"year": 2026}, "expires_at": "1970-01-01T00:00:02Z",
        });
        let point = read(&json).unwrap();
        assert_eq!(point, Point::new("a", [0.5, 1.0]).with("year", 2026).expires_at(2_000_000));
        assert_eq!(json!(shown_point(&point)), json);
        let refused = |json| read(&json).unwrap_err().to_string();
        assert!(refused(json!({"vector": [1]})).starts_with("id: "));
        assert!(refused(json!({"id": -1})).starts_with("id: -1 is no id"));
        assert!(refused(json!({"id": 1, "vector": ["x"]})).starts_with("vector: "));
        assert!(refused(json!({"id": 1, "fields": {}})).starts_with("point: there is no `fields`"));
        assert!(refused(json!([1])).starts_with("point: [1] is no object"));
    }

    /// Of two values under one name the last was once taken, without a word.
    #[test]
    fn a_name_that_stands_twice_is_refused() {
        let raw = |text: &str| -> Box<RawValue> { serde_json::from_str(text).unwrap() };
        let of_point = |text: &str| point(&raw(text), &Types::new()).unwrap_err().to_string();
        assert_eq!(of_point("{\"id\": 1, \"id\": 2}"), "point: the name `id` stands twice");
        let payload = "{\"id\": 1, \"payload\": {\"year\": 1, \"a\": 2, \"year\": 3}}";
        assert_eq!(of_point(payload), "payload: the name `year` stands twice");
        let vectors = "{\"id\": 1, \"vectors\": {\"a\": [1], \"a\": [1]}}";
        assert_eq!(of_point(vectors), "vectors: the name `a` stands twice");
        let of_update = |text: &str| update(&raw(text), &Types::new()).unwrap_err().to_string();
        assert_eq!(of_update("{\"id\": 1, \"set\": {}, \"set\": {}}"), "update: the name `set` stands twice");
        assert_eq!(
            of_update("{\"id\": 1, \"set\": {\"a\": 1, \"a\": null}}"),
            "set: the name `a` stands twice"
        );
        // Within JSON it is the user's.
        let kept =
            point(&raw("{\"id\": 1, \"payload\": {\"a\": {\"b\": 1, \"b\": 2}}}"), &Types::new()).unwrap();
        assert_eq!(kept.payload["a"].as_json().unwrap().as_str(), "{\"b\": 1, \"b\": 2}");
    }

    #[test]
    fn vectors_are_of_the_kind_that_they_look_like() {
        let json = json!({"id": 1, "vectors": {
            "dense": [0.5, 1.0],
            "sparse": {"indices": [3, 17], "values": [0.5, 1.0]},
            "multi": [[0.5], [1.0]],
        }, "payload": {}});
        let point = read(&json).unwrap();
        assert_eq!(point.vectors["dense"], Vector::from([0.5, 1.0]));
        assert_eq!(point.vectors["multi"], Vector::from(vec![vec![0.5], vec![1.0]]));
        assert_eq!(json!(shown_point(&point)), json);
        let refused = |json| format!("{:#}", vector(json, "v").unwrap_err());
        assert!(refused(json!("x")).starts_with("v: "));
        assert!(refused(json!([[1.0], 2.0])).starts_with("v[1]: "));
        assert!(refused(json!({"indices": [-1], "values": [1.0]})).starts_with("v.indices: "));
        assert!(refused(json!({"indices": [1]})).starts_with("v.values: "));
    }

    #[test]
    fn updates_set_and_unset() {
        let tried = |json: Json| update(&to_raw_value(&json).unwrap(), &Types::new());
        let read = |json| tried(json).unwrap();
        let both = read(json!({"id": 7, "set": {"year": 2026}, "unset": ["draft"]}));
        assert_eq!(both, Update::new(7).set("year", 2026).unset("draft"));
        assert_eq!(read(json!({"id": 7, "set": {"draft": null}})), Update::new(7).unset("draft"));
        assert_eq!(read(json!({"id": 7, "expires_at": 9})), Update::new(7).expires_at(9));
        assert_eq!(read(json!({"id": 7, "expires_at": null})), Update::new(7).never_expires());
        let refused = |json| format!("{:#}", tried(json).unwrap_err());
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
