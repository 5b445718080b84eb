//! `GET /v1/models`: what may stand as `model`.
//!
//! For `/v1/embeddings` the embedding models that are here; for `/v1/chat/completions` each of the operator's models, NAME, and
//! NAME@COLLECTION for every collection that has text, so that a program that lets its user pick a model lets them pick a
//! collection.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;
use serde_json::{Value, json};

use super::now;
use crate::http::answer::{ApiError, json_answer};
use crate::http::port::Port;
use crate::work::Kind;

/// Pairs of a model and a collection that are listed; others may be named nevertheless.
const PAIRS_LISTED_MAX: usize = 1_000;

pub(in crate::http) async fn list(State(port): State<Port>) -> Response {
    port.admitted(Kind::Read, async {
        let models: Vec<Value> = names(&port).await?.iter().map(|name| model(name)).collect();
        Ok(json_answer(StatusCode::OK, &json!({"object": "list", "data": models})))
    })
    .await
}

pub(in crate::http) async fn get(
    State(port): State<Port>,
    name: Result<Path<String>, PathRejection>,
) -> Response {
    port.admitted(Kind::Read, async {
        let Path(name) = name.map_err(|_| ApiError::invalid("model", "it must be UTF-8"))?;
        match names(&port).await?.contains(&name) {
            true => Ok(json_answer(StatusCode::OK, &model(&name))),
            false => Err(ApiError::unknown_model(&name)),
        }
    })
    .await
}

fn model(name: &str) -> Value {
    json!({"id": name, "object": "model", "created": now(), "owned_by": "ragstone"})
}

async fn names(port: &Port) -> Result<Vec<String>, ApiError> {
    let names = port.services.apply(|rag| {
        let mut names: Vec<String> = rag.generate_models().names().map(str::to_owned).collect();
        let mut pairs = Vec::new();
        for collection in rag.db().collections() {
            if pairs.len() < PAIRS_LISTED_MAX && rag.collection_model(&collection.name)?.is_some() {
                pairs.extend(names.iter().map(|name| format!("{name}@{}", collection.name)));
            }
        }
        pairs.truncate(PAIRS_LISTED_MAX);
        names.extend(pairs);
        names.extend(rag.models().list()?.into_iter().map(|model| model.name));
        Ok(names)
    });
    Ok(names.await?)
}
