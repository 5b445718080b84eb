//! The server that is loaded, and its collection.

use std::sync::Arc;

use ragstone::Db;
use ragstone_benches::Failure;
use ragstone_benches::random::Random;
use ragstone_proto::v1;
use ragstone_proto::v1::create_collection_request;
use ragstone_rag::Rag;
use ragstone_rag::embed::{ModelOptions, Models};
use ragstone_server::{Listeners, ServeError, ServerConfig, bind, serve};
use serde_json::json;
use tempfile::TempDir;
use tokio::io::AsyncReadExt as _;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::{Code, Status};

use super::Arguments;
use super::calls::Calls;
use super::vectors::Vectors;
use super::words::{self, HashedWords, MODEL};
use super::workload::{Kind, Load, Workload, point};

const ANY_PORT: &str = "127.0.0.1:0";
const DOCUMENTS_SEED: u64 = 2;
/// Points of an upsert that fills.
const FILL: usize = 500;
/// Words of a document.
const DOCUMENT_WORDS: usize = 200;

/// A server of this process, over a scratch directory or one that is kept.
pub(crate) struct Own {
    pub(crate) url: String,
    http_address: String,
    pub(crate) rag: Rag,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<Result<(), ServeError>>,
    _scratch: Option<TempDir>,
}

impl Own {
    async fn start(arguments: &Arguments) -> Result<Own, Failure> {
        let scratch = match (&arguments.directory, &arguments.scratch) {
            (Some(_), _) => None,
            (None, Some(scratch)) => Some(tempfile::tempdir_in(scratch)?),
            (None, None) => Some(tempfile::tempdir()?),
        };
        let data = match (&arguments.directory, &scratch) {
            (Some(directory), _) => directory.clone(),
            (None, Some(scratch)) => scratch.path().join("data"),
            (None, None) => return Err("there is no directory".into()),
        };
        let models = Models::new(ModelOptions { offline: true, ..ModelOptions::default() });
        models.insert(Arc::new(HashedWords::new(arguments.dimension)));
        let db = tokio::task::spawn_blocking(move || Db::open(data)).await??;
        let rag = Rag::new(db, models);
        let (grpc, http) = (bind(ANY_PORT).await?, bind(ANY_PORT).await?);
        let (url, http_address) = (format!("http://{}", grpc.local_addr()?), http.local_addr()?.to_string());
        let config = ServerConfig { default_model: MODEL.to_owned(), ..ServerConfig::default() };
        let (stop, stopped) = oneshot::channel::<()>();
        let listeners = Listeners { grpc, http: Some(http) };
        let serving = tokio::spawn(serve(config, rag.clone(), listeners, async move {
            // A sender that is gone means the same.
            let _ = stopped.await;
        }));
        Ok(Own { url, http_address, rag, stop, serving, _scratch: scratch })
    }

    /// Has what was filled at rest: nothing goes on beside what is measured.
    async fn settle(&self) -> Result<(), Failure> {
        let db = self.rag.db().clone();
        tokio::task::spawn_blocking(move || db.compact()).await??;
        Ok(())
    }

    async fn end(self) -> Result<(), Failure> {
        let _ = self.stop.send(());
        Ok(self.serving.await??)
    }
}

/// A server with its collection.
pub(crate) struct Place {
    pub(crate) url: String,
    pub(crate) own: Option<Own>,
    pub(crate) dimension: usize,
    calls: Calls,
    /// The collection, if it was made here and is not kept.
    made: Option<String>,
}

impl Place {
    /// The one that is asked for: another's, or one of this process.
    pub(crate) async fn of(arguments: &Arguments) -> Result<Place, Failure> {
        let own = match &arguments.url {
            Some(_) => None,
            None => Some(Own::start(arguments).await?),
        };
        let url = match (&arguments.url, &own) {
            (Some(url), _) => url.clone(),
            (None, Some(own)) => own.url.clone(),
            (None, None) => return Err("there is no server".into()),
        };
        let calls = Calls::connect(&url, &arguments.headers).await?;
        let (dimension, was_made) = fill(&calls, arguments).await?;
        if let Some(own) = &own {
            own.settle().await?;
        }
        let is_removed = was_made && arguments.directory.is_none();
        let made = is_removed.then(|| arguments.collection.clone());
        Ok(Place { url, own, dimension, calls, made })
    }

    /// The load that is asked for, over connections of its own.
    pub(crate) async fn load(&self, arguments: &Arguments) -> Result<Load, Failure> {
        let workload = Workload::new(arguments, arguments.mix.clone(), self.dimension)?;
        Ok(Load::new(connections(&self.url, arguments).await?, Arc::new(workload)))
    }

    /// Removes what was made, and ends what was started.
    pub(crate) async fn leave(self) -> Result<(), Failure> {
        if let Some(name) = self.made {
            remove(&self.calls, name).await?;
        }
        match self.own {
            Some(own) => own.end().await,
            None => Ok(()),
        }
    }
}

/// Connections to a server, as many as are asked for.
pub(crate) async fn connections(url: &str, arguments: &Arguments) -> Result<Vec<Calls>, Failure> {
    let mut connections = Vec::with_capacity(arguments.connections);
    for _ in 0..arguments.connections {
        connections.push(Calls::connect(url, &arguments.headers).await?);
    }
    Ok(connections)
}

/// Makes and fills the collection unless it is there; components of its vectors, and whether it was made.
async fn fill(calls: &Calls, arguments: &Arguments) -> Result<(usize, bool), Failure> {
    let name = &arguments.collection;
    let get = v1::GetCollectionRequest { name: name.clone(), ..Default::default() };
    match calls.collections().get_collection(get).await {
        Ok(answer) => {
            let there =
                answer.into_inner().collection.ok_or("the collection that is there is not told of")?;
            if arguments.directory.is_some() && there.points != arguments.rows as u64 {
                let (points, rows) = (there.points, arguments.rows);
                return Err(format!(
                    "`{name}` has {points} points there, not {rows}: another --directory, or --rows"
                )
                .into());
            }
            return Ok((there.dimension as usize, false));
        }
        Err(status) if status.code() == Code::NotFound => {}
        Err(status) => return Err(status.into()),
    }
    // Files that do not fit are refused before anything is made; what a model's vectors are is known afterwards.
    let (of, known) = match arguments.mix.has(Kind::Retrieve) {
        true => (create_collection_request::Vectors::Model(arguments.model.clone()), None),
        false => (
            create_collection_request::Vectors::Dimension(u32::try_from(arguments.dimension)?),
            Some(Vectors::of(arguments, arguments.dimension)?),
        ),
    };
    let make = v1::CreateCollectionRequest { name: name.clone(), vectors: Some(of), ..Default::default() };
    let made = calls.collections().create_collection(make).await?.into_inner();
    let dimension = made.collection.map_or(arguments.dimension, |made| made.dimension as usize);
    if let Err(error) = fill_made(calls, arguments, known, dimension).await {
        // The next run would take it for whole.
        if let Err(status) = remove(calls, name.clone()).await {
            eprintln!("`{name}` is not filled and cannot be removed: {status}");
        }
        return Err(error);
    }
    Ok((dimension, true))
}

async fn remove(calls: &Calls, name: String) -> Result<(), Status> {
    let request = v1::DeleteCollectionRequest { name, ..Default::default() };
    calls.collections().delete_collection(request).await.map(drop)
}

/// Fills a collection that was made just now, by vectors that may be known already.
async fn fill_made(
    calls: &Calls,
    arguments: &Arguments,
    known: Option<Vectors>,
    dimension: usize,
) -> Result<(), Failure> {
    let name = &arguments.collection;
    let vectors = match known {
        Some(vectors) => vectors,
        None => Vectors::of(arguments, dimension)?,
    };
    eprintln!("filling `{name}` with {} points", arguments.rows);
    let (mut points, mut vectors) = (calls.points(), vectors.rows(arguments.rows));
    for first in (0..arguments.rows).step_by(FILL) {
        let rows = first..arguments.rows.min(first + FILL);
        let rows = rows.zip(&mut vectors).map(|(row, vector)| {
            let id = v1::point_id::Id::Number(row as u64);
            point(id, vector, row as u64)
        });
        let upsert = v1::UpsertPointsRequest {
            collection: name.clone(),
            points: rows.collect(),
            ..Default::default()
        };
        points.upsert_points(upsert).await?;
    }
    if arguments.mix.has(Kind::Retrieve) {
        let (mut documents, mut random) = (calls.documents(), Random::new(DOCUMENTS_SEED));
        for number in 0..arguments.documents {
            let ingest = v1::IngestDocumentRequest {
                collection: name.clone(),
                id: format!("load-{number:05}.txt"),
                content: words::text(&mut random, DOCUMENT_WORDS).into_bytes().into(),
                ..Default::default()
            };
            documents.ingest_document(ingest).await?;
        }
    }
    Ok(())
}

/// A server in a process of its own: tells its addresses in a line of JSON, and serves until standard input ends, as it does when the
/// process that started this one is gone.
pub(crate) async fn serve_for_parent(arguments: &Arguments) -> Result<(), Failure> {
    let place = Place::of(arguments).await?;
    if let Some(own) = &place.own {
        println!("{}", json!({ "url": own.url, "http_address": own.http_address }));
    }
    let mut nothing = Vec::new();
    tokio::io::stdin().read_to_end(&mut nothing).await?;
    place.leave().await
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    /// A collection of a model is made before it is known whether the files fit: it stayed, empty, and the next run measured searches of nothing.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_collection_that_cannot_be_filled_does_not_stay() {
        let words = ["load", "--mix", "retrieve", "--base", "absent.npy", "--query", "absent.npy"];
        let arguments = Arguments::try_parse_from(words).unwrap();
        let own = Own::start(&arguments).await.unwrap();
        let calls = Calls::connect(&own.url, &[]).await.unwrap();
        assert!(fill(&calls, &arguments).await.is_err());
        let get = v1::GetCollectionRequest { name: arguments.collection.clone(), ..Default::default() };
        let status = calls.collections().get_collection(get).await.unwrap_err();
        assert_eq!(status.code(), Code::NotFound);
        drop(calls);
        own.end().await.unwrap();
    }
}
