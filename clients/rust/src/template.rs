//! Registered templates.

use ragstone_proto::v1;

use crate::enrich::{ChatMessage, DataMarking};

/// A version of a registered template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// Its name.
    pub name: String,
    /// Its version, from 1.
    pub version: u32,
    /// When it was registered, in microseconds since 1970.
    pub registered_at: i64,
    /// Its text; empty in a list.
    pub source: String,
}

impl Template {
    pub(crate) fn from_wire(wire: v1::Template) -> Template {
        let v1::Template { name, version, registered_at, source } = wire;
        Template { name, version, registered_at, source }
    }
}

/// Tries a template, without a collection.
#[derive(Clone, Debug, PartialEq)]
pub struct PreviewTemplate {
    wire: v1::PreviewTemplateRequest,
}

impl PreviewTemplate {
    /// The built-in template with a question.
    pub fn new(question: impl Into<String>) -> Self {
        Self { wire: v1::PreviewTemplateRequest { question: question.into(), ..Default::default() } }
    }

    /// The same of a conversation, oldest message first, whose last message is the question.
    pub fn chat(messages: impl IntoIterator<Item = ChatMessage>) -> Self {
        let messages = messages.into_iter().map(ChatMessage::into_wire).collect();
        Self { wire: v1::PreviewTemplateRequest { messages, ..Default::default() } }
    }

    /// A registered template, `name@version`, or `name` for its newest version.
    #[must_use]
    pub fn template(mut self, template: impl Into<String>) -> Self {
        self.wire.template = Some(template.into());
        self
    }

    /// This template.
    #[must_use]
    pub fn template_source(mut self, source: impl Into<String>) -> Self {
        self.wire.template_source = Some(source.into());
        self
    }

    /// Adds a passage: its document's id, the headings above it, its text.
    #[must_use]
    pub fn passage(
        mut self,
        document: impl Into<String>,
        heading: impl Into<String>,
        text: impl Into<String>,
    ) -> Self {
        let (document, heading, text) = (document.into(), heading.into(), text.into());
        self.wire.passages.push(v1::SamplePassage { document, heading, text });
        self
    }

    /// How passages are marked as quoted; at the beginning of each line unless this is called.
    #[must_use]
    pub fn data_marking(mut self, data_marking: DataMarking) -> Self {
        self.wire.data_marking = data_marking.into_wire().into();
        self
    }

    pub(crate) fn into_wire(self) -> v1::PreviewTemplateRequest {
        self.wire
    }
}
