//! Files from and to a local directory.

use anyhow::{Context, Result};
use ragstone_exchange::{ExportOptions, Exported, ImportOptions, Imported};
use ragstone_server::exchange;

use super::{Local, Transfer};

pub(super) fn export(local: &Local, transfer: Transfer<'_>, options: &ExportOptions) -> Result<Exported> {
    let Transfer { collection, file, progress } = transfer;
    Ok(exchange::export(local.rag(false)?, collection, file, options, progress)?)
}

pub(super) fn import(local: &Local, transfer: Transfer<'_>, options: &ImportOptions) -> Result<Imported> {
    let Transfer { collection, file, progress } = transfer;
    // A file that is mistyped makes no database.
    std::fs::metadata(file).with_context(|| format!("cannot open {}", file.display()))?;
    Ok(exchange::import(local.rag(true)?, collection, file, options, progress)?)
}
