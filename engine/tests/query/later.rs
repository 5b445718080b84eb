//! Fields that a collection comes to have: that are added, that a write brings, and one that comes to be searched by word.

use ragstone::{Analyzer, Batch, Error, FieldType, Filter, Payload, Range, Update, Value};

use super::support::{FIELDS, Random, WORDS};
use super::world::World;

/// Fields that no collection has from the beginning.
pub(crate) const LATER: [(&str, FieldType); 3] =
    [("size", FieldType::Int), ("seen", FieldType::Timestamp), ("marks", FieldType::Strings)];
/// A field that all have, and that is searched by word only from some time on.
const LATER_TEXT: &str = "topic";

fn value(random: &mut Random, field: &str) -> Value {
    match field {
        "size" => Value::Int(random.below(6) as i64 - 3),
        "seen" => Value::Timestamp(random.below(20) as i64),
        _ => Value::Strings((0..random.below(3)).map(|_| random.pick(&["x", "y", "z"]).to_owned()).collect()),
    }
}

impl World {
    /// Gives a row some of those fields; now and then one that nobody has had, where such are taken.
    pub(crate) fn give_later(&mut self, payload: &mut Payload) {
        for (name, _) in LATER {
            let one_in = match self.later.contains(&name) {
                true => 3,
                false if self.strict => continue,
                false => 2_000,
            };
            if self.random.is_one_in(one_in) {
                payload.insert(name.to_owned(), value(&mut self.random, name));
            }
        }
    }

    /// The same of an update.
    pub(crate) fn change_later(&mut self, update: &mut Update) {
        if self.strict {
            // What is not declared cannot even be taken away.
            update.unset.retain(|name| FIELDS.iter().any(|(known, _)| *known == name.as_str()));
        }
        for name in self.later.clone() {
            match self.random.below(6) {
                0 => drop(update.set.insert(name.to_owned(), value(&mut self.random, name))),
                1 => update.unset.push(name.to_owned()),
                _ => {}
            }
        }
    }

    pub(crate) fn add_field(&mut self) {
        let (name, field_type) = self.random.pick(&LATER);
        let collection = self.store.collection();
        collection.add_field(name, field_type).unwrap();
        let error = collection.add_field(name, FieldType::Bool).unwrap_err();
        assert!(matches!(error, Error::FieldType { .. }), "{error}");
    }

    pub(crate) fn add_text(&mut self) {
        self.store.collection().add_text(LATER_TEXT, Analyzer::Standard).unwrap();
        if !self.texts.contains(&LATER_TEXT) {
            self.texts.push(LATER_TEXT);
        }
    }

    /// A batch with a field that was not declared: nothing of it is written.
    pub(crate) fn write_undeclared(&mut self) {
        let (declared, undeclared) = (self.point(), self.point());
        let batch = Batch::new().upsert(declared).upsert(undeclared.with("nobody declared it", 1));
        let error = self.store.collection().write(batch).unwrap_err();
        assert!(matches!(error, Error::UnknownField { .. }), "{error}");
    }

    /// Which of those fields are there now: any that a row has.
    pub(crate) fn learn(&mut self) {
        let schema = self.store.collection().schema();
        self.later = LATER
            .into_iter()
            .map(|(name, _)| name)
            .filter(|name| schema.fields().contains_key(*name))
            .collect();
        for name in self.points.values().flat_map(|point| point.payload.keys()) {
            assert!(schema.fields().contains_key(name), "{name}");
        }
        let texts: Vec<&str> = schema.texts().keys().map(String::as_str).collect();
        assert!(texts.len() == self.texts.len() && texts.iter().all(|text| self.texts.contains(text)));
    }

    /// Now and then a condition on one of those fields, if there is one.
    pub(crate) fn later_condition(&mut self) -> Option<Filter> {
        let mut fields = self.later.clone();
        fields.extend(self.texts.iter().copied().filter(|text| *text == LATER_TEXT));
        if fields.is_empty() || !self.random.is_one_in(4) {
            return None;
        }
        let name = self.random.pick(&fields);
        let condition = match (name, self.random.below(3)) {
            (LATER_TEXT, _) => Filter::Match(name.into(), self.random.pick(&WORDS).into()),
            (_, 0) => Filter::Exists(name.into()),
            (_, kind) => match value(&mut self.random, name) {
                Value::Strings(texts) => Filter::Contains(name.into(), texts),
                value if kind == 1 => Filter::Eq(name.into(), value),
                value => Filter::Range(name.into(), Range { gte: Some(value), ..Range::default() }),
            },
        };
        Some(if self.random.is_one_in(3) { Filter::Not(Box::new(condition)) } else { condition })
    }
}
