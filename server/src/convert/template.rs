//! Registered templates.

use ragstone_proto::v1;
use ragstone_rag::prompt::{ChatMessage, DataMarking, RegisteredTemplate, SamplePassage, TemplateChoice};
use tonic::Status;

use super::enrich::{conversation, data_marking, message, template_choice};
use crate::limits::{PREVIEW_PASSAGES_MAX, check_count};

/// A template with its source.
pub(crate) fn template(template: RegisteredTemplate) -> v1::Template {
    let RegisteredTemplate { name, version, registered_at, source } = template;
    v1::Template { name, version, registered_at, source }
}

/// What a preview is made of.
pub(crate) struct Preview {
    pub(crate) template: TemplateChoice,
    pub(crate) messages: Vec<ChatMessage>,
    pub(crate) passages: Vec<SamplePassage>,
    pub(crate) marking: DataMarking,
}

pub(crate) fn preview(wire: v1::PreviewTemplateRequest) -> Result<Preview, Status> {
    check_count("passages", wire.passages.len(), ("PREVIEW_PASSAGES_MAX", PREVIEW_PASSAGES_MAX))?;
    let passage = |wire: v1::SamplePassage| {
        let v1::SamplePassage { document, heading, text } = wire;
        SamplePassage { document, heading, text }
    };
    Ok(Preview {
        template: template_choice(wire.template, wire.template_source)?,
        messages: conversation(wire.question, wire.messages)?,
        passages: wire.passages.into_iter().map(passage).collect(),
        marking: data_marking(wire.data_marking)?,
    })
}

pub(crate) fn previewed(messages: Vec<ChatMessage>) -> v1::PreviewTemplateResponse {
    v1::PreviewTemplateResponse { messages: messages.into_iter().map(message).collect() }
}
