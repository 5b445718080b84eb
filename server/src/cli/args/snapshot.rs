//! The arguments of `ragstone snapshot` and `ragstone restore`.

use clap::{Args, Subcommand};
use ragstone_snapshot::Until;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true, after_help = PLACES)]
pub(crate) struct SnapshotArgs {
    #[command(subcommand)]
    pub(crate) command: Option<SnapshotCommand>,
    /// Where the snapshot goes. What is there already is not uploaded again.
    #[arg(long, value_name = "URL", required = true)]
    pub(crate) to: Option<String>,
    /// Its name; by default the time.
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
}

impl SnapshotArgs {
    /// Whether a data directory is read; the other commands work on what was copied.
    pub(super) fn reads_data(&self) -> bool {
        matches!(self.command, None | Some(SnapshotCommand::Archive { .. }))
    }
}

const PLACES: &str = "\
Places:
  /path, file:///path   a directory
  s3://bucket/prefix    Amazon S3 and what speaks its protocol: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_ENDPOINT
  gs://bucket/prefix    Google Cloud Storage: GOOGLE_APPLICATION_CREDENTIALS
  az://container/prefix Azure Blob Storage: AZURE_STORAGE_ACCOUNT_NAME, AZURE_STORAGE_ACCOUNT_KEY";

/// The place with the snapshots.
#[derive(Debug, Args)]
pub(crate) struct InPlace {
    /// Where the snapshots are.
    #[arg(long, value_name = "URL")]
    pub(crate) at: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SnapshotCommand {
    /// List the snapshots, oldest first.
    List(InPlace),
    /// Read every object of a snapshot, and of the archived log after it, and compare it with its hash.
    Verify {
        /// Its name; the newest if left out.
        name: Option<String>,
        #[command(flatten)]
        place: InPlace,
    },
    /// Delete snapshots, and what no other snapshot needs.
    Delete {
        /// Their names.
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
        #[command(flatten)]
        place: InPlace,
    },
    /// Remove files that no snapshot needs, left by interrupted snapshots.
    Collect(InPlace),
    /// Upload the log since the last time: every write since the last snapshot becomes a moment that can be restored.
    Archive {
        /// Where the snapshots are.
        #[arg(long, value_name = "URL")]
        to: String,
    },
}

#[derive(Debug, Args)]
#[command(after_help = PLACES)]
pub(crate) struct RestoreArgs {
    /// Where the snapshots are.
    #[arg(long, value_name = "URL")]
    pub(crate) from: String,
    /// The snapshot; the newest, or the newest before the moment, if left out.
    #[arg(long, value_name = "NAME")]
    pub(crate) snapshot: Option<String>,
    /// The moment: the position of a write in the log, COLLECTION:NUMBER of a write in a collection, a time such as
    /// 2026-11-22T10:30:00Z, or `end` for all that is archived; that of the snapshot if left out.
    #[arg(long, value_name = "MOMENT", value_parser = crate::cli::moment::parse)]
    pub(crate) until: Option<Until>,
}
