//! What a template makes of sample passages, without a collection.

use super::chat::{ChatMessage, Conversation, said};
use super::marking::{DataMarking, Spotlight, random, random_delimiters};
use super::response::Citation;
use super::template::{Input, Template};
use super::{check_max, check_text};
use crate::error::Result;
use crate::limits::{PREVIEW_PASSAGES_MAX, TEXT_BYTES_MAX};

/// A passage that a template is tried with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SamplePassage {
    /// The document's id.
    pub document: String,
    /// The headings above it.
    pub heading: String,
    /// Its text.
    pub text: String,
}

/// The messages that a template makes of a conversation and sample passages, as [`Rag::enrich`](crate::Rag::enrich) would, but for budgets.
pub(crate) fn preview(
    source: Option<&str>,
    messages: &[ChatMessage],
    passages: &[SamplePassage],
    marking: DataMarking,
) -> Result<Vec<ChatMessage>> {
    check_max("passages", passages.len(), "PREVIEW_PASSAGES_MAX", PREVIEW_PASSAGES_MAX)?;
    for (at, passage) in passages.iter().enumerate() {
        check_text(&format!("passages[{at}].text"), &passage.text)?;
        for (field, text) in [("document", &passage.document), ("heading", &passage.heading)] {
            check_max(&format!("passages[{at}].{field}"), text.len(), "TEXT_BYTES_MAX", TEXT_BYTES_MAX)?;
        }
    }
    let spoken = said(messages);
    let conversation = Conversation::of(messages, &spoken)?;
    let template = Template::new(source)?;
    let citations: Vec<Citation> = passages.iter().enumerate().map(citation).collect();
    let of_passages =
        passages.iter().flat_map(|it| [&it.document, &it.heading, &it.text]).map(String::as_str);
    let of_messages = messages.iter().map(|message| message.content.as_str());
    let texts = of_passages.chain(of_messages);
    let spotlight = Spotlight::pick(texts, marking, random_delimiters(), random() as usize)?;
    let question = conversation.question;
    let rendered = template.render(&Input { question, citations: &citations, spotlight: &spotlight })?;
    let history: Vec<ChatMessage> = conversation.turns.concat();
    let system = conversation.system_message(&rendered.system);
    Ok(system.into_iter().chain(history).chain([ChatMessage::user(rendered.user)]).collect())
}

/// A passage as if it were all of its document.
fn citation((at, passage): (usize, &SamplePassage)) -> Citation {
    Citation {
        index: at + 1,
        document: passage.document.clone(),
        heading: passage.heading.clone(),
        start: 0,
        end: passage.text.chars().count(),
        score: 1.0,
        text: passage.text.clone(),
        chunks: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::prompt::ChatRole;

    #[test]
    fn a_template_is_tried_without_a_collection() {
        let messages = [
            ChatMessage::system("Be brief."),
            ChatMessage::user("One?"),
            ChatMessage::assistant("1"),
            ChatMessage::user("Two?"),
        ];
        let passage = |document: &str, text: &str| SamplePassage {
            document: document.to_owned(),
            heading: "H".to_owned(),
            text: text.to_owned(),
        };
        let source = "{% system %}\nCite.\n{% user %}\n{% for c in citations %}[{{ c.index }}] {{ c.document }} {{ c.heading }} {{ c.text }} {{ c.end }}\n{% endfor %}{{ question }}";
        let passages = [passage("a", "x\ny"), passage("b", "z")];
        let shown = preview(Some(source), &messages, &passages, DataMarking::Off).unwrap();
        assert_eq!(shown.len(), 4);
        assert_eq!(shown[0], ChatMessage::system("Be brief.\n\nCite."));
        assert_eq!(shown[1..3], messages[1..3]);
        assert_eq!(shown[3], ChatMessage::user("[1] a H x\ny 3\n[2] b H z 1\nTwo?"));
        let built_in = preview(None, &messages[3..], &passages, DataMarking::Words).unwrap();
        assert_eq!(built_in.iter().map(|it| it.role).collect::<Vec<_>>(), [ChatRole::System, ChatRole::User]);
    }

    #[test]
    fn what_is_refused_is_named() {
        let ask = [ChatMessage::user("Why?")];
        let empty = SamplePassage::default();
        let field = |messages: &[ChatMessage], passages: &[SamplePassage]| match preview(
            None,
            messages,
            passages,
            DataMarking::Off,
        ) {
            Err(Error::Invalid { field, .. } | Error::Limit { field, .. }) => field,
            other => panic!("{other:?}"),
        };
        assert_eq!(field(&ask, std::slice::from_ref(&empty)), "passages[0].text");
        assert_eq!(field(&ask, &vec![empty; PREVIEW_PASSAGES_MAX + 1]), "passages");
        assert_eq!(field(&[], &[]), "question");
        let wide = SamplePassage {
            heading: "x".repeat(TEXT_BYTES_MAX + 1),
            text: "x".into(),
            ..SamplePassage::default()
        };
        assert_eq!(field(&ask, &[wide]), "passages[0].heading");
        assert!(matches!(preview(Some("{{ x"), &ask, &[], DataMarking::Off), Err(Error::Template { .. })));
    }
}
