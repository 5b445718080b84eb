//! A collection of documents, with a model in place of one that is fetched, and sound requests about documents, prompts and what makes
//! them.

use std::sync::Arc;

use bytes::Bytes;
use prost::Message;
use ragstone::{Analyzer, FieldType};
use ragstone_proto::v1;
use ragstone_rag::embed::{Arithmetic, Embedder, Embeddings, ModelInfo, Overflow, Pooling, Role};
use ragstone_rag::ingest::DocumentInput;
use ragstone_rag::{CollectionSpec, Rag};

use super::requests::{every_condition, payload};

pub(super) const PAPERS: &str = "papers";
const MODEL: &str = "letters";
const HTML: &str = "<html><head><title>Tea</title></head><body><h1>Tea &amp; water</h1><p>Green tea, <b>steeped</b> briefly.\
    <ul><li>at 70 degrees<li>two minutes</ul><table><tr><td>a<td>b</table><pre>x\n  y</pre><!-- z --></body></html>";
const MARKDOWN: &str = "---\ntitle: Sun\n---\n# Sun\n\nIt rises *early*.\n\n## Noon\n\n- hot\n- bright\n\n```rust\nfn noon() {}\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n";
const CODE: &str = "//! Moons.\n\n/// A moon.\npub struct Moon {\n    craters: usize,\n}\n\nimpl Moon {\n    fn count(&self) -> usize {\n        self.craters\n    }\n}\n";
const CSV: &str = "id,title,text,year\n1,Tea,\"Green, \"\"steeped\"\" tea.\",2026\n2,Sun,It rises.,2027\n";
const JSON_LINES: &str = "{\"_id\": 7, \"title\": \"Moon\", \"text\": \"It has craters.\", \"year\": 2026}\n{\"text\": \"\\u00e9\\ud83c\\udf19\", \"tags\": [\"a\"]}\n";
const TEMPLATE: &str = "{% system %}\nBe brief, {{ marking }} {{ mark }}.\n{% user %}\n{% for c in citations if c.score >= 0.1 %}[{{ c.index }}] \
    {{ c.document }} > {{ c.heading }} {{ delimiter }}{{ c.text }}{% endfor %}\n{{ question|lower|trim }}";

/// Counts letters.
struct Letters(ModelInfo);

impl Embedder for Letters {
    fn info(&self) -> &ModelInfo {
        &self.0
    }

    fn embed(&self, texts: &[&str], _: Role, _: Overflow) -> ragstone_rag::Result<Embeddings> {
        let mut embeddings = Embeddings::default();
        for text in texts {
            let mut vector = vec![0.01; self.0.dimension];
            for byte in text.bytes() {
                vector[usize::from(byte) % self.0.dimension] += 1.0;
            }
            embeddings.vectors.push(vector);
            embeddings.token_counts.push(self.count_tokens(text));
            embeddings.truncated.push(false);
        }
        Ok(embeddings)
    }

    fn count_tokens(&self, text: &str) -> usize {
        text.split_whitespace().count()
    }

    fn overhead_tokens(&self, _: Role) -> usize {
        0
    }
}

/// The model of the collection.
pub(super) fn model() -> Arc<dyn Embedder> {
    Arc::new(Letters(ModelInfo {
        name: MODEL.to_owned(),
        sha256: None,
        dimension: 16,
        max_tokens: 256,
        pooling: Pooling::Mean,
        normalize: false,
        query_prefix: String::new(),
        passage_prefix: String::new(),
        arithmetic: Arithmetic::Float,
    }))
}

/// Makes the collection.
pub(super) fn make_papers(rag: &Rag) {
    let fields = [("year", FieldType::Int), ("tags", FieldType::Strings), ("place", FieldType::Geo)];
    let spec = CollectionSpec {
        fields: fields.map(|(name, kind)| (name.to_owned(), kind)).into(),
        texts: vec![("text".to_owned(), Analyzer::English)],
        ..CollectionSpec::with_model(MODEL)
    };
    // An operation may have the name for a moment yet.
    if rag.create_collection(PAPERS, spec).is_err() {
        return;
    }
    for (id, content) in [("sun.md", MARKDOWN), ("tea.html", HTML), ("moon.rs", CODE)] {
        // Somebody else's run may take it away meanwhile, and makes it anew.
        let _ = rag.ingest(PAPERS, DocumentInput::new(id, content));
    }
}

/// The requests, by path, as bytes.
pub(super) fn requests() -> Vec<(&'static str, Vec<u8>)> {
    let mut all = of_documents();
    all.extend(of_prompts());
    all.extend(of_models());
    all
}

fn document(id: &str, media_type: v1::MediaType, content: &'static str) -> v1::IngestDocumentRequest {
    v1::IngestDocumentRequest {
        collection: PAPERS.to_owned(),
        id: id.to_owned(),
        source: "shelf".to_owned(),
        media_type: media_type.into(),
        content: Bytes::from_static(content.as_bytes()),
        metadata: payload(),
        title: "Title".to_owned(),
        request_id: String::new(),
    }
}

fn of_documents() -> Vec<(&'static str, Vec<u8>)> {
    let collection = || PAPERS.to_owned();
    let html = document("a", v1::MediaType::Html, HTML);
    let markdown = document("b", v1::MediaType::Markdown, MARKDOWN);
    let code = document("c", v1::MediaType::Rust, CODE);
    let streamed = v1::IngestDocumentsRequest { sequence: 1, document: Some(code) };
    let records = |file: &str, format: v1::RecordFormat, content: &'static str| v1::IngestRecordsRequest {
        collection: collection(),
        file: file.to_owned(),
        format: format.into(),
        content: Bytes::from_static(content.as_bytes()),
        ..Default::default()
    };
    let csv = v1::IngestRecordsRequest {
        id_field: "id".to_owned(),
        title_field: "title".to_owned(),
        text_fields: vec!["text".to_owned(), "year".to_owned()],
        ..records("d.csv", v1::RecordFormat::Csv, CSV)
    };
    let lines = records("e.jsonl", v1::RecordFormat::JsonLines, JSON_LINES);
    let get =
        v1::GetDocumentRequest { collection: collection(), id: "sun.md".to_owned(), ..Default::default() };
    let list = v1::ListDocumentsRequest { collection: collection(), page_size: 2, ..Default::default() };
    let chunks = v1::ListChunksRequest {
        collection: collection(),
        document: "sun.md".to_owned(),
        page_size: 1,
        ..Default::default()
    };
    let delete =
        v1::DeleteDocumentRequest { collection: collection(), id: "a".to_owned(), request_id: String::new() };
    vec![
        ("DocumentsService/IngestDocument", html.encode_to_vec()),
        ("DocumentsService/IngestDocument", markdown.encode_to_vec()),
        ("DocumentsService/IngestDocuments", streamed.encode_to_vec()),
        ("DocumentsService/IngestRecords", csv.encode_to_vec()),
        ("DocumentsService/IngestRecords", lines.encode_to_vec()),
        ("DocumentsService/GetDocument", get.encode_to_vec()),
        ("DocumentsService/ListDocuments", list.encode_to_vec()),
        ("DocumentsService/ListChunks", chunks.encode_to_vec()),
        ("DocumentsService/DeleteDocument", delete.encode_to_vec()),
    ]
}

fn of_prompts() -> Vec<(&'static str, Vec<u8>)> {
    let collection = || PAPERS.to_owned();
    let retrieve = v1::RetrieveRequest {
        collection: collection(),
        question: "green tea".to_owned(),
        k: Some(4),
        filter: Some(every_condition()),
        mode: v1::RetrievalMode::Text.into(),
        ..Default::default()
    };
    let said = |role: v1::ChatRole, content: &str| v1::ChatMessage {
        role: role.into(),
        content: content.to_owned(),
    };
    let messages = || {
        vec![
            said(v1::ChatRole::User, "When does the sun rise?"),
            said(v1::ChatRole::Assistant, "Early."),
            said(v1::ChatRole::User, "And noon?"),
        ]
    };
    let enrich = v1::EnrichRequest {
        collection: collection(),
        messages: messages(),
        k: Some(5),
        mode: v1::RetrievalMode::Hybrid.into(),
        token_budget: Some(2_000),
        template_source: Some(TEMPLATE.to_owned()),
        data_marking: v1::DataMarking::Words.into(),
        mmr: Some(0.5),
        per_document: Some(2),
        expand: Some(v1::Expansion { before: 1, after: 1, section: false, parents: 1 }),
        ..Default::default()
    };
    let generate = v1::GenerateRequest {
        enrich: Some(enrich.clone()),
        model: "none".to_owned(),
        max_tokens: Some(10),
        temperature: Some(0.5),
        stop: vec!["x".to_owned()],
        ..Default::default()
    };
    let passage = v1::SamplePassage {
        document: "tea.html".to_owned(),
        heading: "Tea".to_owned(),
        text: "It is green.".to_owned(),
    };
    let preview = v1::PreviewTemplateRequest {
        template_source: Some(TEMPLATE.to_owned()),
        question: "Which tea?".to_owned(),
        passages: vec![passage],
        data_marking: v1::DataMarking::Lines.into(),
        ..Default::default()
    };
    let template = || "brief@1".to_owned();
    let get = v1::GetTemplateRequest { template: template() };
    let delete = v1::DeleteTemplateRequest { template: template() };
    let list = v1::ListTemplatesRequest { name: "brief".to_owned(), page_size: 2, ..Default::default() };
    vec![
        ("RagService/Retrieve", retrieve.encode_to_vec()),
        ("RagService/Enrich", enrich.encode_to_vec()),
        ("RagService/Generate", generate.encode_to_vec()),
        ("TemplatesService/PreviewTemplate", preview.encode_to_vec()),
        ("TemplatesService/GetTemplate", get.encode_to_vec()),
        ("TemplatesService/DeleteTemplate", delete.encode_to_vec()),
        ("TemplatesService/ListTemplates", list.encode_to_vec()),
    ]
}

fn of_models() -> Vec<(&'static str, Vec<u8>)> {
    let (model, texts) = (|| MODEL.to_owned(), || vec!["green tea".to_owned(), "é".to_owned()]);
    let embed = v1::EmbedRequest {
        model: model(),
        texts: texts(),
        role: v1::TextRole::Query.into(),
        on_overflow: v1::OnOverflow::Truncate.into(),
    };
    let count = v1::CountTokensRequest { model: model(), texts: texts() };
    let rerank = v1::RerankRequest {
        model: model(),
        query: "tea".to_owned(),
        passages: texts(),
        top_k: 1,
        ..Default::default()
    };
    let list = v1::ListModelsRequest { page_size: 1, ..Default::default() };
    vec![
        ("InferenceService/Embed", embed.encode_to_vec()),
        ("InferenceService/CountTokens", count.encode_to_vec()),
        ("InferenceService/Rerank", rerank.encode_to_vec()),
        ("InferenceService/ListModels", list.encode_to_vec()),
    ]
}
