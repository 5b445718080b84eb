//! What the commands print; as JSON they are the command line's contract with scripts.

use std::collections::BTreeMap;

use ragstone::Point;
use ragstone::query::{FoundGroup, QueryHit};
use ragstone_rag::ingest::IngestStatus;
use serde::Serialize;

use super::EnrichedView;
use crate::cli::json::{self, Shown, ShownPoint};

/// Milliseconds of each stage, in the order in which they ran, `total` last; a JSON object.
#[derive(Debug, Default)]
pub(crate) struct Timings(pub(crate) Vec<(String, f64)>);

impl Serialize for Timings {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(stage, ms)| (stage, ms)))
    }
}

impl<S: Into<String>> FromIterator<(S, f64)> for Timings {
    fn from_iter<I: IntoIterator<Item = (S, f64)>>(timings: I) -> Self {
        Self(timings.into_iter().map(|(stage, ms)| (stage.into(), ms)).collect())
    }
}

/// A collection and what it holds.
#[derive(Debug, Serialize)]
pub(crate) struct CollectionView {
    pub(crate) name: String,
    pub(crate) points: u64,
    pub(crate) vectors: u64,
    pub(crate) dimension: u64,
    pub(crate) metric: String,
    /// All vectors by name, the default one under the empty name.
    pub(crate) vector_options: BTreeMap<String, String>,
    /// The embedding model; none where vectors are the user's.
    pub(crate) model: Option<String>,
    /// How documents are split; none without a model.
    pub(crate) chunks: Option<ChunksView>,
    /// How documents become words; none without a model.
    pub(crate) analyzer: Option<String>,
    /// Fields that are searched by word, with their analysers.
    pub(crate) texts: BTreeMap<String, String>,
    /// The field whose value is a point's tenant, if there is one.
    pub(crate) tenant: Option<String>,
    /// Whether a write with a field that is not declared is refused.
    pub(crate) strict: bool,
    /// Fields with their types.
    pub(crate) fields: BTreeMap<String, String>,
    /// Stands for what it is, and not for what it holds.
    pub(crate) etag: String,
}

/// How documents are split.
#[derive(Debug, Serialize)]
pub(crate) struct ChunksView {
    /// Tokens of a chunk at most.
    pub(crate) tokens: u64,
    /// Tokens that neighbours share.
    pub(crate) overlap: u64,
}

/// What became of a document.
#[derive(Debug)]
pub(crate) struct Ingested {
    pub(crate) status: IngestStatus,
    pub(crate) chunks: u64,
    /// Of these, those that keep their vectors.
    pub(crate) kept: u64,
    /// Texts that were embedded.
    pub(crate) embedded: u64,
    pub(crate) tokens: u64,
}

/// A point.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct PointView(ShownPoint);

impl From<Point> for PointView {
    fn from(point: Point) -> Self {
        Self(json::shown_point(&point))
    }
}

/// A row found.
#[derive(Debug, Serialize)]
pub(crate) struct HitView {
    /// None where rows are in the order of a field.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) score: Option<f32>,
    #[serde(flatten)]
    pub(crate) point: ShownPoint,
}

impl From<QueryHit> for HitView {
    fn from(hit: QueryHit) -> Self {
        Self { score: hit.score, point: json::shown_point(&hit.point) }
    }
}

/// Rows of one value.
#[derive(Debug, Serialize)]
pub(crate) struct GroupView {
    pub(crate) value: Shown,
    pub(crate) hits: Vec<HitView>,
}

impl From<FoundGroup> for GroupView {
    fn from(group: FoundGroup) -> Self {
        Self {
            value: json::shown_value(&group.value),
            hits: group.hits.into_iter().map(HitView::from).collect(),
        }
    }
}

/// What a search found.
#[derive(Debug, Serialize)]
pub(crate) struct SearchView {
    pub(crate) hits: Vec<HitView>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) groups: Vec<GroupView>,
    /// Whether no row that should be there can be missing.
    pub(crate) exact: bool,
    /// Whether the time budget was spent before it was done.
    pub(crate) interrupted: bool,
    /// Whether there are more results than the limit of a range.
    pub(crate) truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) explain: Option<ExplainView>,
    pub(crate) timings_ms: Timings,
}

/// How an answer came about.
#[derive(Debug, Serialize)]
pub(crate) struct ExplainView {
    pub(crate) exact: bool,
    pub(crate) micros: u64,
    pub(crate) stages: Vec<StageView>,
}

/// A source of a query, or what is done with its rows.
#[derive(Debug, Serialize)]
pub(crate) struct StageView {
    pub(crate) path: String,
    pub(crate) runs: u64,
    pub(crate) wanted: u64,
    pub(crate) rows: u64,
    pub(crate) exact: bool,
    pub(crate) micros: u64,
    pub(crate) postings: u64,
    pub(crate) segments: Vec<SegmentView>,
}

/// What was done in one segment.
#[derive(Debug, Serialize)]
pub(crate) struct SegmentView {
    pub(crate) segment: u64,
    pub(crate) sealed: bool,
    pub(crate) rows: u64,
    pub(crate) matching: u64,
    pub(crate) plans: Vec<String>,
    pub(crate) distances: u64,
    pub(crate) found: u64,
    pub(crate) exact: bool,
    pub(crate) micros: u64,
}

/// The values of a field.
#[derive(Debug, Serialize)]
pub(crate) struct FacetView {
    pub(crate) counts: Vec<FacetCountView>,
    pub(crate) values: u64,
    pub(crate) points: u64,
}

/// A value and how many points have it.
#[derive(Debug, Serialize)]
pub(crate) struct FacetCountView {
    pub(crate) value: Shown,
    pub(crate) count: u64,
}

/// What comes of a question that a language model answers, in this order.
pub(crate) enum Generated {
    Evidence(EnrichedView),
    Delta(String),
    Done(AnswerView),
}

/// How an answer ended, and what it cites.
#[derive(Debug, Serialize)]
pub(crate) struct AnswerView {
    pub(crate) model: String,
    pub(crate) finish_reason: String,
    /// Numbers of passages that are cited.
    pub(crate) cited: Vec<u64>,
    /// Numbers that are cited and that no passage has.
    pub(crate) unknown: Vec<u64>,
    /// Numbers of passages that are not cited.
    pub(crate) unused: Vec<u64>,
    /// Of what the model was sent, and of what it answered; none where its service does not tell.
    pub(crate) prompt_tokens: Option<u64>,
    pub(crate) completion_tokens: Option<u64>,
    /// Whether it was kept from an earlier question: the tokens are of that time, and no model was asked now.
    pub(crate) cached: bool,
    pub(crate) timings_ms: Timings,
}

/// The vectors of some texts.
#[derive(Debug, Serialize)]
pub(crate) struct EmbeddingsView {
    pub(crate) model: String,
    pub(crate) dimension: usize,
    pub(crate) vectors: Vec<Vec<f32>>,
    pub(crate) token_counts: Vec<u64>,
    pub(crate) truncated: Vec<bool>,
}

/// A passage and its score.
#[derive(Debug, Serialize)]
pub(crate) struct RerankedPassageView {
    /// Which of the passages it is, from 0.
    pub(crate) index: usize,
    pub(crate) score: f32,
    pub(crate) tokens: u64,
    pub(crate) truncated: bool,
}

/// Passages by their scores, the best first.
#[derive(Debug, Serialize)]
pub(crate) struct RerankedView {
    pub(crate) model: String,
    pub(crate) passages: Vec<RerankedPassageView>,
}

/// The tokens of some texts.
#[derive(Debug, Serialize)]
pub(crate) struct TokenCountsView {
    pub(crate) tokens: Vec<u64>,
    /// Whether they are estimates.
    pub(crate) estimated: bool,
}

/// A model that is here.
#[derive(Debug, Serialize)]
pub(crate) struct ModelView {
    pub(crate) name: String,
    pub(crate) loaded: bool,
    pub(crate) default: bool,
    pub(crate) dimension: Option<u64>,
    pub(crate) max_tokens: Option<u64>,
    pub(crate) sha256: Option<String>,
    pub(crate) path: Option<String>,
}

/// A model that was fetched or found.
#[derive(Debug, Serialize)]
pub(crate) struct PulledView {
    pub(crate) name: String,
    pub(crate) source: String,
    /// Its folder; not told by a server.
    pub(crate) path: Option<String>,
    pub(crate) sha256: String,
}

/// An acknowledged write.
#[derive(Debug, Default, Serialize)]
pub(crate) struct WriteView {
    /// Its number in the collection's log; of several the last one's.
    pub(crate) seq: u64,
    /// Points inserted, replaced, changed or removed.
    pub(crate) points: u64,
    /// Updates of ids that no point has.
    pub(crate) missing: u64,
    /// Whether it was done before under this request id: then this is the first answer.
    pub(crate) repeated: bool,
}
