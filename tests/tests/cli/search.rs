//! `ragstone search`.

use serde_json::{Value, json};

use crate::points::{ids, papers};

#[test]
fn points_are_searched_by_every_source() {
    crate::in_both_places_without_a_model(|scratch, place| {
        papers(scratch, place);
        let search = |more: &[&str]| scratch.json(place, &[&["search", "-c", "papers"], more].concat());
        assert_eq!(ids(&search(&["--vector", "[1, 0]", "-k", "2"])), [json!(1), json!(2)]);
        scratch.write("vector.json", b"[0.0, 1.0]");
        assert_eq!(ids(&search(&["--vector", &scratch.path("vector.json"), "-k", "1"])), [json!("moon")]);
        assert_eq!(ids(&search(&["--like", "moon", "-k", "1"])), [json!("sun")]);
        assert_eq!(ids(&search(&["--order-by", "year:desc", "-k", "2"])), [json!("sun"), json!("moon")]);
        let newest = search(&["--vector", "[1, 0]", "--order-by", "year:desc", "-k", "2"]);
        assert_eq!(ids(&newest), [json!(2), json!(1)], "of the two nearest");
        let filtered =
            search(&["--vector", "[1, 0]", "--filter", "lang = \"en\" and year >= 2020", "--explain"]);
        assert_eq!(ids(&filtered), [json!("sun"), json!("moon")]);
        assert_eq!(filtered["exact"], true);
        assert_eq!(filtered["explain"]["stages"][0]["path"], "source.nearest");
        let both = search(&["--vector", "[1, 0]", "--filter", "year >= 2020", "--where", "lang=de"]);
        assert_eq!(ids(&both), [json!(2)]);
        let grouped = search(&["--vector", "[1, 0]", "--group-by", "lang", "--per-group", "2", "-k", "2"]);
        assert_eq!(grouped["groups"][0]["value"], "en");
        assert_eq!(grouped["groups"][0]["hits"].as_array().unwrap().len(), 2);
        let few = search(&["--vector", "[1, 0]", "--threshold", "0.9", "--fields", "title"]);
        assert_eq!(
            (few["hits"].as_array().unwrap().len(), &few["hits"][1]["payload"]),
            (2, &json!({"title": "Tee"}))
        );
        let bare = search(&["--vector", "[1, 0]", "-k", "1", "--without-payload", "--vectors", ""]);
        let hit = &bare["hits"][0];
        assert_eq!((&hit["payload"], &hit["vector"]), (&json!({}), &json!([1.0, 0.0])));
        let tree = json!({"fuse": {"sources": [
            {"nearest": {"query": [1, 0]}, "weight": 30},
            {"nearest": {"query": [0, 1]}},
        ], "weighted": {}}});
        scratch.write("source.json", tree.to_string().as_bytes());
        assert_eq!(ids(&search(&["--source", &scratch.path("source.json"), "-k", "1"])), [json!(1)]);
        // By words of text fields, alone and together with a vector.
        scratch
            .json(place, &["collection", "create", "texts", "--dimension", "2", "--text", "title=english"]);
        scratch.json(place, &["points", "upsert", "-c", "texts", &scratch.path("papers.jsonl")]);
        let texts = |more: &[&str]| scratch.json(place, &[&["search", "-c", "texts"], more].concat());
        assert_eq!(ids(&texts(&["--words", "moons"])), [json!("moon")]);
        assert_eq!(ids(&texts(&["--words", "tea moon", "--all-words"])), [] as [Value; 0]);
        let both = ["--vector", "[1, 0]", "--words", "sun", "--in", "title:2", "-k", "4"];
        assert_eq!(ids(&texts(&both))[0], json!("sun"));
        scratch.fails(place, &["search", "-c", "texts", "--vector", "[1, 0]", "--all-words"], &["--words"]);
        scratch.fails(place, &["search", "-c", "papers", "--words", "moon"], &["text"]);
        let near = search(&["--vector", "[1, 0]", "--all-within", "0.9"]);
        assert_eq!((ids(&near), &near["truncated"]), (vec![json!(1), json!(2)], &json!(false)));
        assert_eq!(near.get("explain"), None);
        let bare = search(&["--vector", "[1, 0]", "--all-within", "0.9", "--without-payload"]);
        assert_eq!((ids(&bare), &bare["hits"][0]["payload"]), (ids(&near), &json!({})));
        let some =
            ["search", "-c", "papers", "--vector", "[1, 0]", "--all-within", "0.9", "--fields", "title"];
        assert_eq!(scratch.run(place, &some).status.code(), Some(2), "a range has all fields or none");
        let near = search(&["--vector", "[1, 0]", "--all-within", "0.9", "--explain"]);
        let stage = &near["explain"]["stages"][0];
        assert_eq!(
            (&stage["path"], &stage["rows"], &near["explain"]["exact"]),
            (&json!("range"), &json!(2), &json!(true))
        );
        let nearest = search(&["--vector", "[1, 0]", "--all-within", "0.1", "--limit", "1"]);
        assert_eq!((ids(&nearest), &nearest["truncated"]), (vec![json!(1)], &json!(true)));
        // For people, too.
        let shown = scratch.run(place, &["search", "-c", "papers", "--vector", "[1, 0]", "--explain"]);
        let shown = String::from_utf8(shown.stdout).unwrap();
        assert!(shown.contains("\"title\":\"Tea\"") && shown.contains("Plan: exact"), "{shown}");
    });
}

/// What a search found before its time was over was once printed as if it were all that there is.
#[test]
fn a_search_that_was_cut_short_says_so() {
    crate::in_both_places_without_a_model(|scratch, place| {
        papers(scratch, place);
        let near = ["search", "-c", "papers", "--vector", "[1, 0]"];
        for more in [&["--budget-ms", "0"][..], &["--budget-ms", "0", "--all-within", "0.5"]] {
            let cut = [&near[..], more].concat();
            assert_eq!(scratch.json(place, &cut)["interrupted"], true, "{cut:?}");
            let shown = scratch.run(place, &cut);
            let text = String::from_utf8(shown.stdout).unwrap();
            assert_eq!(shown.status.code(), Some(0), "{text}");
            assert!(text.contains("interrupted: ") && text.contains("--budget-ms"), "{text}");
            assert!(!text.contains("nothing found"), "{text}");
        }
        let shown = scratch.run(place, &[&near[..], &["--filter", "year > 3000"]].concat());
        let text = String::from_utf8(shown.stdout).unwrap();
        assert!(text.contains("nothing found") && !text.contains("interrupted"), "{text}");
    });
}

/// A text is embedded by whoever searches, with the model of the rows that are searched: it was once compared with vectors of other kinds,
/// and over a server embedded by another call than the one that searched.
#[test]
fn a_text_is_compared_with_the_vectors_of_the_model() {
    crate::in_both_places(|scratch, place| {
        scratch.json(
            place,
            &["collection", "create", "docs", "--model", crate::support::model(), "--vector", "title=2"],
        );
        let search = ["search", "-c", "docs", "when does the lease end"];
        for more in [&[] as &[&str], &["--all-within", "0.5"], &["--hybrid"], &["--order-by", "_document"]] {
            let found = scratch.json(place, &[&search[..], more].concat());
            let stages: Vec<_> = found["timings_ms"].as_object().unwrap().keys().collect();
            assert_eq!(stages, ["embed", "search"], "{more:?}");
        }
        // Within other sources, too, and in many queries at once.
        let near = json!({"nearest": {"text": "when does the lease end"}});
        let tree = json!({"rescore": {"from": {"fuse": {"sources": [near, near]}}, "by": near}}).to_string();
        let found = scratch.json(place, &["search", "-c", "docs", "--source", &tree]);
        assert!(found["timings_ms"]["embed"].is_number(), "{found}");
        scratch.write("queries.jsonl", format!("{tree}\n{near}\n").as_bytes());
        let batch = ["search", "-c", "docs", "--batch", &scratch.path("queries.jsonl")];
        assert_eq!(scratch.json(place, &batch)["answers"].as_array().unwrap().len(), 2);
        let other = json!({"nearest": {"text": "x", "vector": "title"}});
        scratch.write("queries.jsonl", format!("{tree}\n{other}\n").as_bytes());
        scratch.fails(
            place,
            &batch,
            &["queries.jsonl, line 2: ", "queries[1].source.nearest.text: ", "default vector"],
        );
        for (more, field) in [
            (&[] as &[&str], "source.nearest.text: "),
            (&["--all-within", "0.5"], "text: "),
            (&["--hybrid"], "source.fuse.sources[0].nearest.text: "),
        ] {
            let other = [&search[..], &["--by", "title"], more].concat();
            scratch.fails(place, &other, &[field, "the collection's model makes the default vector"]);
        }
    });
}

/// What a filter means to a collection is pointed at as what is wrong with its letters is.
#[test]
fn what_a_filter_cannot_mean_is_pointed_at() {
    crate::in_both_places_without_a_model(|scratch, place| {
        papers(scratch, place);
        for (filter, column, reason, carets) in [
            ("year > 1 and lang match 'x'", 14, "`lang` has no lexical index", "^^^^"),
            ("at within -1 m of (1, 2)", 11, "a radius is a number of metres from zero on, not -1", "^^"),
            ("at within 1 m of (91, 2)", 19, "91 is not between -90 and 90 degrees", "^^"),
        ] {
            let place_of = format!("--filter: column {column}: {reason}");
            let shown = format!("\n  {filter}\n  {}{carets}\n", " ".repeat(column - 1));
            for command in [&["search", "--order-by", "year"][..], &["points", "count"]] {
                let asked = [command, &["-c", "papers", "--filter", filter]].concat();
                scratch.fails(place, &asked, &[&place_of, &shown]);
            }
        }
    });
}

#[test]
fn many_queries_are_answered_at_once() {
    crate::in_both_places_without_a_model(|scratch, place| {
        papers(scratch, place);
        let file = scratch.path("queries.jsonl");
        let batch = ["search", "-c", "papers", "--batch", &file, "-k", "2", "--filter", "year > 2019"];
        let near = json!({"nearest": {"query": [1, 0]}});
        let lines = [
            near.clone(),
            json!({"source": near, "k": 1, "filter": "lang = 'en'", "fields": ["title"]}),
            json!({"source": {"order_by": {"field": "year", "descending": true}}, "k": 5}),
            json!({"source": near, "threshold": 0.9, "fields": []}),
        ];
        let text = lines.each_ref().map(|line| format!("{line}\n\n")).concat();
        scratch.write("queries.jsonl", text.as_bytes());
        let found = scratch.json(place, &batch);
        let answers = found["answers"].as_array().unwrap();
        let wanted = [
            vec![json!(2), json!("sun")],
            vec![json!("sun")],
            vec![json!("sun"), json!("moon"), json!(2)],
            vec![json!(2)],
        ];
        assert_eq!(answers.iter().map(ids).collect::<Vec<_>>(), wanted);
        assert_eq!(answers[1]["hits"][0]["payload"], json!({"title": "Sun"}));
        assert_eq!(answers[3]["hits"][0]["payload"], json!({}));
        let shown = scratch.run(place, &batch);
        let text = String::from_utf8(shown.stdout).unwrap();
        assert!(text.contains("queries.jsonl, line 3\n 1. ") && text.contains("line 7\n"), "{text}");

        let fails = |lines: &str, words: &[&str]| {
            scratch.write("queries.jsonl", lines.as_bytes());
            scratch.fails(place, &batch, words);
        };
        fails("\n", &["--batch", "queries.jsonl: there is no query"]);
        fails(&format!("{near}\n{{"), &["queries.jsonl, line 2: "]);
        fails(&format!("{near}\n{{\"k\": 1}}"), &["queries.jsonl, line 2: source.k"]);
        // The last of the two was taken.
        let twice = format!("{{\"source\": {near}, \"k\": 1, \"k\": 2}}");
        fails(&format!("{near}\n{twice}"), &["queries.jsonl, line 2: ", "the name `k` stands twice"]);
        let twice = r#"{"nearest": {"query": [1, 0], "query": [0, 1]}}"#;
        scratch.fails(
            place,
            &["search", "-c", "papers", "--source", twice],
            &["--source", "`query` stands twice"],
        );
        let beyond = json!({"source": near, "k": 0});
        fails(&format!("\n{near}\n{beyond}"), &["queries.jsonl, line 3: queries[1].k: "]);
        let filter = json!({"source": near, "filter": "yaer > 1"});
        fails(&filter.to_string(), &["queries.jsonl, line 1: filter: column 1: ", "did you mean `year`?"]);
        let both = scratch.run(place, &[&batch[..], &["--words", "tea"]].concat());
        assert_eq!(both.status.code(), Some(2), "a source has its own");
    });
}
