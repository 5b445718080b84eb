//! How many items a field may have, for telling whoever has sent more than anything may have.
//!
//! **Problem.** Who sends a hundred thousand ids to look up is not helped by hearing of the limit that holds of all fields, when that of this one is a tenth.
//! **Idea.** Fields with a limit of their own stand in a table, by message and name. That is what they are told by, not what they are refused at while
//! they arrive: below [`OF_ANY`] the message is read, and who reads it says how many items there were, and of which point; a stream refuses that
//! point and stores the others.

use crate::limits::{
    BATCH_OPS_MAX, CHAT_MESSAGES_MAX, EMBED_TEXTS_MAX, EXAMPLES_MAX, FIELDS_MAX, FILTER_TERMS_MAX,
    FUSE_SOURCES_MAX, GET_IDS_MAX, GRANTS_MAX, LIST_STRINGS_MAX, MULTI_VECTORS_MAX, PREVIEW_PASSAGES_MAX,
    RECORD_FIELDS_MAX, RERANK_PASSAGES_MAX, SEARCH_BATCH_MAX, STOPS_MAX, VECTORS_MAX,
};

/// A limit's name, and its value.
pub(super) type Limit = (&'static str, usize);

/// What no field has more items than.
pub(super) const OF_ANY: Limit = ("BATCH_OPS_MAX", BATCH_OPS_MAX);

const FIELDS: Limit = ("FIELDS_MAX", FIELDS_MAX);
const FILTER_TERMS: Limit = ("FILTER_TERMS_MAX", FILTER_TERMS_MAX);
const EXAMPLES: Limit = ("EXAMPLES_MAX", EXAMPLES_MAX);
const CHAT_MESSAGES: Limit = ("CHAT_MESSAGES_MAX", CHAT_MESSAGES_MAX);
const EMBED_TEXTS: Limit = ("EMBED_TEXTS_MAX", EMBED_TEXTS_MAX);
const VECTORS: Limit = ("VECTORS_MAX", VECTORS_MAX);

/// The package whose messages the table names.
const PACKAGE: &str = ".ragstone.v1.";

/// The fields with a limit of their own: each with its message, and what holds of it.
const OWN: &[(&str, &str, Limit)] = &[
    ("BatchQueryRequest", "queries", ("SEARCH_BATCH_MAX", SEARCH_BATCH_MAX)),
    ("CountTokensRequest", "texts", EMBED_TEXTS),
    ("CreateCollectionRequest", "fields", FIELDS),
    ("CreateCollectionRequest", "texts", FIELDS),
    ("CreateCollectionRequest", "vector_options", VECTORS),
    ("CreateKeyRequest", "grants", ("GRANTS_MAX", GRANTS_MAX)),
    ("EmbedRequest", "texts", EMBED_TEXTS),
    ("EnrichRequest", "messages", CHAT_MESSAGES),
    ("Filter.And", "filters", FILTER_TERMS),
    ("Filter.Contains", "values", FILTER_TERMS),
    ("Filter.In", "values", FILTER_TERMS),
    ("Filter.Or", "filters", FILTER_TERMS),
    ("Fuse", "sources", ("FUSE_SOURCES_MAX", FUSE_SOURCES_MAX)),
    ("GenerateRequest", "stop", ("STOPS_MAX", STOPS_MAX)),
    ("GetPointsRequest", "ids", ("GET_IDS_MAX", GET_IDS_MAX)),
    ("IngestDocumentRequest", "metadata", FIELDS),
    ("IngestRecordsRequest", "metadata", FIELDS),
    ("IngestRecordsRequest", "text_fields", ("RECORD_FIELDS_MAX", RECORD_FIELDS_MAX)),
    ("MultiVector", "vectors", ("MULTI_VECTORS_MAX", MULTI_VECTORS_MAX)),
    ("Point", "payload", FIELDS),
    ("Point", "vectors", VECTORS),
    ("PointUpdate", "set", FIELDS),
    ("PointUpdate", "unset", FIELDS),
    ("PreviewTemplateRequest", "messages", CHAT_MESSAGES),
    ("PreviewTemplateRequest", "passages", ("PREVIEW_PASSAGES_MAX", PREVIEW_PASSAGES_MAX)),
    ("Recommend", "negative", EXAMPLES),
    ("Recommend", "positive", EXAMPLES),
    ("RerankRequest", "passages", ("RERANK_PASSAGES_MAX", RERANK_PASSAGES_MAX)),
    ("Strings", "values", ("LIST_STRINGS_MAX", LIST_STRINGS_MAX)),
    ("TextQuery", "fields", FIELDS),
    ("UpdateCollectionRequest", "fields", FIELDS),
    ("UpdateCollectionRequest", "texts", FIELDS),
];

/// The limit of a field of a message, whose name is a full one.
pub(super) fn limit(message: &str, field: &str) -> Limit {
    let message = message.strip_prefix(PACKAGE).unwrap_or(message);
    let own = OWN.iter().find(|(of, name, _)| (*of, *name) == (message, field));
    own.map_or(OF_ANY, |(_, _, limit)| *limit)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use prost::Message as _;
    use prost_types::FileDescriptorSet;
    use prost_types::field_descriptor_proto::{Label, Type};
    use ragstone_proto::v1;

    use super::super::shapes::collect;
    use super::*;

    /// Of requests and what is in them, the fields whose items are counted one by one, as the table names them.
    fn fields_of_requests() -> BTreeSet<(String, String)> {
        let set = FileDescriptorSet::decode(v1::FILE_DESCRIPTOR_SET).unwrap();
        let mut named = Vec::new();
        for file in &set.file {
            for message in &file.message_type {
                collect(&format!(".{}", file.package()), message, &mut named);
            }
        }
        let named: BTreeMap<String, _> = named.into_iter().collect();
        let methods = set.file.iter().flat_map(|file| &file.service).flat_map(|service| &service.method);
        let mut to_see: Vec<&str> = methods.map(|method| method.input_type()).collect();
        let (mut seen, mut fields) = (BTreeSet::new(), BTreeSet::new());
        while let Some(name) = to_see.pop() {
            if !seen.insert(name) {
                continue;
            }
            let message = named.get(name).copied().expect("every message of the API is described");
            for field in &message.field {
                let is_message = field.r#type() == Type::Message;
                if is_message {
                    to_see.push(field.type_name());
                }
                let is_counted = is_message || matches!(field.r#type(), Type::String | Type::Bytes);
                if is_counted && field.label() == Label::Repeated {
                    let message = name.strip_prefix(PACKAGE).unwrap_or(name);
                    fields.insert((message.to_owned(), field.name().to_owned()));
                }
            }
        }
        fields
    }

    /// Whoever adds a field to a request says here which it is.
    #[test]
    fn every_field_of_a_request_has_its_own_limit_or_is_known_to_have_none() {
        let fields = fields_of_requests();
        let own: BTreeSet<(String, String)> =
            OWN.iter().map(|(message, field, _)| ((*message).to_owned(), (*field).to_owned())).collect();
        assert_eq!(own.len(), OWN.len(), "a field stands in the table once");
        let unknown: Vec<_> = own.difference(&fields).collect();
        assert!(unknown.is_empty(), "no fields of requests: {unknown:?}");
        let others: Vec<String> =
            fields.difference(&own).map(|(message, field)| format!("{message} {field}")).collect();
        let expected = [
            // The claims of a key, which have a limit of bytes.
            ".google.protobuf.ListValue values",
            ".google.protobuf.Struct fields",
            "DeletePointsRequest ids",
            "DeletePointsRequest preconditions",
            // Names of columns, which a file may have as many of as it likes.
            "ImportCollectionRequest columns",
            "ImportCollectionRequest except_columns",
            "IngestPointsRequest points",
            // Names of what to return: as many as one likes.
            "QueryRequest fields",
            "QueryRequest vectors",
            "ScrollPointsRequest fields",
            "UpdatePointsRequest preconditions",
            "UpdatePointsRequest updates",
            "UpsertPointsRequest points",
            "UpsertPointsRequest preconditions",
            "WritePointsRequest operations",
            "WritePointsRequest preconditions",
        ];
        assert_eq!(others, expected);
        // What is told is less than what is refused.
        assert!(OWN.iter().all(|(_, _, (_, max))| *max < OF_ANY.1));
    }

    #[test]
    fn a_field_is_found_by_its_message() {
        assert_eq!(limit(".ragstone.v1.GetPointsRequest", "ids"), ("GET_IDS_MAX", GET_IDS_MAX));
        assert_eq!(limit(".ragstone.v1.Filter.In", "values"), FILTER_TERMS);
        assert_eq!(limit(".ragstone.v1.DeletePointsRequest", "ids"), OF_ANY);
        assert_eq!(limit(".elsewhere.GetPointsRequest", "ids"), OF_ANY);
    }
}
