//! Searches from asynchronous code: as many at once as there are permits, each ended with the future that waits for it.
//!
//! `cargo run -p ragstone --example asynchronous`

use std::sync::Arc;
use std::time::Duration;

use ragstone::{CancelToken, Collection, Db, Point, Schema, SearchRequest, SearchResponse};
use tokio::sync::Semaphore;

/// A collection for the tasks of a runtime. Clones share it and its permits.
#[derive(Clone)]
struct Searcher {
    notes: Collection,
    permits: Arc<Semaphore>,
}

impl Searcher {
    async fn search(&self, request: SearchRequest) -> Result<SearchResponse, Box<dyn std::error::Error>> {
        let permit = self.permits.clone().acquire_owned().await?;
        let token = CancelToken::new();
        let _ends_with_the_future = token.cancel_on_drop();
        let (notes, request) = (self.notes.clone(), request.cancel(token));
        let search = move || {
            // Held by the thread: a search whose future is gone counts until it has ended.
            let _permit = permit;
            notes.search(&request)
        };
        Ok(tokio::task::spawn_blocking(search).await??)
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    tokio::runtime::Builder::new_multi_thread().enable_time().build()?.block_on(async {
        let db = Db::in_memory()?;
        let notes = db.create_collection("notes", Schema::new(2)?)?;
        let writer = notes.clone();
        let points = (0..1_000_u64).map(|id| Point::new(id, [1.0, id as f32])).collect();
        tokio::task::spawn_blocking(move || writer.upsert(points)).await??;

        let searcher = Searcher { notes, permits: Arc::new(Semaphore::new(2)) };
        let (near, far) = tokio::try_join!(
            searcher.search(SearchRequest::new([1.0, 0.0], 1)),
            searcher.search(SearchRequest::new([0.0, 1.0], 1)),
        )?;
        assert_eq!((&near.hits[0].id, near.hits.len(), far.hits.len()), (&0.into(), 1, 1));

        // A timeout drops the future, and with it goes the search.
        let hurried = searcher.search(SearchRequest::new([1.0, 0.5], 10).exact());
        match tokio::time::timeout(Duration::from_nanos(1), hurried).await {
            Ok(response) => println!("{} rows in time", response?.hits.len()),
            Err(late) => println!("{late}"),
        }
        Ok(())
    })
}
