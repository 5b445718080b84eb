//! The body of `POST /v1/chat/completions`, understood.
//!
//! `model` is NAME@COLLECTION: a model that the operator listed, and the collection whose passages the answer is to rest on. A program that
//! can set neither gets the first model (an empty name) and the collection `default`; one that can send more may put both,
//! and how passages are found, into the object `ragstone`.
//!
//! Parameters of generation that Ragstone does not know are passed on as they are, but for those whose answers it could not
//! carry (tools, several answers, probabilities), which are refused.

use ragstone::Filter;
use ragstone_rag::generate::{GenerateOptions, GenerateRequest};
use ragstone_rag::prompt::{ChatMessage, ChatRole, EnrichRequest, TemplateChoice};
use ragstone_rag::retrieve::RetrievalMode;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::http::answer::ApiError;
use crate::limits::{CHAT_MESSAGES_MAX, check_count};

/// The collection of a request that names none; the command line has the same.
const DEFAULT_COLLECTION: &str = "default";

/// Parameters whose answers could not be carried.
const REFUSED: [&str; 8] =
    ["tools", "tool_choice", "functions", "function_call", "logprobs", "top_logprobs", "modalities", "audio"];

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
    stop: Option<Stop>,
    #[serde(default)]
    seed: Option<i64>,
    #[serde(default)]
    n: Option<u32>,
    #[serde(default)]
    ragstone: Option<Extension>,
    #[serde(flatten)]
    other: Map<String, Value>,
}

#[derive(Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: Option<bool>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Stop {
    One(String),
    Many(Vec<String>),
}

#[derive(Deserialize)]
struct Message {
    role: String,
    #[serde(default)]
    content: Option<Content>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Deserialize)]
struct Part {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    text: Option<String>,
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
    template: Option<String>,
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
        let stop = match self.stop {
            None => Vec::new(),
            Some(Stop::One(text)) => vec![text],
            Some(Stop::Many(texts)) => texts,
        };
        let options = GenerateOptions {
            model: name,
            max_tokens: self.max_tokens,
            temperature: self.temperature,
            top_p: self.top_p,
            stop,
            seed: self.seed,
            extra: further(self.other)?,
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

/// Parameters that are passed on. What is empty or off asks for nothing.
fn further(other: Map<String, Value>) -> Result<Map<String, Value>, ApiError> {
    let asks = |value: &Value| match value {
        Value::Null | Value::Bool(false) => false,
        Value::Array(values) => !values.is_empty(),
        Value::String(word) => word != "none",
        _ => true,
    };
    let mut passed = Map::new();
    for (name, value) in other {
        match REFUSED.contains(&name.as_str()) {
            true if name == "modalities" && value == serde_json::json!(["text"]) => {}
            true if asks(&value) => return Err(ApiError::invalid(name, "it is not available here")),
            true => {}
            false if value.is_null() => {}
            false => drop(passed.insert(name, value)),
        }
    }
    Ok(passed)
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
    if let Some(source) = extension.template {
        request.template = TemplateChoice::Source(source);
    }
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
                    match (part.kind.as_str(), part.text) {
                        ("text" | "refusal", Some(text)) => texts.push(text),
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
        serde_json::from_value::<ChatBody>(body).unwrap().understood()
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
        let extra = Map::from_iter([("response_format".to_owned(), json!({"type": "json_object"}))]);
        assert_eq!(options.extra, extra);
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

    #[test]
    fn how_passages_are_found_is_said_in_one_object() {
        let chat = understood(json!({"ragstone": {
            "k": 3, "token_budget": 100, "mode": "text", "template": "{{ question }}", "filter": "year >= 2020",
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
        assert!(serde_json::from_value::<ChatBody>(unknown).is_err());
    }
    #[test]
    fn a_conversation_is_taken_as_it_is() {
        let chat = understood(json!({"messages": [
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": "What?", "name": "Ann"},
            {"role": "assistant", "content": [{"type": "text", "text": "This"}, {"type": "refusal", "refusal": "x", "text": "that"}]},
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
