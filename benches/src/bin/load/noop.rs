//! A service that does nothing: what gRPC itself costs, with the messages of the real one.

use std::sync::atomic::{AtomicUsize, Ordering};

use ragstone_benches::Failure;
use ragstone_proto::v1::search_service_server::{SearchService, SearchServiceServer};
use ragstone_proto::v1::{
    BatchQueryRequest, BatchQueryResponse, ExplainRequest, ExplainResponse, QueryRequest, QueryResponse,
    SearchRangeRequest, SearchRangeResponse,
};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tonic::transport::server::TcpIncoming;
use tonic::{Code, Request, Response, Status};

/// Reads each request and answers with answers that the real service gave.
struct NoOp {
    answers: Vec<QueryResponse>,
    next: AtomicUsize,
}

fn only_queries() -> Status {
    Status::new(Code::Unimplemented, "this service answers queries alone")
}

#[tonic::async_trait]
impl SearchService for NoOp {
    async fn query(&self, _: Request<QueryRequest>) -> Result<Response<QueryResponse>, Status> {
        let at = self.next.fetch_add(1, Ordering::Relaxed) % self.answers.len();
        Ok(Response::new(self.answers[at].clone()))
    }

    async fn explain(&self, _: Request<ExplainRequest>) -> Result<Response<ExplainResponse>, Status> {
        Err(only_queries())
    }

    async fn batch_query(
        &self,
        _: Request<BatchQueryRequest>,
    ) -> Result<Response<BatchQueryResponse>, Status> {
        Err(only_queries())
    }

    async fn search_range(
        &self,
        _: Request<SearchRangeRequest>,
    ) -> Result<Response<SearchRangeResponse>, Status> {
        Err(only_queries())
    }
}

/// A service under way.
type Serving = JoinHandle<Result<(), tonic::transport::Error>>;

/// Serves on a free port until the task is aborted; the URL and the task. There is one answer at least.
pub(crate) async fn serve(answers: Vec<QueryResponse>) -> Result<(String, Serving), Failure> {
    if answers.is_empty() {
        return Err("a service that does nothing needs answers to give".into());
    }
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let service = SearchServiceServer::new(NoOp { answers, next: AtomicUsize::new(0) });
    let router = tonic::transport::Server::builder().add_service(service);
    Ok((url, tokio::spawn(router.serve_with_incoming(incoming))))
}
