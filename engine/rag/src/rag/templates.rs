//! Registered templates of a database. [`registry`](crate::prompt::registry) says how they are kept.

use std::time::{SystemTime, UNIX_EPOCH};

use ragstone::{Attribute, Expect};

use super::Rag;
use crate::error::{Error, Result};
use crate::limits::{TEMPLATE_BYTES_MAX, TEMPLATE_NUMBERS_REMEMBERED};
use crate::prompt::registry::{FLOOR, PREFIX, Record, check_name, check_room, key, prefix};
use crate::prompt::template::Template;
use crate::prompt::{
    ChatMessage, DataMarking, RegisteredTemplate, SamplePassage, TemplateChoice, TemplateName, check_max,
};

impl Rag {
    /// Registers a template under a name, as the next version of it; durable when it returns. If the newest version says the same already, that
    /// one is returned, and nothing is registered.
    ///
    /// ```
    /// # use ragstone_rag::prompt::{EnrichRequest, TemplateChoice};
    /// # let rag = ragstone_rag::Rag::in_memory()?;
    /// let first = rag.register_template("answer", "{{ question }}")?;
    /// let second = rag.register_template("answer", "{% for c in citations %}{{ c.text }}{% endfor %}{{ question }}")?;
    /// assert_eq!((first.version, second.version), (1, 2));
    /// let newest = TemplateChoice::Registered("answer".parse()?);
    /// let request = EnrichRequest { template: newest, ..EnrichRequest::new("Why?") };
    /// # let _ = request;
    /// # Ok::<(), ragstone_rag::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Invalid`] for a name that is none; [`Error::Limit`]; [`Error::Template`] for a source that does not parse, with its line; the
    /// engine's errors.
    pub fn register_template(&self, name: &str, source: &str) -> Result<RegisteredTemplate> {
        check_name(name)?;
        check_max("source", source.len(), "TEMPLATE_BYTES_MAX", TEMPLATE_BYTES_MAX)?;
        Template::new(Some(source))?;
        loop {
            let last = self.records(&prefix(name)).pop();
            // The floor is read last: a tombstone that is dropped meanwhile is in it.
            let before = last.as_ref().map_or(0, Record::version).max(self.floor());
            let next = before.saturating_add(1);
            if let Some(Record::Template(newest)) = last
                && newest.source == source
            {
                return Ok(newest);
            }
            check_room(self.templates(None).len())?;
            let template = RegisteredTemplate {
                name: name.to_owned(),
                version: next,
                registered_at: now_us(),
                source: source.to_owned(),
            };
            let value = Record::Template(template.clone()).value();
            match self.db().set_attribute_if(&key(name, next), Expect::Absent, Some(&value)) {
                // Somebody else registered this version meanwhile.
                Err(ragstone::Error::AttributeChanged { .. }) => {}
                outcome => return Ok(outcome.map(|_| template)?),
            }
        }
    }

    /// The versions of a name, or of all names, in the order of names and versions.
    pub fn templates(&self, name: Option<&str>) -> Vec<RegisteredTemplate> {
        let records = self.records(&name.map_or_else(|| PREFIX.to_owned(), prefix));
        records.into_iter().filter_map(Record::template).collect()
    }

    /// A registered template.
    ///
    /// # Errors
    /// [`Error::TemplateNotFound`].
    pub fn template(&self, of: &TemplateName) -> Result<RegisteredTemplate> {
        let mut versions = self.templates(Some(&of.name));
        let found = match of.version {
            Some(version) => versions.into_iter().find(|template| template.version == version),
            None => versions.pop(),
        };
        found.ok_or_else(|| Error::TemplateNotFound { template: of.to_string() })
    }

    /// Removes a version, or all of them where none is named; how many there were. Their numbers are not given again.
    ///
    /// # Errors
    /// The engine's errors.
    pub fn delete_template(&self, of: &TemplateName) -> Result<usize> {
        check_name(&of.name)?;
        let records = self.records(&prefix(&of.name));
        let highest = records.last().map(Record::version);
        let mut deleted = 0;
        for template in records.into_iter().filter_map(Record::template) {
            if of.version.is_some_and(|version| version != template.version) {
                continue;
            }
            let tombstone =
                Record::Tombstone { name: template.name.clone(), version: template.version }.value();
            let value = (highest == Some(template.version)).then_some(&*tombstone);
            self.db().set_attribute(&key(&template.name, template.version), value)?;
            deleted += 1;
        }
        self.drop_old_tombstones()?;
        Ok(deleted)
    }

    /// The messages that a template makes of a conversation, whose last message is the question, and sample passages.
    ///
    /// # Errors
    /// [`Error::Invalid`] and [`Error::Limit`], naming `messages[i]…` or `passages[i]…`; [`Error::Template`]; [`Error::TemplateNotFound`].
    pub fn preview_template(
        &self,
        template: &TemplateChoice,
        messages: &[ChatMessage],
        passages: &[SamplePassage],
        marking: DataMarking,
    ) -> Result<Vec<ChatMessage>> {
        let source = self.template_source(template)?;
        crate::prompt::preview::preview(source.text.as_deref(), messages, passages, marking)
    }

    /// The text of a template, none for the built-in one, and what it is called.
    pub(super) fn template_source(&self, template: &TemplateChoice) -> Result<SourceOf> {
        Ok(match template {
            TemplateChoice::BuiltIn => SourceOf { text: None, called: "built-in".to_owned() },
            TemplateChoice::Source(text) => {
                check_max("template_source", text.len(), "TEMPLATE_BYTES_MAX", TEMPLATE_BYTES_MAX)?;
                SourceOf { text: Some(text.clone()), called: "given".to_owned() }
            }
            TemplateChoice::Registered(name) => {
                let template = self.template(name)?;
                let called = format!("{}@{}", template.name, template.version);
                SourceOf { text: Some(template.source), called }
            }
        })
    }

    /// Drops the oldest tombstones beyond those that may be. Whoever has looked for one of them and gives the next number now is done before it is
    /// its turn: a thousand others come first.
    fn drop_old_tombstones(&self) -> Result<()> {
        let attributes = self.db().attributes(PREFIX);
        let tombstone = |(key, attribute): &(String, Attribute)| match Record::of(key, &attribute.value)? {
            Record::Tombstone { name, version } => Some((attribute.revision, name, version)),
            Record::Template(_) => None,
        };
        let mut tombstones: Vec<_> = attributes.iter().filter_map(tombstone).collect();
        tombstones.sort_unstable();
        let too_many = tombstones.len().saturating_sub(TEMPLATE_NUMBERS_REMEMBERED);
        for (_, name, version) in tombstones.drain(..too_many) {
            let remove = || self.db().set_attribute(&key(&name, version), None);
            // Of one that a later version stands above nothing has to be remembered.
            if self.records(&prefix(&name)).last().is_none_or(|last| last.version() <= version) {
                match self.raise_floor(version) {
                    // A full database has room for the floor in the place of a tombstone.
                    Err(Error::Engine(ragstone::Error::Limit { .. })) => {
                        remove()?;
                        self.raise_floor(version)?;
                    }
                    raised => raised?,
                }
            }
            remove()?;
        }
        Ok(())
    }

    /// The highest number of the tombstones that were dropped.
    fn floor(&self) -> u32 {
        self.db().attribute(FLOOR).map_or(0, |floor| floor_of(&floor))
    }

    fn raise_floor(&self, version: u32) -> Result<()> {
        loop {
            let there = self.db().attribute(FLOOR);
            if there.as_ref().is_some_and(|floor| floor_of(floor) >= version) {
                return Ok(());
            }
            let expect = there.map_or(Expect::Absent, |floor| Expect::Etag(floor.revision));
            match self.db().set_attribute_if(FLOOR, expect, Some(&version.to_le_bytes())) {
                // Somebody else raised it meanwhile.
                Err(ragstone::Error::AttributeChanged { .. }) => {}
                outcome => return Ok(outcome.map(drop)?),
            }
        }
    }

    fn records(&self, prefix: &str) -> Vec<Record> {
        let attributes = self.db().attributes(prefix);
        attributes.iter().filter_map(|(key, attribute)| Record::of(key, &attribute.value)).collect()
    }
}

/// A template's text, and what a report calls it.
pub(super) struct SourceOf {
    pub(super) text: Option<String>,
    pub(super) called: String,
}

fn floor_of(attribute: &Attribute) -> u32 {
    attribute.value.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}
