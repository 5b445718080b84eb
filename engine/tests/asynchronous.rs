//! Dropping a future ends the search that it waits for, as the documentation of `ragstone::asynchronous` shows it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::mpsc;

use ragstone::{CancelToken, Collection, Db, Interrupted, Point, Schema, SearchRequest, SearchStats};

/// Searches once it is told to, and tells how the search ended.
async fn search(
    notes: Collection,
    request: SearchRequest,
    (go, ended): (mpsc::Receiver<()>, mpsc::Sender<SearchStats>),
) {
    let token = CancelToken::new();
    let _ends_with_the_future = token.cancel_on_drop();
    let request = request.cancel(token);
    let search = move || {
        go.recv().unwrap();
        ended.send(notes.search(&request).unwrap().stats).unwrap();
    };
    tokio::task::spawn_blocking(search).await.unwrap();
}

#[test]
fn a_search_ends_with_its_future() {
    let db = Db::in_memory().unwrap();
    let notes = db.create_collection("notes", Schema::new(2).unwrap()).unwrap();
    notes.upsert((0..100_u64).map(|id| Point::new(id, [1.0, id as f32])).collect()).unwrap();
    let request = SearchRequest::new([1.0, 0.5], 3);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    for is_dropped in [true, false] {
        let ((go, wait), (ended, ends)) = (mpsc::channel(), mpsc::channel());
        let task = runtime.spawn(search(notes.clone(), request.clone(), (wait, ended)));
        if is_dropped {
            task.abort();
            // The future is dropped when its task has ended.
            assert!(runtime.block_on(task).unwrap_err().is_cancelled());
            // The task may have been dropped before it came to its search.
            let Ok(()) = go.send(()) else { continue };
            let Ok(stats) = ends.recv() else { continue };
            assert_eq!(stats.interrupted, Some(Interrupted::Cancelled));
        } else {
            go.send(()).unwrap();
            runtime.block_on(task).unwrap();
            assert_eq!(ends.recv().unwrap().interrupted, None);
        }
    }
}
