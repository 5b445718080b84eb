//! The messages of `POST …/chat/completions` with `"stream": true`, as the OpenAI API reference has them ("Chat completions",
//! "Streaming"): what is sent, and what each event says.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{FinishReason, GenerateOptions, Usage};
use crate::generate::models::GenerateModel;

/// What asks for the tokens that were taken, at the end of a stream.
pub(super) const USAGE: &str = "stream_options";

/// A turn of the conversation that is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    pub(super) role: &'static str,
    pub(super) content: String,
}

/// The body of a request.
pub(super) fn request(model: &GenerateModel, turns: &[Turn], options: &GenerateOptions) -> Vec<u8> {
    let mut body: Map<String, Value> = Map::new();
    let mut set = |name: &str, value: Value| body.insert(name.to_owned(), value);
    set("model", model.upstream().into());
    set("stream", true.into());
    set(USAGE, json!({"include_usage": true}));
    let messages = turns.iter().map(|turn| json!({"role": turn.role, "content": turn.content}));
    set("messages", messages.collect::<Vec<_>>().into());
    if let Some(tokens) = options.max_tokens {
        set("max_tokens", tokens.into());
    }
    if let Some(tokens) = options.max_completion_tokens {
        set("max_completion_tokens", tokens.into());
    }
    if let Some(penalty) = options.frequency_penalty {
        set("frequency_penalty", decimal(penalty));
    }
    if let Some(penalty) = options.presence_penalty {
        set("presence_penalty", decimal(penalty));
    }
    if let Some(format) = &options.response_format {
        set("response_format", format.clone());
    }
    if let Some(effort) = &options.reasoning_effort {
        set("reasoning_effort", effort.as_str().into());
    }
    if let Some(temperature) = options.temperature {
        set("temperature", decimal(temperature));
    }
    if let Some(top_p) = options.top_p {
        set("top_p", decimal(top_p));
    }
    if let Some(seed) = options.seed {
        set("seed", seed.into());
    }
    if !options.stop.is_empty() {
        set("stop", options.stop.clone().into());
    }
    Value::Object(body).to_string().into_bytes()
}

/// The same request without asking for the tokens that were taken, which some services refuse to be asked for; none if it does not ask.
pub(super) fn without_usage(body: &[u8]) -> Option<Vec<u8>> {
    let mut body: Map<String, Value> = serde_json::from_slice(body).ok()?;
    body.remove(USAGE)?;
    Some(Value::Object(body).to_string().into_bytes())
}

/// The shortest digits that mean this number, not those of the f64 that it converts to.
fn decimal(number: f32) -> Value {
    number.to_string().parse::<f64>().unwrap_or(f64::from(number)).into()
}

/// What an event of the stream says.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Said {
    /// More of the answer.
    pub(super) text: Option<String>,
    /// Whether a token came, be it of the answer or of what the model thinks before it.
    pub(super) token: bool,
    pub(super) finish: Option<FinishReason>,
    pub(super) usage: Option<Usage>,
    /// The closing event.
    pub(super) done: bool,
}

/// Why an event says nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Bad {
    /// It is not of this protocol.
    Foreign(String),
    /// The service says that it failed.
    Failed(String),
}

#[derive(Deserialize)]
struct Chunk {
    /// Some services send null.
    choices: Option<Vec<Choice>>,
    usage: Option<WireUsage>,
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Choice {
    delta: Option<Delta>,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Delta {
    content: Option<Content>,
    refusal: Option<String>,
    /// What reasoning models think, whose name and form differ among services. It is no part of the answer.
    reasoning: Option<Value>,
    reasoning_content: Option<Value>,
}

/// A text; or parts, which Mistral's reasoning models send: of text, or of what they think (`thinking`).
#[derive(Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Deserialize)]
struct Part {
    #[serde(rename = "type")]
    kind: Option<String>,
    text: Option<String>,
}

impl Content {
    /// What is of the answer, and whether there is anything else.
    fn parted(self) -> (String, bool) {
        let parts = match self {
            Content::Text(text) => return (text, false),
            Content::Parts(parts) => parts,
        };
        let (mut answer, mut thought) = (String::new(), false);
        for part in parts {
            match (part.kind.as_deref(), part.text) {
                (None | Some("text"), Some(text)) => answer.push_str(&text),
                _ => thought = true,
            }
        }
        (answer, thought)
    }
}

/// Some services send null for what they did not count.
#[derive(Deserialize)]
struct WireUsage {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
}

/// Reads the data of one event.
pub(super) fn said(data: &str) -> Result<Said, Bad> {
    if data.trim() == "[DONE]" {
        return Ok(Said { done: true, ..Said::default() });
    }
    if data.trim().is_empty() {
        return Ok(Said::default());
    }
    let chunk: Chunk = serde_json::from_str(data).map_err(|error| Bad::Foreign(error.to_string()))?;
    if let Some(error) = chunk.error.filter(|error| !error.is_null()) {
        let message = error.pointer("/message").unwrap_or(&error);
        return Err(Bad::Failed(message.as_str().map_or_else(|| message.to_string(), str::to_owned)));
    }
    let usage = chunk.usage.map(|usage| Usage {
        prompt_tokens: usage.prompt_tokens.unwrap_or(0),
        completion_tokens: usage.completion_tokens.unwrap_or(0),
    });
    let Some(choice) = chunk.choices.unwrap_or_default().into_iter().next() else {
        return Ok(Said { usage, ..Said::default() });
    };
    let finish = choice.finish_reason.as_deref().filter(|word| !word.is_empty()).map(FinishReason::of);
    let filled = |text: Option<String>| text.filter(|text| !text.is_empty());
    let (mut text, mut thought) = (None, false);
    if let Some(delta) = choice.delta {
        let (content, parts) = delta.content.map_or((None, false), |content| {
            let (text, thought) = content.parted();
            (Some(text), thought)
        });
        text = filled(content).or(filled(delta.refusal));
        thought = [delta.reasoning, delta.reasoning_content]
            .iter()
            .flatten()
            .any(|value| !value.is_null() && value.as_str() != Some(""))
            || parts;
    }
    Ok(Said { token: text.is_some() || thought, text, finish, usage, done: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_what_is_asked_for_and_nothing_else() {
        let model = GenerateModel::parse("small=http://h/v1#large").unwrap();
        let turns = [Turn { role: "user", content: "Why?".to_owned() }];
        let body = |options: &GenerateOptions| -> Value {
            serde_json::from_slice(&request(&model, &turns, options)).unwrap()
        };
        let plain = json!({
            "model": "large", "stream": true, "stream_options": {"include_usage": true},
            "messages": [{"role": "user", "content": "Why?"}],
        });
        assert_eq!(body(&GenerateOptions::default()), plain);
        let silent = without_usage(plain.to_string().as_bytes()).unwrap();
        let asks_less = json!({"model": "large", "stream": true, "messages": plain["messages"]});
        assert_eq!(serde_json::from_slice::<Value>(&silent).unwrap(), asks_less);
        assert_eq!(without_usage(&silent), None, "it is left out once");
        let options = GenerateOptions {
            max_tokens: Some(7),
            temperature: Some(0.2),
            top_p: Some(0.9),
            stop: vec!["END".to_owned()],
            seed: Some(-3),
            max_completion_tokens: Some(8),
            frequency_penalty: Some(0.5),
            presence_penalty: Some(-0.25),
            response_format: Some(json!({"type": "json_object"})),
            reasoning_effort: Some("low".to_owned()),
            ..GenerateOptions::default()
        };
        let full = body(&options);
        assert_eq!(
            (&full["max_tokens"], &full["temperature"], &full["top_p"]),
            (&json!(7), &json!(0.2), &json!(0.9))
        );
        assert_eq!((&full["stop"], &full["seed"]), (&json!(["END"]), &json!(-3)));
        assert_eq!(full["response_format"]["type"], "json_object");
        assert_eq!((&full["max_completion_tokens"], &full["reasoning_effort"]), (&json!(8), &json!("low")));
        assert_eq!((&full["frequency_penalty"], &full["presence_penalty"]), (&json!(0.5), &json!(-0.25)));
    }

    #[test]
    fn events_are_told_apart() {
        let text = |text: &str| Said { text: Some(text.into()), token: true, ..Said::default() };
        let cases = [
            ("[DONE]", Said { done: true, ..Said::default() }),
            ("", Said::default()),
            (r#"{"choices":[]}"#, Said::default()),
            (r#"{"choices":null}"#, Said::default()),
            (r#"{"choices":[{"delta":{"reasoning_content":""},"finish_reason":""}]}"#, Said::default()),
            (
                r#"{"choices":[{"delta":{"role":"assistant","content":""},"finish_reason":null}]}"#,
                Said::default(),
            ),
            (r#"{"choices":[{"delta":{"content":"Hi"}}]}"#, text("Hi")),
            (r#"{"choices":[{"delta":{"content":null,"refusal":"No."}}]}"#, text("No.")),
            (r#"{"choices":[{"delta":{"reasoning":"Hm"}}]}"#, Said { token: true, ..Said::default() }),
            (
                r#"{"choices":[{"delta":{},"finish_reason":"length"}],"usage":null}"#,
                Said { finish: Some(FinishReason::Length), ..Said::default() },
            ),
            (
                r#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}}"#,
                Said { usage: Some(Usage { prompt_tokens: 3, completion_tokens: 4 }), ..Said::default() },
            ),
        ];
        for (data, expected) in cases {
            assert_eq!(said(data), Ok(expected), "{data}");
        }
        assert!(matches!(said(r#"{"choices":[{"delta":{"content":7}}]}"#), Err(Bad::Foreign(_))));
        assert!(matches!(said("{"), Err(Bad::Foreign(_))));
        assert!(matches!(said("[1]"), Err(Bad::Foreign(_))));
        assert_eq!(said(r#"{"error":{"message":"overloaded"}}"#), Err(Bad::Failed("overloaded".into())));
        assert_eq!(said(r#"{"error":"gone"}"#), Err(Bad::Failed("gone".into())));
    }

    /// An answer in parts was taken for another protocol, and so was a count that is null.
    #[test]
    fn parts_and_counts_that_are_null_are_of_the_protocol() {
        let thinking = r#"{"choices":[{"delta":{"content":[{"type":"thinking","thinking":[{"type":"text","text":"Hm"}]}]}}]}"#;
        assert_eq!(said(thinking), Ok(Said { token: true, ..Said::default() }));
        let both = r#"{"choices":[{"delta":{"content":[{"type":"thinking"},{"type":"text","text":"H"},{"type":"text","text":"i"}]}}]}"#;
        assert_eq!(said(both), Ok(Said { text: Some("Hi".into()), token: true, ..Said::default() }));
        assert_eq!(said(r#"{"choices":[{"delta":{"content":[]}}]}"#), Ok(Said::default()));
        let usage = Some(Usage { prompt_tokens: 3, completion_tokens: 0 });
        let counted = r#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":null}}"#;
        assert_eq!(said(counted), Ok(Said { usage, ..Said::default() }));
    }
}
