//! The arguments of `ragstone points`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::InCollection;
use super::conditions::Conditions;

#[derive(Debug, Subcommand)]
pub(crate) enum PointsCommand {
    /// Insert or replace points: a JSON object a line.
    Upsert(UpsertArgs),
    /// Remove points.
    Delete(DeleteArgs),
    /// Read points by id: a JSON object a line.
    Get(GetArgs),
    /// Read points page by page: a JSON object a line.
    Scroll(ScrollArgs),
    /// Count points.
    Count(CountArgs),
    /// Count the points that have each value of a field.
    Facet(FacetArgs),
}

const UPSERT_EXAMPLES: &str = "\
A line is a point, as `points get` and `points scroll` print it:
  {\"id\": \"tea\", \"vector\": [0.1, 0.9], \"payload\": {\"title\": \"Tea\", \"year\": 2024}}
Examples:
  ragstone points upsert -c notes notes.jsonl                       all lines, 1,000 at a time
  ragstone points scroll -c notes --all --with-vectors | ragstone points upsert -c copy";

#[derive(Debug, Args)]
#[command(after_help = UPSERT_EXAMPLES)]
pub(crate) struct UpsertArgs {
    /// A file of JSON lines; `-` for standard input.
    #[arg(value_name = "FILE", default_value = "-")]
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) collection: InCollection,
    /// Points of one atomic write.
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    pub(crate) batch: usize,
}

#[derive(Debug, Args)]
pub(crate) struct DeleteArgs {
    /// The ids: digits are a number; quote them twice ('"12"') where they are a string.
    #[arg(required = true, value_name = "ID")]
    pub(crate) ids: Vec<String>,
    #[command(flatten)]
    pub(crate) collection: InCollection,
}

#[derive(Debug, Args)]
pub(crate) struct GetArgs {
    /// The ids: digits are a number; quote them twice ('"12"') where they are a string.
    #[arg(required = true, value_name = "ID")]
    pub(crate) ids: Vec<String>,
    #[command(flatten)]
    pub(crate) collection: InCollection,
    /// Return vectors, too.
    #[arg(long)]
    pub(crate) with_vectors: bool,
}

const SCROLL_EXAMPLES: &str = "\
Examples:
  ragstone points scroll -c notes --all > notes.jsonl             every point
  ragstone points scroll -c notes --order-by year:desc --limit 20 the newest twenty
  ragstone points scroll -c notes --page-token TOKEN              the page after the last one";

#[derive(Debug, Args)]
#[command(after_help = SCROLL_EXAMPLES)]
pub(crate) struct ScrollArgs {
    #[command(flatten)]
    pub(crate) collection: InCollection,
    #[command(flatten)]
    pub(crate) conditions: Conditions,
    /// In the order of a field, else of the ids.
    #[arg(long, value_name = "FIELD[:desc]")]
    pub(crate) order_by: Option<String>,
    /// Points of the page, 1 to 1,000.
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) limit: usize,
    /// The page that the one before named as the next.
    #[arg(long, value_name = "TOKEN", default_value = "", hide_default_value = true)]
    pub(crate) page_token: String,
    /// Turn page after page, to the end.
    #[arg(long)]
    pub(crate) all: bool,
    /// Return only these fields; may be repeated, or given as A,B.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) fields: Vec<String>,
    /// Return vectors, too.
    #[arg(long)]
    pub(crate) with_vectors: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CountArgs {
    #[command(flatten)]
    pub(crate) collection: InCollection,
    #[command(flatten)]
    pub(crate) conditions: Conditions,
}

#[derive(Debug, Args)]
pub(crate) struct FacetArgs {
    /// The field.
    #[arg(value_name = "FIELD")]
    pub(crate) field: String,
    #[command(flatten)]
    pub(crate) collection: InCollection,
    #[command(flatten)]
    pub(crate) conditions: Conditions,
    /// How many values to list, the most frequent ones.
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub(crate) limit: usize,
}
