//! What every handler has from [`Services`].

use std::sync::mpsc;

use ragstone::{Db, Filter, Schema, ScrollRequest};
use ragstone_proto::v1::CountPointsResponse;
use ragstone_rag::embed::{ModelOptions, Models, Overflow, Role};

use super::*;
use crate::recall::Recall;

/// The caller leaves while a handler works: whatever it reads or embeds from then on ends.
#[tokio::test]
async fn the_work_of_a_call_that_is_dropped_ends_where_it_looks() {
    let db = Db::in_memory().unwrap();
    let schema = Schema::builder(2).field("a", ragstone::FieldType::Int).build().unwrap();
    db.create_collection("c", schema).unwrap();
    let models = Models::new(ModelOptions { offline: true, ..ModelOptions::default() });
    let config = ServerConfig::default();
    let work = Work::new(&config);
    let metrics = Metrics::new(work.clone(), Recall::new(0.0, work.clone()));
    let services = Services::new(&config, Rag::new(db, models), work, metrics);
    let (begin, begun) = tokio::sync::oneshot::channel();
    let (release, released) = mpsc::channel::<()>();
    let (tell, told) = mpsc::channel();
    let answer = services.answer(move |rag| {
        let rows = rag.db().collection("c")?;
        assert_eq!(rows.count(None)?, 0, "it is wanted so far");
        begin.send(()).unwrap();
        released.recv().unwrap();
        let is_cancelled = |error: &ragstone::Error| matches!(error, ragstone::Error::Cancelled);
        tell.send(rows.count(None).is_err_and(|error| is_cancelled(&error))).unwrap();
        tell.send(rows.facet("a", None, 1).is_err_and(|error| is_cancelled(&error))).unwrap();
        let all = ScrollRequest { limit: 1, ..ScrollRequest::default() };
        tell.send(rows.view().scroll(&all).is_err_and(|error| is_cancelled(&error))).unwrap();
        tell.send(rows.get(&[1.into()]).is_err_and(|error| is_cancelled(&error))).unwrap();
        tell.send(rows.delete_where(&Filter::AllTenants).is_err_and(|error| is_cancelled(&error))).unwrap();
        let embedded = rag.embed(None, &["x"], Role::Plain, Overflow::Error);
        let is_ended = matches!(&embedded, Err(ragstone_rag::Error::Engine(error)) if is_cancelled(error));
        tell.send(is_ended).unwrap();
        Ok(CountPointsResponse { count: 0 })
    });
    tokio::select! {
        _ = answer => panic!("it is held"),
        begun = begun => begun.unwrap(),
    }
    release.send(()).unwrap();
    let told: Vec<bool> = tokio::task::spawn_blocking(move || told.iter().collect()).await.unwrap();
    assert_eq!(told, [true; 6]);
}
