//! Questions answered.

use super::Rag;
use crate::error::Result;
use crate::generate::{GenerateModels, GenerateOptions, GenerateRequest, Generation};
use crate::prompt::Enriched;

impl Rag {
    /// The same, with these models to ask for answers; without this there is none.
    #[must_use]
    pub fn with_generate_models(self, generate_models: GenerateModels) -> Rag {
        Rag { generate_models, ..self }
    }

    /// The models that may be asked for answers.
    pub fn generate_models(&self) -> &GenerateModels {
        &self.generate_models
    }

    /// Answers a question: finds its evidence, as [`enrich`](Rag::enrich) does, and asks a language model. What comes back is
    /// an iterator: the evidence, the answer piece by piece, and at its end what it cites.
    ///
    /// ```no_run
    /// use std::io::Write;
    ///
    /// use ragstone_rag::Rag;
    /// use ragstone_rag::generate::{GenerateEvent, GenerateModel, GenerateModels, GenerateRequest};
    ///
    /// fn main() -> Result<(), Box<dyn std::error::Error>> {
    ///     let model = GenerateModel::parse("llama3.2=http://127.0.0.1:11434/v1")?;
    ///     let rag = Rag::open("my-data")?.with_generate_models(GenerateModels::new([model])?);
    ///     for event in rag.generate("default", &GenerateRequest::new("How do I install it?"))? {
    ///         match event? {
    ///             GenerateEvent::Evidence(enriched) => println!("{} passages", enriched.citations.len()),
    ///             GenerateEvent::Delta(text) => {
    ///                 print!("{text}");
    ///                 std::io::stdout().flush()?;
    ///             }
    ///             GenerateEvent::Done(answer) => println!("\ncited: {:?}", answer.citations.cited),
    ///         }
    ///     }
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// Before anything is looked for: [`Error::GenerateModelNotFound`](crate::Error::GenerateModelNotFound);
    /// [`Error::Invalid`](crate::Error::Invalid) and [`Error::Limit`](crate::Error::Limit), naming the option. Then as
    /// [`enrich`](Rag::enrich). Of an event: [`Error::Generate`](crate::Error::Generate).
    pub fn generate(&self, collection: &str, request: &GenerateRequest) -> Result<Generation> {
        self.generate_telling(collection, request, |_| {})
    }

    /// The same, which tells of the evidence as soon as it is found. That of an answer that was kept is not looked for, and not told of.
    ///
    /// # Errors
    /// As [`generate`](Rag::generate).
    pub fn generate_telling(
        &self,
        collection: &str,
        request: &GenerateRequest,
        told: impl FnOnce(&Enriched),
    ) -> Result<Generation> {
        self.check_generate(&request.options)?;
        if let Some(looked_up) = self.looked_up(collection, request)? {
            return self.kept_or_generated(looked_up, request, told);
        }
        let enriched = self.enrich(collection, &request.enrich)?;
        told(&enriched);
        self.generate_from(enriched, &request.options)
    }

    /// Answers a question whose evidence is there already.
    ///
    /// # Errors
    /// As [`generate`](Rag::generate), but for those of [`enrich`](Rag::enrich).
    pub fn generate_from(&self, enriched: Enriched, options: &GenerateOptions) -> Result<Generation> {
        Generation::begin(&self.generate_models, enriched, options, self.deadline)
    }

    /// Refuses what [`generate`](Rag::generate) would refuse, without looking for anything.
    ///
    /// # Errors
    /// [`Error::GenerateModelNotFound`](crate::Error::GenerateModelNotFound); [`Error::Invalid`](crate::Error::Invalid) and
    /// [`Error::Limit`](crate::Error::Limit), naming the option.
    pub fn check_generate(&self, options: &GenerateOptions) -> Result<()> {
        options.validate()?;
        self.generate_models.get(&options.model).map(drop)
    }
}
