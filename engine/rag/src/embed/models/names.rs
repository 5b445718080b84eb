//! What the names of models mean.

use std::path::{Path, PathBuf};

use crate::embed::{Arithmetic, DEFAULT_MODEL, remote};
use crate::error::{Error, Result};

/// The owner of models that are named without one.
pub(super) const DEFAULT_OWNER: &str = "sentence-transformers";
/// Characters of an owner's or a model's name on the hub.
const NAME_LEN_MAX: usize = 96;

/// What follows a name that asks for arithmetic in eight bits.
const INT8: &str = "@int8";

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    Remote,
    Directory(PathBuf),
    /// `owner/name`.
    Repository(String),
}

/// A name, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    /// The one name of what is asked for.
    pub(super) name: String,
    /// The same without what it says of arithmetic.
    pub(super) model: String,
    pub(super) origin: Origin,
    pub(super) arithmetic: Arithmetic,
}

/// Takes a name apart.
pub(super) fn understand(name: &str) -> Result<Asked> {
    // A directory may be called so, and so may a service's model.
    let is_whole = remote::is_remote(name) || Path::new(name).is_dir();
    let (given, arithmetic) = match name.strip_suffix(INT8).filter(|_| !is_whole) {
        Some(given) => (given, Arithmetic::Int8),
        None => (name, Arithmetic::Float),
    };
    let (model, origin) = origin_of(given)?;
    let name = match arithmetic {
        Arithmetic::Float => model.clone(),
        Arithmetic::Int8 => format!("{model}{INT8}"),
    };
    Ok(Asked { name, model, origin, arithmetic })
}

/// The name that a model of the user's own answers to.
pub(super) fn own_name(given: &str) -> String {
    understand(given).map_or_else(|_| given.to_owned(), |asked| asked.name)
}

/// How a repository's model is asked for.
pub(super) fn name_of(repository: &str) -> String {
    match repository.split_once('/') {
        Some((DEFAULT_OWNER, DEFAULT_MODEL)) => DEFAULT_MODEL.to_owned(),
        _ => repository.to_owned(),
    }
}

/// The one name of what a name without arithmetic means, and what that is.
fn origin_of(name: &str) -> Result<(String, Origin)> {
    if remote::is_remote(name) {
        return Ok((name.to_owned(), Origin::Remote));
    }
    let path = Path::new(name);
    let explicit = path.is_absolute() || name.starts_with("./") || name.starts_with("../") || name == ".";
    let holds_model = || ["modules.json", "config.json"].iter().any(|file| path.join(file).is_file());
    if explicit || (!name.is_empty() && holds_model()) {
        let whole =
            path.canonicalize().or_else(|_| std::path::absolute(path)).unwrap_or_else(|_| path.to_owned());
        return Ok((whole.to_string_lossy().into_owned(), Origin::Directory(whole)));
    }
    let (owner, model) = name.split_once('/').unwrap_or((DEFAULT_OWNER, name));
    for part in [owner, model] {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let separated = part.contains("--") || part.contains("..") || part.starts_with(['.', '-']);
        if part.is_empty() || part.len() > NAME_LEN_MAX || !part.chars().all(plain) || separated {
            return Err(Error::Invalid {
                field: "model".to_owned(),
                reason: format!(
                    "`{name}` is no model's name: neither a directory, nor https://host/v1#model, nor owner/name of \
                     letters, digits, `-`, `_` and `.`"
                ),
            });
        }
    }
    let repository = format!("{owner}/{model}");
    Ok((name_of(&repository), Origin::Repository(repository)))
}
