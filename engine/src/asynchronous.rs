//! Calling a database from asynchronous code. There is no code here: it takes three lines of your own.
//!
//! # Why calls block
//! A search computes, and may touch a page that the disk has to bring; a write waits for a sync. Neither has a point where
//! another task could go on in the same thread: mapped memory cannot be awaited, and what computes does not wait. An asynchronous
//! engine would hand each call to a thread that may block, as you do below, and would choose for you which one: its own
//! runtime beside yours, threads without a bound, a dependency for all who have no runtime. So the engine blocks, and its
//! handles make it easy to say where: [`Db`](crate::Db), [`Collection`](crate::Collection) and [`View`](crate::View) are
//! cheap to clone, [`Send`] and [`Sync`].
//!
//! # How to call it
//! Move a clone to a thread that may block (`tokio::task::spawn_blocking`, `smol::unblock`), and let the future hold what
//! ends the search with it: a future that is dropped, by a timeout or because a client went away, does not stop a thread, but
//! [`CancelToken::cancel_on_drop`](crate::CancelToken::cancel_on_drop) does, within microseconds. A
//! [`budget`](crate::SearchRequest::budget) bounds a search that nobody cancels.
//!
//! ```
//! use ragstone::{CancelToken, Collection, Db, Point, Schema, SearchRequest, SearchResponse};
//!
//! async fn search(notes: &Collection, request: SearchRequest) -> ragstone::Result<SearchResponse> {
//!     let token = CancelToken::new();
//!     let _ends_with_the_future = token.cancel_on_drop();
//!     let (notes, request) = (notes.clone(), request.cancel(token));
//!     tokio::task::spawn_blocking(move || notes.search(&request)).await.expect("the search did not panic")
//! }
//!
//! # tokio::runtime::Builder::new_multi_thread().build()?.block_on(async {
//! let db = Db::in_memory()?;
//! let notes = db.create_collection("notes", Schema::new(2)?)?;
//! let writer = notes.clone();
//! tokio::task::spawn_blocking(move || writer.upsert(vec![Point::new(1, [1.0, 0.0])])).await??;
//! assert_eq!(search(&notes, SearchRequest::new([1.0, 0.1], 1)).await?.hits.len(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # How many at once
//! Searches are work for a processor: more of them at once than there are processors only wait for each other. Where requests
//! come from outside, have each take a permit of a semaphore with as many first; `spawn_blocking` alone starts hundreds
//! of threads. Many queries of one request are one [`search_batch`](crate::Collection::search_batch), which keeps to
//! [`DbOptions::threads`](crate::DbOptions::threads).
//!
//! Writes are best sent from several tasks at once: those that wait at the same time share one sync.
//! A write cannot be cancelled. Dropping its future leaves it to end by itself, and it is either whole or not there.
//!
//! Closing waits for the threads of the database, some milliseconds in which background work comes to a pause: drop the last
//! handle on a thread that may block too.
