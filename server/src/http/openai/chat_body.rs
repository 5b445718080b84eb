//! The body of `POST /v1/chat/completions`, understood.
//!
//! `model` is NAME@COLLECTION: a model that the operator listed, and the collection whose passages the answer is to rest on. A program that
//! can set neither gets the first model (an empty name) and the collection `default`; one that can send more may put both,
//! and how passages are found, into the object `ragstone`.
//!
//! Parameters of generation that Ragstone knows are sent on, typed and bounded. Those whose answers it could not carry (tools, several
//! answers, probabilities) are refused. All others are read past: with the operator's key, they could ask the model's service for
//! what is not the caller's to ask (other models, plugins, addresses).
//!
//! What comes as a list takes several times its bytes once it is read, so no more of it is kept than may be: parts become one text while they are
//! read, and messages beyond their limit are read past.

use std::fmt;

use ragstone::Filter;
use ragstone_rag::generate::{GenerateOptions, GenerateRequest};
use ragstone_rag::prompt::{ChatMessage, ChatRole, EnrichRequest, TemplateChoice};
use ragstone_rag::retrieve::RetrievalMode;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::given::Given;
use super::texts::Texts;
use crate::http::answer::ApiError;
use crate::limits::{CHAT_MESSAGES_MAX, RESPONSE_FORMAT_BYTES_MAX, STOPS_MAX, check_count};

/// The collection of a request that names none; the command line has the same.
pub(super) const DEFAULT_COLLECTION: &str = "default";

#[derive(Deserialize)]
pub(super) struct ChatBody {
    #[serde(default)]
    model: Given<String>,
    #[serde(deserialize_with = "messages")]
    messages: Vec<Message>,
    #[serde(default)]
    stream: Given<bool>,
    #[serde(default)]
    stream_options: Option<StreamOptions>,
    #[serde(default)]
    max_tokens: Given<u32>,
    #[serde(default)]
    temperature: Given<f32>,
    #[serde(default)]
    top_p: Given<f32>,
    #[serde(default)]
    stop: Option<Texts<STOPS_MAX>>,
    #[serde(default)]
    seed: Given<i64>,
    #[serde(default)]
    n: Given<u32>,
    #[serde(default)]
    ragstone: Option<Extension>,
    #[serde(default)]
    max_completion_tokens: Given<u32>,
    #[serde(default)]
    frequency_penalty: Given<f32>,
    #[serde(default)]
    presence_penalty: Given<f32>,
    #[serde(default)]
    response_format: Option<Box<RawValue>>,
    #[serde(default)]
    reasoning_effort: Given<String>,
    #[serde(default)]
    tools: Asked,
    #[serde(default)]
    tool_choice: Asked,
    #[serde(default)]
    functions: Asked,
    #[serde(default)]
    function_call: Asked,
    #[serde(default)]
    logprobs: Asked,
    #[serde(default)]
    top_logprobs: Asked,
    #[serde(default)]
    audio: Asked,
    #[serde(default)]
    modalities: Option<Texts<8>>,
}

#[derive(Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: Option<bool>,
}

/// Whether a parameter asks for something: null, false, 0, an empty list and `none` do not. Of its value nothing is kept.
#[derive(Default)]
struct Asked(bool);

impl<'de> Deserialize<'de> for Asked {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Box::<RawValue>::deserialize(deserializer)?;
        let words: String = value.get().chars().filter(|c| !c.is_whitespace()).take(8).collect();
        Ok(Asked(!matches!(words.as_str(), "null" | "false" | "0" | "[]" | "\"none\"")))
    }
}

#[derive(Deserialize)]
struct Message {
    role: String,
    #[serde(default)]
    content: Option<Content>,
}

/// The messages, and one more where there are more than may be.
fn messages<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Message>, D::Error> {
    struct Messages;

    impl<'de> Visitor<'de> for Messages {
        type Value = Vec<Message>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("a list of messages")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<Message>, A::Error> {
            let mut messages = Vec::new();
            while messages.len() <= CHAT_MESSAGES_MAX {
                let Some(message) = list.next_element()? else { return Ok(messages) };
                messages.push(message);
            }
            while list.next_element::<IgnoredAny>()?.is_some() {}
            Ok(messages)
        }
    }

    deserializer.deserialize_seq(Messages)
}

enum Content {
    Text(String),
    /// The part at this place is none of text.
    WrongPart(usize),
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ContentVisitor)
    }
}

struct ContentVisitor;

impl<'de> Visitor<'de> for ContentVisitor {
    type Value = Content;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a text or a list of parts")
    }

    fn visit_str<E>(self, text: &str) -> Result<Content, E> {
        Ok(Content::Text(text.to_owned()))
    }

    /// The texts of the parts, a line each.
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Content, A::Error> {
        let (mut all, mut at) = (String::new(), 0);
        while let Some(part) = list.next_element::<Part>()? {
            let text = match (part.kind.as_str(), part.text, part.refusal) {
                ("text", Some(text), _) | ("refusal", _, Some(text)) => text,
                _ => {
                    while list.next_element::<IgnoredAny>()?.is_some() {}
                    return Ok(Content::WrongPart(at));
                }
            };
            if at > 0 {
                all.push('\n');
            }
            all.push_str(&text);
            at += 1;
        }
        Ok(Content::Text(all))
    }
}

#[derive(Deserialize)]
struct Part {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    text: Option<String>,
    /// What a model did not want to say.
    #[serde(default)]
    refusal: Option<String>,
}

/// What is Ragstone's own.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Extension {
    /// The collection, where `model` names none.
    collection: Given<String>,
    /// As in `EnrichRequest`.
    k: Given<usize>,
    token_budget: Given<usize>,
    mode: Given<String>,
    min_score: Given<f32>,
    mmr: Given<f32>,
    per_document: Given<usize>,
    /// A registered template, `name` or `name@version`.
    template: Given<String>,
    /// The text of a template, instead of a registered one.
    template_source: Given<String>,
    /// A filter as text: `year >= 2020`.
    filter: Given<String>,
}

/// A request that was understood.
#[derive(Debug)]
pub(super) struct Chat {
    /// What the caller named as `model`: answers name it too.
    pub(super) model: String,
    pub(super) collection: String,
    pub(super) request: GenerateRequest,
    pub(super) stream: bool,
    /// Whether the stream ends with the tokens that were taken.
    pub(super) include_usage: bool,
}

impl ChatBody {
    pub(super) fn understood(self) -> Result<Chat, ApiError> {
        let model = self.model.of("model")?.unwrap_or_default();
        let mut extension = self.ragstone.unwrap_or_default();
        let collection = std::mem::take(&mut extension.collection).of("ragstone.collection")?;
        let (name, collection) = target(&model, collection.as_deref())?;
        if self.n.of("n")?.is_some_and(|n| n != 1) {
            return Err(ApiError::invalid("n", "there is one answer to a question; it must be 1"));
        }
        let refused = [
            ("tools", self.tools.0),
            ("tool_choice", self.tool_choice.0),
            ("functions", self.functions.0),
            ("function_call", self.function_call.0),
            ("logprobs", self.logprobs.0),
            ("top_logprobs", self.top_logprobs.0),
            ("audio", self.audio.0),
            (
                "modalities",
                self.modalities.is_some_and(|words| words != Texts::Read(vec!["text".to_owned()])),
            ),
        ];
        if let Some((name, _)) = refused.into_iter().find(|(_, asked)| *asked) {
            return Err(ApiError::invalid(name, "it is not available here"));
        }
        let stop = match self.stop {
            None => Vec::new(),
            Some(Texts::Read(texts)) => texts,
            Some(Texts::TooMany) => {
                let reason = format!("it is beyond the limit STOPS_MAX = {STOPS_MAX}");
                return Err(ApiError::invalid("stop", &reason));
            }
            Some(_) => return Err(ApiError::invalid("stop", "it must be a text or a list of texts")),
        };
        let options = GenerateOptions {
            model: name,
            max_tokens: self.max_tokens.of("max_tokens")?,
            temperature: self.temperature.of("temperature")?,
            top_p: self.top_p.of("top_p")?,
            stop,
            seed: self.seed.of("seed")?,
            max_completion_tokens: self.max_completion_tokens.of("max_completion_tokens")?,
            frequency_penalty: self.frequency_penalty.of("frequency_penalty")?,
            presence_penalty: self.presence_penalty.of("presence_penalty")?,
            response_format: self.response_format.as_deref().map(format_of).transpose()?,
            reasoning_effort: self.reasoning_effort.of("reasoning_effort")?,
        };
        let enrich = enrich(self.messages, extension)?;
        Ok(Chat {
            model,
            collection,
            request: GenerateRequest { enrich, options },
            stream: self.stream.of("stream")?.unwrap_or(false),
            include_usage: self.stream_options.and_then(|options| options.include_usage).unwrap_or(false),
        })
    }
}

/// The model's name, and the collection.
fn target(model: &str, extension: Option<&str>) -> Result<(String, String), ApiError> {
    let (name, named) = match model.split_once('@') {
        Some((name, collection)) => (name, Some(collection)),
        None => (model, None),
    };
    let collection = match (named, extension) {
        (Some(named), Some(other)) if named != other => {
            return Err(ApiError::invalid(
                "ragstone.collection",
                "`model` names another collection behind its @",
            ));
        }
        (Some(collection), _) | (None, Some(collection)) => collection,
        (None, None) => DEFAULT_COLLECTION,
    };
    Ok((name.to_owned(), collection.to_owned()))
}

/// The form of an answer, whose size is looked at before it becomes a value.
fn format_of(format: &RawValue) -> Result<Value, ApiError> {
    if format.get().len() > RESPONSE_FORMAT_BYTES_MAX {
        let reason =
            format!("it is beyond the limit RESPONSE_FORMAT_BYTES_MAX = {RESPONSE_FORMAT_BYTES_MAX}");
        return Err(ApiError::invalid("response_format", &reason));
    }
    serde_json::from_str(format.get()).map_err(|error| ApiError::malformed(&error))
}

fn enrich(messages: Vec<Message>, extension: Extension) -> Result<EnrichRequest, ApiError> {
    check_count("messages", messages.len(), ("CHAT_MESSAGES_MAX", CHAT_MESSAGES_MAX))?;
    let messages = messages
        .into_iter()
        .enumerate()
        .map(|(at, message)| message.understood(&format!("messages[{at}]")))
        .collect::<Result<_, _>>()?;
    let mut request = EnrichRequest::chat(messages);
    request.k = extension.k.of("ragstone.k")?.unwrap_or(request.k);
    request.token_budget =
        extension.token_budget.of("ragstone.token_budget")?.unwrap_or(request.token_budget);
    request.min_score = extension.min_score.of("ragstone.min_score")?;
    request.mmr = extension.mmr.of("ragstone.mmr")?;
    request.per_document = extension.per_document.of("ragstone.per_document")?;
    let source = extension.template_source.of("ragstone.template_source")?;
    request.template = match (extension.template.of("ragstone.template")?, source) {
        (None, None) => TemplateChoice::BuiltIn,
        (None, Some(source)) => TemplateChoice::Source(source),
        (Some(name), None) => TemplateChoice::Registered(
            name.parse()
                .map_err(|_| ApiError::invalid("ragstone.template", "it must be `name` or `name@version`"))?,
        ),
        (Some(_), Some(_)) => {
            return Err(ApiError::invalid("ragstone.template_source", "`template` names another one"));
        }
    };
    if let Some(mode) = extension.mode.of("ragstone.mode")? {
        let parsed: Result<RetrievalMode, _> = mode.parse();
        request.mode =
            parsed.map_err(|_| ApiError::invalid("ragstone.mode", "it must be dense, text or hybrid"))?;
    }
    if let Some(filter) = extension.filter.of("ragstone.filter")? {
        let parsed = Filter::parse(&filter);
        request.filter =
            Some(parsed.map_err(|error| ApiError::invalid("ragstone.filter", &error.to_string()))?);
    }
    Ok(request)
}

impl Message {
    fn understood(self, path: &str) -> Result<ChatMessage, ApiError> {
        let role = match self.role.as_str() {
            // What newer models call it.
            "developer" => ChatRole::System,
            role => role.parse().map_err(|_| {
                ApiError::invalid(format!("{path}.role"), "it must be system, developer, user or assistant")
            })?,
        };
        let content = match self.content {
            Some(Content::Text(text)) => text,
            Some(Content::WrongPart(at)) => {
                let reason = "only parts of text are taken, no images, sounds or files";
                return Err(ApiError::invalid(format!("{path}.content[{at}].type"), reason));
            }
            None => String::new(),
        };
        Ok(ChatMessage { role, content })
    }
}

#[cfg(test)]
mod tests;
