//! What every handler has from [`Services`].

use std::sync::mpsc;

use ragstone::{Db, Filter, Point, Schema, ScrollRequest};
use ragstone_proto::v1::points_service_server::PointsService as _;
use ragstone_proto::v1::{CountPointsResponse, ScrollPointsRequest};
use ragstone_rag::embed::{ModelOptions, Models, Overflow, Role};

use super::*;
use crate::recall::Recall;

fn over(db: Db) -> Services {
    let models = Models::new(ModelOptions { offline: true, ..ModelOptions::default() });
    let config = ServerConfig::default();
    let work = Work::new(&config);
    let metrics = Metrics::new(work.clone(), Recall::new(0.0, work.clone()));
    Services::new(&config, Rag::new(db, models), work, metrics)
}

/// The caller leaves while a handler works: whatever it reads or embeds from then on ends.
#[tokio::test]
async fn the_work_of_a_call_that_is_dropped_ends_where_it_looks() {
    let db = Db::in_memory().unwrap();
    let schema = Schema::builder(2).field("a", ragstone::FieldType::Int).build().unwrap();
    db.create_collection("c", schema).unwrap();
    let services = over(db);
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

/// Names of fields were looked up for every slice as often as they were asked for.
#[tokio::test]
async fn a_page_of_several_slices_has_the_fields_that_are_named_in_each() {
    let db = Db::in_memory().unwrap();
    let rows = db.create_collection("c", Schema::new(2).unwrap()).unwrap();
    let count = 2 * READ_SLICE as u64 + 1;
    let point = |id: u64| Point::new(id, [1.0, 0.0]).with("a", 1_i64).with("b", 2_i64).with("c", 3_i64);
    rows.upsert((0..count).map(point).collect()).unwrap();
    let request = |names: &[&str]| {
        let fields = names.iter().map(|name| (*name).to_owned()).collect();
        let collection = "c".to_owned();
        tonic::Request::new(ScrollPointsRequest {
            collection,
            fields,
            page_size: 1_000,
            ..Default::default()
        })
    };
    let services = over(db);
    let page = services.scroll_points(request(&["b", "a", "b", "b"])).await.unwrap().into_inner();
    assert_eq!(page.points.len() as u64, count);
    for point in &page.points {
        let mut names: Vec<&str> = point.payload.keys().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["a", "b"]);
    }
    // They are named in errors as the caller has them.
    let refused = services.scroll_points(request(&["b", "b", "d"])).await.unwrap_err();
    assert!(refused.message().contains("fields[2].d"), "{refused}");
}
