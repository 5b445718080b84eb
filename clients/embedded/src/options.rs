//! From the arguments of `open` to a database and its models.

use std::path::{Path, PathBuf};
use std::time::Duration;

use pyo3::prelude::*;
use ragstone::{Db, DbOptions};
use ragstone_exchange::ImportOptions;
use ragstone_rag::Rag;
use ragstone_rag::embed::{ModelOptions, Models};
use ragstone_rag::generate::{GenerateModel, GenerateModels};
use ragstone_server::in_process::Failed;
use ragstone_server::{InProcess, ServerConfig};

/// A model may be on its way for as long as its call has time: nobody else is kept waiting.
const MODEL_WAIT: Duration = Duration::from_secs(24 * 3_600);

/// The arguments of `open`, every one of which Python's side has given a value.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Options {
    /// The model that is used where a call names none; the default one if None.
    model: Option<String>,
    read_only: bool,
    offline: bool,
    /// Where models are kept, if not in the default place.
    cache: Option<PathBuf>,
    /// Language models that may be asked, NAME=URL.
    generate_models: Vec<String>,
    allow_any_model: bool,
    snapshot_stores: Vec<String>,
    exchange_dir: Option<PathBuf>,
}

/// The arguments of an import.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct ImportArguments {
    id: Option<String>,
    number_rows: bool,
    vector: Option<String>,
    expires_at: Option<String>,
    columns: Option<Vec<String>>,
    without: Vec<String>,
}

impl From<ImportArguments> for ImportOptions {
    fn from(arguments: ImportArguments) -> ImportOptions {
        let ImportArguments { id, number_rows, vector, expires_at, columns, without } = arguments;
        ImportOptions {
            id,
            number_rows,
            vector,
            expires_at,
            columns,
            except: without,
            ..ImportOptions::default()
        }
    }
}

impl Options {
    /// Opens the directory, or a database in memory. Blocks.
    pub(crate) fn open(self, path: Option<&Path>) -> Result<InProcess, Failed> {
        let generate_models = self.generate_models.iter().map(|model| GenerateModel::parse(model));
        let generate_models = generate_models.collect::<Result<Vec<_>, _>>().and_then(GenerateModels::new)?;
        let mut options = DbOptions::default();
        options.read_only = self.read_only;
        let db = match path {
            Some(path) => Db::open_with(path, options)?,
            None => Db::in_memory_with(options)?,
        };
        let mut models = ModelOptions { offline: self.offline, ..ModelOptions::default() };
        if let Some(cache) = self.cache {
            models.cache_dir = cache;
        }
        let rag = Rag::new(db, Models::new(models)).with_generate_models(generate_models);
        let defaults = ServerConfig::default();
        let config = ServerConfig {
            default_model: self.model.unwrap_or_else(|| defaults.default_model.clone()),
            allow_any_model: self.allow_any_model,
            snapshot_stores: self.snapshot_stores,
            exchange_dir: self.exchange_dir,
            model_wait: MODEL_WAIT,
            // Who reads a stream of answers in this process may take as long as it has.
            answer_stall_timeout: defaults.stream_timeout,
            ..defaults
        };
        InProcess::new(config, rag)
    }
}
