//! Answers of a server's models.

use anyhow::{Result, bail};
use ragstone_client as client;
use ragstone_client::GenerateEvent;
use ragstone_rag::generate::GenerateRequest;

use super::{Remote, enrich, views};
use crate::cli::backend::{AnswerView, Answering, Generated};

impl Answering for Remote {
    fn generate(
        &self,
        collection: &str,
        request: &GenerateRequest,
        each: &mut dyn FnMut(Generated) -> Result<()>,
    ) -> Result<()> {
        let options = &request.options;
        if options.model.contains('=') {
            bail!(
                "--generate NAME=URL is for a directory; a server asks models that its operator listed: give a NAME"
            );
        }
        let mut wire =
            client::Generate::new(enrich::request(collection, &request.enrich)).model(options.model.as_str());
        if let Some(tokens) = options.max_tokens {
            wire = wire.max_tokens(tokens);
        }
        if let Some(temperature) = options.temperature {
            wire = wire.temperature(temperature);
        }
        if let Some(top_p) = options.top_p {
            wire = wire.top_p(top_p);
        }
        if let Some(seed) = options.seed {
            wire = wire.seed(seed);
        }
        wire = options.stop.iter().fold(wire, client::Generate::stop);
        let mut generation = self.call(self.client.generate(wire))?;
        // Each event is printed before the next one is waited for.
        while let Some(event) = self.call(async { generation.next().await.transpose() })? {
            match event {
                GenerateEvent::Evidence(enriched) => each(Generated::Evidence(enrich::enriched(enriched)))?,
                GenerateEvent::Delta(text) => each(Generated::Delta(text))?,
                GenerateEvent::Done(answer) => each(Generated::Done(view(answer)))?,
                _ => {}
            }
        }
        Ok(())
    }
}

fn view(answer: client::Answer) -> AnswerView {
    let numbers = |numbers: Vec<usize>| numbers.into_iter().map(|number| number as u64).collect();
    let finish_reason = match answer.finish_reason {
        client::FinishReason::Stop => "stop".to_owned(),
        client::FinishReason::Length => "length".to_owned(),
        client::FinishReason::ContentFilter => "content_filter".to_owned(),
        client::FinishReason::Other(word) => word,
        _ => "unknown".to_owned(),
    };
    AnswerView {
        finish_reason,
        model: answer.model,
        cited: numbers(answer.citations.cited),
        unknown: numbers(answer.citations.unknown),
        unused: numbers(answer.citations.unused),
        prompt_tokens: answer.usage.map(|usage| usage.prompt_tokens),
        completion_tokens: answer.usage.map(|usage| usage.completion_tokens),
        cached: answer.cached,
        timings_ms: views::timings(answer.timings),
    }
}
