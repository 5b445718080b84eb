//! The wire API read off its descriptors: it is its own reference.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;

use prost::Message as _;
use prost_types::{DescriptorProto, EnumDescriptorProto, FileDescriptorProto, FileDescriptorSet};

/// Numbers of fields of descriptors, which paths to their parts are made of (`google/protobuf/descriptor.proto`).
mod part {
    pub(super) const FILE_MESSAGE: i32 = 4;
    pub(super) const FILE_ENUM: i32 = 5;
    pub(super) const FILE_SERVICE: i32 = 6;
    pub(super) const SERVICE_METHOD: i32 = 2;
    pub(super) const MESSAGE_FIELD: i32 = 2;
    pub(super) const MESSAGE_NESTED: i32 = 3;
    pub(super) const MESSAGE_ENUM: i32 = 4;
    pub(super) const MESSAGE_ONEOF: i32 = 8;
    pub(super) const ENUM_VALUE: i32 = 2;
}

fn files() -> Vec<FileDescriptorProto> {
    let files = FileDescriptorSet::decode(ragstone_proto::v1::FILE_DESCRIPTOR_SET).unwrap().file;
    files.into_iter().filter(|file| file.package() == "ragstone.v1").collect()
}

/// Every part of a file by its path, with its name.
#[derive(Default)]
struct Parts(Vec<(Vec<i32>, String)>);

impl Parts {
    fn of(file: &FileDescriptorProto) -> Parts {
        let mut parts = Parts::default();
        for (index, service) in (0..).zip(&file.service) {
            let at = vec![part::FILE_SERVICE, index];
            for (index, method) in (0..).zip(&service.method) {
                let name = format!("{}.{}", service.name(), method.name());
                parts.0.push(([&at[..], &[part::SERVICE_METHOD, index]].concat(), name));
            }
            parts.0.push((at, service.name().to_owned()));
        }
        for (index, message) in (0..).zip(&file.message_type) {
            parts.message(vec![part::FILE_MESSAGE, index], message, "");
        }
        for (index, kind) in (0..).zip(&file.enum_type) {
            parts.kinds(vec![part::FILE_ENUM, index], kind, "");
        }
        parts
    }

    fn message(&mut self, at: Vec<i32>, message: &DescriptorProto, within: &str) {
        // What a map is made of has no text of its own.
        if message.options.as_ref().is_some_and(|options| options.map_entry()) {
            return;
        }
        let name = format!("{within}{}", message.name());
        let part = |kind: i32, index: i32| [&at[..], &[kind, index]].concat();
        for (index, field) in (0..).zip(&message.field) {
            self.0.push((part(part::MESSAGE_FIELD, index), format!("{name}.{}", field.name())));
        }
        for (index, oneof) in (0..).zip(&message.oneof_decl) {
            // `optional` makes one of its own, with a name that begins with `_`.
            if !oneof.name().starts_with('_') {
                self.0.push((part(part::MESSAGE_ONEOF, index), format!("{name}.{}", oneof.name())));
            }
        }
        for (index, nested) in (0..).zip(&message.nested_type) {
            self.message(part(part::MESSAGE_NESTED, index), nested, &format!("{name}."));
        }
        for (index, kind) in (0..).zip(&message.enum_type) {
            self.kinds(part(part::MESSAGE_ENUM, index), kind, &format!("{name}."));
        }
        self.0.push((at, name));
    }

    fn kinds(&mut self, at: Vec<i32>, kind: &EnumDescriptorProto, within: &str) {
        for (index, value) in (0..).zip(&kind.value) {
            let name = format!("{within}{}.{}", kind.name(), value.name());
            self.0.push(([&at[..], &[part::ENUM_VALUE, index]].concat(), name));
        }
        self.0.push((at, format!("{within}{}", kind.name())));
    }
}

/// The parts without a comment before them.
fn undescribed(file: &FileDescriptorProto) -> Vec<String> {
    let locations = &file.source_code_info.as_ref().unwrap().location;
    let comments: BTreeMap<&[i32], &str> =
        locations.iter().map(|location| (location.path.as_slice(), location.leading_comments())).collect();
    let is_described = |path: &[i32]| comments.get(path).is_some_and(|comment| comment.trim().len() > 2);
    let parts = Parts::of(file).0.into_iter();
    parts.filter(|(path, _)| !is_described(path)).map(|(_, name)| name).collect()
}

#[test]
fn every_call_message_field_and_value_is_described() {
    let (mut parts, mut wrong) = (0, Vec::new());
    for file in files() {
        parts += Parts::of(&file).0.len();
        wrong.extend(undescribed(&file));
    }
    assert!(parts > 400, "only {parts} parts were found");
    assert!(wrong.is_empty(), "without a comment: {}", wrong.join(", "));
}

/// The check itself finds each kind of part.
#[test]
fn a_part_without_a_comment_is_found() {
    for mut file in files() {
        let every: Vec<String> = Parts::of(&file).0.into_iter().map(|(_, name)| name).collect();
        for location in &mut file.source_code_info.as_mut().unwrap().location {
            location.leading_comments = None;
        }
        assert_eq!(undescribed(&file), every);
    }
}

/// A read of a collection takes `at_least`, and a write tells its `write_token`.
#[test]
fn reads_find_what_writes_wrote() {
    let files = files();
    let messages: BTreeMap<&str, &DescriptorProto> =
        files.iter().flat_map(|file| &file.message_type).map(|message| (message.name(), message)).collect();
    let has = |message: &str, field: &str| messages[message].field.iter().any(|own| own.name() == field);
    let mut wrong = Vec::new();
    let of_data = ["CollectionsService", "PointsService", "SearchService", "DocumentsService", "RagService"];
    let services = files.iter().flat_map(|file| &file.service);
    let methods =
        services.filter(|service| of_data.contains(&service.name())).flat_map(|service| &service.method);
    for method in methods {
        let name = method.name();
        let (request, response) = (format!("{name}Request"), format!("{name}Response"));
        // Aliases are names, and no data.
        let is_about_a_collection = !name.ends_with("Aliases")
            && (has(&request, "collection") || matches!(name, "GetCollection" | "UpdateCollection"));
        let reads =
            ["Get", "List", "Count", "Scroll", "Facet", "Query", "Batch", "Search", "Retrieve", "Enrich"];
        if is_about_a_collection
            && reads.iter().any(|verb| name.starts_with(verb))
            && !has(&request, "at_least")
        {
            wrong.push(request);
        }
        let writes = ["Create", "Update", "Delete", "Upsert", "Write", "IngestPoints", "IngestDocument"];
        let is_of_collections = is_about_a_collection || name.ends_with("Collection");
        // A stream of documents has it in the answer of each.
        if is_of_collections
            && writes.iter().any(|verb| name.starts_with(verb))
            && name != "IngestDocuments"
            && !has(&response, "write_token")
        {
            wrong.push(response);
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}
