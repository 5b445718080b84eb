//! What `ragstone serve` runs with, and where it comes from.
//!
//! The problem: a setting has a name in a file, one in the environment, a flag, a default, a type, a help text and a line in the
//! documentation, and each of these lists would be forgotten once. So there is one list, `table`: a [`Setting`] is a row of it, and the
//! flags, the environment's names, the keys of the file and `server/CONFIGURATION.md` are made from it (or compared with it, by a test).
//!
//! | where | what a setting `tls.client_ca` is called | |
//! |---|---|---|
//! | flag | `--tls-client-ca FILE` | wins over |
//! | environment | `RAGSTONE_TLS_CLIENT_CA` | wins over |
//! | file | `client_ca` in the section `[tls]` | wins over |
//! | default | | |
//!
//! The file is the one that `--config` names, else `RAGSTONE_CONFIG`; no file is looked for otherwise. A list is taken as a whole from the
//! first of these that has it. A variable that is set to nothing is as good as unset.
//!
//! Invariants:
//! * What is written wrongly is refused, even where something wins over it, with the place that it stands at; all of it at once.
//! * A key that nobody knows is refused: a typing error must not leave a default in its place. A variable that is nearly one of ours is told.
//! * What a setting is shown as has no secret in it.
//!
//! To add one: a field of [`Settings`] or of [`ServerConfig`], a row in `table`, and the line that the test of the documentation prints.

mod docs;
mod field;
mod file;
mod misspelt;
mod resolve;
mod setting;
mod table;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::config::{DEFAULT_LISTEN, ServerConfig};
use crate::listen::ServeError;
use crate::logs::LogFormat;

pub use self::docs::markdown;
pub use self::field::Field;
pub use self::misspelt::misspelt;
pub use self::resolve::{Origin, Refusal, Resolved, SettingsError, Sources, resolve};
pub(crate) use self::setting::without_secrets;
pub use self::setting::{Setting, VARIABLES, Variable};
pub use self::table::{GROUPS, Group};

/// Where the data is by default.
pub const DEFAULT_DATA: &str = "ragstone-data";

/// What names the file, where no flag does.
pub const CONFIG_VARIABLE: &str = "RAGSTONE_CONFIG";

/// What `ragstone serve` runs with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The directory of the database.
    pub data: PathBuf,
    /// Whether no model is fetched.
    pub offline: bool,
    /// Where gRPC is listened for.
    pub listen: String,
    /// Where HTTP is listened for, if anywhere.
    pub http_listen: Option<String>,
    /// How log lines are written.
    pub log_format: LogFormat,
    /// Language models that may be asked, as `ragstone_rag::generate::GenerateModel::parse` reads them.
    pub generate_models: Vec<String>,
    /// The rest.
    pub server: ServerConfig,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            data: PathBuf::from(DEFAULT_DATA),
            offline: false,
            listen: DEFAULT_LISTEN.to_owned(),
            http_listen: None,
            log_format: LogFormat::default(),
            generate_models: Vec::new(),
            server: ServerConfig::default(),
        }
    }
}

impl Settings {
    /// Finds out what a server would not start for, as far as that can be told without listening and without opening the database. Names of
    /// hosts are not looked up: whether they are of this machine is found out by listening. Reads the files of certificates, so it blocks for
    /// a moment.
    ///
    /// # Errors
    /// As [`ServerConfig::check`]; [`ServeError::Address`] for one that is not `HOST:PORT`, and [`ServeError::Insecure`], each with the address as
    /// it is written.
    pub fn check(&self) -> Result<(), ServeError> {
        self.problems().into_iter().next().map_or(Ok(()), Err)
    }

    /// All of it at once: what [`check`](Self::check) finds once the one before is mended; nothing where it finds nothing.
    pub fn problems(&self) -> Vec<ServeError> {
        let addresses = || [Some(&self.listen), self.http_listen.as_ref()].into_iter().flatten();
        let mut problems = self.server.all_problems();
        problems.extend(addresses().filter(|address| !has_port(address)).map(|address| {
            let reason = "a host and a port belong to it".to_owned();
            ServeError::Address { address: address.clone(), reason }
        }));
        // Port 0 is another one each time.
        if self.http_listen.as_ref() == Some(&self.listen) && !self.listen.ends_with(":0") {
            let reason = "is the same address as listen: each port needs its own";
            problems.push(ServeError::Config { field: "http_listen", reason });
        }
        if self.server.is_for_this_machine_alone() {
            let is_elsewhere =
                |address: &&String| address.parse::<SocketAddr>().is_ok_and(|at| !at.ip().is_loopback());
            let reached = addresses().filter(is_elsewhere);
            problems.extend(reached.map(|address| ServeError::Insecure { address: address.clone() }));
        }
        problems
    }
}

/// Whether it is `HOST:PORT`; whether there is such a host is found out by listening.
fn has_port(address: &str) -> bool {
    address.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
}

/// Every setting, in the order of the documentation.
pub fn all() -> impl Iterator<Item = &'static Setting> {
    GROUPS.iter().flat_map(|group| group.settings)
}

/// The setting of this key.
pub fn find(key: &str) -> Option<&'static Setting> {
    all().find(|setting| setting.key() == key)
}
