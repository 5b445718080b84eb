//! `POST /v1/embeddings`.
//!
//! `input` is a text or a list of texts; lists of tokens are refused, since the tokens of one tokenizer mean nothing to another's model. `ragstone` may
//! have `role` (`query`, `passage` or, by default, `plain`) and `on_overflow` (`error`, by default, or `truncate`).

use std::time::Instant;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Request;
use ragstone_rag::Rag;
use ragstone_rag::embed::{Embeddings, Overflow, Role};
use serde::{Deserialize, Serialize};

use super::given::Given;
use super::texts::Texts;
use crate::http::answer::ApiError;
use crate::http::port::Port;
use crate::http::sending::{counted_json, json_within};
use crate::limits::EMBED_TEXTS_MAX;
use crate::models;
use crate::telemetry::{About, Activity, Figures};
use crate::work::Kind;

#[derive(Deserialize)]
struct EmbedBody {
    input: Texts<EMBED_TEXTS_MAX>,
    #[serde(default)]
    model: Given<String>,
    #[serde(default)]
    encoding_format: Given<String>,
    #[serde(default)]
    dimensions: Given<usize>,
    #[serde(default)]
    ragstone: Option<Extension>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Extension {
    role: Given<String>,
    on_overflow: Given<String>,
}

/// A request that was understood.
struct Asked {
    texts: Vec<String>,
    model: String,
    base64: bool,
    dimensions: Option<usize>,
    role: Role,
    overflow: Overflow,
}

impl EmbedBody {
    fn understood(self) -> Result<Asked, ApiError> {
        let extension = self.ragstone.unwrap_or_default();
        let base64 = match self.encoding_format.of("encoding_format")?.as_deref() {
            None | Some("float") => false,
            Some("base64") => true,
            Some(_) => return Err(ApiError::invalid("encoding_format", "it must be float or base64")),
        };
        let role = match extension.role.of("ragstone.role")?.as_deref() {
            None | Some("plain") => Role::Plain,
            Some("query") => Role::Query,
            Some("passage") => Role::Passage,
            Some(_) => return Err(ApiError::invalid("ragstone.role", "it must be query, passage or plain")),
        };
        let overflow = match extension.on_overflow.of("ragstone.on_overflow")?.as_deref() {
            None | Some("error") => Overflow::Error,
            Some("truncate") => Overflow::Truncate,
            Some(_) => return Err(ApiError::invalid("ragstone.on_overflow", "it must be error or truncate")),
        };
        let texts = texts(self.input)?;
        let model = self.model.of("model")?.unwrap_or_default();
        let dimensions = self.dimensions.of("dimensions")?;
        Ok(Asked { texts, model, base64, dimensions, role, overflow })
    }
}

fn texts(input: Texts<EMBED_TEXTS_MAX>) -> Result<Vec<String>, ApiError> {
    match input {
        Texts::Read(texts) if texts.is_empty() => Err(ApiError::invalid("input", "it must not be empty")),
        Texts::Read(texts) => Ok(texts),
        Texts::TooMany => {
            let reason = format!("it is beyond the limit EMBED_TEXTS_MAX = {EMBED_TEXTS_MAX}");
            Err(ApiError::invalid("input", &reason))
        }
        Texts::Tokens => Err(ApiError::invalid(
            "input",
            "it must be a text or a list of texts; lists of tokens are not taken, as the tokens of one tokenizer mean nothing to \
             another's model (with LangChain's OpenAIEmbeddings: check_embedding_ctx_length=False)",
        )),
        Texts::Other => Err(ApiError::invalid("input", "it must be a text or a list of texts")),
    }
}

pub(in crate::http) async fn embed(State(port): State<Port>, request: Request<Body>) -> Response {
    port.admitted(Kind::Read, async {
        let Asked { texts, model, base64, dimensions, role, overflow } =
            port.json(request, EmbedBody::understood).await?;
        let loader = port.services.loader();
        let model = loader.named(models::Kind::Embedder, model).await?;
        loader.require(&model).await?;
        let about = About { embedder: Some(model.clone()), ..About::default() };
        let stages = port.services.stages(Activity::Embed, about);
        let bytes_max = port.response_bytes_max;
        let embed = move |rag: &Rag| {
            let dimension = rag.models().load(&model)?.info().dimension;
            if dimensions.is_some_and(|wanted| wanted != dimension) {
                let reason = format!("model {model} has {dimension} dimensions, and no other number of them");
                return Ok(Err(ApiError::invalid("dimensions", &reason)));
            }
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let began = Instant::now();
            let embeddings = rag.embed(Some(&model), &texts, role, overflow)?;
            stages.was("embed", began.elapsed(), Figures::of(&embeddings));
            // Written here, on a thread that may block: there may be millions of numbers.
            Ok(json_within(&answer_of(&model, embeddings, base64), bytes_max))
        };
        counted_json(port.services.apply(embed).await??)
    })
    .await
}

#[derive(Serialize)]
struct EmbedAnswer<'a> {
    object: &'static str,
    data: Vec<Item>,
    model: &'a str,
    usage: Usage,
}

#[derive(Serialize)]
struct Item {
    object: &'static str,
    index: usize,
    embedding: Vector,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Vector {
    Floats(Vec<f32>),
    /// 32-bit floats, little-endian, in base64.
    Base64(String),
}

#[derive(Serialize)]
struct Usage {
    prompt_tokens: usize,
    total_tokens: usize,
}

fn answer_of(model: &str, embeddings: Embeddings, base64: bool) -> EmbedAnswer<'_> {
    let tokens = embeddings.token_counts.iter().sum();
    let item = |(index, vector): (usize, Vec<f32>)| {
        let embedding = match base64 {
            true => Vector::Base64(
                STANDARD.encode(vector.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>()),
            ),
            false => Vector::Floats(vector),
        };
        Item { object: "embedding", index, embedding }
    };
    EmbedAnswer {
        object: "list",
        data: embeddings.vectors.into_iter().enumerate().map(item).collect(),
        model,
        usage: Usage { prompt_tokens: tokens, total_tokens: tokens },
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::json;

    use super::*;

    fn understood(body: serde_json::Value) -> Result<Asked, ApiError> {
        serde_json::from_str::<EmbedBody>(&body.to_string()).unwrap().understood()
    }

    #[test]
    fn texts_come_alone_or_in_lists_and_tokens_are_refused() {
        assert_eq!(understood(json!({"input": "a"})).unwrap().texts, ["a"]);
        assert_eq!(understood(json!({"input": ["a", ""]})).unwrap().texts, ["a", ""]);
        for (input, words) in [
            (json!([1, 2]), "lists of tokens"),
            (json!([[1], [2]]), "lists of tokens"),
            (json!([]), "must not be empty"),
            (json!(null), "a text or a list"),
            (json!(7), "a text or a list"),
            (json!(vec!["x"; EMBED_TEXTS_MAX + 1]), "EMBED_TEXTS_MAX"),
        ] {
            let error = understood(json!({"input": input})).err().unwrap();
            assert_eq!(error.status(), StatusCode::BAD_REQUEST);
            let message = error.body().to_string();
            assert!(message.contains(words) && message.contains(r#""param":"input""#), "{message}");
        }
    }

    #[test]
    fn settings_that_there_are_not_are_refused_by_name() {
        let asked = understood(json!({
            "input": "a", "encoding_format": "base64", "ragstone": {"role": "query", "on_overflow": "truncate"},
        }));
        let asked = asked.unwrap();
        assert!(asked.base64 && asked.role == Role::Query && asked.overflow == Overflow::Truncate);
        let nulls = json!({
            "input": "a", "model": null, "encoding_format": null, "dimensions": null, "ragstone": null,
        });
        let plain = understood(nulls).unwrap();
        assert_eq!((plain.role, plain.dimensions), (Role::Plain, None));
        for (field, body) in [
            ("encoding_format", json!({"input": "a", "encoding_format": "hex"})),
            ("encoding_format", json!({"input": "a", "encoding_format": 1})),
            ("dimensions", json!({"input": "a", "dimensions": "384"})),
            ("model", json!({"input": "a", "model": ["m"]})),
            ("ragstone.role", json!({"input": "a", "ragstone": {"role": "king"}})),
            ("ragstone.role", json!({"input": "a", "ragstone": {"role": 1}})),
            ("ragstone.on_overflow", json!({"input": "a", "ragstone": {"on_overflow": "hope"}})),
            ("ragstone.on_overflow", json!({"input": "a", "ragstone": {"on_overflow": true}})),
        ] {
            assert_eq!(understood(body).err().unwrap().body()["error"]["param"], field);
        }
        assert!(serde_json::from_str::<EmbedBody>(r#"{"input":"a","ragstone":{"rolle":"query"}}"#).is_err());
    }

    #[test]
    fn vectors_are_written_as_asked_for() {
        let embeddings =
            || Embeddings { vectors: vec![vec![1.0, -0.1]], token_counts: vec![3], truncated: vec![false] };
        let floats = serde_json::to_string(&answer_of("m", embeddings(), false)).unwrap();
        assert_eq!(
            floats,
            r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[1.0,-0.1]}],"model":"m","usage":{"prompt_tokens":3,"total_tokens":3}}"#
        );
        let base64 = serde_json::to_value(answer_of("m", embeddings(), true)).unwrap();
        let bytes = STANDARD.decode(base64["data"][0]["embedding"].as_str().unwrap()).unwrap();
        assert_eq!(bytes, [1.0f32.to_le_bytes(), (-0.1f32).to_le_bytes()].concat());
    }
}
