//! `ragstone documents`: what is stored of documents, listed, read and removed.

use serde_json::{Value, json};

use crate::support::model;
use crate::{LEASE, in_both_places, notes, slice};

fn ids(page: &Value) -> Vec<&str> {
    page["documents"].as_array().unwrap().iter().map(|document| document["id"].as_str().unwrap()).collect()
}

#[test]
fn documents_are_listed_read_and_removed() {
    in_both_places(|scratch, place| {
        let folder = notes(scratch);
        let part = |at| {
            format!("## Part {at}\n\n{}\n\n", "The rent is due on the first day of each month. ".repeat(20))
        };
        scratch.write("notes/long.md", (0..4).map(part).collect::<String>().as_bytes());
        let ingest = ["ingest", &folder, "--model", model(), "--field", "year=2026"];
        scratch.json_with_code(place, &ingest, 3);
        let documents = |more: &[&str]| scratch.json(place, &[&["documents"], more].concat());
        let shown = |more: &[&str]| {
            let output = scratch.run(place, &[&["documents"], more].concat());
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
        };
        let fails = |more: &[&str], words: &[&str]| {
            scratch.fails(place, &[&["documents"], more].concat(), words);
        };

        let listed = documents(&["list"]);
        assert_eq!(ids(&listed), ["lease.md", "long.md", "sub/garden.html"]);
        assert_eq!(listed["next_page_token"], Value::Null);
        let lease = &listed["documents"][0];
        assert_eq!(
            (&lease["media_type"], &lease["metadata"]),
            (&json!("markdown"), &json!({ "year": 2026 }))
        );
        assert_eq!(lease.get("text"), None, "a list has no texts");
        let source = lease["source"].as_str().unwrap();
        assert_eq!(documents(&["list", "--source", source]), listed);
        assert!(ids(&documents(&["list", "--source", "elsewhere"])).is_empty());
        let first = documents(&["list", "--limit", "2"]);
        let second = documents(&["list", "--page-token", first["next_page_token"].as_str().unwrap()]);
        assert_eq!([ids(&first), ids(&second)].concat(), ids(&listed));
        assert_eq!(documents(&["list", "--limit", "1", "--all"]), listed);
        let (text, more) = shown(&["list", "--limit", "1"]);
        assert!(text.starts_with("lease.md: ") && text.contains(" chunks, markdown"), "{text}");
        assert!(more.contains("there are more: --page-token "), "{more}");

        let read = documents(&["get", "lease.md"]);
        assert_eq!((&read["text"], &read["content_sha256"]), (&json!(LEASE), &lease["content_sha256"]));
        assert_eq!(shown(&["get", "lease.md"]).0, LEASE, "to the byte");

        let chunks = documents(&["chunks", "long.md"]);
        let text = documents(&["get", "long.md"])["text"].as_str().unwrap().to_owned();
        let of = chunks["chunks"].as_array().unwrap();
        assert!(of.len() > 2 && json!(of.len()) == listed["documents"][1]["chunks"], "{chunks}");
        for (ordinal, chunk) in of.iter().enumerate() {
            let (start, end) = (chunk["start"].as_u64().unwrap(), chunk["end"].as_u64().unwrap());
            assert_eq!((&chunk["ordinal"], &chunk["document"]), (&json!(ordinal), &json!("long.md")));
            assert_eq!(chunk["text"], slice(&text, start, end));
            assert!(chunk["tokens"].as_u64().unwrap() > 0, "{chunk}");
        }
        let first = documents(&["chunks", "long.md", "--limit", "2"]);
        let token = first["next_page_token"].as_str().unwrap();
        assert_eq!(documents(&["chunks", "long.md", "--page-token", token])["chunks"][0]["ordinal"], 2);
        assert_eq!(documents(&["chunks", "long.md", "--limit", "1", "--all"]), chunks);
        let (text, _) = shown(&["chunks", "long.md"]);
        assert!(text.starts_with("0. Part 0 · characters ") && text.contains(" tokens\n   "), "{text}");

        fails(&["list", "--page-token", token], &["token of"]);
        fails(&["list", "-c", "absent"], &["absent"]);
        fails(&["list", "--limit", "0"], &["--limit"]);
        fails(&["chunks", "long.md", "--limit", "1001"], &["--limit: 1001", "PAGE_SIZE_MAX = 1000", "--all"]);
        for command in ["get", "chunks"] {
            fails(&[command, "absent.md"], &["document `absent.md` does not exist"]);
        }

        let remove = ["delete", "lease.md", "--request-id", "r1"];
        fails(&["delete", "lease.md", "--request-id", &"x".repeat(129)], &["request_id"]);
        let removed = |more: &[&str]| {
            let done = documents(more);
            assert_eq!(done["write_token"].is_string(), place[0] == "--url", "{done}");
            (done["deleted"] == true, done["repeated"] == true)
        };
        assert_eq!(removed(&remove), (true, false));
        fails(&["get", "lease.md"], &["lease.md"]);
        scratch.json_with_code(place, &ingest, 3);
        assert_eq!(removed(&remove), (true, true));
        assert_eq!(documents(&["get", "lease.md"])["text"], LEASE, "the same request removes nothing twice");
        assert_eq!(shown(&["delete", "lease.md"]).0, "deleted document lease.md\n");
        assert_eq!(removed(&["delete", "lease.md"]), (false, false));
        assert_eq!(shown(&["delete", "lease.md"]).0, "there is no document lease.md\n");
        assert_eq!(ids(&documents(&["list"])), ["long.md", "sub/garden.html"]);

        // Behind the last document there are none, but that is not to say that there are none.
        let behind = documents(&["list", "--limit", "1"])["next_page_token"].as_str().unwrap().to_owned();
        assert_eq!(removed(&["delete", "sub/garden.html"]), (true, false));
        assert_eq!(shown(&["list", "--page-token", &behind]).0, "");

        // A file that is given alone may have a title.
        scratch.write("other/deed.md", b"The house has two floors.");
        let titled = |path: &str| ["ingest", path, "--title", "The deed"].map(str::to_owned);
        let ingest = titled(&scratch.path("other/deed.md"));
        scratch.json(place, &ingest.each_ref().map(String::as_str));
        assert_eq!(documents(&["get", "deed.md"])["title"], "The deed");
        assert_eq!(documents(&["chunks", "deed.md"])["chunks"][0]["heading"], "The deed");
        assert!(shown(&["list"]).0.contains("deed.md: 1 chunks, markdown, The deed\n"));
        let folder = titled(&folder);
        scratch.fails(place, &folder.each_ref().map(String::as_str), &["--title", "one document"]);
    });
}
