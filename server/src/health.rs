//! The standard health service: one status for the server (the empty name) and one for each of its services.
//!
//! Nothing is SERVING until the database is open. Then the server is: whoever brings vectors needs no model. InferenceService alone waits
//! for the default model. On shutdown every status becomes NOT_SERVING, then the watchers' streams end, since a stream that stays
//! open would hold the shutdown up.

use std::sync::Arc;

use ragstone_proto::v1::inference_service_server::SERVICE_NAME as INFERENCE;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

/// The server as a whole.
const OVERALL: &str = "";

/// Tells the health service how things are.
#[derive(Clone, Debug)]
pub(crate) struct Health {
    reporter: HealthReporter,
    /// Every name that has a status.
    names: Arc<[String]>,
}

impl Health {
    /// The server and its services, nothing of it SERVING yet.
    pub(crate) async fn start(reporter: HealthReporter, services: Vec<String>) -> Health {
        let names: Arc<[String]> = [OVERALL.to_owned()].into_iter().chain(services).collect();
        let health = Health { reporter, names };
        health.set_all(ServingStatus::NotServing).await;
        health
    }

    /// The database is open.
    pub(crate) async fn opened(&self) {
        for name in self.names.iter().filter(|name| *name != INFERENCE) {
            self.reporter.set_service_status(name, ServingStatus::Serving).await;
        }
    }

    /// The default model is loaded.
    pub(crate) async fn inference_ready(&self) {
        self.reporter.set_service_status(INFERENCE, ServingStatus::Serving).await;
    }

    /// The server is about to stop.
    pub(crate) async fn stopping(&self) {
        self.set_all(ServingStatus::NotServing).await;
    }

    async fn set_all(&self, status: ServingStatus) {
        for name in self.names.iter() {
            self.reporter.set_service_status(name, status).await;
        }
    }

    /// Ends the watchers' streams, after their last message.
    pub(crate) async fn end(&self) {
        let mut reporter = self.reporter.clone();
        for name in self.names.iter() {
            reporter.clear_service_status(name).await;
        }
    }
}
