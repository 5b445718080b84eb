//! Judged sets from files, in the form of BEIR.
//!
//! | file | a line |
//! |---|---|
//! | documents | `{"id": …, "title": …, "text": …}`; the title may be absent |
//! | questions | `{"id": …, "text": …}` |
//! | judgements | question, document and gain, with a tab between them |
//!
//! `_id` is read as `id`, as BEIR's own files have it, and a line of names at the head of the judgements is passed over. Ids are
//! strings or whole numbers. Empty lines are none.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use serde_json::Value;

use super::{Judgements, Origin};
use crate::error::{Error, Result};

/// A document that questions may find.
#[derive(Clone, Debug, PartialEq)]
pub struct JudgedDocument {
    /// Its id.
    pub id: String,
    /// Its title; may be empty.
    pub title: String,
    /// Its text.
    pub text: String,
    /// Where it stands.
    pub origin: Origin,
}

impl JudgedDocument {
    /// The title and the text; a title that the text begins with is not said twice.
    pub(super) fn whole(&self) -> String {
        let title = self.title.trim();
        if title.is_empty() || self.text.trim_start().starts_with(title) {
            return self.text.clone();
        }
        format!("{title}\n\n{}", self.text)
    }
}

/// A question, and which documents answer it.
#[derive(Clone, Debug, PartialEq)]
pub struct JudgedQuery {
    /// Its id.
    pub id: String,
    /// The question.
    pub text: String,
    /// Which documents answer it; one at least.
    pub judgements: Judgements,
    /// Where it stands.
    pub origin: Origin,
}

/// Documents, questions and judgements.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct JudgedSet {
    /// In the order of their file.
    pub documents: Vec<JudgedDocument>,
    /// Those for which some document is judged to answer, in the order of their file.
    pub queries: Vec<JudgedQuery>,
    /// Questions left out, as no document is judged to answer them.
    pub queries_skipped: usize,
    /// Documents that are judged and not there.
    pub documents_missing: usize,
}

impl JudgedSet {
    /// Reads a set.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Invalid`], naming the file, the line and the field, for a line of another form, an id that comes twice, an
    /// empty id or question, and a gain that is no number, and where there are no documents or no judged questions.
    pub fn read(documents: &Path, queries: &Path, judgements: &Path) -> Result<JudgedSet> {
        let judged = judgements_of(judgements)?;
        let mut set = JudgedSet::default();
        objects(documents, |line, origin| {
            let document = JudgedDocument {
                id: line.id(&origin)?,
                title: line.text("title", &origin)?.unwrap_or_default(),
                text: line.required("text", &origin)?,
                origin,
            };
            set.documents.push(document);
            Ok(())
        })?;
        once(set.documents.iter().map(|document| (document.id.as_str(), &document.origin)))?;
        let mut all = Vec::new();
        objects(queries, |line, origin| {
            let (id, text) = (line.id(&origin)?, line.required("text", &origin)?);
            if text.trim().is_empty() {
                return Err(origin.field_error("text", &"it must not be empty"));
            }
            all.push((id, text, origin));
            Ok(())
        })?;
        once(all.iter().map(|(id, _, origin)| (id.as_str(), origin)))?;
        let asked = all.len();
        set.queries = all
            .into_iter()
            .filter_map(|(id, text, origin)| {
                let judgements = judged.get(&id).filter(|judged| judged.answering() > 0)?.clone();
                Some(JudgedQuery { id, text, judgements, origin })
            })
            .collect();
        set.queries_skipped = asked - set.queries.len();
        set.documents_missing = set.missing();
        for (is_empty, file, reason) in [
            (set.documents.is_empty(), documents, "there is no document"),
            (set.queries.is_empty(), queries, "no document is judged to answer any question of it"),
        ] {
            if is_empty {
                return Err(Error::Invalid { field: file.display().to_string(), reason: reason.to_owned() });
            }
        }
        Ok(set)
    }

    fn missing(&self) -> usize {
        let there: HashSet<&str> = self.documents.iter().map(|document| document.id.as_str()).collect();
        let judged: HashSet<&str> =
            self.queries.iter().flat_map(|query| query.judgements.documents()).collect();
        judged.difference(&there).count()
    }
}

/// Calls `each` with every line that has something in it, and where it stands.
fn lines(path: &Path, mut each: impl FnMut(&str, Origin) -> Result<()>) -> Result<()> {
    let failed = |operation| move |source| Error::Io { operation, path: path.to_path_buf(), source };
    let mut reader = BufReader::new(File::open(path).map_err(failed("open"))?);
    let mut bytes = Vec::new();
    for line in 1.. {
        bytes.clear();
        if reader.read_until(b'\n', &mut bytes).map_err(failed("read"))? == 0 {
            break;
        }
        let origin = Origin { file: path.display().to_string(), line };
        let text = std::str::from_utf8(&bytes).map_err(|error| origin.error(&error))?;
        let text = text.strip_prefix('\u{feff}').filter(|_| line == 1).unwrap_or(text);
        if !text.trim().is_empty() {
            each(text.trim_end_matches(['\r', '\n']), origin)?;
        }
    }
    Ok(())
}

/// A line that is a JSON object.
struct Object(serde_json::Map<String, Value>);

impl Object {
    /// The id, a string or a whole number.
    fn id(&self, origin: &Origin) -> Result<String> {
        let id = match self.0.get("id").or_else(|| self.0.get("_id")) {
            Some(Value::String(id)) => id.clone(),
            Some(Value::Number(id)) if !id.is_f64() => id.to_string(),
            Some(_) => return Err(origin.field_error("id", &"it is neither a string nor a whole number")),
            None => return Err(origin.field_error("id", &"it is missing")),
        };
        if id.is_empty() {
            return Err(origin.field_error("id", &"it must not be empty"));
        }
        Ok(id)
    }

    fn text(&self, field: &str, origin: &Origin) -> Result<Option<String>> {
        match self.0.get(field) {
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(Value::Null) | None => Ok(None),
            Some(_) => Err(origin.field_error(field, &"it is not a string")),
        }
    }

    fn required(&self, field: &str, origin: &Origin) -> Result<String> {
        self.text(field, origin)?.ok_or_else(|| origin.field_error(field, &"it is missing"))
    }
}

fn objects(path: &Path, mut each: impl FnMut(Object, Origin) -> Result<()>) -> Result<()> {
    lines(path, |line, origin| match serde_json::from_str(line) {
        Ok(Value::Object(object)) => each(Object(object), origin),
        Ok(_) => Err(origin.error(&"it is not a JSON object")),
        Err(error) => Err(origin.error(&format!("it is not JSON: {error}"))),
    })
}

/// Refuses ids that come twice.
fn once<'a>(ids: impl Iterator<Item = (&'a str, &'a Origin)>) -> Result<()> {
    let mut seen: HashMap<&str, usize> = HashMap::new();
    for (id, origin) in ids {
        if let Some(first) = seen.insert(id, origin.line) {
            return Err(origin.field_error("id", &format!("`{id}` stands in line {first} too")));
        }
    }
    Ok(())
}

/// The judgements of each question.
fn judgements_of(path: &Path) -> Result<HashMap<String, Judgements>> {
    let mut judged: HashMap<String, Judgements> = HashMap::new();
    let mut is_first = true;
    lines(path, |line, origin| {
        let is_head = std::mem::take(&mut is_first);
        let [query, document, gain] = line.split('\t').collect::<Vec<_>>()[..] else {
            return Err(origin.error(&"it is not a question, a document and a gain with a tab between them"));
        };
        let number = match gain.trim().parse::<f64>() {
            Ok(number) if number.is_finite() => number,
            // Names of columns: `query-id`, `corpus-id`, `score`.
            Err(_) if is_head && gain.chars().any(char::is_alphabetic) => return Ok(()),
            _ => return Err(origin.field_error("gain", &format!("`{gain}` is not a finite number"))),
        };
        for (field, id) in [("query", query), ("document", document)] {
            if id.is_empty() {
                return Err(origin.field_error(field, &"it must not be empty"));
            }
        }
        if judged.entry(query.to_owned()).or_default().insert(document, number).is_some() {
            return Err(
                origin.field_error("document", &format!("`{document}` was judged for `{query}` before"))
            );
        }
        Ok(())
    })?;
    Ok(judged)
}
