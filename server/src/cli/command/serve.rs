//! `ragstone serve`.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use ragstone::Db;
use ragstone_rag::Rag;
use ragstone_rag::embed::{ModelOptions, Models};
use ragstone_rag::generate::{GenerateModel, GenerateModels};
use ragstone_rag::progress::Progress;
use ragstone_server::settings::{Origin, Resolved, misspelt};
use ragstone_server::{Listeners, LogFormat, ServeError, bind, init_logs, open_and_serve, shutdown_signal};

use crate::cli::args::ServeArgs;
use crate::cli::{output, pdf};

/// How long threads that are still busy are waited for at the end.
const SHUTDOWN_WAIT: Duration = Duration::from_millis(200);

pub(super) fn run(args: ServeArgs) -> Result<()> {
    let resolved = args.resolve()?;
    let format = resolved.settings.log_format;
    init_logs(format);
    let served = serve(&resolved);
    if let (LogFormat::Json, Err(error)) = (format, &served) {
        // Who reads lines of JSON does not read what every command says at its end.
        tracing::error!(error = output::causes(error), "the server failed");
    }
    served
}

fn serve(resolved: &Resolved) -> Result<()> {
    let settings = &resolved.settings;
    for (variable, nearest) in misspelt_variables() {
        tracing::warn!(variable, nearest, "a variable of the environment is no setting, but nearly");
    }
    for doubt in resolved.doubts() {
        tracing::warn!(doubt, "settings cannot be meant together");
    }
    let generate_models = generate_models(resolved)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .max_blocking_threads(settings.server.blocking_threads_max())
        .enable_all()
        .build()
        .context("the runtime")?;
    let served = runtime.block_on(async {
        // Listening comes first: a port that is taken is found out before a large directory is opened.
        let grpc = bind(&settings.listen).await.map_err(|error| at(resolved, "listen", error))?;
        let http = match &settings.http_listen {
            Some(address) => Some(bind(address).await.map_err(|error| at(resolved, "http_listen", error))?),
            None => None,
        };
        let asked = shutdown_signal()?;
        let shutdown = async {
            asked.await;
            tokio::spawn(end_at_once());
        };
        let progress = Arc::new(LogProgress);
        let options = ModelOptions { offline: settings.offline, progress, ..ModelOptions::default() };
        let data = settings.data.clone();
        let open = move || {
            let models = Models::new(options);
            let rag = |db| Rag::new(db, models).with_generate_models(generate_models);
            Db::open(data).map(|db| rag(db).with_pdf_program(pdf::program()))
        };
        let served = open_and_serve(settings.server.clone(), open, Listeners { grpc, http }, shutdown).await;
        served.map_err(|error| explained(resolved, error))
    });
    // The database is flushed. A model that is still being fetched would otherwise keep the process until it is here; a
    // fetch that is cut off leaves nothing in the cache.
    runtime.shutdown_timeout(SHUTDOWN_WAIT);
    served
}

/// Ends the process at the next Ctrl-C, as it ends any other command: whoever asks twice does not want to wait for what is under way. What was
/// acknowledged is kept, whenever a process ends.
async fn end_at_once() {
    if tokio::signal::ctrl_c().await.is_ok() {
        tracing::warn!("asked once more to stop; what is under way is cut off");
        std::process::exit(output::EXIT_INTERRUPTED.into());
    }
}

/// Variables of this process's environment that are nearly settings, each with the one that is.
pub(super) fn misspelt_variables() -> Vec<(String, String)> {
    misspelt(std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()))
}

/// The language models that the settings list.
pub(super) fn generate_models(resolved: &Resolved) -> Result<GenerateModels> {
    let models = resolved.settings.generate_models.iter().map(|model| GenerateModel::parse(model));
    let models = models.collect::<Result<Vec<_>, _>>().and_then(GenerateModels::new);
    models.map_err(|error| at(resolved, "generate_models", error))
}

/// An error of a setting, with the place that it is written at.
fn at(
    resolved: &Resolved,
    key: &str,
    error: impl std::error::Error + Send + Sync + 'static,
) -> anyhow::Error {
    let error = anyhow::Error::new(error);
    match resolved.origin(key) {
        Origin::Default => error,
        origin => error.context(origin.to_string()),
    }
}

/// Why a server did not start or did not end well, with the place of the setting that is to blame.
pub(super) fn explained(resolved: &Resolved, error: ServeError) -> anyhow::Error {
    let key = match &error {
        &ServeError::Config { field, reason } => written(resolved, field, reason),
        ServeError::Tls(error) => error.setting,
        ServeError::Telemetry(_) => "otlp_endpoint",
        ServeError::Insecure { address } | ServeError::Address { address, .. } => {
            listening_on(resolved, address)
        }
        _ => "",
    };
    match error {
        ServeError::Open(error) => {
            let data = resolved.settings.data.display();
            anyhow::Error::new(error).context(format!("--data {data}"))
        }
        error => at(resolved, key, error),
    }
}

/// The setting that is to blame; where that is written nowhere, as it is missing (`tls.key is needed beside tls.cert`), the one that asks for it.
fn written(resolved: &Resolved, field: &'static str, reason: &'static str) -> &'static str {
    let is_written = |key: &&str| *resolved.origin(key) != Origin::Default;
    let named = reason.split_whitespace().map(|word| word.trim_end_matches([':', ',']));
    std::iter::once(field).chain(named).find(is_written).unwrap_or(field)
}

/// The setting that has this address; none if the system chose a part of it.
fn listening_on(resolved: &Resolved, address: &str) -> &'static str {
    let settings = &resolved.settings;
    let ports = [("listen", Some(&settings.listen)), ("http_listen", settings.http_listen.as_ref())];
    let port = ports.into_iter().find(|(_, at)| at.is_some_and(|at| at == address));
    port.map_or("", |(key, _)| key)
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
