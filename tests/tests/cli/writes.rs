//! `ragstone points write`: operations of every kind in one write.

use serde_json::{Value, json};

use crate::points::papers;

fn write<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["points", "write", "-c", "papers", "--file"], more].concat()
}

#[test]
fn operations_of_every_kind_are_written_together_or_not_at_all() {
    crate::in_both_places_without_a_model(|scratch, place| {
        papers(scratch, place);
        let point = |id: &str| -> Value {
            scratch.json(place, &["points", "get", "-c", "papers", id])["points"][0].clone()
        };
        let lines = |etag: &Value, score: &str| {
            format!(
                "{{\"precondition\": {{\"id\": 1, \"etag\": {etag}}}}}\n\
                 {{\"precondition\": {{\"id\": \"mars\", \"exists\": false}}}}\n\n\
                 {{\"upsert\": {{\"id\": \"mars\", \"vector\": [1, 1], \"payload\": {{\"score\": 3}}}}}}\n\
                 {{\"update\": {{\"id\": 1, \"set\": {{\"score\": {score}}}, \"unset\": [\"year\"]}}}}\n\
                 {{\"delete\": \"moon\"}}\n"
            )
        };
        let file = scratch.path("ops.jsonl");
        let etag = point("1")["etag"].clone();
        // Refused where it is read, where it is compared with the collection, where it is compared with what is there.
        let refused = |text: &str, words: &[&str]| {
            scratch.write("ops.jsonl", text.as_bytes());
            scratch.fails(place, &write(&[&file]), words);
            assert_eq!(scratch.json(place, &["points", "count", "-c", "papers"])["count"], 4);
            assert_eq!(point("1")["etag"], etag);
        };
        refused(&lines(&etag, "\"high\""), &["ops.jsonl, line 5: ", "set.score", "float"]);
        let short = lines(&etag, "4").replace("[1, 1]", "[1]");
        refused(&short, &["ops.jsonl, line 4: ", "2 components"]);
        refused(&lines(&json!(4_000), "4"), &["ops.jsonl, line 1: ", "preconditions[0]", "etag"]);
        refused(&lines(&etag, "4").replace("mars", "sun"), &["ops.jsonl, line 2: ", "sun"]);
        refused(&lines(&etag, "4").replace("moon", "doc:moon"), &["ops.jsonl, line 6: ", "doc:"]);
        refused("\n", &["ops.jsonl: there is no operation"]);

        scratch.write("ops.jsonl", lines(&etag, "4").as_bytes());
        let written = scratch.json(place, &write(&[&file, "--request-id", "r1"]));
        assert_eq!((&written["points"], &written["repeated"]), (&json!(3), &json!(false)));
        assert_eq!(point("1")["payload"]["score"], 4.0);
        assert_eq!(point("mars")["payload"]["score"], 3.0, "a float field has floats");
        assert_eq!(point("moon"), Value::Null);
        let again = scratch.json(place, &write(&[&file, "--request-id", "r1"]));
        assert_eq!((&again["seq"], &again["repeated"]), (&written["seq"], &json!(true)));

        let document = json!({
            "operations": [{"delete": "mars"}, {"upsert": {"id": 9, "payload": {"_kind": "x"}}}],
            "preconditions": [{"id": "mars", "exists": true}],
            "request_id": "r2",
        });
        scratch.write("ops.json", format!("{document:#}").as_bytes());
        let document = scratch.path("ops.json");
        scratch.fails(place, &write(&[&document]), &["ops.json, operations[1]: ", "_kind"]);
        let sound = std::fs::read_to_string(&document).unwrap().replace("_kind", "kind");
        scratch.write("ops.json", sound.as_bytes());
        assert_eq!(scratch.json(place, &write(&[&document]))["points"], 2);
        assert_eq!(scratch.json(place, &write(&[&document]))["repeated"], true);
        let shown = scratch.run(place, &write(&[&document]));
        let text = String::from_utf8(shown.stdout).unwrap();
        assert_eq!(text, "2 points written, changed or removed (by this request before)\n");
        scratch.fails(place, &write(&["absent.json"]), &["absent.json"]);
    });
}

fn count<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["points", "count", "-c", "papers"], more].concat()
}

/// A server tells by what reads find a write, whichever server is asked; a directory has all that was written.
#[test]
fn reads_ask_for_what_was_written() {
    crate::in_both_places_without_a_model(|scratch, place| {
        papers(scratch, place);
        let update = ["points", "update", "-c", "papers", "1", "--set", "score=5"];
        let written = scratch.json(place, &update);
        let Some(token) = written["write_token"].as_str() else {
            assert_eq!(place[0], "--data", "{written}");
            for option in [["--at-least", "1"], ["--timeout", "5s"]] {
                assert_eq!(scratch.run(place, &count(&option)).status.code(), Some(2), "{option:?}");
            }
            return;
        };
        assert_eq!(place[0], "--url");
        assert_eq!(scratch.json(place, &count(&["--at-least", token, "--timeout", "30s"]))["count"], 4);
        let foreign = format!("1{}{}", "0".repeat(32), &token[33..]);
        scratch.fails(place, &count(&["--at-least", &foreign]), &["at_least", "another database"]);
        scratch.fails(place, &count(&["--at-least", "x"]), &["at_least", "no write token"]);
        assert_eq!(scratch.run(place, &count(&["--timeout", "0s"])).status.code(), Some(2), "it is no time");
        // Every kind of write tells it.
        scratch.write("more.jsonl", b"{\"id\": 9}\n");
        let more = scratch.path("more.jsonl");
        for write in [
            &["collection", "add-field", "papers", "pages=int"][..],
            &["points", "upsert", "-c", "papers", &more],
            &["points", "delete", "-c", "papers", "9"],
            &["collection", "delete", "papers"],
        ] {
            let written = scratch.json(place, write);
            assert!(written["write_token"].as_str().is_some_and(|next| next > token), "{written}");
        }
    });
}
