//! Page tokens are of the list that gave them: of any other they are refused, instead of answered with a page of nothing in
//! particular.

use ragstone_client::{CreateCollection, IngestDocument, Point};
use ragstone_proto::v1;
use ragstone_proto::v1::collections_service_client::CollectionsServiceClient;
use ragstone_proto::v1::documents_service_client::DocumentsServiceClient;
use ragstone_proto::v1::inference_service_client::InferenceServiceClient;
use ragstone_proto::v1::points_service_client::PointsServiceClient;
use tonic::Status;
use tonic::transport::Channel;

use crate::fixture::{BagOfWords, MODEL, Server, field};

/// The lists of the API, each with what it is narrowed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum List {
    Collections,
    Documents(&'static str),
    DocumentsOf(&'static str, &'static str),
    Chunks(&'static str, &'static str),
    Models,
    Points(&'static str),
    PointsBy(&'static str, &'static str),
    /// Those that have a field.
    PointsWith(&'static str, &'static str),
}

const LISTS: [List; 13] = [
    List::Collections,
    List::Documents("a"),
    List::Documents("b"),
    List::DocumentsOf("a", "shelf"),
    List::Chunks("a", "one.txt"),
    List::Chunks("a", "two.txt"),
    List::Chunks("b", "one.txt"),
    List::Models,
    List::Points("a"),
    List::Points("b"),
    List::PointsBy("a", "year"),
    List::PointsWith("a", "year"),
    List::PointsWith("b", "year"),
];

impl List {
    /// The next token of a page of one item.
    async fn page(self, channel: Channel, page_token: &str) -> Result<String, Status> {
        let page_token = page_token.to_owned();
        let collections = CollectionsServiceClient::new(channel.clone());
        let documents = DocumentsServiceClient::new(channel.clone());
        let points = PointsServiceClient::new(channel.clone());
        let mut models = InferenceServiceClient::new(channel);
        let (mut collections, mut documents, mut points) = (collections, documents, points);
        let listed = |collection: &str, source: Option<&str>| v1::ListDocumentsRequest {
            collection: collection.into(),
            source: source.map(str::to_owned),
            page_size: 1,
            page_token: page_token.clone(),
            ..Default::default()
        };
        let with = |field: &str| v1::Filter {
            condition: Some(v1::filter::Condition::Exists(v1::filter::Exists { field: field.into() })),
        };
        let scrolled = |collection: &str, by: Option<&str>, of: Option<&str>| v1::ScrollPointsRequest {
            collection: collection.into(),
            filter: of.map(with),
            order_by: by.map(|field| v1::OrderBy { field: field.into(), descending: false }),
            page_size: 1,
            page_token: page_token.clone(),
            ..Default::default()
        };
        Ok(match self {
            List::Collections => {
                let request = v1::ListCollectionsRequest { page_size: 1, page_token };
                collections.list_collections(request).await?.into_inner().next_page_token
            }
            List::Documents(of) => {
                documents.list_documents(listed(of, None)).await?.into_inner().next_page_token
            }
            List::DocumentsOf(of, source) => {
                documents.list_documents(listed(of, Some(source))).await?.into_inner().next_page_token
            }
            List::Chunks(of, document) => {
                let request = v1::ListChunksRequest {
                    collection: of.into(),
                    document: document.into(),
                    page_size: 1,
                    page_token,
                    ..Default::default()
                };
                documents.list_chunks(request).await?.into_inner().next_page_token
            }
            List::Models => {
                let request = v1::ListModelsRequest { page_size: 1, page_token };
                models.list_models(request).await?.into_inner().next_page_token
            }
            List::Points(of) => {
                points.scroll_points(scrolled(of, None, None)).await?.into_inner().next_page_token
            }
            List::PointsBy(of, by) => {
                points.scroll_points(scrolled(of, Some(by), None)).await?.into_inner().next_page_token
            }
            List::PointsWith(of, field) => {
                points.scroll_points(scrolled(of, None, Some(field))).await?.into_inner().next_page_token
            }
        })
    }
}

#[tokio::test]
async fn a_token_is_of_its_own_list_alone() {
    let server = Server::start().await;
    let other = BagOfWords::new("tests/other", std::sync::Arc::clone(&server.gate));
    server.models.insert(std::sync::Arc::new(other));
    let client = server.client().await;
    let text =
        (0..4).map(|number| format!("{}\n\n", format!("word{number} ").repeat(25))).collect::<String>();
    for collection in ["a", "b"] {
        client.create_collection(CreateCollection::with_model(collection, MODEL)).await.unwrap();
        for id in ["one.txt", "two.txt", "three.txt"] {
            let document = IngestDocument::new(collection, id, text.clone()).source("shelf");
            client.ingest_document(document).await.unwrap();
        }
        let points = (1..4u64).map(|id| Point::without_vector(id).with("year", id as i64));
        client.upsert_points(collection, points).await.unwrap();
    }
    let channel = server.channel().await;
    let mut tokens = Vec::new();
    for list in LISTS {
        let token = list.page(channel.clone(), "").await.unwrap();
        assert!(!token.is_empty(), "{list:?} has a second page");
        list.page(channel.clone(), &token).await.unwrap_or_else(|status| panic!("{list:?}: {status:?}"));
        tokens.push((list, token));
    }
    for (of, token) in &tokens {
        for list in LISTS.into_iter().filter(|list| list != of) {
            let status = list.page(channel.clone(), token).await.expect_err(&format!("{of:?} in {list:?}"));
            assert_eq!(
                (status.code(), field(&status).as_str()),
                (tonic::Code::InvalidArgument, "page_token")
            );
        }
    }
    server.stop().await;
}
