//! Reads through a handle whose token is cancelled, at every moment at which they look at it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use super::*;
use crate::dir::hooked::HookedDir;
use crate::interrupt::cancelled_at;
use crate::query::OrderBy;
use crate::{CancelToken, Collection, Error, ScrollRequest, SearchRequest};

/// Three sealed segments and one that grows, of so many rows each.
const ROWS: u64 = 700;

fn filled() -> Db {
    let db = Db::in_memory_with(DbOptions { background: false, ..DbOptions::default() }).unwrap();
    let rows = db.create_collection("rows", Schema::new(2).unwrap()).unwrap();
    for segment in 0..4 {
        if segment > 0 {
            db.flush().unwrap();
        }
        let point = |id: u64| Point::new(id, [1.0, id as f32]).with("number", id as i64);
        rows.upsert((segment * ROWS..(segment + 1) * ROWS).map(point).collect()).unwrap();
    }
    db
}

type Read = fn(&Collection) -> crate::Result<u64>;

/// What looks at the token, and how often at least.
fn reads() -> Vec<(&'static str, u64, Read)> {
    vec![
        ("get", 50, |rows| Ok(rows.get(&(0..50).map(Into::into).collect::<Vec<_>>())?.len() as u64)),
        ("count", 2, |rows| rows.count(Some(&Filter::Exists("number".into())))),
        // A look for each condition of a segment, and for each 512 rows of the one that grows.
        ("filtered count", 7, |rows| rows.count(Some(&Filter::Not(Box::new(Filter::eq("number", 3)))))),
        ("filtered scroll", 1_007, |rows| {
            let filter = Some(Filter::Not(Box::new(Filter::eq("number", 3))));
            let request = ScrollRequest { limit: 1_000, filter, ..ScrollRequest::default() };
            Ok(rows.scroll(&request)?.points.len() as u64)
        }),
        ("facet", 3, |rows| Ok(rows.facet("number", None, 10)?.values)),
        ("scroll", 1_000, |rows| {
            Ok(rows.scroll(&ScrollRequest { limit: 1_000, ..ScrollRequest::default() })?.points.len() as u64)
        }),
        // It looked for each row that it gave, and not while it put all of them in order.
        ("ordered scroll", 1_007, |rows| {
            let order = Some(OrderBy::descending("number"));
            let request = ScrollRequest { limit: 1_000, order, ..ScrollRequest::default() };
            Ok(rows.scroll(&request)?.points.len() as u64)
        }),
        ("iteration", 4 * ROWS, |rows| {
            rows.view().iter().try_fold(0, |count, point| point.map(|_| count + 1))
        }),
    ]
}

#[test]
fn reads_end_at_the_look_that_finds_their_token_cancelled() {
    let db = filled();
    for (name, looks_min, read) in reads() {
        let whole = read(&db.collection("rows").unwrap()).unwrap();
        let looks = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&looks);
        let token = CancelToken::polled(move || {
            counted.fetch_add(1, Ordering::Relaxed);
        });
        assert_eq!(read(&db.cancelled_by(token).collection("rows").unwrap()).unwrap(), whole);
        let looks = looks.load(Ordering::Relaxed);
        assert!(looks >= looks_min, "{name} looks {looks} times");
        for look in [1, 2, looks / 2, looks] {
            let cancelled = db.cancelled_by(cancelled_at(look)).collection("rows").unwrap();
            assert!(matches!(read(&cancelled), Err(Error::Cancelled)), "{name} at look {look} of {looks}");
        }
        let late = db.cancelled_by(cancelled_at(looks + 1)).collection("rows").unwrap();
        assert_eq!(read(&late).unwrap(), whole, "{name}");
    }
}

#[test]
fn searches_look_at_the_tokens_of_their_handle_and_of_their_request() {
    let db = filled();
    let (of_handle, of_request) = (CancelToken::new(), CancelToken::new());
    let rows = db.cancelled_by(of_handle.clone()).collection("rows").unwrap();
    let request = SearchRequest::new([1.0, 5.0], 10).cancel(of_request.clone());
    assert_eq!(rows.search(&request).unwrap().stats.interrupted, None);
    of_request.cancel();
    assert_eq!(rows.search(&request).unwrap().stats.interrupted, Some(crate::Interrupted::Cancelled));
    let request = SearchRequest::new([1.0, 5.0], 10);
    of_handle.cancel();
    assert_eq!(rows.search(&request).unwrap().stats.interrupted, Some(crate::Interrupted::Cancelled));
    let both = rows.search_batch(&[request.clone(), request]).unwrap();
    assert!(both.iter().all(|response| response.stats.interrupted.is_some() && response.hits.is_empty()));
}

#[test]
fn a_write_is_not_begun_once_its_handle_is_cancelled() {
    let db = filled();
    let token = CancelToken::new();
    let rows = db.cancelled_by(token.clone()).collection("rows").unwrap();
    rows.upsert(vec![Point::new(1, [0.0, 1.0])]).unwrap();
    let seq = rows.info().seq;
    token.cancel();
    assert!(matches!(rows.upsert(vec![Point::new(2, [0.0, 1.0])]), Err(Error::Cancelled)));
    assert!(matches!(rows.delete_where(&Filter::Exists("number".into())), Err(Error::Cancelled)));
    assert!(matches!(rows.check_wanted(), Err(Error::Cancelled)));
    assert_eq!(rows.info().seq, seq);
    assert!(db.check_wanted().is_ok());
}

type Write = fn(&Collection) -> crate::Result<crate::WriteReceipt>;

/// Each way to write.
fn writes() -> [(&'static str, Write); 5] {
    [
        ("upsert", |rows| rows.upsert(vec![Point::new(1, [0.0, 1.0]).with("number", -1_i64)])),
        ("update", |rows| rows.update(vec![Update::new(2).set("number", -1_i64)])),
        ("delete", |rows| rows.delete(&[3.into()])),
        ("delete where", |rows| rows.delete_where(&Filter::eq("number", 4_i64))),
        ("field", |rows| rows.add_field("later", crate::FieldType::Int)),
    ]
}

/// Writers wait while another collection is about to take the place: for as long as anybody waits for them.
#[test]
fn a_write_that_is_held_ends_with_its_token_and_is_not_done() {
    let writes = writes();
    let db = filled();
    let rows = db.collection("rows").unwrap();
    let before = rows.info().seq;
    let replacement = db.begin_replacement("rows", Schema::new(2).unwrap()).unwrap();
    let given_up = replacement.finish(|_| {
        for (name, write) in writes {
            let token = CancelToken::new();
            let held = db.cancelled_by(token.clone()).collection("rows").unwrap();
            let (tell, told) = mpsc::channel();
            std::thread::spawn(move || tell.send(write(&held)));
            let early = told.recv_timeout(Duration::from_millis(50));
            assert!(early.is_err(), "{name}: it waits, since it is wanted");
            token.cancel();
            let late = told.recv_timeout(Duration::from_secs(60)).unwrap();
            assert!(matches!(late, Err(Error::Cancelled)), "{name}: {late:?}");
        }
        Err(Error::Cancelled)
    });
    assert!(matches!(given_up, Err(Error::Cancelled)));
    assert_eq!(rows.info().seq, before, "none was done");
    for (name, write) in writes {
        let seq = write(&rows).unwrap().seq;
        assert!(seq > before, "{name}: they go on when it is given up");
    }
}

/// Writers wait for seals: nobody looked meanwhile whether they were wanted still, and what was not was written in the end.
#[test]
fn a_write_that_waits_for_room_ends_with_its_token_and_is_not_done() {
    let is_open = Arc::new(AtomicBool::new(false));
    let gate = Arc::clone(&is_open);
    let dir = HookedDir::new(move |operation, name| {
        while operation == "create" && name.starts_with("segment-") && !gate.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    });
    let db = Db::open_in(Arc::new(dir), DbOptions { background: true, ..options() }).unwrap();
    let rows = db.create_collection("rows", Schema::new(2).unwrap()).unwrap();
    // Two segments, of which the first one is being sealed.
    for first in [0, 9_u64] {
        let point = |id: u64| Point::new(id, [1.0, id as f32]).with("number", id as i64);
        rows.upsert((first..first + 9).map(point).collect()).unwrap();
    }
    let before = rows.info().seq;
    let mut told = Vec::new();
    for (name, write) in writes() {
        let token = CancelToken::new();
        let waiting = db.cancelled_by(token.clone()).collection("rows").unwrap();
        let (tell, answer) = mpsc::channel();
        thread::spawn(move || tell.send(write(&waiting)));
        let early = answer.recv_timeout(Duration::from_millis(50)).ok();
        token.cancel();
        told.push((name, early, answer.recv_timeout(Duration::from_secs(10)).ok()));
    }
    let after = rows.info().seq;
    // First of all, or the end of the database would wait for the seal.
    is_open.store(true, Ordering::SeqCst);
    for (name, early, late) in told {
        assert!(early.is_none(), "{name}: it waits, since it is wanted");
        assert!(matches!(late, Some(Err(Error::Cancelled))), "{name}: {late:?}");
    }
    assert_eq!(after, before, "none was done");
    for (name, write) in writes() {
        assert!(write(&rows).unwrap().seq > before, "{name}: they go on when there is room");
    }
}

#[test]
fn a_detached_view_outlasts_the_handle() {
    let db = filled();
    let token = CancelToken::new();
    let view = db.cancelled_by(token.clone()).collection("rows").unwrap().view();
    token.cancel();
    assert!(matches!(view.count(None), Err(Error::Cancelled)));
    let detached = view.detached();
    assert_eq!((detached.count(None).unwrap(), detached.seq()), (4 * ROWS, view.seq()));
}
