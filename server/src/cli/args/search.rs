//! The arguments of `ragstone search`.

use std::path::PathBuf;

use clap::Args;

use super::InCollection;

const EXAMPLES: &str = "\
Examples:
  ragstone search 'how are snapshots restored'              by meaning, with the collection's model
  ragstone search 'node pools' --where lang=en --explain    and how the answer came about
  ragstone search --words 'rook endgame' -c games           by the words of text fields
  ragstone search 'rook endgame' --hybrid -c games          by meaning and by words together
  ragstone search --vector '[0.1, 0.9]' -c images           by a vector of your own
  ragstone search --vector '[0.1, 0.9]' -c images --all-within 0.97    all near copies
  ragstone search --like 17 --unlike draft-3 -c images      like one point, unlike another
  ragstone search --order-by year:desc -c papers            the newest
  ragstone search 'sea' --group-by _document --per-group 2  the best chunks of the best documents
  ragstone search --source query.json -c papers             any source, as the wire API has it
  ragstone search --batch queries.jsonl -c papers -k 5      many at once, each line a source as {\"nearest\": {\"text\": \"moon\"}},
                                                            or {\"source\": {…}, \"k\": 3, \"filter\": \"year > 2000\"}";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct SearchArgs {
    /// Search by the meaning of this text, embedded with the collection's model.
    #[arg(value_name = "TEXT")]
    pub(crate) text: Option<String>,
    #[command(flatten)]
    pub(crate) collection: InCollection,
    /// Search by this vector: JSON, or a file with it; a list of numbers, of such lists, or {"indices": […], "values": […]}.
    #[arg(long, value_name = "JSON|FILE", conflicts_with_all = ["text", "like", "unlike", "source"])]
    pub(crate) vector: Option<String>,
    /// Search by these words in text fields, ranked by BM25; with a text or a vector, by both together.
    #[arg(long, value_name = "WORDS", conflicts_with_all = ["like", "unlike", "source"])]
    pub(crate) words: Option<String>,
    /// Search by the words of the text, too, and fuse both rankings by reciprocal ranks.
    #[arg(long, requires = "text", conflicts_with = "words")]
    pub(crate) hybrid: bool,
    /// Look for words in this text field, and weigh its score by BOOST; may be repeated. All text fields by default.
    #[arg(long = "in", value_name = "FIELD[:BOOST]")]
    pub(crate) fields_of_words: Vec<String>,
    /// Only results that have all of the words in one field.
    #[arg(long)]
    pub(crate) all_words: bool,
    /// Search the vector of this name.
    #[arg(long, value_name = "NAME", conflicts_with = "source")]
    pub(crate) by: Option<String>,
    /// Search for what is like this point; may be repeated.
    #[arg(long, value_name = "ID", conflicts_with_all = ["text", "source"])]
    pub(crate) like: Vec<String>,
    /// Search for what is unlike this point; may be repeated.
    #[arg(long, value_name = "ID", conflicts_with_all = ["text", "source"])]
    pub(crate) unlike: Vec<String>,
    /// Sort by a field; with a text or a vector, sort its nearest points.
    #[arg(long, value_name = "FIELD[:desc]", conflicts_with = "source")]
    pub(crate) order_by: Option<String>,
    /// Rank by this source: JSON, or a file with it. A text may stand where a vector does: {"nearest": {"text": "moon"}}.
    #[arg(long, value_name = "JSON|FILE", conflicts_with = "text")]
    pub(crate) source: Option<String>,
    /// Answer many queries at once, on one state of the collection, in their order: a file of JSON lines, `-` for standard input. A line is a
    /// source, or an object of `source` with `k`, `filter`, `threshold` or `fields` of its own; the filters of all hold for it, too.
    #[arg(long, value_name = "FILE",
          conflicts_with_all = ["text", "vector", "words", "hybrid", "fields_of_words", "all_words", "by", "like", "unlike", "order_by", "source",
                                "all_within", "ef", "exact"])]
    pub(crate) batch: Option<PathBuf>,
    /// How many results, or groups.
    #[arg(short, default_value_t = 10)]
    pub(crate) k: usize,
    #[command(flatten)]
    pub(crate) conditions: super::Conditions,
    /// Return the best results of each of `k` groups, by this field.
    #[arg(long, value_name = "FIELD")]
    pub(crate) group_by: Option<String>,
    /// How many results of each group.
    #[arg(long, value_name = "N", default_value_t = 1, requires = "group_by")]
    pub(crate) per_group: usize,
    /// Only results whose score is at least as good: at least this, or at most this for Euclidean distances.
    #[arg(long, value_name = "SCORE", allow_negative_numbers = true)]
    pub(crate) threshold: Option<f32>,
    /// All results whose vector is at least this near, however many: a cosine or inner product of at least this, or a Euclidean distance
    /// of at most this.
    #[arg(long, value_name = "SCORE", allow_negative_numbers = true,
          conflicts_with_all = ["like", "unlike", "words", "hybrid", "order_by", "source", "group_by", "threshold", "ef", "fields",
                                "with_vectors", "vectors"])]
    pub(crate) all_within: Option<f32>,
    /// With --all-within, the most results; the nearest are kept.
    #[arg(long, value_name = "N", default_value_t = ragstone::limits::RANGE_ROWS_MAX, requires = "all_within")]
    pub(crate) limit: usize,
    /// Return only these fields; may be repeated, or given as A,B.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) fields: Vec<String>,
    /// Return no fields.
    #[arg(long, conflicts_with = "fields")]
    pub(crate) without_payload: bool,
    /// Return vectors, too.
    #[arg(long)]
    pub(crate) with_vectors: bool,
    /// Return the vectors of these names, too; may be repeated, or given as A,B. That of the model, or of --dimension, has the name ''.
    #[arg(long, value_name = "NAME", value_delimiter = ',', conflicts_with = "with_vectors")]
    pub(crate) vectors: Vec<String>,
    /// Width of the graph walk; larger finds more of the true neighbours and takes longer.
    #[arg(long)]
    pub(crate) ef: Option<usize>,
    /// Compare with every row instead of walking the graph.
    #[arg(long)]
    pub(crate) exact: bool,
    /// Return what was found after this many milliseconds.
    #[arg(long, value_name = "MS")]
    pub(crate) budget_ms: Option<u64>,
    /// Show how the answer came about: the way through each segment, what was compared, how long it took.
    #[arg(long)]
    pub(crate) explain: bool,
}
