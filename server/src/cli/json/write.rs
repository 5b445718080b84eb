//! Writes: operations of every kind and what they rest on.
//!
//! As JSON lines, one of these a line:
//! ```json
//! {"upsert": {"id": "tea", "vector": [0.1, 0.9], "payload": {"stock": 3}}}
//! {"update": {"id": "mug", "set": {"stock": 1}, "unset": ["note"]}}
//! {"delete": "cup"}
//! {"precondition": {"id": "mug", "etag": 1041}}
//! ```
//! Or as one document, which has the names of the wire: `{"operations": […], "preconditions": […], "request_id": "…"}`.

use anyhow::{Context, Result, bail};
use ragstone::{Batch, Expect, Op, Precondition};
use serde_json::value::RawValue;

use super::places::Places;
use super::point::{id, named, point, update};
use super::value::Types;
use super::{RawObject, is_null, nothing_left, parsed, raw_object};

/// The batch that a text is, and where its parts stand; `name` names the text.
pub(crate) fn write(text: &str, name: &str, types: &Types) -> Result<(Batch, Places)> {
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    // A line of JSON lines is complete. A document that is no JSON is told of as one, too: most are of many lines.
    let is_document = match serde_json::from_str::<Box<RawValue>>(first) {
        Ok(raw) => raw_object(&raw, name).is_ok_and(|parts| parts.contains_key("operations")),
        Err(_) => !first.is_empty(),
    };
    let mut reader = Reader { types, batch: Batch::new(), places: Places::default() };
    match is_document {
        true => reader.document(text, name)?,
        false => reader.lines(text, name)?,
    }
    if reader.batch.ops.is_empty() {
        bail!("{name}: there is no operation to write");
    }
    Ok((reader.batch, reader.places))
}

struct Reader<'a> {
    types: &'a Types,
    batch: Batch,
    places: Places,
}

impl Reader<'_> {
    fn lines(&mut self, text: &str, name: &str) -> Result<()> {
        for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let place = format!("{name}, line {}", index + 1);
            self.line(line, &place).with_context(|| place.clone())?;
        }
        Ok(())
    }

    fn line(&mut self, line: &str, place: &str) -> Result<()> {
        let raw: Box<RawValue> = serde_json::from_str(line)?;
        let (kind, inner) = single(&raw, "upsert, update, delete and precondition")?;
        if kind == "precondition" {
            self.batch.preconditions.push(precondition(&inner)?);
            self.places.push("preconditions", place.to_owned());
        } else {
            self.batch.ops.push(operation(&kind, &inner, self.types)?);
            self.places.push("operations", place.to_owned());
        }
        Ok(())
    }

    fn document(&mut self, text: &str, name: &str) -> Result<()> {
        let raw: Box<RawValue> = serde_json::from_str(text).with_context(|| name.to_owned())?;
        let mut parts = raw_object(&raw, name)?;
        for (index, raw) in list(&mut parts, "operations", name)?.iter().enumerate() {
            let place = format!("{name}, operations[{index}]");
            let read = single(raw, "upsert, update and delete")
                .and_then(|(kind, of)| operation(&kind, &of, self.types));
            self.batch.ops.push(read.with_context(|| place.clone())?);
            self.places.push("operations", place);
        }
        for (index, raw) in list(&mut parts, "preconditions", name)?.iter().enumerate() {
            let place = format!("{name}, preconditions[{index}]");
            self.batch.preconditions.push(precondition(raw).with_context(|| place.clone())?);
            self.places.push("preconditions", place);
        }
        self.batch.request_id = part(&mut parts, "request_id", "a text").with_context(|| name.to_owned())?;
        nothing_left(parts.keys(), name, "operations, preconditions, request_id")
    }
}

/// The one part of an object, with its name.
fn single(raw: &RawValue, known: &str) -> Result<(String, Box<RawValue>)> {
    let mut parts = raw_object(raw, "operation")?;
    let first = parts.pop_first();
    match first.filter(|_| parts.is_empty()) {
        Some(single) => Ok(single),
        None => bail!("an operation is an object with one of {known}"),
    }
}

fn operation(kind: &str, inner: &RawValue, types: &Types) -> Result<Op> {
    Ok(match kind {
        "upsert" => Op::Upsert(point(inner, types)?),
        "update" => Op::Update(update(inner, types)?),
        "delete" => Op::Delete(id(&parsed(inner, "delete")?, "delete")?),
        _ => bail!("there is no operation `{kind}`; there are upsert, update and delete"),
    })
}

/// `{"id": "tea", "exists": false}` or `{"id": "tea", "etag": 1041}`.
fn precondition(raw: &RawValue) -> Result<Precondition> {
    let mut parts = raw_object(raw, "precondition")?;
    let id = named(&mut parts).context("id: a precondition has one")??;
    let exists = part(&mut parts, "exists", "true or false")?;
    let etag = part(&mut parts, "etag", "a whole number")?;
    nothing_left(parts.keys(), "precondition", "id, exists, etag")?;
    let expect = match (exists, etag) {
        (Some(true), None) => Expect::Present,
        (Some(false), None) => Expect::Absent,
        (None, Some(etag)) => Expect::Etag(etag),
        _ => bail!("precondition: it has one of exists and etag"),
    };
    Ok(Precondition { id, expect })
}

fn part<T: serde::de::DeserializeOwned>(parts: &mut RawObject, name: &str, what: &str) -> Result<Option<T>> {
    let raw = parts.remove(name).filter(|raw| !is_null(raw));
    let read = |raw: Box<RawValue>| {
        serde_json::from_str(raw.get()).with_context(|| format!("{name}: {raw} is not {what}"))
    };
    raw.map(read).transpose()
}

fn list(parts: &mut RawObject, name: &str, of: &str) -> Result<Vec<Box<RawValue>>> {
    let read = part(parts, name, "a list").with_context(|| of.to_owned())?;
    Ok(read.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use ragstone::{FieldType, Point, Update};

    use super::*;

    fn types() -> Types {
        Types::from([("stock".to_owned(), FieldType::Float)])
    }

    fn wanted() -> Batch {
        let point = Point::new("tea", [0.5, 1.0]).with("stock", 3.0);
        let mut batch =
            Batch::new().upsert(point).update(Update::new(7).set("stock", 1.0).unset("note")).delete("cup");
        batch.preconditions = vec![
            Precondition { id: 7.into(), expect: Expect::Etag(1_041) },
            Precondition { id: "tea".into(), expect: Expect::Absent },
        ];
        batch
    }

    const LINES: &str = r#"
{"precondition": {"id": 7, "etag": 1041}}
{"upsert": {"id": "tea", "vector": [0.5, 1], "payload": {"stock": 3}}}

{"update": {"id": 7, "set": {"stock": 1}, "unset": ["note"]}}
{"delete": "cup"}
{"precondition": {"id": "tea", "exists": false}}
"#;

    const DOCUMENT: &str = r#"{
  "request_id": "r1",
  "preconditions": [{"id": 7, "etag": 1041}, {"id": "tea", "exists": false}],
  "operations": [
    {"upsert": {"id": "tea", "vector": [0.5, 1], "payload": {"stock": 3}}},
    {"update": {"id": 7, "set": {"stock": 1}, "unset": ["note"]}},
    {"delete": "cup"}
  ]
}"#;

    #[test]
    fn lines_and_a_document_are_the_same_batch() {
        let (batch, places) = write(LINES, "f", &types()).unwrap();
        assert_eq!(batch, wanted());
        assert_eq!(places.all("operations"), ["f, line 3", "f, line 5", "f, line 6"]);
        assert_eq!(places.all("preconditions"), ["f, line 2", "f, line 7"]);
        for document in [DOCUMENT.to_owned(), DOCUMENT.replace('\n', " ")] {
            let (batch, places) = write(&document, "f", &types()).unwrap();
            assert_eq!(batch, Batch { request_id: Some("r1".to_owned()), ..wanted() });
            assert_eq!(places.all("operations")[2], "f, operations[2]");
            assert_eq!(places.all("preconditions")[1], "f, preconditions[1]");
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        for (text, reason) in [
            ("", "f: there is no operation to write"),
            ("{\"precondition\": {\"id\": 1, \"exists\": true}}", "f: there is no operation"),
            ("{\"delete\": 1}\n{\"delete\": 1.5}", "f, line 2: delete: 1.5 is no id"),
            ("{\"delete\": 1}\n\n{", "f, line 3: "),
            ("{\"delete\": 1}\n[1]", "f, line 2: operation: [1] is no object"),
            ("{\"delete\": 1, \"update\": {}}", "f, line 1: an operation is an object with one of"),
            ("{\"remove\": 1}", "f, line 1: there is no operation `remove`"),
            ("{\"upsert\": {\"id\": 1, \"payload\": {\"stock\": \"x\"}}}", "f, line 1: payload.stock: "),
            ("{\"delete\": 1}\n{\"precondition\": {\"id\": 1}}", "f, line 2: precondition: it has one of"),
            (
                "{\"precondition\": {\"id\": 1, \"exists\": true, \"etag\": 1}}",
                "f, line 1: precondition: it has",
            ),
            ("{\"precondition\": {\"id\": 1, \"etag\": -1}}", "f, line 1: etag: -1 is not a whole number"),
            ("{\n\"operations\": 1}", "f: operations: 1 is not a list"),
            ("{\n\"operations\": [{\"delete\": []}]}", "f, operations[0]: delete: [] is no id"),
            ("{\n\"operations\": [{\"precondition\": 1}]}", "f, operations[0]: there is no operation"),
            ("{\n\"operations\": [], \"preconditions\": [1]}", "f, preconditions[0]: precondition: 1 is no"),
            ("{\n\"operations\": [], \"condition\": []}", "f: there is no `condition`"),
            ("{\n\"operations\": [], \"request_id\": 7}", "f: request_id: 7 is not a text"),
            ("{\n\"operations\": [", "f: EOF"),
        ] {
            let error = format!("{:#}", write(text, "f", &types()).unwrap_err());
            assert!(error.starts_with(reason), "{text}: {error}");
        }
    }
}
