//! The body of `POST /v1/chat/completions`, understood.
//!
//! `model` is NAME@COLLECTION: a model that the operator listed, and the collection whose passages the answer is to rest on. A program that
//! can set neither gets the first model (an empty name) and the collection `default`; one that can send more may put both,
//! and how passages are found, into the object `ragstone`.
//!
//! Parameters of generation that Ragstone knows are sent on, typed and bounded. Those whose answers it could not carry (tools, several
//! answers, probabilities) are refused. All others are read past: with the operator's key, they could ask the model's service for
//! what is not the caller's to ask (other models, plugins, addresses).

use std::fmt;

use ragstone::Filter;
use ragstone_rag::generate::{GenerateOptions, GenerateRequest};
use ragstone_rag::prompt::{ChatMessage, ChatRole, EnrichRequest, TemplateChoice};
use ragstone_rag::retrieve::RetrievalMode;
use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::texts::Texts;
use crate::http::answer::ApiError;
use crate::limits::{CHAT_MESSAGES_MAX, RESPONSE_FORMAT_BYTES_MAX, STOPS_MAX, check_count};

/// The collection of a request that names none; the command line has the same.
const DEFAULT_COLLECTION: &str = "default";

#[derive(Deserialize)]
pub(super) struct ChatBody {
    #[serde(default)]
    model: Option<String>,
    messages: Vec<Message>,
    #[serde(default)]
    stream: Option<bool>,
    #[serde(default)]
    stream_options: Option<StreamOptions>,
    #[serde(default)]
    max_tokens: Option<u32>,
    #[serde(default)]
    temperature: Option<f32>,
    #[serde(default)]
    top_p: Option<f32>,
    #[serde(default)]
    stop: Option<Texts<STOPS_MAX>>,
    #[serde(default)]
    seed: Option<i64>,
    #[serde(default)]
    n: Option<u32>,
    #[serde(default)]
    ragstone: Option<Extension>,
    #[serde(default)]
    max_completion_tokens: Option<u32>,
    #[serde(default)]
    frequency_penalty: Option<f32>,
    #[serde(default)]
    presence_penalty: Option<f32>,
    #[serde(default)]
    response_format: Option<Box<RawValue>>,
    #[serde(default)]
    reasoning_effort: Option<String>,
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

/// Whether a parameter asks for something: null, false, an empty list and `none` do not. Of its value nothing is kept.
#[derive(Default)]
struct Asked(bool);

impl<'de> Deserialize<'de> for Asked {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Box::<RawValue>::deserialize(deserializer)?;
        let words: String = value.get().chars().filter(|c| !c.is_whitespace()).take(8).collect();
        Ok(Asked(!matches!(words.as_str(), "null" | "false" | "[]" | "\"none\"")))
    }
}

#[derive(Deserialize)]
struct Message {
    role: String,
    #[serde(default)]
    content: Option<Content>,
}

enum Content {
    Text(String),
    Parts(Vec<Part>),
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

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Content, A::Error> {
        let mut parts = Vec::new();
        while let Some(part) = list.next_element()? {
            parts.push(part);
        }
        Ok(Content::Parts(parts))
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
#[serde(deny_unknown_fields)]
struct Extension {
    /// The collection, where `model` names none.
    collection: Option<String>,
    /// As in `EnrichRequest`.
    k: Option<usize>,
    token_budget: Option<usize>,
    mode: Option<String>,
    min_score: Option<f32>,
    mmr: Option<f32>,
    per_document: Option<usize>,
    /// A registered template, `name` or `name@version`.
    template: Option<String>,
    /// The text of a template, instead of a registered one.
    template_source: Option<String>,
    /// A filter as text: `year >= 2020`.
    filter: Option<String>,
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
        let model = self.model.unwrap_or_default();
        let extension = self.ragstone.unwrap_or_default();
        let (name, collection) = target(&model, extension.collection.as_deref())?;
        if self.n.is_some_and(|n| n != 1) {
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
            max_tokens: self.max_tokens,
            temperature: self.temperature,
            top_p: self.top_p,
            stop,
            seed: self.seed,
            max_completion_tokens: self.max_completion_tokens,
            frequency_penalty: self.frequency_penalty,
            presence_penalty: self.presence_penalty,
            response_format: self.response_format.as_deref().map(format_of).transpose()?,
            reasoning_effort: self.reasoning_effort,
        };
        let enrich = enrich(self.messages, extension)?;
        Ok(Chat {
            model,
            collection,
            request: GenerateRequest { enrich, options },
            stream: self.stream.unwrap_or(false),
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
    request.k = extension.k.unwrap_or(request.k);
    request.token_budget = extension.token_budget.unwrap_or(request.token_budget);
    request.min_score = extension.min_score;
    request.mmr = extension.mmr;
    request.per_document = extension.per_document;
    request.template = match (extension.template, extension.template_source) {
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
    if let Some(mode) = extension.mode {
        let parsed: Result<RetrievalMode, _> = mode.parse();
        request.mode =
            parsed.map_err(|_| ApiError::invalid("ragstone.mode", "it must be dense, text or hybrid"))?;
    }
    if let Some(filter) = extension.filter {
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
            Some(Content::Parts(parts)) => {
                let mut texts = Vec::with_capacity(parts.len());
                for (at, part) in parts.into_iter().enumerate() {
                    match (part.kind.as_str(), part.text, part.refusal) {
                        ("text", Some(text), _) | ("refusal", _, Some(text)) => texts.push(text),
                        _ => {
                            let reason = "only parts of text are taken, no images, sounds or files";
                            return Err(ApiError::invalid(format!("{path}.content[{at}].type"), reason));
                        }
                    }
                }
                texts.join("\n")
            }
            None => String::new(),
        };
        Ok(ChatMessage { role, content })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn understood(mut body: Value) -> Result<Chat, ApiError> {
        if body.get("messages").is_none() {
            body["messages"] = json!([{"role": "user", "content": "Why?"}]);
        }
        serde_json::from_str::<ChatBody>(&body.to_string()).unwrap().understood()
    }

    /// The field that a body is refused for.
    fn refused(body: Value) -> String {
        let error = understood(body).unwrap_err();
        assert_eq!(error.status().as_u16(), 400);
        error.body()["error"]["param"].as_str().unwrap().to_owned()
    }

    #[test]
    fn model_and_collection_stand_in_one_name_or_apart() {
        let target = |body: Value| {
            let chat = understood(body).unwrap();
            (chat.request.options.model, chat.collection, chat.model)
        };
        let all = |name: &str, collection: &str, model: &str| {
            (name.to_owned(), collection.to_owned(), model.to_owned())
        };
        assert_eq!(target(json!({"model": "a/b:3b@notes"})), all("a/b:3b", "notes", "a/b:3b@notes"));
        assert_eq!(target(json!({"model": "small"})), all("small", "default", "small"));
        assert_eq!(target(json!({})), all("", "default", ""));
        assert_eq!(target(json!({"model": "@notes"})), all("", "notes", "@notes"));
        let apart = json!({"model": "small", "ragstone": {"collection": "notes"}});
        assert_eq!(target(apart), all("small", "notes", "small"));
        assert_eq!(
            refused(json!({"model": "small@a", "ragstone": {"collection": "b"}})),
            "ragstone.collection"
        );
        target(json!({"model": "small@a", "ragstone": {"collection": "a"}}));
    }

    #[test]
    fn parameters_are_set_passed_on_or_refused() {
        let chat = understood(json!({
            "max_tokens": 5, "temperature": 0.5, "top_p": 0.25, "seed": 3, "stop": "END", "n": 1, "stream": true,
            "stream_options": {"include_usage": true}, "response_format": {"type": "json_object"}, "user": null,
            "tools": [], "tool_choice": "none", "logprobs": false, "modalities": ["text"],
        }));
        let chat = chat.unwrap();
        assert!(chat.stream && chat.include_usage);
        let options = chat.request.options;
        assert_eq!(
            (options.max_tokens, options.temperature, options.top_p),
            (Some(5), Some(0.5), Some(0.25))
        );
        assert_eq!((options.seed, options.stop), (Some(3), vec!["END".to_owned()]));
        assert_eq!(options.response_format, Some(json!({"type": "json_object"})));
        assert_eq!(understood(json!({"stop": ["a", "b"]})).unwrap().request.options.stop, ["a", "b"]);
        for (field, value) in [
            ("n", json!(2)),
            ("tools", json!([{}])),
            ("tool_choice", json!("auto")),
            ("functions", json!([{}])),
            ("function_call", json!({"name": "f"})),
            ("logprobs", json!(true)),
            ("top_logprobs", json!(3)),
            ("modalities", json!(["text", "audio"])),
            ("audio", json!({"voice": "x"})),
        ] {
            assert_eq!(refused(json!({field: value})), field);
        }
    }

    /// With the operator's key, a caller could otherwise have the model's service do what the operator did not list.
    #[test]
    fn what_is_not_known_is_not_sent_on() {
        let plain = understood(json!({})).unwrap().request.options;
        let body = json!({
            "models": ["dear"], "plugins": [{"id": "web"}], "api_base": "http://elsewhere", "fallbacks": ["dear"],
            "chat_template": "x", "user": "me", "metadata": {"a": vec![0; 1_000]}, "top_k": 3,
        });
        assert_eq!(understood(body).unwrap().request.options, plain);
        let options = understood(json!({
            "max_completion_tokens": 9, "frequency_penalty": 1, "presence_penalty": -1, "reasoning_effort": "low",
        }));
        let options = options.unwrap().request.options;
        assert_eq!((options.max_completion_tokens, options.frequency_penalty), (Some(9), Some(1.0)));
        assert_eq!(
            (options.presence_penalty, options.reasoning_effort.as_deref()),
            (Some(-1.0), Some("low"))
        );
        assert_eq!(
            refused(json!({"response_format": "x".repeat(RESPONSE_FORMAT_BYTES_MAX)})),
            "response_format"
        );
        assert_eq!(refused(json!({"stop": vec!["x"; STOPS_MAX + 1]})), "stop");
        assert_eq!(refused(json!({"stop": [1]})), "stop");
    }

    #[test]
    fn how_passages_are_found_is_said_in_one_object() {
        let chat = understood(json!({"ragstone": {
            "k": 3, "token_budget": 100, "mode": "text", "template_source": "{{ question }}", "filter": "year >= 2020",
            "min_score": 0.5, "mmr": 0.25, "per_document": 2,
        }}));
        let enrich = chat.unwrap().request.enrich;
        assert_eq!((enrich.k, enrich.token_budget, enrich.mode), (3, 100, RetrievalMode::Text));
        assert_eq!((enrich.min_score, enrich.mmr, enrich.per_document), (Some(0.5), Some(0.25), Some(2)));
        assert_eq!(enrich.template, TemplateChoice::Source("{{ question }}".to_owned()));
        assert_eq!(enrich.filter, Some(Filter::parse("year >= 2020").unwrap()));
        assert_eq!(refused(json!({"ragstone": {"mode": "magic"}})), "ragstone.mode");
        assert_eq!(refused(json!({"ragstone": {"filter": "year >="}})), "ragstone.filter");
        let unknown = json!({"messages": [], "ragstone": {"colour": 1}});
        assert!(serde_json::from_str::<ChatBody>(&unknown.to_string()).is_err());
        let named = understood(json!({"ragstone": {"template": "short@2"}})).unwrap().request.enrich.template;
        assert_eq!(named, TemplateChoice::Registered("short@2".parse().unwrap()));
        assert_eq!(refused(json!({"ragstone": {"template": "short@none"}})), "ragstone.template");
        let both = json!({"ragstone": {"template": "short", "template_source": "x"}});
        assert_eq!(refused(both), "ragstone.template_source");
    }
    #[test]
    fn a_conversation_is_taken_as_it_is() {
        let chat = understood(json!({"messages": [
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": "What?", "name": "Ann"},
            {"role": "assistant", "content": [{"type": "text", "text": "This"}, {"type": "refusal", "refusal": "that"}]},
            {"role": "user", "content": [{"type": "text", "text": "Why?"}]},
        ]}));
        let expected = [
            ChatMessage::system("Be brief."),
            ChatMessage::user("What?"),
            ChatMessage::assistant("This\nthat"),
            ChatMessage::user("Why?"),
        ];
        assert_eq!(chat.unwrap().request.enrich.messages, expected);
        let image =
            json!([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://x"}}]}]);
        assert_eq!(refused(json!({"messages": image})), "messages[0].content[0].type");
        assert_eq!(refused(json!({"messages": [{"role": "tool", "content": "x"}]})), "messages[0].role");
        let many = vec![json!({"role": "user", "content": "x"}); CHAT_MESSAGES_MAX + 1];
        assert_eq!(refused(json!({"messages": many})), "messages");
    }
}
