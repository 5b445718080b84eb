//! The arguments of `ragstone points`.

use clap::{Args, Subcommand};

use super::InCollection;
use super::search::FilterArgs;

#[derive(Debug, Subcommand)]
pub(crate) enum PointsCommand {
    /// Read points by id: a JSON object a line.
    Get(GetArgs),
    /// Read points page by page: a JSON object a line.
    Scroll(ScrollArgs),
    /// Count points.
    Count(CountArgs),
    /// Count the points that have each value of a field.
    Facet(FacetArgs),
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
    pub(crate) filter: FilterArgs,
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
    pub(crate) filter: FilterArgs,
}

#[derive(Debug, Args)]
pub(crate) struct FacetArgs {
    /// The field.
    #[arg(value_name = "FIELD")]
    pub(crate) field: String,
    #[command(flatten)]
    pub(crate) collection: InCollection,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    /// How many values to list, the most frequent ones.
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub(crate) limit: usize,
}
