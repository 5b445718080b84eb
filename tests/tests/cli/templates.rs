//! `ragstone template`, on a directory and on a server.

use crate::in_both_places_without_a_model;

#[test]
fn templates_are_registered_listed_tried_and_removed() {
    in_both_places_without_a_model(|scratch, place| {
        scratch.json(place, &["collection", "create", "vectors", "--dimension", "2"]);
        scratch.write("one.jinja", b"one {{ question }}");
        scratch.write("two.jinja", b"{% system %}\nTold.\n{% user %}\ntwo {{ question }}");
        scratch.write("bad.jinja", b"x\n{{ question");
        let (one, two, bad) =
            (scratch.path("one.jinja"), scratch.path("two.jinja"), scratch.path("bad.jinja"));
        let register =
            |file: &str| scratch.json(place, &["template", "register", "answer", file])["version"].clone();
        assert_eq!((register(&one), register(&two), register(&two)), (1.into(), 2.into(), 2.into()));
        scratch.fails(place, &["template", "register", "answer", &bad], &["bad.jinja", "line 2"]);
        scratch.fails(place, &["template", "register", "a b", &one], &["name"]);
        scratch.fails(place, &["template", "register", "answer", &scratch.path("absent")], &["absent"]);
        let listed = scratch.json(place, &["template", "list"]);
        assert_eq!(listed["templates"].as_array().unwrap().len(), 2, "{listed}");
        assert_eq!(scratch.json(place, &["template", "show", "answer@1"])["source"], "one {{ question }}");
        // To the byte: registered again, it is no other version.
        let shown = scratch.run(place, &["template", "show", "answer@1"]);
        assert_eq!(String::from_utf8(shown.stdout).unwrap(), "one {{ question }}");
        let shown = scratch.json(place, &["template", "show"]);
        assert!(shown["source"].as_str().unwrap().contains("{% system %}"), "the built-in one: {shown}");
        let preview = scratch.json(place, &["template", "preview", "answer", "--question", "Why?"]);
        assert_eq!(
            (&preview["messages"][0]["content"], &preview["messages"][1]["content"]),
            (&"Told.".into(), &"two Why?".into())
        );
        let given = scratch.json(place, &["template", "preview", "--file", &one, "--question", "How?"]);
        assert_eq!(given["messages"][0]["content"], "one How?");
        let chat = r#"[{"role": "user", "content": "One?"}, {"role": "assistant", "content": "1"}]"#;
        let chatted = ["template", "preview", "answer", "--messages", chat, "--question", "Two?"];
        let chatted = scratch.json(place, &chatted);
        let said = chatted["messages"].as_array().unwrap().iter().map(|message| &message["content"]);
        assert_eq!(said.collect::<Vec<_>>(), ["Told.", "One?", "1", "two Two?"], "{chatted}");
        let built_in = scratch.run(place, &["template", "preview", "--passage", "Tea is green."]);
        assert!(String::from_utf8(built_in.stdout).unwrap().contains("Tea is green."));
        let placed = r#"{"document": "tea.md", "heading": "Tea > Green", "text": "Steep it."}"#;
        let shown =
            scratch.run(place, &["template", "preview", "--passage", placed, "--passage", "Stir it."]);
        let shown = String::from_utf8(shown.stdout).unwrap();
        for part in ["tea.md", "Steep it.", "document-2.md", "Stir it."] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        scratch.fails(place, &["template", "preview", "--passage", "{\"text\": 1}"], &["--passage {"]);
        assert_eq!(scratch.json(place, &["template", "delete", "answer@1"])["deleted"], 1);
        scratch.fails(place, &["template", "show", "answer@1"], &["answer@1", "not registered"]);
        assert_eq!(scratch.json(place, &["template", "delete", "answer"])["deleted"], 1);
        let empty = scratch.run(place, &["template", "list"]);
        assert!(String::from_utf8(empty.stdout).unwrap().contains("no templates yet"));
    });
}
