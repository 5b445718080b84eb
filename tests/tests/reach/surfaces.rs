//! From the calls of the wire API to the Rust client, the Python client and the command line.
//!
//! A call is made by a method of the Rust client and, through that, by commands with `--url`; or it stands here why no command makes it. The
//! other way round, every method and every command is that of a call, or has its reason. What a call can be asked for is not forgotten either:
//! both clients name every field of its request, and of all that is in it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use prost_types::{DescriptorProto, FileDescriptorProto};

use crate::binary::binary;
use crate::{api, calls, methods, root};

/// The calls, the methods of the Rust client that make them, and the commands.
const SURFACES: &[(&str, &[&str], &[&str])] = &[
    ("AdminService.CreateKey", &["create_key"], &["key create"]),
    ("AdminService.ExportCollection", &["export_collection"], &["admin export"]),
    ("AdminService.GetStats", &["stats"], &["admin stats"]),
    ("AdminService.ImportCollection", &["import_collection"], &["admin import"]),
    ("AdminService.ListKeys", &["list_keys"], &["key list"]),
    ("AdminService.ListSnapshots", &["list_snapshots"], &["admin snapshots"]),
    ("AdminService.RestoreCollection", &["restore_collection"], &["collection restore"]),
    ("AdminService.RevokeKey", &["revoke_key"], &["key revoke"]),
    ("AdminService.RotateKey", &["rotate_key"], &["key rotate"]),
    ("AdminService.TakeSnapshot", &["take_snapshot"], &["admin snapshot"]),
    ("AdminService.VerifySnapshot", &["verify_snapshot"], &["admin verify-snapshot"]),
    (
        "CollectionsService.CreateCollection",
        &["create_collection", "ensure_collection"],
        &["collection create", "import"],
    ),
    ("CollectionsService.DeleteAlias", &["delete_alias"], &["alias delete"]),
    (
        "CollectionsService.DeleteCollection",
        &["delete_collection", "delete_collection_if"],
        &["collection delete"],
    ),
    ("CollectionsService.GetCollection", &["get_collection"], &["collection info", "export"]),
    ("CollectionsService.ListAliases", &["list_aliases"], &["alias list"]),
    ("CollectionsService.ListCollections", &["list_collections"], &["collection list"]),
    ("CollectionsService.ReembedCollection", &["reembed_collection"], &["collection reembed"]),
    ("CollectionsService.SetAlias", &["set_alias"], &["alias set"]),
    (
        "CollectionsService.UpdateCollection",
        &["add_fields", "add_texts", "update_collection"],
        &["collection add-field"],
    ),
    (
        "DocumentsService.DeleteDocument",
        &["delete_document", "delete_document_once"],
        &["documents delete", "ingest"],
    ),
    ("DocumentsService.GetDocument", &["get_document"], &["documents get"]),
    ("DocumentsService.IngestDocument", &["ingest_document"], &[]),
    ("DocumentsService.IngestDocuments", &["ingest_documents"], &["ingest"]),
    ("DocumentsService.IngestRecords", &["ingest_records"], &[]),
    ("DocumentsService.ListChunks", &["list_chunks"], &["documents chunks"]),
    ("DocumentsService.ListDocuments", &["list_documents"], &["documents list", "ingest"]),
    ("InferenceService.CountTokens", &["count_tokens"], &["count-tokens"]),
    ("InferenceService.Embed", &["embed"], &["embed"]),
    ("InferenceService.ListModels", &["list_models"], &["model list"]),
    ("InferenceService.PullModel", &["pull_model"], &["model pull"]),
    ("InferenceService.Rerank", &["rerank"], &["rerank"]),
    ("OperationsService.CancelOperation", &["cancel_operation"], &["operation cancel"]),
    ("OperationsService.DeleteOperation", &["delete_operation"], &["operation delete"]),
    ("OperationsService.GetOperation", &["get_operation"], &["operation show"]),
    ("OperationsService.ListOperations", &["list_operations"], &["operation list"]),
    ("OperationsService.WatchOperation", &["watch_operation"], &["operation watch"]),
    ("PointsService.CountPoints", &["count_points"], &["points count"]),
    ("PointsService.DeletePoints", &["delete_points", "delete_points_where"], &["points delete"]),
    ("PointsService.FacetPoints", &["facet_points"], &["points facet"]),
    ("PointsService.GetPoints", &["get_points", "get_points_without_vectors"], &["points get"]),
    ("PointsService.IngestPoints", &["ingest_points"], &["points upsert"]),
    ("PointsService.ScrollPoints", &["scroll_points"], &["points scroll", "export"]),
    ("PointsService.UpdatePoints", &["update_points"], &[]),
    ("PointsService.UpsertPoints", &["upsert_points"], &["import"]),
    ("PointsService.WritePoints", &["write_points"], &["points update", "points delete", "points write"]),
    ("RagService.Enrich", &["enrich"], &["ask"]),
    ("RagService.Generate", &["generate"], &["ask"]),
    ("RagService.Retrieve", &["retrieve"], &["retrieve"]),
    ("SearchService.BatchQuery", &["query_batch"], &["search"]),
    ("SearchService.Explain", &["explain"], &[]),
    ("SearchService.Query", &["query"], &["search"]),
    ("SearchService.SearchRange", &["search_range"], &["search"]),
    ("TemplatesService.DeleteTemplate", &["delete_template"], &["template delete"]),
    ("TemplatesService.GetTemplate", &["get_template"], &["template show"]),
    ("TemplatesService.ListTemplates", &["list_templates"], &["template list"]),
    ("TemplatesService.PreviewTemplate", &["preview_template"], &["template preview"]),
    ("TemplatesService.RegisterTemplate", &["register_template"], &["template register"]),
];

/// The calls that no command makes, and why.
const WITHOUT_COMMAND: &[(&str, &str)] = &[
    ("DocumentsService.IngestDocument", "`ingest` streams documents, one too: IngestDocuments"),
    ("DocumentsService.IngestRecords", "`ingest` reads records where it runs, and streams them as documents"),
    (
        "PointsService.UpdatePoints",
        "`points update` has preconditions for all of its kinds of operation: WritePoints",
    ),
    ("SearchService.Explain", "`search --explain` tells the answer, too: Query"),
];

/// Methods of the Rust client that are no call.
const NO_CALL: &[(&str, &str)] = &[
    ("at_least", HANDLE),
    ("builder", HANDLE),
    ("connect", HANDLE),
    ("reading_own_writes", HANDLE),
    ("with_retries", HANDLE),
    ("with_timeout", HANDLE),
    ("write_token", HANDLE),
];

const HANDLE: &str = "which server a client calls, and how";

/// Commands that are those of no call.
const NO_CALLER: &[(&str, &str)] = &[
    ("check", DIRECTORY),
    ("config check", "it tells what a server would run with"),
    ("demo", SEVERAL),
    ("eval", SEVERAL),
    ("repair", DIRECTORY),
    ("restore", DIRECTORY),
    ("serve", "it is the server"),
    ("snapshot archive", DIRECTORY),
    ("snapshot collect", STORE),
    ("snapshot delete", STORE),
    ("snapshot list", STORE),
    ("snapshot verify", STORE),
];

const SEVERAL: &str = "it does what other commands do, one after the other";
const DIRECTORY: &str = "of a directory that no server has open";
const STORE: &str = "of a store of snapshots, which needs no server";

/// The methods of the Rust client.
fn client_methods() -> BTreeSet<String> {
    let folder = root().join("clients/rust/src");
    let found = sources(&folder, "rs").iter().flat_map(|code| methods(code, &["Client"])).collect::<Vec<_>>();
    found.iter().map(|method| method.trim_start_matches("Client::").to_owned()).collect()
}

/// The files of a folder with this ending.
fn sources(folder: &Path, ending: &str) -> Vec<String> {
    let walk = ignore::WalkBuilder::new(folder).build().map(|entry| entry.unwrap().into_path());
    let of_kind = walk.filter(|path| path.extension().is_some_and(|extension| extension == ending));
    of_kind.map(|path| std::fs::read_to_string(path).unwrap()).collect()
}

/// The commands that have no commands of their own, by their words, as the program tells them.
fn commands(above: &[&str]) -> BTreeSet<String> {
    let output = Command::new(binary()).args(above).arg("-h").output().unwrap();
    assert!(output.status.success(), "{above:?}: {}", String::from_utf8_lossy(&output.stderr));
    let mut found = BTreeSet::new();
    for name in listed(&String::from_utf8(output.stdout).unwrap()) {
        let words = [above, &[name.as_str()]].concat();
        let below = commands(&words);
        if below.is_empty() {
            found.insert(words.join(" "));
        }
        found.extend(below);
    }
    found
}

/// The commands in a help text.
fn listed(help: &str) -> Vec<String> {
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let entries = lines.take_while(|line| !line.is_empty()).filter_map(|line| line.strip_prefix("  "));
    let names = entries.filter(|entry| !entry.starts_with(' ')).filter_map(|entry| entry.split(' ').next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

/// What is on one side only, of what is listed, with what is listed for a reason, and what there is.
fn differences(kind: &str, listed: &[&str], apart: &[(&str, &str)], there: &BTreeSet<String>) -> Vec<String> {
    let apart: BTreeMap<&str, &str> = apart.iter().copied().collect();
    let listed: BTreeSet<&str> = listed.iter().copied().collect();
    let both = listed
        .iter()
        .filter(|name| apart.contains_key(**name))
        .map(|name| format!("{kind} {name} is listed twice"));
    let gone = listed.iter().chain(apart.keys()).filter(|name| !there.contains(**name));
    let gone = gone.map(|name| format!("{kind} {name} is listed and is not there"));
    let forgotten =
        there.iter().filter(|name| !listed.contains(name.as_str()) && !apart.contains_key(name.as_str()));
    both.chain(gone).chain(forgotten.map(|name| format!("{kind} {name} is not listed"))).collect()
}

#[test]
fn every_call_is_one_of_the_client_and_of_the_command_line_or_has_a_reason_not_to_be() {
    let listed: Vec<&str> = SURFACES.iter().map(|(call, ..)| *call).collect();
    let made: Vec<&str> = SURFACES.iter().flat_map(|(_, methods, _)| *methods).copied().collect();
    let ordered: Vec<&str> = SURFACES.iter().flat_map(|(.., commands)| *commands).copied().collect();
    let mut wrong = differences("call", &listed, &[], &calls());
    wrong.extend(differences("method", &made, NO_CALL, &client_methods()));
    wrong.extend(differences("command", &ordered, NO_CALLER, &commands(&[])));
    // What a command is said to do it does through the client.
    let code: String = sources(&root().join("server/src/cli/backend/remote"), "rs").concat();
    let code: String = code.split_whitespace().collect();
    let without: BTreeMap<&str, &str> = WITHOUT_COMMAND.iter().copied().collect();
    for (call, methods, commands) in SURFACES {
        let is_made = methods.iter().any(|method| code.contains(&format!("client.{method}(")));
        if methods.is_empty() {
            wrong.push(format!("call {call} is made by no method"));
        }
        if commands.is_empty() != without.contains_key(call) || commands.is_empty() == is_made {
            wrong.push(format!(
                "call {call}: {} commands are listed, {} reason, and the command line {} it",
                commands.len(),
                if without.contains_key(call) { "with a" } else { "without a" },
                if is_made { "makes" } else { "does not make" },
            ));
        }
    }
    assert!(wrong.is_empty(), "\n  {}", wrong.join("\n  "));
}

#[test]
fn clients_can_set_every_field_of_a_request() {
    let files = api().file;
    let messages: BTreeMap<String, &DescriptorProto> = files.iter().flat_map(messages_of).collect();
    let clients = [("clients/rust/src", "rs"), ("clients/python/src/ragstone", "py")];
    let clients = clients.map(|(folder, ending)| (folder, words(&sources(&root().join(folder), ending))));
    let calls = files.iter().flat_map(|file| &file.service).flat_map(|service| &service.method);
    let mut asked = BTreeSet::new();
    calls.for_each(|call| within(call.input_type(), &messages, &mut asked));
    assert!(asked.contains(".ragstone.v1.Filter.GeoRadius"), "a condition of a filter: {asked:?}");
    let mut wrong = Vec::new();
    for name in asked {
        for field in &messages[name].field {
            // A field of a oneof is a variant in Rust.
            let names = [field.name().to_owned(), camel(field.name())];
            let lacking = clients.iter().filter(|(_, words)| !names.iter().any(|name| words.contains(name)));
            wrong.extend(lacking.map(|(client, _)| format!("{client} has no `{}`, of {name}", field.name())));
        }
    }
    assert!(wrong.is_empty(), "\n  {}", wrong.join("\n  "));
}

/// Adds a message of this API, and those that are in it.
fn within<'a>(
    name: &'a str,
    messages: &BTreeMap<String, &'a DescriptorProto>,
    found: &mut BTreeSet<&'a str>,
) {
    let Some(message) = messages.get(name).filter(|_| name.starts_with(".ragstone.")) else { return };
    if found.insert(name) {
        message.field.iter().for_each(|field| within(field.type_name(), messages, found));
    }
}

/// Every name in some code.
fn words(code: &[String]) -> BTreeSet<String> {
    let of = |code: &String| -> Vec<String> {
        code.split(|c: char| !c.is_alphanumeric() && c != '_').map(str::to_owned).collect()
    };
    code.iter().flat_map(of).collect()
}

/// The messages of a file and those in them, by the names that calls and fields have for them.
fn messages_of(file: &FileDescriptorProto) -> Vec<(String, &DescriptorProto)> {
    let named = |within: &str, message: &DescriptorProto| format!("{within}.{}", message.name());
    let mut all: Vec<(String, &DescriptorProto)> = Vec::new();
    let package = format!(".{}", file.package());
    all.extend(file.message_type.iter().map(|message| (named(&package, message), message)));
    let mut at = 0;
    while let Some((name, message)) = all.get(at).cloned() {
        all.extend(message.nested_type.iter().map(|inner| (named(&name, inner), inner)));
        at += 1;
    }
    all
}

fn camel(name: &str) -> String {
    name.split('_').map(|word| word[..1].to_uppercase() + &word[1..]).collect()
}

#[test]
fn commands_are_read_off_a_help_text() {
    let help = "About\n\nUsage: x\n\nCommands:\n  one      First\n  two-one  Second\n           goes on\n  help     Print\n\nOptions:\n  -q\n";
    assert_eq!(listed(help), ["one", "two-one"]);
    assert!(listed("Usage: x\n\nOptions:\n  -q\n").is_empty());
}
