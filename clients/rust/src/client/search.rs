//! The calls of SearchService.

use ragstone_proto::v1::search_service_client::SearchServiceClient;
use tonic::transport::Channel;

use super::{Client, MESSAGE_BYTES_MAX};
use crate::call::{call, methods};
use crate::error::Result;
use crate::search::{Query, QueryResult};

impl Client {
    /// Finds the points nearest to a vector or a text. 30 s by default.
    ///
    /// # Errors
    /// [`Code::NotFound`]; [`Code::InvalidArgument`], naming the field (`k`, `vector`, `filter.and[1].field`);
    /// [`Code::FailedPrecondition`] for a text in a collection without a model; [`Code::Unavailable`] while it is loaded.
    pub async fn query(&self, query: Query) -> Result<QueryResult> {
        let service = self.search();
        let response = call(self.policy, methods::QUERY, query.into_wire(), |request| {
            let mut service = service.clone();
            async move { service.query(request).await }
        })
        .await?;
        QueryResult::from_wire(response)
    }

    fn search(&self) -> SearchServiceClient<Channel> {
        SearchServiceClient::new(self.channel.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX)
    }
}
