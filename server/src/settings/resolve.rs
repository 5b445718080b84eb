//! From the places where settings are written to what holds, with where it comes from.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use super::{CONFIG_VARIABLE, Setting, Settings, all, file, find};

/// Where a setting may be written.
pub struct Sources<'a> {
    /// The file that a flag names.
    pub file: Option<PathBuf>,
    /// The environment.
    pub environment: &'a dyn Fn(&str) -> Option<OsString>,
    /// What flags say, by the key of their setting.
    pub flags: Vec<(&'static str, Vec<OsString>)>,
}

/// Where a value was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nowhere.
    Default,
    /// In a line of the file.
    File {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// In a variable.
    Environment(String),
    /// Behind a flag.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File { path, line } => write!(f, "{}:{line}", path.display()),
            Origin::Environment(name) => f.write_str(name),
            Origin::Flag(name) => write!(f, "--{name}"),
        }
    }
}

/// Something that is written wrongly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Where.
    pub origin: Origin,
    /// What is wrong with it.
    pub what: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.origin, self.what)
    }
}

/// Why nothing can be run with what is written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("the configuration {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Some of it is written wrongly: all of that, in the order of the sources.
    #[error("{}", lines(.0))]
    Refused(Vec<Refusal>),
}

fn lines(refusals: &[Refusal]) -> String {
    refusals.iter().map(Refusal::to_string).collect::<Vec<_>>().join("\n")
}

/// What holds.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// All of it.
    pub settings: Settings,
    /// The file that was read.
    pub file: Option<PathBuf>,
    origins: BTreeMap<&'static str, Origin>,
}

impl Resolved {
    /// Where the setting of a key comes from.
    pub fn origin(&self, key: &str) -> &Origin {
        self.origins.get(key).unwrap_or(&Origin::Default)
    }

    /// What holds and cannot be meant together, with its places. A server runs with it, and callers are told of the one limit where they heed the other.
    pub fn doubts(&self) -> Vec<String> {
        let server = &self.settings.server;
        let of_one = [
            ("request_bytes_max", server.request_bytes_max),
            ("response_bytes_max", server.response_bytes_max),
        ];
        let unreached = of_one.into_iter().filter(|(_, bytes)| *bytes > server.message_bytes_max);
        let told = |(key, _): (&'static str, usize)| {
            let (all, one) = (self.written("message_bytes_max"), self.written(key));
            format!("{all} is below {one}: messages between the two are told to come back, and never taken")
        };
        unreached.map(told).collect()
    }

    /// A setting as it holds, and where that is written.
    fn written(&self, key: &str) -> String {
        let value = find(key).and_then(|setting| setting.shown(&self.settings));
        format!("{key} = {} ({})", value.unwrap_or_default(), self.origin(key))
    }
}

/// Reads the file, if there is one, and finds out what holds: flags over the environment over the file over defaults.
///
/// # Errors
/// [`SettingsError`].
pub fn resolve(sources: Sources<'_>) -> Result<Resolved, SettingsError> {
    // A variable that is set to nothing is as good as unset.
    let variable = |name: &str| (sources.environment)(name).filter(|value| !value.is_empty());
    let file = sources.file.or_else(|| variable(CONFIG_VARIABLE).map(PathBuf::from));
    let mut applied = Applied::default();
    if let Some(path) = &file {
        applied.file(path)?;
    }
    for setting in all() {
        for name in setting.variables().rev() {
            if let Some(value) = variable(&name) {
                applied.set(setting, &in_environment(setting, value), Origin::Environment(name));
            }
        }
    }
    for setting in all() {
        for (_, written) in sources.flags.iter().filter(|(key, _)| *key == setting.key()) {
            applied.set(setting, written, Origin::Flag(setting.flag()));
        }
    }
    match applied.refused.is_empty() {
        true => Ok(Resolved { settings: applied.settings, file, origins: applied.origins }),
        false => Err(SettingsError::Refused(applied.refused)),
    }
}

/// What a variable says: of a list, all its items.
fn in_environment(setting: &Setting, value: OsString) -> Vec<OsString> {
    match value.to_str() {
        Some(text) if setting.field().is_list() => setting.field().items(text),
        _ => vec![value],
    }
}

/// What holds so far.
#[derive(Default)]
struct Applied {
    settings: Settings,
    origins: BTreeMap<&'static str, Origin>,
    refused: Vec<Refusal>,
}

impl Applied {
    fn file(&mut self, path: &Path) -> Result<(), SettingsError> {
        let bytes =
            std::fs::read(path).map_err(|source| SettingsError::Read { path: path.to_owned(), source })?;
        let text = match std::str::from_utf8(&bytes) {
            Ok(text) => text,
            Err(error) => {
                let before = bytes.iter().take(error.valid_up_to());
                let line = 1 + before.filter(|byte| **byte == b'\n').count();
                let origin = Origin::File { path: path.to_owned(), line };
                self.refused.push(Refusal { origin, what: "is not UTF-8, as TOML is".to_owned() });
                return Ok(());
            }
        };
        for (line, entry) in file::entries(text) {
            let origin = Origin::File { path: path.to_owned(), line };
            match entry {
                Ok((setting, written)) => self.set(setting, &written, origin),
                Err(what) => self.refused.push(Refusal { origin, what }),
            }
        }
        Ok(())
    }

    fn set(&mut self, setting: &'static Setting, written: &[OsString], origin: Origin) {
        match setting.field().set(&mut self.settings, written) {
            Ok(()) => {
                self.origins.insert(setting.key(), origin);
            }
            Err(what) => self.refused.push(Refusal { origin, what: format!("{} {what}", setting.key()) }),
        }
    }
}
