//! Aliases, moving a collection to another model, operations, and what a database holds.

use crate::support::model;
use crate::{in_both_places, in_both_places_without_a_model, notes};

#[test]
fn aliases_are_set_listed_and_deleted() {
    in_both_places_without_a_model(|scratch, place| {
        for name in ["one", "two"] {
            scratch.json(place, &["collection", "create", name, "--dimension", "2"]);
        }
        assert_eq!(scratch.json(place, &["alias", "set", "it", "one"])["collection"], "one");
        assert_eq!(scratch.json(place, &["collection", "info", "it"])["name"], "one");
        scratch.json(place, &["alias", "set", "it", "two"]);
        let listed = scratch.json(place, &["alias", "list"]);
        assert_eq!(listed["aliases"], serde_json::json!([{ "alias": "it", "collection": "two" }]));
        assert_eq!(scratch.json(place, &["alias", "list", "--of", "one"])["aliases"], serde_json::json!([]));
        scratch.fails(place, &["collection", "delete", "two"], &["two", "alias `it`"]);
        scratch.fails(place, &["alias", "set", "one", "two"], &["`one` exists already"]);
        scratch.fails(place, &["alias", "set", "it", "three"], &["three", "does not exist"]);
        scratch.json(place, &["alias", "delete", "it"]);
        scratch.fails(place, &["alias", "delete", "it"], &["it", "does not exist"]);
    });
}

#[test]
fn stats_tell_what_is_there() {
    in_both_places_without_a_model(|scratch, place| {
        scratch.json(place, &["collection", "create", "notes", "--dimension", "2"]);
        let stats = scratch.json(place, &["admin", "stats"]);
        assert_eq!(
            (&stats["collections"][0]["name"], &stats["collections"][0]["points"]),
            (&"notes".into(), &0.into())
        );
        assert_eq!(stats["lineage"].as_str().unwrap().len(), 32);
        let is_served = place[0] == "--url";
        assert_eq!(stats["running_operations"].is_number(), is_served);
        if is_served {
            assert_eq!(scratch.json(place, &["operation", "list"])["operations"], serde_json::json!([]));
            scratch.fails(place, &["operation", "show", "x"], &["operation `x` does not exist"]);
            scratch.fails(place, &["admin", "snapshot"], &["no store for snapshots", "--snapshot-store"]);
            scratch.fails(place, &["collection", "restore", "notes"], &["no store for snapshots"]);
            scratch.fails(place, &["admin", "export", "notes", "a.parquet"], &["--exchange-dir"]);
            scratch.fails(place, &["admin", "import", "a.parquet", "notes"], &["--exchange-dir"]);
        } else {
            scratch.fails(place, &["operation", "list"], &["--url"]);
            scratch.fails(place, &["admin", "snapshot"], &["--url"]);
            scratch.fails(place, &["collection", "restore", "notes"], &["--from"]);
            scratch.fails(place, &["collection", "restore", "notes", "--detach"], &["--url"]);
            scratch.fails(place, &["admin", "import", "a.parquet", "notes"], &["--url"]);
        }
    });
}

#[test]
fn a_collection_of_a_snapshot_is_put_back() {
    in_both_places_without_a_model(|scratch, place| {
        if place[0] == "--url" {
            return;
        }
        let backups = scratch.path("backups");
        let restore = |more: &[&str]| {
            let arguments = [&["collection", "restore", "notes", "--from", &backups][..], more].concat();
            scratch.json(place, &arguments)
        };
        scratch.json(place, &["collection", "create", "notes", "--dimension", "2"]);
        scratch.json(place, &["snapshot", "--to", &backups, "--name", "monday"]);
        scratch.json(place, &["collection", "add-field", "notes", "later=int"]);
        let beside = restore(&["--as", "before", "--snapshot", "monday"]);
        assert_eq!(
            (&beside["collection"], &beside["result"]["replaced"]),
            (&"before".into(), &"false".into())
        );
        assert_eq!(beside["result"]["snapshot"], "monday");
        let has_field = |name: &str| {
            scratch.json(place, &["collection", "info", name])["fields"].to_string().contains("later")
        };
        assert!(has_field("notes") && !has_field("before"));
        scratch.fails(
            place,
            &["collection", "restore", "notes", "--from", &backups],
            &["`notes` exists already"],
        );
        scratch.fails(place, &["collection", "restore", "x", "--from", &backups], &["no collection `x`"]);
        assert_eq!(restore(&["--replace"])["result"]["replaced"], "true");
        assert!(!has_field("notes"));
    });
}

#[test]
fn a_collection_is_moved_to_another_model() {
    in_both_places(|scratch, place| {
        let folder = notes(scratch);
        scratch.json_with_code(place, &["ingest", &folder, "--model", model()], 3);
        scratch.fails(
            place,
            &["collection", "reembed", "default", "--model", model()],
            &["model", "already"],
        );
        let nothing = scratch.json(place, &["collection", "reembed", "default", "--cancel"]);
        assert_eq!(nothing["given_up"], false);
        if place[0] == "--url" {
            return;
        }
        // The same weights under another name: as good a model as any, and at hand.
        let models = scratch.json(place, &["model", "list"]);
        let is_it = |found: &&serde_json::Value| found["name"] == model();
        let path = models["models"].as_array().unwrap().iter().find(is_it).unwrap()["path"].clone();
        let path = path.as_str().unwrap();
        let moved = scratch.json(place, &["collection", "reembed", "default", "--model", path]);
        assert_ne!(moved["result"]["texts"], "0", "{moved}");
        assert_eq!(scratch.json(place, &["collection", "info"])["model"], path);
        let asked = scratch.json(place, &["ask", "When does the lease end?"]);
        assert_eq!(asked["citations"][0]["document"], "lease.md");
        assert_eq!(scratch.json_with_code(place, &["ingest", &folder], 3)["unchanged"], 2);
    });
}
