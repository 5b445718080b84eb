//! The arguments of every command, with the help that teaches them.

mod admin;
mod ask;
mod collection;
mod conditions;
mod eval;
mod exchange;
mod inference;
mod ingest;
mod points;
mod search;
mod snapshot;
mod template;

use std::path::PathBuf;

use clap::builder::FalseyValueParser;
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use ragstone_rag::embed::{DEFAULT_MODEL, Overflow, Role};
use ragstone_server::DEFAULT_LISTEN;

pub(crate) use admin::{AdminCommand, AliasCommand, OperationCommand, ReembedArgs, RestoreCollectionArgs};
pub(crate) use ask::{AskArgs, RetrieveArgs};
pub(crate) use collection::{CollectionCommand, CreateArgs};
pub(crate) use conditions::Conditions;
pub(crate) use eval::EvalArgs;
pub(crate) use exchange::{ExportArgs, ImportArgs};
pub(crate) use inference::{CountTokensArgs, RerankArgs};
pub(crate) use ingest::IngestArgs;
pub(crate) use points::{
    CountArgs, DeleteArgs, FacetArgs, GetArgs, PointsCommand, ScrollArgs, UpdateArgs, UpsertArgs, WriteArgs,
};
pub(crate) use search::SearchArgs;
pub(crate) use snapshot::{InPlace, RestoreArgs, SnapshotArgs, SnapshotCommand};
pub(crate) use template::{PreviewArgs, TemplateCommand};

const EXAMPLES: &str = "\
Examples:
  ragstone demo                                    the whole path on this project's own Markdown
  ragstone ingest docs/                            keep a folder's documents in step with the store
  ragstone ask 'How are snapshots restored?'       print the prompt, enriched with cited context
  ragstone serve --data /var/lib/ragstone          serve gRPC on 127.0.0.1:6733
  ragstone export notes notes.parquet              rows, vectors and fields as Parquet; `import` reads them
  ragstone snapshot --to s3://bucket/ragstone      copy the data directory, while nothing serves it
  ragstone --url http://127.0.0.1:6733 search 'node pools'   the same commands, on a server";

/// The vector database for retrieval-augmented generation.
#[derive(Debug, Parser)]
#[command(name = "ragstone", version, after_help = EXAMPLES, propagate_version = true)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) place: Place,
    /// Print one JSON document instead of text.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Show no progress.
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Arguments {
    /// The arguments of this process; ends it with a message and exit code 2 where they make no sense.
    pub(crate) fn of_process() -> Self {
        let matches = Self::command().get_matches();
        let parsed = Self::from_arg_matches(&matches).and_then(|arguments| arguments.settled(&matches));
        parsed.unwrap_or_else(|error| error.exit())
    }

    /// Settles which place is meant: what is typed wins over the environment, and two places typed are a mistake.
    fn settled(mut self, matches: &ArgMatches) -> Result<Self, clap::Error> {
        let is_typed = |name| source(matches, name) == Some(ValueSource::CommandLine);
        let conflict = |text: &str| Err(Self::command().error(ErrorKind::ArgumentConflict, text));
        match (is_typed("url"), is_typed("data"), &self.command) {
            (true, true, _) => return conflict("--url and --data are two places: give one of them"),
            (true, _, Command::Eval(_)) => {
                return conflict("eval measures in memory, on no server: give no --url");
            }
            (true, _, Command::Serve(_) | Command::Check | Command::Repair(_)) => {
                return conflict("this command works on a directory: give --data, not --url");
            }
            (true, _, Command::Snapshot(_) | Command::Restore(_)) => {
                return conflict("snapshot and restore work on a directory: give --data, not --url");
            }
            (false, true, _) => self.place.url = None,
            _ => {}
        }
        // A variable that is set to nothing is as good as unset.
        self.place.url = self.place.url.filter(|url| !url.is_empty());
        Ok(self)
    }
}

/// Where a global argument's value comes from, be it given before or after the command.
fn source(matches: &ArgMatches, name: &str) -> Option<ValueSource> {
    let own = matches.value_source(name);
    let inner = matches.subcommand().and_then(|(_, inner)| source(inner, name));
    if inner == Some(ValueSource::CommandLine) { inner } else { own }
}

/// Where the data is.
#[derive(Debug, Args)]
pub(crate) struct Place {
    /// Work on this local directory.
    #[arg(long, global = true, value_name = "DIR", env = "RAGSTONE_DATA", default_value = "ragstone-data")]
    pub(crate) data: PathBuf,
    /// Work on this server instead, for instance http://127.0.0.1:6733.
    #[arg(long, global = true, value_name = "URL", env = "RAGSTONE_URL")]
    pub(crate) url: Option<String>,
    /// Fetch no model: use only what the cache or a directory has.
    #[arg(long, global = true, env = "RAGSTONE_OFFLINE", value_parser = FalseyValueParser::new())]
    pub(crate) offline: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve the gRPC API over the data directory.
    Serve(ServeArgs),
    /// Run the whole path once: fetch the model, index a folder, answer three questions.
    Demo(DemoArgs),
    /// Verify every file of a data directory that nobody has open; exit code 1 if anything is damaged.
    Check,
    /// Make good what is damaged in a data directory, and say what was lost.
    Repair(RepairArgs),
    /// Turn texts into vectors.
    Embed(EmbedArgs),
    /// Bring passages into the order of how well they answer a query.
    Rerank(RerankArgs),
    /// Count the tokens that texts are to a model.
    CountTokens(CountTokensArgs),
    /// Store documents (Markdown, text, HTML, PDF, source code, JSON Lines, CSV): split, embedded and indexed.
    Ingest(IngestArgs),
    /// Find chunks and points: by meaning, by a vector, by likeness, in the order of a field.
    Search(SearchArgs),
    /// Write, read, count and remove points.
    #[command(subcommand)]
    Points(PointsCommand),
    /// Find the chunks that a question is about, with the score of each stage.
    Retrieve(RetrieveArgs),
    /// Enrich a question with cited context; with --generate, stream the answer too.
    Ask(AskArgs),
    /// Measure how well questions find their documents, of a set that is judged.
    Eval(EvalArgs),
    /// List, make, describe and delete collections.
    #[command(subcommand)]
    Collection(CollectionCommand),
    /// List, set and delete further names of collections.
    #[command(subcommand)]
    Alias(AliasCommand),
    /// List, watch, cancel and forget what takes long on a server.
    #[command(subcommand)]
    Operation(OperationCommand),
    /// Tell what a database holds; have a server take and verify snapshots.
    #[command(subcommand)]
    Admin(AdminCommand),
    /// Register prompt templates by name and version, list, try and remove them.
    #[command(subcommand)]
    Template(TemplateCommand),
    /// List and fetch embedding models.
    #[command(subcommand)]
    Model(ModelCommand),
    /// Copy the data directory to a directory or an object store; list, verify and delete such copies.
    Snapshot(SnapshotArgs),
    /// Make a data directory of a snapshot, as it was or as it was at a later moment.
    Restore(RestoreArgs),
    /// Write a collection to an Arrow or Parquet file.
    Export(ExportArgs),
    /// Write the rows of an Arrow or Parquet file to a collection.
    Import(ImportArgs),
}

/// The collection that a command works on.
#[derive(Debug, Args)]
pub(crate) struct InCollection {
    /// The collection.
    #[arg(long, short, default_value = "default", value_name = "NAME")]
    pub(crate) collection: String,
}

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Accept connections here; port 0 takes a free one, which the log names.
    #[arg(long, value_name = "ADDR", env = "RAGSTONE_LISTEN", default_value = DEFAULT_LISTEN)]
    pub(crate) listen: String,
    /// Also listen here for HTTP: /metrics, /healthz, /readyz and the OpenAI protocol (/v1/models, /v1/embeddings,
    /// /v1/chat/completions), for instance on 127.0.0.1:6734. Off unless given: like the gRPC port it has neither TLS nor
    /// authentication.
    #[arg(long, value_name = "ADDR", env = "RAGSTONE_HTTP_LISTEN")]
    pub(crate) http_listen: Option<String>,
    /// A language model that may be asked for answers; may be repeated, the first is the default. NAME is what requests call it,
    /// URL the base of an OpenAI-compatible service, for instance small=http://127.0.0.1:11434/v1#llama3.2:3b, with the
    /// service's own name behind # if it differs. Settings stand behind ?, such as key_env=VARIABLE&total_s=600: key_env (the environment
    /// variable that holds the key), connect_s, first_token_s, next_token_s, total_s (seconds; 10, 300, 60, 1800 by default).
    #[arg(
        long = "generate-model",
        value_name = "NAME=URL",
        env = "RAGSTONE_GENERATE_MODELS",
        value_delimiter = ' '
    )]
    pub(crate) generate_models: Vec<String>,
    /// The model to load at the start: a name, an org/name of the Hugging Face hub, a directory, or https://host/v1#name.
    #[arg(long, value_name = "MODEL", default_value = DEFAULT_MODEL)]
    pub(crate) model: String,
    /// Let requests name any model: of the Hugging Face hub, a directory of this machine, a URL. Otherwise only the default
    /// model and those in the cache (`ragstone model pull`). The key of RAGSTONE_EMBED_API_KEY goes to the service of
    /// RAGSTONE_EMBED_API_URL (by default OpenAI's) alone.
    #[arg(long)]
    pub(crate) allow_any_model: bool,
    /// A store that callers may have snapshots taken to and collections restored from: a directory, s3://bucket/prefix … as for `snapshot --to`; may be repeated.
    #[arg(long = "snapshot-store", value_name = "URL")]
    pub(crate) snapshot_stores: Vec<String>,
    /// The folder whose files callers may have collections exported to and imported from.
    #[arg(long, value_name = "DIR")]
    pub(crate) exchange_dir: Option<PathBuf>,
    /// How log lines are written; RUST_LOG sets what is logged.
    #[arg(long, value_enum, default_value = "text", env = "RAGSTONE_LOG_FORMAT")]
    pub(crate) log_format: LogFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// Lines for people.
    Text,
    /// A JSON object a line.
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct RepairArgs {
    /// Say what would be done, and change nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Index this folder of Markdown, text and HTML instead of the project's own Markdown.
    #[arg(long, value_name = "DIR")]
    pub(crate) docs: Option<PathBuf>,
    /// Ask this instead of the demo's own three questions; may be repeated.
    #[arg(long = "question", value_name = "QUESTION")]
    pub(crate) questions: Vec<String>,
    /// The embedding model; all-MiniLM-L6-v2, or the server's own, by default.
    #[arg(long, value_name = "MODEL", default_value = "", hide_default_value = true)]
    pub(crate) model: String,
    /// The collection; `demo` for the project's own Markdown, `default` for a folder of yours.
    #[arg(long, short, value_name = "NAME")]
    pub(crate) collection: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct EmbedArgs {
    /// The texts.
    #[arg(required = true, value_name = "TEXT")]
    pub(crate) texts: Vec<String>,
    /// The model: a name, an org/name of the Hugging Face hub, a directory, or https://host/v1#name.
    #[arg(long, value_name = "MODEL")]
    pub(crate) model: Option<String>,
    /// What to do with a text over the model's token limit.
    #[arg(long, value_enum, default_value = "error")]
    pub(crate) on_overflow: OnOverflow,
    /// What the texts are; a model may put a prefix before a query or a passage.
    #[arg(long, value_enum, default_value = "plain")]
    pub(crate) role: TextRole,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum OnOverflow {
    /// Fail.
    Error,
    /// Cut the text at the limit.
    Truncate,
}

impl From<OnOverflow> for Overflow {
    fn from(value: OnOverflow) -> Self {
        match value {
            OnOverflow::Error => Overflow::Error,
            OnOverflow::Truncate => Overflow::Truncate,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum TextRole {
    /// A question.
    Query,
    /// A piece of a document.
    Passage,
    /// Neither.
    Plain,
}

impl From<TextRole> for Role {
    fn from(value: TextRole) -> Self {
        match value {
            TextRole::Query => Role::Query,
            TextRole::Passage => Role::Passage,
            TextRole::Plain => Role::Plain,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum ModelCommand {
    /// List the models that are here.
    List,
    /// Fetch a model into the cache and verify it.
    Pull {
        /// A name, or an org/name of the Hugging Face hub; the default model if left out.
        #[arg(default_value = "", hide_default_value = true)]
        name: String,
    },
}

#[cfg(test)]
mod tests;
