//! The arguments of `ragstone points`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::conditions::Conditions;
use super::{InCollection, Paging};

#[derive(Debug, Subcommand)]
pub(crate) enum PointsCommand {
    /// Insert or replace points: a JSON object a line.
    Upsert(UpsertArgs),
    /// Change fields of points, and leave the rest of them as it is.
    Update(UpdateArgs),
    /// Remove points, by id or by a condition.
    Delete(DeleteArgs),
    /// Insert, change and remove points in one atomic write.
    Write(OperationsArgs),
    /// Read points by id: a JSON object a line.
    Get(GetArgs),
    /// Read points page by page: a JSON object a line.
    Scroll(ScrollArgs),
    /// Count points.
    Count(CountArgs),
    /// Count the points that have each value of a field.
    Facet(FacetArgs),
}

/// What a write rests on, and its name.
#[derive(Debug, Args)]
pub(crate) struct WriteArgs {
    /// Only if the point still has this etag; for one point.
    #[arg(long, value_name = "ETAG", conflicts_with_all = ["if_absent", "if_present"])]
    pub(crate) if_etag: Option<u64>,
    /// Only if none of the points is there.
    #[arg(long, conflicts_with = "if_present")]
    pub(crate) if_absent: bool,
    /// Only if all of the points are there.
    #[arg(long)]
    pub(crate) if_present: bool,
    /// A name for the write, which makes it safe to repeat: it is done once, and gets the first answer again.
    #[arg(long, value_name = "ID")]
    pub(crate) request_id: Option<String>,
}

const UPSERT_EXAMPLES: &str = "\
A line is a point, as `points get`, `points scroll` and this command's own help write it:
  {\"id\": \"tea\", \"vector\": [0.1, 0.9], \"payload\": {\"title\": \"Tea\", \"year\": 2024}}
The value of a json field stays as it is written: the order of names, every digit. A whole number that its field cannot hold exactly is
refused; other numbers are the floats next to them. A time is written as in filters, 2026-11-22 or 2026-11-22T10:30:00.5+02:00, or as
microseconds since 1970; one with digits below a microsecond is refused.
Examples:
  ragstone points upsert -c notes notes.jsonl                       all lines, 1,000 at a time
  ragstone points scroll --url $URL -c notes --all --with-vectors | ragstone points upsert --url $URL -c copy
  echo '{\"id\": 7, \"payload\": {\"stock\": 3}}' | ragstone points upsert -c shop --if-etag 1041";

#[derive(Debug, Args)]
#[command(after_help = UPSERT_EXAMPLES)]
pub(crate) struct UpsertArgs {
    /// A file of JSON lines; `-` for standard input.
    #[arg(value_name = "FILE", default_value = "-")]
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) collection: InCollection,
    /// Points of one write. Under a condition or a request id all lines are one, and atomic; else points that do not fit are refused by
    /// themselves, told of with their lines, and the others written.
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    pub(crate) batch: usize,
    #[command(flatten)]
    pub(crate) write: WriteArgs,
}

const UPDATE_EXAMPLES: &str = "\
Examples:
  ragstone points update -c notes tea moon --set reviewed=true --unset draft
  ragstone points update -c shop 7 --set stock=2 --if-etag 1041
  echo '{\"id\": 7, \"set\": {\"stock\": 3}, \"unset\": [\"note\"]}' | ragstone points update -c shop --file -";

#[derive(Debug, Args)]
#[command(after_help = UPDATE_EXAMPLES)]
pub(crate) struct UpdateArgs {
    /// The ids: digits are a number; quote them twice ('"12"') where they are a string.
    #[arg(value_name = "ID", required_unless_present = "file", conflicts_with = "file")]
    pub(crate) ids: Vec<String>,
    #[command(flatten)]
    pub(crate) collection: InCollection,
    /// Set a field; may be repeated. JSON, or a text; of a json field, what begins with {, [ or " is JSON, and any other text a JSON string.
    #[arg(long, value_name = "NAME=VALUE", conflicts_with = "file")]
    pub(crate) set: Vec<String>,
    /// Remove a field; may be repeated.
    #[arg(long, value_name = "NAME", conflicts_with = "file")]
    pub(crate) unset: Vec<String>,
    /// When the points expire: a time as 2027-01-01 or 2027-01-01T00:00:00Z, or `never`.
    #[arg(long, value_name = "TIME", conflicts_with = "file")]
    pub(crate) expires_at: Option<String>,
    /// A file of JSON lines with `id`, `set`, `unset` and `expires_at`; `-` for standard input.
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) write: WriteArgs,
}

#[derive(Debug, Args)]
pub(crate) struct DeleteArgs {
    /// The ids: digits are a number; quote them twice ('"12"') where they are a string.
    #[arg(value_name = "ID")]
    pub(crate) ids: Vec<String>,
    #[command(flatten)]
    pub(crate) collection: InCollection,
    /// In place of ids: all points that pass. Documents stay.
    #[command(flatten)]
    pub(crate) conditions: Conditions,
    #[command(flatten)]
    pub(crate) write: WriteArgs,
}

const WRITE_EXAMPLES: &str = "\
A line is an operation, whose points and changes are those of `upsert` and `update`, or what all of them rest on:
  {\"upsert\": {\"id\": \"tea\", \"vector\": [0.1, 0.9], \"payload\": {\"stock\": 3}}}
  {\"update\": {\"id\": \"mug\", \"set\": {\"stock\": 1}, \"unset\": [\"note\"]}}
  {\"delete\": \"cup\"}
  {\"precondition\": {\"id\": \"mug\", \"etag\": 1041}}          or \"exists\": true, or \"exists\": false
In place of lines, one document has them: {\"operations\": […], \"preconditions\": […], \"request_id\": \"…\"}.
What is removed is named by id; `delete --filter` removes by a condition, in a write of its own.
Examples:
  ragstone points write -c shop --file order.jsonl
  ragstone points write -c shop --file - --request-id order-17 < order.json";

#[derive(Debug, Args)]
#[command(after_help = WRITE_EXAMPLES)]
pub(crate) struct OperationsArgs {
    #[command(flatten)]
    pub(crate) collection: InCollection,
    /// A file of JSON lines, or of one JSON document; `-` for standard input.
    #[arg(long, value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// A name for the write, which makes it safe to repeat: it is done once, and gets the first answer again. Wins over that of a document.
    #[arg(long, value_name = "ID")]
    pub(crate) request_id: Option<String>,
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
  ragstone points scroll -c notes --all > notes.jsonl              every point
  ragstone points scroll -c notes --order-by year:desc --limit 20  the newest twenty
  ragstone points scroll -c notes --page-token TOKEN               the page after the last one";

#[derive(Debug, Args)]
#[command(after_help = SCROLL_EXAMPLES)]
pub(crate) struct ScrollArgs {
    #[command(flatten)]
    pub(crate) collection: InCollection,
    #[command(flatten)]
    pub(crate) conditions: Conditions,
    /// Sort by a field; by default points come in the order of their ids.
    #[arg(long, value_name = "FIELD[:desc]")]
    pub(crate) order_by: Option<String>,
    #[command(flatten)]
    pub(crate) paging: Paging,
    /// Begin after this id, whether or not there is such a point; numbers come before texts. Later pages begin by their token.
    #[arg(long, value_name = "ID", conflicts_with_all = ["order_by", "page_token"])]
    pub(crate) after: Option<String>,
    /// Return only these fields; may be repeated, or given as A,B.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) fields: Vec<String>,
    /// Return no fields.
    #[arg(long, conflicts_with = "fields")]
    pub(crate) without_payload: bool,
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
    /// How many values to list, the most frequent first.
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub(crate) limit: usize,
}
