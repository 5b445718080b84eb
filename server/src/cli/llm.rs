//! Streams the answer of an OpenAI-compatible chat endpoint (`POST {base}/chat/completions`, server-sent events as in
//! the OpenAI API reference, "Chat Completions: streaming").

use std::io::{BufRead, BufReader};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::backend::MessageView;

/// Names the variable that holds the endpoint's key.
const KEY_VARIABLE: &str = "RAGSTONE_LLM_API_KEY";
/// How long to wait for the connection; the answer itself may take as long as it takes.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long to wait for the answer's first byte: a large model on a CPU reads a prompt slowly.
const FIRST_BYTE_TIMEOUT: Duration = Duration::from_secs(300);
/// Bytes of an error answer that are shown.
const ERROR_BYTES_MAX: u64 = 2_000;

/// Sends the messages to a model at an endpoint and hands each piece of the answer to `each`; returns the whole answer.
pub(crate) fn stream(
    (base, model): (&str, &str),
    messages: &[MessageView],
    mut each: impl FnMut(&str) -> Result<()>,
) -> Result<String> {
    let url = format!("{}/chat/completions", base.trim_end_matches('/'));
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_connect(Some(CONNECT_TIMEOUT))
        .timeout_recv_response(Some(FIRST_BYTE_TIMEOUT))
        .http_status_as_error(false)
        .build()
        .into();
    let mut request = agent.post(&url).header("accept", "text/event-stream");
    if let Ok(key) = std::env::var(KEY_VARIABLE) {
        request = request.header("authorization", format!("Bearer {key}"));
    }
    let body = json!({"model": model, "stream": true, "messages": messages});
    let mut response = request.send_json(body).with_context(|| format!("--llm {url}"))?;
    if !response.status().is_success() {
        let status = response.status();
        let body = response
            .body_mut()
            .with_config()
            .limit(ERROR_BYTES_MAX)
            .lossy_utf8(true)
            .read_to_string()
            .unwrap_or_default();
        bail!("--llm {url}: {status}: {}", body.trim());
    }
    let (mut answer, mut finished) = (String::new(), false);
    for line in BufReader::new(response.into_body().into_reader()).lines() {
        let line = line.with_context(|| format!("--llm {url}: the answer broke off"))?;
        match event(&line).with_context(|| format!("--llm {url}"))? {
            Event::Delta(text) => {
                each(&text)?;
                answer.push_str(&text);
            }
            Event::Done => return Ok(answer),
            Event::Finished => finished = true,
            Event::Nothing => {}
        }
    }
    // Some servers close the stream without the closing event, but not without a reason to finish.
    if !finished {
        bail!("--llm {url}: the answer broke off; does the endpoint stream (server-sent events)?");
    }
    Ok(answer)
}

#[derive(Debug, PartialEq)]
enum Event {
    Delta(String),
    /// The model has a reason to stop; the closing event may follow or not.
    Finished,
    Done,
    Nothing,
}

/// One line of the event stream.
fn event(line: &str) -> Result<Event> {
    let Some(data) = line.strip_prefix("data:").map(str::trim) else { return Ok(Event::Nothing) };
    if data == "[DONE]" {
        return Ok(Event::Done);
    }
    let value: Value = serde_json::from_str(data).with_context(|| format!("not JSON: {data:.200}"))?;
    if let Some(error) = value.get("error") {
        bail!("the endpoint failed: {error}");
    }
    let choice = &value["choices"][0];
    Ok(match choice["delta"]["content"].as_str() {
        Some(text) if !text.is_empty() => Event::Delta(text.to_owned()),
        _ if choice["finish_reason"].is_string() => Event::Finished,
        _ => Event::Nothing,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_told_apart() {
        assert_eq!(event("data: [DONE]").unwrap(), Event::Done);
        assert_eq!(event("").unwrap(), Event::Nothing);
        assert_eq!(event(": keep-alive").unwrap(), Event::Nothing);
        assert_eq!(event(r#"data: {"choices":[{"delta":{"role":"assistant"}}]}"#).unwrap(), Event::Nothing);
        let delta = r#"data: {"choices":[{"delta":{"content":"Hi"}}]}"#;
        assert_eq!(event(delta).unwrap(), Event::Delta("Hi".into()));
        assert!(
            event(r#"data: {"error":{"message":"overloaded"}}"#)
                .unwrap_err()
                .to_string()
                .contains("overloaded")
        );
        assert!(event("data: {").is_err());
    }
}
