//! `ragstone serve`.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use ragstone::Db;
use ragstone_rag::Rag;
use ragstone_rag::embed::{ModelOptions, Models};
use ragstone_rag::generate::{GenerateModel, GenerateModels};
use ragstone_rag::progress::Progress;
use ragstone_server::{
    Listeners, ServeError, ServerConfig, bind, init_logs, open_and_serve, shutdown_signal,
};

use crate::cli::args::{LogFormat, Place, ServeArgs};

/// How long threads that are still busy are waited for at the end.
const SHUTDOWN_WAIT: Duration = Duration::from_millis(200);

pub(super) fn run(place: &Place, args: ServeArgs) -> Result<()> {
    init_logs(match args.log_format {
        LogFormat::Text => ragstone_server::LogFormat::Text,
        LogFormat::Json => ragstone_server::LogFormat::Json,
    });
    let models = args
        .generate_models
        .iter()
        .filter(|model| !model.is_empty())
        .map(|model| GenerateModel::parse(model));
    let generate_models = GenerateModels::new(models.collect::<Result<Vec<_>, _>>()?)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("the runtime")?;
    let served = runtime.block_on(async {
        // Listening comes first: a port that is taken is found out before a large directory is opened.
        let grpc = bind(&args.listen).await?;
        let http = match &args.http_listen {
            Some(address) => Some(bind(address).await?),
            None => None,
        };
        let shutdown = shutdown_signal()?;
        let progress = Arc::new(LogProgress);
        let options = ModelOptions { offline: place.offline, progress, ..ModelOptions::default() };
        let config = ServerConfig {
            default_model: args.model,
            allow_any_model: args.allow_any_model,
            snapshot_stores: args.snapshot_stores,
            exchange_dir: args.exchange_dir,
            ..ServerConfig::default()
        };
        let data = place.data.clone();
        let open = move || {
            let models = Models::new(options);
            Db::open(data).map(|db| Rag::new(db, models).with_generate_models(generate_models))
        };
        let served = open_and_serve(config, open, Listeners { grpc, http }, shutdown).await;
        served.map_err(|error| match error {
            ServeError::Open(error) => {
                anyhow::Error::new(error).context(format!("--data {}", place.data.display()))
            }
            other => other.into(),
        })
    });
    // The database is flushed. A model that is still being fetched would otherwise keep the process until it is here; a
    // fetch that is cut off leaves nothing in the cache.
    runtime.shutdown_timeout(SHUTDOWN_WAIT);
    served
}

/// Progress as log lines: a server has no terminal.
struct LogProgress;

impl Progress for LogProgress {
    fn begin(&self, what: &str, total: Option<u64>, unit: &'static str) {
        tracing::info!(task = what, total, unit, "began");
    }

    fn advance(&self, _amount: u64) {}

    fn end(&self) {}

    fn note(&self, line: &str) {
        tracing::info!("{line}");
    }
}
