//! Answers over a local directory: whoever types the command is its operator, and names the model's address.

use anyhow::{Result, bail};
use ragstone_rag::generate::{
    Answer, GenerateEvent, GenerateModel, GenerateModels, GenerateOptions, GenerateRequest,
};

use super::{Local, enrich};
use crate::cli::backend::{AnswerView, Answering, Generated};

impl Answering for Local {
    fn generate(
        &self,
        collection: &str,
        request: &GenerateRequest,
        each: &mut dyn FnMut(Generated) -> Result<()>,
    ) -> Result<()> {
        let named = request.options.model.as_str();
        if !named.contains('=') {
            bail!(
                "--generate {named}: a directory has no list of models; give NAME=URL, such as small=http://127.0.0.1:11434/v1"
            );
        }
        let model = GenerateModel::parse(named)?;
        let options = GenerateOptions { model: model.name().to_owned(), ..request.options.clone() };
        let request = GenerateRequest { options, ..request.clone() };
        let rag = self.rag(false)?.clone().with_generate_models(GenerateModels::new([model])?);
        for event in rag.generate(collection, &request)? {
            each(match event? {
                GenerateEvent::Evidence(enriched) => Generated::Evidence(enrich::enriched(enriched)),
                GenerateEvent::Delta(text) => Generated::Delta(text),
                GenerateEvent::Done(answer) => Generated::Done(view(answer)),
            })?;
        }
        Ok(())
    }
}

fn view(answer: Answer) -> AnswerView {
    let numbers = |numbers: Vec<usize>| numbers.into_iter().map(|number| number as u64).collect();
    AnswerView {
        finish_reason: answer.finish_reason.as_str().to_owned(),
        model: answer.model,
        cited: numbers(answer.citations.cited),
        unknown: numbers(answer.citations.unknown),
        unused: numbers(answer.citations.unused),
        prompt_tokens: answer.usage.map(|usage| usage.prompt_tokens),
        completion_tokens: answer.usage.map(|usage| usage.completion_tokens),
        cached: answer.cached,
        timings_ms: answer.timings_ms.into_iter().collect(),
    }
}
