//! Registered templates.

use ragstone::limits::{DB_ATTRIBUTE_BYTES_MAX, DB_ATTRIBUTES_BYTES_MAX};

use super::*;
use crate::limits::{TEMPLATE_BYTES_MAX, TEMPLATE_NUMBERS_REMEMBERED};
use crate::prompt::registry::key;
use crate::prompt::{ChatMessage, DataMarking, SamplePassage, TemplateName};

fn name(text: &str) -> TemplateName {
    text.parse().unwrap()
}

fn versions(rag: &Rag, of: Option<&str>) -> Vec<String> {
    rag.templates(of).iter().map(|template| format!("{}@{}", template.name, template.version)).collect()
}

#[test]
fn versions_are_numbered_once_and_never_change() {
    let Fixture { rag, folder } = fixture();
    assert_eq!(rag.register_template("answer", "one {{ question }}").unwrap().version, 1);
    assert_eq!(rag.register_template("answer", "two {{ question }}").unwrap().version, 2);
    assert_eq!(rag.register_template("answer", "two {{ question }}").unwrap().version, 2, "the same again");
    assert_eq!(rag.register_template("answer", "one {{ question }}").unwrap().version, 3, "not the newest's");
    rag.register_template("answer-2", "x").unwrap();
    assert_eq!(versions(&rag, Some("answer")), ["answer@1", "answer@2", "answer@3"]);
    assert_eq!(versions(&rag, None).len(), 4);
    assert_eq!(rag.template(&name("answer")).unwrap().version, 3);
    assert_eq!(rag.template(&name("answer@2")).unwrap().source, "two {{ question }}");
    assert!(rag.template(&name("answer@2")).unwrap().registered_at > 0);
    // Numbers of what was deleted are not given again.
    assert_eq!(rag.delete_template(&name("answer@1")).unwrap(), 1);
    assert_eq!(rag.delete_template(&name("answer@3")).unwrap(), 1);
    assert_eq!(rag.delete_template(&name("answer@3")).unwrap(), 0);
    assert_eq!(versions(&rag, Some("answer")), ["answer@2"]);
    assert_eq!(rag.register_template("answer", "four").unwrap().version, 4);
    assert_eq!(rag.delete_template(&name("answer")).unwrap(), 2);
    assert!(versions(&rag, Some("answer")).is_empty());
    drop(rag);
    let db = Db::open(folder.path().join("data")).unwrap();
    let rag = Rag::new(db, models(folder.path(), []));
    assert_eq!(versions(&rag, None), ["answer-2@1"]);
    assert_eq!(rag.register_template("answer", "five").unwrap().version, 5);
    for absent in ["answer@4", "answer@99", "nothing"] {
        let error = rag.template(&name(absent)).unwrap_err();
        assert!(matches!(&error, Error::TemplateNotFound { template } if template == absent), "{error}");
    }
}

/// Each name that was ever deleted kept an attribute for ever: after some four thousand the database had no room for another one.
#[test]
fn deleted_templates_take_so_many_attributes_and_no_more() {
    let rag = Rag::in_memory().unwrap();
    let register = |of: &str, source: &str| rag.register_template(of, source).unwrap().version;
    let kept = || rag.db().attributes("ragstone.template").len();
    for version in 1..=2 {
        assert_eq!(register("old", "x"), version);
        rag.delete_template(&name("old")).unwrap();
    }
    for number in 2..TEMPLATE_NUMBERS_REMEMBERED {
        rag.db().set_attribute(&key(&format!("t{number}"), 1), Some(&[0])).unwrap();
    }
    assert_eq!(kept(), TEMPLATE_NUMBERS_REMEMBERED);
    // The oldest says no more than the next one does.
    assert_eq!(register("new", "x"), 1);
    rag.delete_template(&name("new")).unwrap();
    assert_eq!(kept(), TEMPLATE_NUMBERS_REMEMBERED);
    // That one is remembered for all names, in a full database too.
    assert_eq!(register("newer", "x"), 1);
    let bytes = |(key, found): &(String, ragstone::Attribute)| key.len() + found.value.len();
    let used = || rag.db().attributes("").iter().map(bytes).sum::<usize>();
    let mut others = 10;
    while let left @ 2.. = DB_ATTRIBUTES_BYTES_MAX - used() {
        let value = vec![0_u8; DB_ATTRIBUTE_BYTES_MAX.min(left - 2)];
        rag.db().set_attribute(&others.to_string(), Some(&value)).unwrap();
        others += 1;
    }
    rag.delete_template(&name("newer")).unwrap();
    for other in 10..others {
        rag.db().set_attribute(&other.to_string(), None).unwrap();
    }
    assert_eq!(kept(), TEMPLATE_NUMBERS_REMEMBERED + 1);
    assert_eq!([register("old", "y"), register("new", "y"), register("newest", "y")], [3, 3, 3]);
    assert_eq!(register("newest", "z"), 4);
}

#[test]
fn registrations_at_once_get_versions_of_their_own() {
    let Fixture { rag, folder: _folder } = fixture();
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let rag = rag.clone();
            scope.spawn(move || {
                for turn in 0..4 {
                    rag.register_template("t", &format!("{writer} {turn}")).unwrap();
                }
            });
        }
    });
    let all = rag.templates(Some("t"));
    assert_eq!(all.len(), 16);
    let sources: std::collections::HashSet<&str> =
        all.iter().map(|template| template.source.as_str()).collect();
    assert_eq!(sources.len(), 16);
}

#[test]
fn prompts_are_rendered_with_the_template_that_is_named() {
    let Fixture { rag, folder: _folder } = fixture();
    rag.ingest(C, document("a.md", "# Tea\n\nTea is green.")).unwrap();
    rag.register_template("t", "one {{ question }}").unwrap();
    rag.register_template("t", "{% system %}\nTold.\n{% user %}\ntwo {{ question }}").unwrap();
    let enriched = |template| {
        let request = EnrichRequest { template, ..EnrichRequest::new("tea?") };
        let enriched = rag.enrich(C, &request).unwrap();
        (enriched.template, enriched.messages.iter().map(|it| it.content.clone()).collect::<Vec<_>>())
    };
    let registered = |text: &str| TemplateChoice::Registered(name(text));
    assert_eq!(enriched(registered("t@1")), ("t@1".into(), vec!["one tea?".into()]));
    assert_eq!(enriched(registered("t")), ("t@2".into(), vec!["Told.".into(), "two tea?".into()]));
    let given = TemplateChoice::Source("given {{ question }}".into());
    assert_eq!(enriched(given), ("given".into(), vec!["given tea?".into()]));
    assert_eq!(enriched(TemplateChoice::BuiltIn).0, "built-in");
    let absent = EnrichRequest { template: registered("t@3"), ..EnrichRequest::new("tea?") };
    assert!(matches!(rag.enrich(C, &absent), Err(Error::TemplateNotFound { .. })));
    let passages = [SamplePassage { document: "d".into(), heading: String::new(), text: "x".into() }];
    let ask = [ChatMessage::user("Why?")];
    let shown = rag.preview_template(&registered("t"), &ask, &passages, DataMarking::Off).unwrap();
    assert_eq!(shown, [ChatMessage::system("Told."), ChatMessage::user("two Why?")]);
}

#[test]
fn what_is_no_template_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let rag = Rag::new(Db::in_memory().unwrap(), models(folder.path(), []));
    for (at, source, expected) in
        [("a b", "x", "name"), ("", "x", "name"), ("t", &*"x".repeat(TEMPLATE_BYTES_MAX + 1), "source")]
    {
        assert_eq!(field_of(&rag.register_template(at, source).unwrap_err()), expected);
    }
    let error = rag.register_template("t", "{% user %}\nx\n{{ question").unwrap_err();
    assert!(matches!(&error, Error::Template { reason } if reason.starts_with("line 3: ")), "{error}");
    rag.register_template("t", &"x".repeat(TEMPLATE_BYTES_MAX)).unwrap();
}
