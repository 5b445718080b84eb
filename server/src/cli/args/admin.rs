//! The arguments of `ragstone alias`, `ragstone operation` and `ragstone admin`.

use clap::{Args, Subcommand, ValueEnum};
use ragstone_client::OperationState;

use super::exchange::{ExportHow, ImportHow};

#[derive(Debug, Subcommand)]
pub(crate) enum AliasCommand {
    /// List the aliases with the collections that they name.
    List {
        /// Only those of this collection.
        #[arg(long, value_name = "NAME")]
        of: Option<String>,
    },
    /// Point an alias at a collection, whether the alias is new or named another one, from one moment to the next.
    Set {
        /// The alias.
        alias: String,
        /// The collection.
        collection: String,
    },
    /// Delete an alias; its collection stays.
    Delete {
        /// The alias.
        alias: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ReembedArgs {
    /// The collection.
    pub(crate) name: String,
    /// The model to move it to.
    #[arg(long, value_name = "MODEL", required_unless_present = "cancel")]
    pub(crate) model: Option<String>,
    /// The field with the texts of points that are not chunks of documents and have a vector.
    #[arg(long, value_name = "FIELD")]
    pub(crate) text_field: Option<String>,
    /// On a server: begin, print the operation, and do not wait for its end.
    #[arg(long)]
    pub(crate) detach: bool,
    /// Give up the move that is under way or was interrupted: the collection keeps its model.
    #[arg(long, conflicts_with_all = ["model", "text_field", "detach"])]
    pub(crate) cancel: bool,
}

const RESTORE_EXAMPLES: &str = "\
Examples:
  ragstone collection restore notes --from /backups                     from the newest snapshot there
  ragstone collection restore notes --from /backups --as notes-before   beside the one that is there
  ragstone --url http://127.0.0.1:6733 collection restore notes --replace --snapshot 20260101T000000Z";

#[derive(Debug, Args)]
#[command(after_help = RESTORE_EXAMPLES)]
pub(crate) struct RestoreCollectionArgs {
    /// The collection in the snapshot.
    pub(crate) name: String,
    /// Where the snapshots are; on a server, a store that it was started with, which may be left out if there is one.
    #[arg(long, value_name = "URL")]
    pub(crate) from: Option<String>,
    /// The snapshot; the newest if left out.
    #[arg(long, value_name = "NAME")]
    pub(crate) snapshot: Option<String>,
    /// The name that it gets in the database; by default its name in the snapshot.
    #[arg(long = "as", value_name = "NAME")]
    pub(crate) to: Option<String>,
    /// Replace the collection of this name, which is removed with all that it holds.
    #[arg(long)]
    pub(crate) replace: bool,
    /// On a server: begin, print the operation, and do not wait for its end.
    #[arg(long)]
    pub(crate) detach: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum OperationCommand {
    /// List the operations that the server knows, the newest first.
    List {
        /// Only those in this state.
        #[arg(long, value_enum)]
        state: Option<InState>,
    },
    /// Show an operation.
    Show {
        /// Its id.
        id: String,
    },
    /// Show how far an operation is, until it has ended.
    Watch {
        /// Its id.
        id: String,
    },
    /// Ask an operation to end.
    Cancel {
        /// Its id.
        id: String,
    },
    /// Forget an operation that has ended.
    Delete {
        /// Its id.
        id: String,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum InState {
    /// Still running.
    Running,
    /// Ended as it should.
    Succeeded,
    /// Ended with an error.
    Failed,
    /// Was asked to end early.
    Cancelled,
}

impl From<InState> for OperationState {
    fn from(state: InState) -> Self {
        match state {
            InState::Running => Self::Running,
            InState::Succeeded => Self::Succeeded,
            InState::Failed => Self::Failed,
            InState::Cancelled => Self::Cancelled,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum AdminCommand {
    /// Show what the database holds, and the room that it takes.
    Stats,
    /// Have a server copy its database to a store that it was started with (`serve --snapshot-store`).
    Snapshot(Store),
    /// List the snapshots in such a store, the oldest first.
    Snapshots(Store),
    /// Have a server write a collection to a file in its folder (`serve --exchange-dir`); `export` writes one here.
    Export {
        /// The collection.
        collection: String,
        /// The file's name: .arrow, .feather, .ipc or .parquet.
        file: String,
        #[command(flatten)]
        how: ExportHow,
    },
    /// Have a server read the rows of a file in its folder into a collection, which is made if it is not there; `import` reads one here.
    Import {
        /// The file's name.
        file: String,
        /// The collection.
        collection: String,
        #[command(flatten)]
        how: ImportHow,
    },
    /// Have a server compare a snapshot with its checksums.
    VerifySnapshot {
        /// Its name; the newest if left out.
        name: Option<String>,
        #[command(flatten)]
        store: Store,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Store {
    /// The store; the only one that the server was started with, if left out.
    #[arg(long, value_name = "URL")]
    pub(crate) store: Option<String>,
}
