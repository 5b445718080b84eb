//! Where snapshots are: from a URL to a store and a prefix.
//!
//! | URL | store | credentials |
//! |---|---|---|
//! | `/path`, `file:///path` | a directory; every object is synced | |
//! | `s3://bucket/prefix` | Amazon S3 and what speaks its protocol | `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_REGION`, `AWS_ENDPOINT` … |
//! | `gs://bucket/prefix` | Google Cloud Storage | `GOOGLE_APPLICATION_CREDENTIALS` … |
//! | `az://container/prefix` | Azure Blob Storage | `AZURE_STORAGE_ACCOUNT_NAME`, `AZURE_STORAGE_ACCOUNT_KEY` … |

use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;

use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreScheme};
use url::Url;

use crate::error::{Error, Result};

/// A store.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) store: Arc<dyn ObjectStore>,
    /// Of every object in it.
    pub(crate) prefix: Path,
    /// Where its files are, if it is a directory.
    pub(crate) directory: Option<PathBuf>,
}

/// Schemes of stores that are mistyped with one slash, or none, behind the colon.
const SCHEMES: [&str; 9] = ["s3", "s3a", "gs", "az", "azure", "adl", "abfs", "abfss", "file"];

/// What a URL names, by its form alone.
enum Named {
    Directory(PathBuf),
    Store(Url, ObjectStoreScheme, Path),
}

/// Finds out whether a URL can name a place. Nothing is looked for, and nothing asked.
pub(crate) fn check(url: &str) -> Result<()> {
    named(url).map(drop)
}

fn named(url: &str) -> Result<Named> {
    let refused = |reason: String| Error::Place { url: url.to_owned(), reason };
    // `C:\copies` is no URL of scheme `c` either.
    let parsed = match Url::parse(url) {
        Ok(parsed) if url.contains("://") => parsed,
        // A directory `s3:` would be made, on the very disk that copies are to outlive.
        _ => match url.split_once(':') {
            Some((scheme, _)) if SCHEMES.iter().any(|known| known.eq_ignore_ascii_case(scheme)) => {
                return Err(refused(format!("behind `{scheme}:` two slashes belong")));
            }
            _ => return Ok(Named::Directory(PathBuf::from(url))),
        },
    };
    let (scheme, prefix) = ObjectStoreScheme::parse(&parsed).map_err(|error| refused(error.to_string()))?;
    match scheme {
        ObjectStoreScheme::Local => {
            let path = parsed.to_file_path();
            Ok(Named::Directory(path.map_err(|()| refused("it is not a path of this machine".into()))?))
        }
        ObjectStoreScheme::AmazonS3
        | ObjectStoreScheme::GoogleCloudStorage
        | ObjectStoreScheme::MicrosoftAzure => Ok(Named::Store(parsed, scheme, prefix)),
        _ => Err(refused(cannot_be_kept(&parsed))),
    }
}

fn cannot_be_kept(url: &Url) -> String {
    format!("snapshots cannot be kept at {}://", url.scheme())
}

/// The store that a URL names. A directory is made if `makes` says so.
pub(crate) fn open(url: &str, makes: bool) -> Result<Place> {
    let refused = |reason: String| Error::Place { url: url.to_owned(), reason };
    let (parsed, scheme, prefix) = match named(url)? {
        Named::Directory(path) => return directory(url, path, makes),
        Named::Store(parsed, scheme, prefix) => (parsed, scheme, prefix),
    };
    let built = match scheme {
        ObjectStoreScheme::AmazonS3 => amazon(&parsed),
        ObjectStoreScheme::GoogleCloudStorage => google(&parsed),
        ObjectStoreScheme::MicrosoftAzure => azure(&parsed),
        _ => None,
    };
    match built {
        Some(store) => {
            let store = store.map_err(|error| refused(error.to_string()))?;
            Ok(Place { store, prefix, directory: None })
        }
        None => Err(refused(cannot_be_kept(&parsed))),
    }
}

fn directory(url: &str, path: PathBuf, makes: bool) -> Result<Place> {
    let failed = |error: String| Error::Place { url: url.to_owned(), reason: error };
    if makes {
        std::fs::create_dir_all(&path).map_err(|error| failed(error.to_string()))?;
    } else if path.try_exists().is_ok_and(|exists| !exists) {
        // The store itself says that it is "unable to canonicalize" this.
        return Err(failed("there is no such directory".to_owned()));
    }
    let store = LocalFileSystem::new_with_prefix(&path).map_err(|error| failed(error.to_string()))?;
    let store = Arc::new(store.with_fsync(true));
    Ok(Place { store, prefix: Path::default(), directory: Some(path) })
}

/// Whether a store failed to put an object only where there is none because it never can. A directory does it by a second name of one
/// file, which the file systems of memory sticks and of some shares do not have.
pub(crate) fn has_no_conditions(error: &object_store::Error) -> bool {
    use object_store::Error::{Generic, NotImplemented, NotSupported};
    let mut cause: Option<&(dyn std::error::Error + 'static)> = match error {
        NotImplemented { .. } | NotSupported { .. } => return true,
        Generic { source, .. } => Some(&**source),
        _ => None,
    };
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<std::io::Error>() {
            return matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::Unsupported);
        }
        cause = error.source();
    }
    false
}

/// A store, if this build has its kind.
type Built = Option<Result<Arc<dyn ObjectStore>, object_store::Error>>;

/// Whoever uses TLS in this process first decides whose cryptography it is; without anybody, it is ring.
#[cfg(feature = "cloud")]
fn with_tls<S: ObjectStore>(built: Result<S, object_store::Error>) -> Built {
    // Fails if somebody decided already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Some(built.map(|store| Arc::new(store) as Arc<dyn ObjectStore>))
}

#[cfg(feature = "aws")]
fn amazon(url: &Url) -> Built {
    use object_store::aws::AmazonS3Builder;
    // A server of one's own is often without TLS, and its URL says so.
    let is_plain = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"]
        .iter()
        .find_map(|name| std::env::var(name).ok())
        .is_some_and(|endpoint| endpoint.starts_with("http://"));
    let builder = AmazonS3Builder::from_env().with_url(url.as_str());
    let builder = if is_plain { builder.with_allow_http(true) } else { builder };
    // Building the client reads the system's certificates, which needs the cryptography.
    let _ = rustls::crypto::ring::default_provider().install_default();
    with_tls(builder.build())
}

#[cfg(feature = "gcp")]
fn google(url: &Url) -> Built {
    use object_store::gcp::GoogleCloudStorageBuilder;
    let _ = rustls::crypto::ring::default_provider().install_default();
    with_tls(GoogleCloudStorageBuilder::from_env().with_url(url.as_str()).build())
}

#[cfg(feature = "azure")]
fn azure(url: &Url) -> Built {
    use object_store::azure::MicrosoftAzureBuilder;
    let _ = rustls::crypto::ring::default_provider().install_default();
    with_tls(MicrosoftAzureBuilder::from_env().with_url(url.as_str()).build())
}

#[cfg(not(feature = "aws"))]
fn amazon(_: &Url) -> Built {
    None
}

#[cfg(not(feature = "gcp"))]
fn google(_: &Url) -> Built {
    None
}

#[cfg(not(feature = "azure"))]
fn azure(_: &Url) -> Built {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_are_named_by_path_or_url() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a b/c");
        let error = open(path.to_str().unwrap(), false).unwrap_err();
        assert!(matches!(error, Error::Place { .. }), "a typing error makes no directory: {error}");
        assert!(error.to_string().ends_with("there is no such directory"), "{error}");
        open(path.to_str().unwrap(), true).unwrap();
        open(Url::from_file_path(&path).unwrap().as_str(), false).unwrap();
    }

    /// `s3:/bucket` was a directory of this name beside the data: the copies were there, and nobody saw it before the disk was gone.
    #[test]
    fn a_store_with_a_slash_too_few_is_no_directory() {
        for url in ["s3:/bucket/a", "s3:bucket", "S3:/bucket", "gs:/bucket", "az:container", "file:/a"] {
            assert!(matches!(check(url), Err(Error::Place { .. })), "{url}");
            assert!(matches!(open(url, true), Err(Error::Place { .. })), "{url}");
            assert!(!PathBuf::from(url).exists(), "{url}");
        }
        for url in
            ["/a", "a b", "a:b", "C:\\a", "s3", "./s3:/a", "s3://bucket/a", "gs://bucket", "az://container/a"]
        {
            assert!(check(url).is_ok(), "{url}");
        }
    }

    #[test]
    fn other_places_are_refused() {
        for url in ["ftp://host/a", "memory:///", "https://host/a"] {
            assert!(matches!(open(url, true), Err(Error::Place { .. })), "{url}");
            assert!(matches!(check(url), Err(Error::Place { .. })), "{url}");
        }
    }
}
