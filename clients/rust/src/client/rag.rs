//! The calls of RagService.

use ragstone_proto::v1;
use ragstone_proto::v1::rag_service_client::RagServiceClient;
use tokio::time::Instant;

use super::{Calling, Client, service};
use crate::call::{call, methods};
use crate::enrich::{Enrich, Enriched};
use crate::error::Result;
use crate::generate::{Generate, Generation};
use crate::retrieve::{Retrieve, Retrieved};

impl Client {
    /// Finds the chunks that a question is about. 30 s by default.
    ///
    /// # Errors
    /// `Code::NotFound`; `Code::InvalidArgument`, naming the field; `Code::FailedPrecondition` (the collection has no
    /// model, or its model differs); `Code::Unavailable` while its model is loaded.
    pub async fn retrieve(&self, request: Retrieve) -> Result<Retrieved> {
        let service = self.rag();
        let request = v1::RetrieveRequest { at_least: self.written.at_least(), ..request.into_wire() };
        let response = call(self.policy, methods::RETRIEVE, request, |request| {
            let mut service = service.clone();
            async move { service.retrieve(request).await }
        })
        .await?;
        Retrieved::from_wire(response)
    }

    /// Retrieves what bears on a question and packs it, cited, into a prompt. 30 s by default.
    ///
    /// # Errors
    /// `Code::NotFound`; `Code::InvalidArgument`, naming the field; `Code::FailedPrecondition` (the collection has no
    /// model, or its model differs); `Code::Unavailable` while its model is loaded.
    pub async fn enrich(&self, request: Enrich) -> Result<Enriched> {
        let service = self.rag();
        let request = v1::EnrichRequest { at_least: self.written.at_least(), ..request.into_wire() };
        let response = call(self.policy, methods::ENRICH, request, |request| {
            let mut service = service.clone();
            async move { service.enrich(request).await }
        })
        .await?;
        Enriched::from_wire(response)
    }

    /// Has a language model of the server's answer a question: first the evidence, then the answer piece by piece, and last what it
    /// cites. 1,800 s by default, for the whole.
    ///
    /// ```no_run
    /// use ragstone_client::{Client, Enrich, Generate, GenerateEvent};
    ///
    /// # async fn run() -> Result<(), ragstone_client::Error> {
    /// let client = Client::connect("http://127.0.0.1:6733").await?;
    /// let mut generation = client.generate(Generate::new(Enrich::new("notes", "How far is the moon?"))).await?;
    /// while let Some(event) = generation.next().await {
    ///     match event? {
    ///         GenerateEvent::Delta(text) => print!("{text}"),
    ///         GenerateEvent::Done(answer) => println!("\ncited: {:?}", answer.citations.cited),
    ///         _ => {}
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`enrich`](Client::enrich); `Code::NotFound` also for a model that the server's operator did not list. What fails later is an error of
    /// [`Generation::next`]; a generation that has begun is not repeated.
    pub async fn generate(&self, request: Generate) -> Result<Generation> {
        let service = self.rag();
        let timeout = self.policy.timeout.unwrap_or(methods::GENERATE.timeout);
        let deadline = Instant::now() + timeout;
        let mut request = request.into_wire();
        if let Some(enrich) = &mut request.enrich {
            enrich.at_least = self.written.at_least();
        }
        let messages = call(self.policy, methods::GENERATE, request, |request| {
            let mut service = service.clone();
            async move { service.generate(request).await }
        })
        .await?;
        Ok(Generation::new(messages, deadline, timeout))
    }

    fn rag(&self) -> RagServiceClient<Calling> {
        service!(self, RagServiceClient)
    }
}
