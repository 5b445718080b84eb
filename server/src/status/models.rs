//! Models that are not here yet, or not to be had by callers.

use std::time::Duration;

use ragstone_proto::v1::ErrorReason;
use tonic::{Code, Status};

use super::Problem;

/// When a request that met a model being loaded may come back.
const LOADING_RETRY: Duration = Duration::from_secs(1);

/// The model is being loaded; nothing was begun.
pub(crate) fn model_loading(model: &str) -> Status {
    Problem::new(
        Code::Unavailable,
        ErrorReason::ModelLoading,
        format!("model {model} is being loaded; try again"),
    )
    .with("model", model)
    .retry(LOADING_RETRY)
    .status()
}

/// A model that is neither the default one nor here already.
pub(crate) fn model_not_allowed(model: &str) -> Status {
    let message = format!(
        "model {model}: this server fetches and opens no models that its callers name; its operator can fetch it with \
         `ragstone model pull`, or start the server with --allow-any-model"
    );
    Problem::new(Code::PermissionDenied, ErrorReason::ModelNotAllowed, message).with("model", model).status()
}
