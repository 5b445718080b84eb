//! Whom a command trusts, and what it shows of itself.

use std::ffi::OsString;

use anyhow::{Context, Result, bail};
use ragstone_client::ClientBuilder;

use crate::cli::args::Place;

/// Reads the files for an https URL. For another they are not meant: they come from the environment then, or would have been refused.
pub(super) fn with_certificates(builder: ClientBuilder, url: &str, place: &Place) -> Result<ClientBuilder> {
    if !url.starts_with("https://") {
        return Ok(builder);
    }
    // A variable that is set to nothing is as good as unset.
    let read = |flag: &str, file: &Option<OsString>| match file.as_deref().filter(|file| !file.is_empty()) {
        Some(file) => std::fs::read(file).map(Some).with_context(|| format!("{flag} {}", file.display())),
        None => Ok(None),
    };
    let builder = match read("--tls-ca", &place.tls_ca)? {
        Some(authorities) => builder.tls_ca(authorities),
        None => builder,
    };
    match (read("--tls-cert", &place.tls_cert)?, read("--tls-key", &place.tls_key)?) {
        (Some(cert), Some(key)) => Ok(builder.tls_identity(cert, key)),
        (None, None) => Ok(builder),
        (Some(_), None) => bail!("--tls-cert is of no use without --tls-key"),
        (None, Some(_)) => bail!("--tls-key is of no use without --tls-cert"),
    }
}
