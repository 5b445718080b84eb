//! Collections whose points belong to tenants.

use ragstone_client::{
    Code, CreateCollection, Enrich, Filter, IngestDocument, OrderBy, Point, PointId, Query, RangeSearch,
    Scroll, Update,
};

use crate::fixture::{MODEL, Server};

#[tokio::test]
async fn a_read_names_its_tenant_or_says_that_it_means_all() {
    let server = Server::start().await;
    let client = server.client().await;
    let made =
        client.create_collection(CreateCollection::with_dimension("c", 2).tenant("customer")).await.unwrap();
    assert_eq!(made.tenant.as_deref(), Some("customer"));
    let point = |id: u64| {
        Point::new(id, [1.0, id as f32]).with("customer", format!("t{}", id % 3)).with("n", id as i64)
    };
    client.upsert_points("c", (0..30).map(point)).await.unwrap();
    let own = || Filter::eq("customer", "t1");
    let nearest = || Query::vector("c", [1.0, 0.0], 100);
    let found = client.query(nearest().filter(own())).await.unwrap();
    assert_eq!(found.hits.len(), 10);
    assert!(found.hits.iter().all(|hit| hit.payload["customer"].as_str() == Some("t1")));
    assert_eq!(client.query(nearest().filter(Filter::AllTenants)).await.unwrap().hits.len(), 30);
    // What more than a hundred points have is read by their ids, once they were found.
    let many = Query::vector("c", [1.0, 0.0], 101).filter(own());
    assert_eq!(client.query(many.clone()).await.unwrap().hits, found.hits);
    let some = client.query(many.fields(["customer", "n"])).await.unwrap();
    assert_eq!(some.hits, found.hits);
    let near = RangeSearch::vector("c", [1.0, 0.0], -1.0).filter(own());
    let near = client.search_range(near).await.unwrap().hits;
    assert!(near.len() == 10 && near.iter().all(|hit| hit.payload.len() == 2 && hit.vector.is_none()));
    assert_eq!(client.count_points("c", Some(own())).await.unwrap(), 10);
    assert_eq!(client.facet_points("c", "n", Some(own()), 100).await.unwrap().values, 10);
    assert_eq!(client.scroll_points(Scroll::new("c").filter(own())).await.unwrap().items.len(), 10);

    let refused = [
        client.query(nearest()).await.unwrap_err(),
        client.query(nearest().filter(Filter::eq("n", 4))).await.unwrap_err(),
        client.query(nearest().filter(own().or(Filter::eq("n", 4)))).await.unwrap_err(),
        client.query(Query::by("c", OrderBy::ascending("n"), 3)).await.unwrap_err(),
        client.count_points("c", None).await.unwrap_err(),
        client.facet_points("c", "n", None, 9).await.unwrap_err(),
        client.scroll_points(Scroll::new("c")).await.unwrap_err(),
        client.delete_points_where("c", Filter::eq("n", 4)).await.unwrap_err(),
    ];
    for error in refused {
        assert_eq!(error.code(), Code::InvalidArgument, "{error}");
        assert!(error.message().contains("customer"), "{error}");
    }
    let homeless = client.upsert_points("c", [Point::new(99, [1.0, 0.0])]).await.unwrap_err();
    assert!(homeless.message().contains("customer"), "{homeless}");
    let moved = client.update_points("c", [Update::new(1).set("customer", "t2")]).await.unwrap_err();
    assert!(moved.message().contains("customer"), "{moved}");
    let ids: Vec<PointId> = vec![1.into()];
    assert_eq!(client.get_points("c", ids).await.unwrap().len(), 1, "an id is enough");
    assert_eq!(client.delete_points_where("c", own().and(Filter::eq("n", 4))).await.unwrap().points, 1);
    server.stop().await;
}

#[tokio::test]
async fn documents_have_tenants_too() {
    let server = Server::start().await;
    let client = server.client().await;
    client.create_collection(CreateCollection::with_model("docs", MODEL).tenant("customer")).await.unwrap();
    let document = |id: &str| IngestDocument::new("docs", id, "The lease ends in May.");
    for (id, customer) in [("a.md", "a"), ("b.md", "b")] {
        client.ingest_document(document(id).metadata("customer", customer)).await.unwrap();
    }
    assert!(client.ingest_document(document("c.md")).await.unwrap_err().message().contains("customer"));
    let ask = || Enrich::new("docs", "When does the lease end?");
    let enriched = client.enrich(ask().filter(Filter::eq("customer", "b"))).await.unwrap();
    assert!(!enriched.citations.is_empty());
    assert!(
        enriched.citations.iter().all(|citation| citation.document == "b.md"),
        "{:?}",
        enriched.citations
    );
    assert!(client.enrich(ask()).await.unwrap_err().message().contains("customer"));
    client.delete_document("docs", "b.md").await.unwrap();
    assert!(client.enrich(ask().filter(Filter::eq("customer", "b"))).await.unwrap().citations.is_empty());
    server.stop().await;
}
