//! Moving a collection to another model, as an operation.

use ragstone::CancelToken;
use ragstone_rag::{Error, Rag, ReembedOptions, ReembedReport};
use tonic::{Code, Status};

use super::Services;
use super::admin::asked;
use crate::operations::{Asked, Kind, Operation, Outcome, Report, State};
use crate::status;

const MODEL: &str = "model";
const TEXT_FIELD: &str = "text_field";

impl Services {
    /// Begins to move a collection to a model that is loaded.
    pub(super) async fn reembed(
        &self,
        name: String,
        model: String,
        text_field: String,
    ) -> Result<Operation, Status> {
        let options = options(model, text_field);
        let checked = options.clone();
        // Refused now rather than later, where it can be known; and an alias is not what is moved.
        let name = self
            .apply(move |rag| {
                rag.check_reembed(&name, &checked)?;
                Ok(rag.db().collection(&name)?.name().to_owned())
            })
            .await?;
        let text_field = options.text_field.as_deref().unwrap_or_default();
        let asked = asked(Kind::Reembed, &name, &[(MODEL, &options.model), (TEXT_FIELD, text_field)]);
        let rag = self.rag();
        self.begin(asked, move |report, cancel| job(&rag, &name, &options, (report, cancel))).await
    }

    /// Goes on with one that ran when the last server stopped.
    pub(super) fn resume(&self, operation: Operation) {
        let Operation { id, asked: Asked { target, mut arguments, .. }, .. } = operation;
        let options = options(
            arguments.remove(MODEL).unwrap_or_default(),
            arguments.remove(TEXT_FIELD).unwrap_or_default(),
        );
        tracing::info!(id, collection = target, model = options.model, "a re-embedding goes on");
        let rag = self.whole_rag().clone();
        self.operations().resume(&id, move |report, cancel| {
            // It may have come to its end, and the server to its own before that was noted.
            let is_done = || -> ragstone_rag::Result<bool> {
                Ok(rag.db().replacement(&target)?.is_none()
                    && rag.collection_model(&target)?.is_some_and(|model| model.name == options.model))
            };
            match is_done().map_err(status::rag)? {
                true => Ok(Outcome::new()),
                false => job(&rag, &target, &options, (report, cancel)),
            }
        });
    }
}

impl Services {
    /// Gives up what a re-embedding that failed has copied, unless a newer one has gone on with it.
    pub(super) async fn give_up(&self, operation: &Operation) -> Result<(), Status> {
        if operation.asked.kind != Kind::Reembed || operation.state != State::Failed {
            return Ok(());
        }
        let (operations, failed) = (self.operations().clone(), operation.clone());
        let give_up = move |rag: &Rag| {
            let abandon = || rag.abandon_reembedding(&failed.asked.target);
            operations.if_newest(&failed, abandon).unwrap_or(Ok(false))
        };
        match self.apply(give_up).await {
            // With the collection, it went as well.
            Err(error) if error.code() == Code::NotFound => Ok(()),
            given_up => given_up.map(drop),
        }
    }
}

fn options(model: String, text_field: String) -> ReembedOptions {
    let options = ReembedOptions::to(model);
    if text_field.is_empty() { options } else { options.text_field(text_field) }
}

/// Moves the collection. One that is cancelled leaves nothing behind, unless the server stops.
fn job(
    rag: &Rag,
    name: &str,
    options: &ReembedOptions,
    (report, cancel): (&Report, &CancelToken),
) -> Result<Outcome, Status> {
    let ReembedReport { texts, tokens, split_anew, passes, .. } =
        match rag.reembed(name, options, report, cancel) {
            Err(Error::Interrupted { .. }) if !report.is_stopping() => {
                rag.abandon_reembedding(name).map_err(status::rag)?;
                return Err(status::operation_cancelled());
            }
            done => done.map_err(status::rag)?,
        };
    let counts =
        [("texts", texts), ("tokens", tokens), ("split_anew", split_anew), ("passes", u64::from(passes))];
    Ok(counts.into_iter().map(|(name, count)| (name.to_owned(), count.to_string())).collect())
}
