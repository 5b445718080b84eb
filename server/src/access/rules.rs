//! What each call needs: the one place where that is decided.
//!
//! A call that is not listed is not made, whoever asks; a test compares the list with the descriptors of the API, so that a new call cannot be forgotten.
//!
//! | reach | who may make the call |
//! |---|---|
//! | [`Collections`](Reach::Collections) | who has the action on some collection; on which is asked when the collection is |
//! | [`Anywhere`](Reach::Anywhere) | the same; the call is about no collection |
//! | [`Database`](Reach::Database) | who has the action on all rows of every collection |

use super::action::Action;

/// What a call is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    Collections,
    Anywhere,
    Database,
}

/// What a call needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) action: Action,
    pub(super) reach: Reach,
}

const fn on(action: Action, reach: Reach) -> Rule {
    Rule { action, reach }
}

const READ: Rule = on(Action::Read, Reach::Collections);
const WRITE: Rule = on(Action::Write, Reach::Collections);
const MANAGE: Rule = on(Action::Manage, Reach::Collections);
const USE: Rule = on(Action::Read, Reach::Anywhere);
const OPERATE: Rule = on(Action::Manage, Reach::Anywhere);
const DEFINE: Rule = on(Action::Manage, Reach::Database);
const ADMIN: Rule = on(Action::Admin, Reach::Database);
const OBSERVE: Rule = on(Action::Observe, Reach::Database);

/// Every call of the API, by its path.
pub(super) const CALLS: &[(&str, Rule)] = &[
    ("/ragstone.v1.AdminService/CreateKey", ADMIN),
    // Files are of the whole server: whoever reads one may read what others exported, and whoever writes one may replace it.
    ("/ragstone.v1.AdminService/ExportCollection", DEFINE),
    ("/ragstone.v1.AdminService/GetStats", OBSERVE),
    ("/ragstone.v1.AdminService/ImportCollection", DEFINE),
    ("/ragstone.v1.AdminService/ListKeys", ADMIN),
    ("/ragstone.v1.AdminService/ListSnapshots", ADMIN),
    ("/ragstone.v1.AdminService/RestoreCollection", ADMIN),
    ("/ragstone.v1.AdminService/RevokeKey", ADMIN),
    ("/ragstone.v1.AdminService/RotateKey", ADMIN),
    ("/ragstone.v1.AdminService/TakeSnapshot", ADMIN),
    ("/ragstone.v1.AdminService/VerifySnapshot", ADMIN),
    ("/ragstone.v1.CollectionsService/CreateCollection", MANAGE),
    ("/ragstone.v1.CollectionsService/DeleteAlias", MANAGE),
    ("/ragstone.v1.CollectionsService/DeleteCollection", MANAGE),
    ("/ragstone.v1.CollectionsService/GetCollection", READ),
    ("/ragstone.v1.CollectionsService/ListAliases", READ),
    ("/ragstone.v1.CollectionsService/ListCollections", READ),
    ("/ragstone.v1.CollectionsService/ReembedCollection", MANAGE),
    ("/ragstone.v1.CollectionsService/SetAlias", MANAGE),
    ("/ragstone.v1.CollectionsService/UpdateCollection", MANAGE),
    ("/ragstone.v1.DocumentsService/DeleteDocument", WRITE),
    ("/ragstone.v1.DocumentsService/GetDocument", READ),
    ("/ragstone.v1.DocumentsService/IngestDocument", WRITE),
    ("/ragstone.v1.DocumentsService/IngestDocuments", WRITE),
    ("/ragstone.v1.DocumentsService/IngestRecords", WRITE),
    ("/ragstone.v1.DocumentsService/ListChunks", READ),
    ("/ragstone.v1.DocumentsService/ListDocuments", READ),
    ("/ragstone.v1.InferenceService/CountTokens", USE),
    ("/ragstone.v1.InferenceService/Embed", USE),
    ("/ragstone.v1.InferenceService/ListModels", USE),
    ("/ragstone.v1.InferenceService/PullModel", ADMIN),
    ("/ragstone.v1.InferenceService/Rerank", USE),
    // Which operations somebody sees is asked of each (`Access::manages`).
    ("/ragstone.v1.OperationsService/CancelOperation", OPERATE),
    ("/ragstone.v1.OperationsService/DeleteOperation", OPERATE),
    ("/ragstone.v1.OperationsService/GetOperation", OPERATE),
    ("/ragstone.v1.OperationsService/ListOperations", OPERATE),
    ("/ragstone.v1.OperationsService/WatchOperation", OPERATE),
    ("/ragstone.v1.PointsService/CountPoints", READ),
    ("/ragstone.v1.PointsService/DeletePoints", WRITE),
    ("/ragstone.v1.PointsService/FacetPoints", READ),
    ("/ragstone.v1.PointsService/GetPoints", READ),
    ("/ragstone.v1.PointsService/IngestPoints", WRITE),
    ("/ragstone.v1.PointsService/ScrollPoints", READ),
    ("/ragstone.v1.PointsService/UpdatePoints", WRITE),
    ("/ragstone.v1.PointsService/UpsertPoints", WRITE),
    ("/ragstone.v1.PointsService/WritePoints", WRITE),
    ("/ragstone.v1.RagService/Enrich", READ),
    ("/ragstone.v1.RagService/Generate", READ),
    ("/ragstone.v1.RagService/Retrieve", READ),
    ("/ragstone.v1.SearchService/BatchQuery", READ),
    ("/ragstone.v1.SearchService/Explain", READ),
    ("/ragstone.v1.SearchService/Query", READ),
    ("/ragstone.v1.SearchService/SearchRange", READ),
    // Templates are of the database: whoever reads may use them, whoever changes them changes everybody's prompts.
    ("/ragstone.v1.TemplatesService/DeleteTemplate", DEFINE),
    ("/ragstone.v1.TemplatesService/GetTemplate", USE),
    ("/ragstone.v1.TemplatesService/ListTemplates", USE),
    ("/ragstone.v1.TemplatesService/PreviewTemplate", USE),
    ("/ragstone.v1.TemplatesService/RegisterTemplate", DEFINE),
];

/// Routes of the HTTP port that need something, and reflection of the gRPC port. The others either tell how the process is (`/healthz`, `/readyz`, health),
/// or are none.
pub(super) const ROUTES: &[(&str, Rule)] = &[
    ("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", USE),
    ("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", USE),
    ("/metrics", OBSERVE),
    ("/v1/chat/completions", READ),
    ("/v1/embeddings", USE),
    ("/v1/models", USE),
];

/// A path as the tables have it: without the name of a model, which is the caller's.
pub(super) fn listed(path: &str) -> &str {
    if path.starts_with("/v1/models/") { "/v1/models" } else { path }
}

/// The rule of a call or of a route, by its path.
pub(super) fn of(path: &str) -> Option<Rule> {
    let path = listed(path);
    let table = if path.starts_with("/ragstone.") { CALLS } else { ROUTES };
    table.binary_search_by(|(known, _)| (*known).cmp(path)).ok().map(|index| table[index].1)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use prost::Message as _;
    use prost_types::FileDescriptorSet;

    use super::*;

    /// A call that has no rule is made by nobody, and a rule of no call is a mistake in its name.
    #[test]
    fn every_call_has_its_rule() {
        let files = FileDescriptorSet::decode(ragstone_proto::v1::FILE_DESCRIPTOR_SET).unwrap().file;
        let mut calls = BTreeSet::new();
        for file in &files {
            for service in &file.service {
                let path = |method: &str| format!("/{}.{}/{method}", file.package(), service.name());
                calls.extend(service.method.iter().map(|method| path(method.name())));
            }
        }
        let ruled: BTreeSet<String> = CALLS.iter().map(|(path, _)| (*path).to_owned()).collect();
        assert_eq!(ruled, calls);
        assert!(calls.iter().all(|path| of(path).is_some()));
        for none in ["/ragstone.v1.PointsService/Nothing", "/grpc.health.v1.Health/Check", "/", "", "/v1/x"] {
            assert_eq!(of(none), None, "{none}");
        }
        assert_eq!(of("/v1/models/some/model"), Some(USE));
    }

    #[test]
    fn rules_are_found_by_their_order() {
        assert!(CALLS.is_sorted_by(|a, b| a.0 < b.0) && ROUTES.is_sorted_by(|a, b| a.0 < b.0));
    }

    /// By its name, what a call does.
    #[test]
    fn what_changes_rows_is_no_reading() {
        for (path, rule) in CALLS {
            let (_, method) = path.rsplit_once('/').unwrap();
            let reads = ["Get", "List", "Count", "Scroll", "Facet", "Query", "Batch", "Search", "Explain"];
            let uses = ["Retrieve", "Enrich", "Generate", "Embed", "Rerank", "Preview", "Watch"];
            let changes = !reads.iter().chain(&uses).any(|verb| method.starts_with(verb));
            assert!(!changes || rule.action != Action::Read, "{path} changes something");
        }
    }
}
