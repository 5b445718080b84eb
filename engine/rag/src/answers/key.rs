//! What must be the same for an answer to be given again, but for the question.

use ragstone::{CollectionVersion, RowFilter};

use crate::embed::ModelInfo;
use crate::generate::{GenerateModel, GenerateOptions};
use crate::prompt::EnrichRequest;
use crate::rerank::RerankerInfo;

/// Everything that shapes an answer but the question, compared exactly. Filters and options have numbers with fractions and so no hash: they stand
/// here as they are shown, which tells apart whatever is not equal, and a part that a request gets later cannot be forgotten.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Partition {
    /// Who asks: the evidence of an answer holds the question in the words of who asked first.
    pub(crate) caller: String,
    /// The rows that they see of the collection, if not all.
    pub(crate) rows: Option<String>,
    /// The state that the collection is in.
    pub(crate) version: CollectionVersion,
    /// The rows that the request asks for, such as those of a tenant.
    pub(crate) filter: Option<String>,
    /// The template's name with its version, and its text.
    pub(crate) template: (String, Option<String>),
    /// The contract of the collection's embedding model.
    pub(crate) embedder: String,
    /// What there is to know of the re-ranker, if one is asked: its name stands for other weights once it is loaded anew.
    pub(crate) reranker: Option<String>,
    /// The language model: its name, its address and what its service calls it.
    pub(crate) model: [String; 3],
    /// How the answer is generated.
    pub(crate) options: String,
    /// How the evidence is found and the prompt made.
    pub(crate) enrich: String,
    /// What the caller tells the model beside the question.
    pub(crate) instructions: Vec<String>,
}

/// The rows of a filter, as text.
pub(crate) fn shown_rows(rows: &RowFilter) -> String {
    format!("{:?}", rows.filter())
}

/// The contract of an embedding model, as text.
pub(crate) fn shown_embedder(info: &ModelInfo) -> String {
    format!("{info:?}")
}

/// What there is to know of a re-ranker, as text.
pub(crate) fn shown_reranker(info: &RerankerInfo) -> String {
    format!("{info:?}")
}

/// A language model, as its partition has it.
pub(crate) fn shown_model(model: &GenerateModel) -> [String; 3] {
    [model.name(), model.url(), model.upstream()].map(str::to_owned)
}

/// Options of generating, as text. The model's name is resolved elsewhere.
pub(crate) fn shown_options(options: &GenerateOptions) -> String {
    format!("{:?}", GenerateOptions { model: String::new(), ..options.clone() })
}

/// A request without what has a part of its own: question and instructions, filter, template.
pub(crate) fn shown_enrich(request: &EnrichRequest) -> String {
    let rest = EnrichRequest { filter: None, template: Default::default(), ..request.clone() };
    format!("{:?}", EnrichRequest { messages: Vec::new(), ..rest })
}

impl Partition {
    /// Bytes that it takes, about.
    pub(crate) fn bytes(&self) -> usize {
        let texts = [&self.caller, &self.template.0, &self.embedder, &self.options, &self.enrich];
        let ifs = [&self.rows, &self.filter, &self.template.1, &self.reranker];
        let all = texts.into_iter().chain(&self.model).chain(&self.instructions);
        let lengths = all.chain(ifs.into_iter().flatten()).map(String::len);
        size_of::<Self>() + lengths.sum::<usize>()
    }
}
