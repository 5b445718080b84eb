//! The standard health service: one status for the server (the empty name) and one for each of its services.
//!
//! The server is SERVING as soon as it listens: whoever brings vectors needs no model. InferenceService alone waits for the
//! default model. On shutdown every status becomes NOT_SERVING, then the watchers' streams end, since a stream that stays
//! open would hold the shutdown up.

use ragstone_proto::v1::admin_service_server::SERVICE_NAME as ADMIN;
use ragstone_proto::v1::collections_service_server::SERVICE_NAME as COLLECTIONS;
use ragstone_proto::v1::documents_service_server::SERVICE_NAME as DOCUMENTS;
use ragstone_proto::v1::inference_service_server::SERVICE_NAME as INFERENCE;
use ragstone_proto::v1::operations_service_server::SERVICE_NAME as OPERATIONS;
use ragstone_proto::v1::points_service_server::SERVICE_NAME as POINTS;
use ragstone_proto::v1::rag_service_server::SERVICE_NAME as RAG;
use ragstone_proto::v1::search_service_server::SERVICE_NAME as SEARCH;
use ragstone_proto::v1::templates_service_server::SERVICE_NAME as TEMPLATES;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

/// The server as a whole.
const OVERALL: &str = "";

/// Every name that has a status.
const NAMES: [&str; 10] =
    [OVERALL, COLLECTIONS, POINTS, SEARCH, DOCUMENTS, RAG, INFERENCE, OPERATIONS, ADMIN, TEMPLATES];

/// Tells the health service how things are.
#[derive(Clone, Debug)]
pub(crate) struct Health {
    reporter: HealthReporter,
}

impl Health {
    /// Everything SERVING but inference.
    pub(crate) async fn start(reporter: HealthReporter) -> Health {
        for name in NAMES {
            let status = if name == INFERENCE { ServingStatus::NotServing } else { ServingStatus::Serving };
            reporter.set_service_status(name, status).await;
        }
        Health { reporter }
    }

    /// The default model is loaded.
    pub(crate) async fn inference_ready(&self) {
        self.reporter.set_service_status(INFERENCE, ServingStatus::Serving).await;
    }

    /// The server is about to stop.
    pub(crate) async fn stopping(&self) {
        for name in NAMES {
            self.reporter.set_service_status(name, ServingStatus::NotServing).await;
        }
    }

    /// Ends the watchers' streams, after their last message.
    pub(crate) async fn end(&self) {
        let mut reporter = self.reporter.clone();
        for name in NAMES {
            reporter.clear_service_status(name).await;
        }
    }
}
