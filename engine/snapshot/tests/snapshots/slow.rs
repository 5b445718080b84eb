//! A store that is slow: its client gives each request up after a while, however much came, or makes it again. And one that knows little.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use ragstone::Schema;
use ragstone_snapshot::{Error, Repository, RestoreRequest, Until, quietly};

use super::support::{contents, open_still, restored, version_of};

/// A store whose answers break off.
#[derive(Debug)]
struct Slow {
    inner: Arc<InMemory>,
    /// Bytes of a file of a database that come at once.
    bytes: usize,
    puts: Puts,
}

/// How objects get into it.
#[derive(Debug)]
enum Puts {
    Once,
    /// As its client puts everything again.
    Twice,
    /// But those that are to be put only where there is none.
    Blindly,
}

impl std::fmt::Display for Slow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a slow store")
    }
}

#[async_trait]
impl ObjectStore for Slow {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        match self.puts {
            Puts::Twice => drop(self.inner.put_opts(location, payload.clone(), opts.clone()).await?),
            Puts::Blindly if matches!(opts.mode, PutMode::Create) => {
                // As Linux says it of a second name on exFAT.
                let source = std::io::Error::from(std::io::ErrorKind::PermissionDenied).into();
                return Err(object_store::Error::Generic { store: "slow", source });
            }
            Puts::Once | Puts::Blindly => {}
        }
        self.inner.put_opts(location, payload, opts).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let mut got = self.inner.get_opts(location, options.clone()).await?;
        let is_file = location.as_ref().starts_with("objects/") || location.as_ref().starts_with("log/");
        if is_file && !options.head {
            let all = self.inner.get_opts(location, options).await?.bytes().await?;
            let came = all.slice(..all.len().min(self.bytes));
            let broken = (came.len() < all.len()).then(|| {
                let source = "it took too long".into();
                Err(object_store::Error::Generic { store: "slow", source })
            });
            let parts = stream::iter([Ok(came)].into_iter().chain(broken));
            got.payload = GetResultPayload::Stream(parts.boxed());
        }
        Ok(got)
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

/// A file that took longer than the few minutes for which the client of a remote store goes on with a request could be neither
/// restored nor verified: each attempt began with its first byte.
#[test]
fn of_an_answer_that_breaks_off_the_rest_is_asked_for() {
    let data = tempfile::tempdir().unwrap();
    let store = Arc::new(InMemory::new());
    let at_most = |bytes| {
        let slow = Slow { inner: Arc::clone(&store), bytes, puts: Puts::Once };
        Repository::with_store(Arc::new(slow), Path::default()).unwrap()
    };
    let db = open_still(data.path());
    let notes = db.create_collection("notes", Schema::new(2).unwrap()).unwrap();
    notes.upsert((0..50).map(|id| version_of(id, 1)).collect()).unwrap();
    db.flush().unwrap();
    let repository = at_most(100);
    repository.take(&db, Some("s"), quietly).unwrap();
    notes.upsert((0..50).map(|id| version_of(id, 2)).collect()).unwrap();
    repository.archive(&db, quietly).unwrap();
    let verified = repository.verify("s", quietly).unwrap();
    assert!(verified.damaged.is_empty(), "{verified:?}");
    let (found, _keep) = restored(&repository, &RestoreRequest::until(Until::End));
    assert_eq!(contents(&found), contents(&db));
    // From one that brings nothing nothing is expected.
    let refused = at_most(0).verify("s", quietly).unwrap_err();
    assert!(matches!(refused, Error::Store { operation: "get", .. }), "{refused}");
}

/// The store had the manifest and said that it failed, so its client put it again: of the snapshot that was there with it, it was said that
/// there had been one before.
#[test]
fn a_manifest_that_is_put_twice_is_of_one_snapshot() {
    let data = tempfile::tempdir().unwrap();
    let store = Slow { inner: Arc::default(), bytes: usize::MAX, puts: Puts::Twice };
    let repository = Repository::with_store(Arc::new(store), Path::default()).unwrap();
    let db = open_still(data.path());
    let taken = repository.take(&db, Some("s"), quietly).unwrap();
    assert_eq!(repository.list().unwrap(), [taken.snapshot]);
    let again = repository.take(&db, Some("s"), quietly);
    assert!(matches!(again, Err(Error::Exists { .. })), "{again:?}");
}

/// A file system that gives no file a second name, as that of most memory sticks, had all files of a snapshot, and then refused its manifest.
#[test]
fn a_store_without_conditions_will_do() {
    let data = tempfile::tempdir().unwrap();
    let store = Slow { inner: Arc::default(), bytes: usize::MAX, puts: Puts::Blindly };
    let repository = Repository::with_store(Arc::new(store), Path::default()).unwrap();
    let db = open_still(data.path());
    let taken = repository.take(&db, Some("s"), quietly).unwrap();
    assert_eq!(repository.list().unwrap(), [taken.snapshot]);
}
