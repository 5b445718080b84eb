//! The arguments of every command, with the help that teaches them.

mod access;
mod admin;
mod ask;
mod collection;
mod conditions;
mod documents;
mod eval;
mod exchange;
mod inference;
mod ingest;
mod paging;
mod points;
mod search;
mod serve;
mod snapshot;
mod template;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{
    FalseyValueParser, NonEmptyStringValueParser, OsStringValueParser, TypedValueParser as _,
};
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use ragstone_rag::embed::{Overflow, Role};
use ragstone_server::settings::DEFAULT_DATA;

pub(crate) use access::{CreateKeyArgs, KeyCommand};
pub(crate) use admin::{AdminCommand, AliasCommand, OperationCommand, ReembedArgs, RestoreCollectionArgs};
pub(crate) use ask::{AskArgs, RetrieveArgs};
pub(crate) use collection::{CollectionCommand, CreateArgs};
pub(crate) use conditions::Conditions;
pub(crate) use documents::{
    ChunksArgs, DeleteDocumentArgs, DocumentsCommand, GetDocumentArgs, ListDocumentsArgs,
};
pub(crate) use eval::EvalArgs;
pub(crate) use exchange::{ExportArgs, ExportHow, ImportArgs, ImportHow};
pub(crate) use inference::{CountTokensArgs, RerankArgs};
pub(crate) use ingest::IngestArgs;
pub(crate) use paging::Paging;
pub(crate) use points::{
    CountArgs, DeleteArgs, FacetArgs, GetArgs, OperationsArgs, PointsCommand, ScrollArgs, UpdateArgs,
    UpsertArgs, WriteArgs,
};
pub(crate) use search::SearchArgs;
pub(crate) use serve::{ConfigCommand, ServeArgs};
pub(crate) use snapshot::{InPlace, RestoreArgs, SnapshotArgs, SnapshotCommand};
pub(crate) use template::{PreviewArgs, TemplateCommand};

const EXAMPLES: &str = "\
Examples:
  ragstone demo                                    the whole path on this project's own Markdown
  ragstone ingest docs/                            keep a folder's documents in step with the store
  ragstone documents list                          what is stored; `get` prints the text of one, `chunks` where it is divided
  ragstone ask 'How are snapshots restored?'       print the prompt, enriched with cited context
  ragstone serve --data /var/lib/ragstone          serve gRPC on 127.0.0.1:6733
  ragstone export notes notes.parquet              rows, vectors and fields as Parquet; `import` reads them
  ragstone snapshot --to s3://bucket/ragstone      copy the data directory, while nothing serves it
  ragstone --url http://127.0.0.1:6733 search 'node pools'   the same commands, on a server

Exit codes: 0 done; 1 failed, and why is on standard error; 2 arguments that make no sense; 3 done but for documents that were left out;
130 interrupted.";

/// What stands below a command's own options. Without a heading clap mixes these among them.
const EVERY: &str = "Of every command";

/// The vector database for retrieval-augmented generation.
#[derive(Debug, Parser)]
#[command(name = "ragstone", version, after_help = EXAMPLES, propagate_version = true)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) place: Place,
    /// Print one JSON document instead of text.
    #[arg(long, global = true, help_heading = EVERY)]
    pub(crate) json: bool,
    /// Show no progress; what is left out, and why, is told nevertheless.
    #[arg(long, short, global = true, help_heading = EVERY)]
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
            (true, _, Command::Serve(_) | Command::Config(_) | Command::Check | Command::Repair(_)) => {
                return conflict("this command works on a directory: give --data, not --url");
            }
            (true, _, Command::Snapshot(_) | Command::Restore(_)) => {
                return conflict("snapshot and restore work on a directory: give --data, not --url");
            }
            (false, true, _) => self.place.url = None,
            _ => {}
        }
        // What is typed as nothing is a script's variable that is not set. It was to name a place, and not that which is meant without it.
        if is_typed("url") && self.place.url.as_deref() == Some("") {
            return conflict("--url is empty: name a server, or leave it out to work on a directory");
        }
        let is_unnamed = self.place.data.as_os_str().is_empty();
        if is_typed("data") && is_unnamed {
            return conflict("--data is empty: name a directory");
        }
        // A variable of the environment that is set to nothing is as good as unset.
        self.place.url = self.place.url.filter(|url| !url.is_empty());
        if is_unnamed {
            self.place.data = DEFAULT_DATA.into();
        }
        // A URL that is typed is refused above. One of the environment may have a secret in it, and is not shown.
        let is_default = is_unnamed || source(matches, "data") == Some(ValueSource::DefaultValue);
        if is_default && self.place.url.is_some() && self.command.is_for_directories() {
            return conflict(&format!(
                "this command works on a directory, and RAGSTONE_URL names a server: give --data, `--data {DEFAULT_DATA}` if that is meant"
            ));
        }
        let of_calls =
            [("--at-least", self.place.at_least.is_some()), ("--timeout", self.place.timeout.is_some())];
        if self.place.url.is_none()
            && let Some((flag, _)) = of_calls.into_iter().find(|(_, is_given)| *is_given)
        {
            return conflict(&format!("{flag} is about calls to a server: give --url"));
        }
        let typed = ["tls_ca", "tls_cert", "tls_key"].into_iter().find(|&name| is_typed(name));
        match (&mut self.command, typed) {
            (Command::Serve(_) | Command::Config(_), Some("tls_ca")) => {
                return conflict(
                    "--tls-ca is whom a client trusts; a server lets clients in by --tls-client-ca",
                );
            }
            (Command::Serve(args) | Command::Config(ConfigCommand::Check(args)), _) => {
                args.take_global(matches)
            }
            (_, Some(_)) if !self.place.url.as_deref().is_some_and(|url| url.starts_with("https://")) => {
                return conflict("certificates are for a server at https://…: give it with --url");
            }
            _ => {}
        }
        self.place.api_key = self.place.api_key.filter(|key| !key.is_empty());
        Ok(self)
    }
}

/// The longest time that a call may be given.
const TIMEOUT_MAX: Duration = Duration::from_secs(365 * 86_400);

/// How long a call may take. None at all would be of no use, and is not how "no limit" is written here.
fn timeout(text: &str) -> Result<Duration, String> {
    let time = access::time(text)?;
    match time.is_zero() || time > TIMEOUT_MAX {
        true => Err("it must be 1s to 365d; leave it out, and each call has its own default".to_owned()),
        false => Ok(time),
    }
}

/// Where a global argument's value comes from, be it given before or after the command.
fn source(matches: &ArgMatches, name: &str) -> Option<ValueSource> {
    let own = matches.value_source(name);
    let inner = matches.subcommand().and_then(|(_, inner)| source(inner, name));
    if inner == Some(ValueSource::CommandLine) { inner } else { own }
}

/// Where the data is.
#[derive(Args)]
pub(crate) struct Place {
    /// The local data directory to work on.
    #[arg(long, global = true, help_heading = EVERY, value_name = "DIR", env = "RAGSTONE_DATA", default_value = DEFAULT_DATA,
          value_parser = OsStringValueParser::new().map(PathBuf::from))]
    pub(crate) data: PathBuf,
    /// Work on this server instead, for instance http://127.0.0.1:6733, or https://host:6733.
    #[arg(long, global = true, help_heading = EVERY, value_name = "URL", env = "RAGSTONE_URL")]
    pub(crate) url: Option<String>,
    /// Certificate authorities (PEM) to trust for an https URL; the system's by default.
    #[arg(long, global = true, help_heading = EVERY, value_name = "FILE", env = "RAGSTONE_TLS_CA")]
    pub(crate) tls_ca: Option<OsString>,
    /// The certificate to show (PEM, followed by those between it and its authority): `serve` shows it to its clients, other commands to
    /// a server that asks for one.
    #[arg(long, global = true, help_heading = EVERY, value_name = "FILE", env = "RAGSTONE_TLS_CERT")]
    pub(crate) tls_cert: Option<OsString>,
    /// The private key of that certificate (PEM).
    #[arg(long, global = true, help_heading = EVERY, value_name = "FILE", env = "RAGSTONE_TLS_KEY")]
    pub(crate) tls_key: Option<OsString>,
    /// The API key or token for the server; better set in the environment, which the list of processes does not show.
    #[arg(long, global = true, help_heading = EVERY, value_name = "KEY", env = "RAGSTONE_API_KEY", hide_env_values = true)]
    pub(crate) api_key: Option<String>,
    /// Read a state that includes the write of this token: the `write_token` that a writing command prints with --json.
    #[arg(long, global = true, help_heading = EVERY, value_name = "TOKEN", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) at_least: Option<String>,
    /// Give up a call to the server after this time, retries included: a number with s, m, h or d, 1s to 365d. Each call has its own default.
    #[arg(long, global = true, help_heading = EVERY, value_name = "TIME", value_parser = timeout)]
    pub(crate) timeout: Option<Duration>,
    /// Fetch no model: use only models of the cache or of a directory.
    #[arg(long, global = true, help_heading = EVERY, env = "RAGSTONE_OFFLINE", value_parser = FalseyValueParser::new())]
    pub(crate) offline: bool,
}

/// Without the key.
impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Place { data, url, offline, .. } = self;
        f.debug_struct("Place")
            .field("data", data)
            .field("url", url)
            .field("offline", offline)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve the data directory over gRPC, and over HTTP if asked to.
    Serve(ServeArgs),
    /// Check and explain the settings that a server would run with.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Run the whole path once: fetch the model, index a folder, answer three questions.
    Demo(DemoArgs),
    /// Verify every file of a data directory that no process has open; exit code 1 if anything is damaged.
    Check,
    /// Repair a damaged data directory, and say what was lost.
    Repair(RepairArgs),
    /// Turn texts into vectors.
    Embed(EmbedArgs),
    /// Rank passages by how well they answer a query.
    Rerank(RerankArgs),
    /// Count the tokens of texts, as a model counts them.
    CountTokens(CountTokensArgs),
    /// Store documents (Markdown, text, HTML, PDF, source code, JSON Lines, CSV): split, embedded and indexed.
    Ingest(IngestArgs),
    /// List documents, read their texts and chunks, and remove them.
    #[command(subcommand)]
    Documents(DocumentsCommand),
    /// Find chunks and points: by meaning, by a vector, by likeness, in the order of a field.
    Search(SearchArgs),
    /// Write, read, count and remove points.
    #[command(subcommand)]
    Points(PointsCommand),
    /// Find the chunks that a question is about, with the score of each stage.
    Retrieve(RetrieveArgs),
    /// Make a prompt of a question and cited passages; with --generate, stream the answer, too.
    Ask(AskArgs),
    /// Measure how well questions find their documents, with a judged set.
    Eval(EvalArgs),
    /// List, make, describe and delete collections.
    #[command(subcommand)]
    Collection(CollectionCommand),
    /// List, set and delete aliases: further names of collections.
    #[command(subcommand)]
    Alias(AliasCommand),
    /// List, watch, cancel and forget long operations of a server.
    #[command(subcommand)]
    Operation(OperationCommand),
    /// Show what a database holds; have a server take and verify snapshots, export and import.
    #[command(subcommand)]
    Admin(AdminCommand),
    /// Make, list, rotate and revoke API keys.
    #[command(subcommand)]
    Key(KeyCommand),
    /// Register prompt templates by name and version, list, try and remove them.
    #[command(subcommand)]
    Template(TemplateCommand),
    /// List and fetch embedding models.
    #[command(subcommand)]
    Model(ModelCommand),
    /// Copy the data directory to a directory or an object store; list, verify and delete such copies.
    Snapshot(SnapshotArgs),
    /// Restore a snapshot into an empty data directory, as it was or as of a later moment.
    Restore(RestoreArgs),
    /// Write a collection to an Arrow or Parquet file.
    Export(ExportArgs),
    /// Write the rows of an Arrow or Parquet file to a collection.
    Import(ImportArgs),
}

impl Command {
    /// Whether it works on the data directory, whichever server there is. `serve` and `config check` make a server of one, and are not mistaken for
    /// commands to one.
    fn is_for_directories(&self) -> bool {
        matches!(self, Command::Check | Command::Repair(_) | Command::Restore(_))
            || matches!(self, Command::Snapshot(args) if args.reads_data())
    }
}

/// The collection that a command works on.
#[derive(Debug, Args)]
pub(crate) struct InCollection {
    /// The collection.
    #[arg(long, short, default_value = "default", value_name = "NAME")]
    pub(crate) collection: String,
}

#[derive(Debug, Args)]
pub(crate) struct RepairArgs {
    /// Say what would be done; change nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Index this folder instead of the project's own Markdown; it may hold whatever `ingest` takes.
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
    /// What the texts are; some models put a prefix before a query or a passage.
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
    /// List the models that are fetched or loaded.
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
