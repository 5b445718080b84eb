use serde_json::json;

use super::*;

fn understood(mut body: Value) -> Result<Chat, ApiError> {
    if body.get("messages").is_none() {
        body["messages"] = json!([{"role": "user", "content": "Why?"}]);
    }
    serde_json::from_str::<ChatBody>(&body.to_string()).unwrap().understood()
}

/// The field that a body is refused for.
fn refused(body: Value) -> String {
    let error = understood(body).unwrap_err();
    assert_eq!(error.status().as_u16(), 400);
    error.body()["error"]["param"].as_str().unwrap().to_owned()
}

#[test]
fn model_and_collection_stand_in_one_name_or_apart() {
    let target = |body: Value| {
        let chat = understood(body).unwrap();
        (chat.request.options.model, chat.collection, chat.model)
    };
    let all = |name: &str, collection: &str, model: &str| {
        (name.to_owned(), collection.to_owned(), model.to_owned())
    };
    assert_eq!(target(json!({"model": "a/b:3b@notes"})), all("a/b:3b", "notes", "a/b:3b@notes"));
    assert_eq!(target(json!({"model": "small"})), all("small", "default", "small"));
    assert_eq!(target(json!({})), all("", "default", ""));
    assert_eq!(target(json!({"model": "@notes"})), all("", "notes", "@notes"));
    let apart = json!({"model": "small", "ragstone": {"collection": "notes"}});
    assert_eq!(target(apart), all("small", "notes", "small"));
    assert_eq!(refused(json!({"model": "small@a", "ragstone": {"collection": "b"}})), "ragstone.collection");
    target(json!({"model": "small@a", "ragstone": {"collection": "a"}}));
}

#[test]
fn parameters_are_set_passed_on_or_refused() {
    let chat = understood(json!({
        "max_tokens": 5, "temperature": 0.5, "top_p": 0.25, "seed": 3, "stop": "END", "n": 1, "stream": true,
        "stream_options": {"include_usage": true}, "response_format": {"type": "json_object"}, "user": null,
        "tools": [], "tool_choice": "none", "logprobs": false, "top_logprobs": 0, "modalities": ["text"],
    }));
    let chat = chat.unwrap();
    assert!(chat.stream && chat.include_usage);
    let options = chat.request.options;
    assert_eq!((options.max_tokens, options.temperature, options.top_p), (Some(5), Some(0.5), Some(0.25)));
    assert_eq!((options.seed, options.stop), (Some(3), vec!["END".to_owned()]));
    assert_eq!(options.response_format, Some(json!({"type": "json_object"})));
    assert_eq!(understood(json!({"stop": ["a", "b"]})).unwrap().request.options.stop, ["a", "b"]);
    for (field, value) in [
        ("n", json!(2)),
        ("tools", json!([{}])),
        ("tool_choice", json!("auto")),
        ("functions", json!([{}])),
        ("function_call", json!({"name": "f"})),
        ("logprobs", json!(true)),
        ("top_logprobs", json!(3)),
        ("modalities", json!(["text", "audio"])),
        ("audio", json!({"voice": "x"})),
    ] {
        assert_eq!(refused(json!({field: value})), field);
    }
}

/// They were told a line and a column, and no field.
#[test]
fn what_is_of_another_type_is_refused_by_name() {
    for (field, value) in [
        ("model", json!(7)),
        ("stream", json!("yes")),
        ("max_tokens", json!(-1)),
        ("max_completion_tokens", json!("5")),
        ("temperature", json!("hot")),
        ("top_p", json!([0.5])),
        ("seed", json!(1.5)),
        ("n", json!("one")),
        ("frequency_penalty", json!(true)),
        ("presence_penalty", json!({})),
        ("reasoning_effort", json!(1)),
    ] {
        assert_eq!(refused(json!({field: value})), field);
        understood(json!({field: null})).unwrap();
    }
    for field in ["collection", "k", "token_budget", "mode", "min_score", "mmr", "per_document", "filter"] {
        assert_eq!(refused(json!({"ragstone": {field: [1]}})), format!("ragstone.{field}"));
        understood(json!({"ragstone": {field: null}})).unwrap();
    }
    let told = understood(json!({"max_tokens": -1})).unwrap_err().body()["error"]["message"].clone();
    assert_eq!(told, "max_tokens: it must be a whole number from 0 to 4294967295");
}

/// With the operator's key, a caller could otherwise have the model's service do what the operator did not list.
#[test]
fn what_is_not_known_is_not_sent_on() {
    let plain = understood(json!({})).unwrap().request.options;
    let body = json!({
        "models": ["dear"], "plugins": [{"id": "web"}], "api_base": "http://elsewhere", "fallbacks": ["dear"],
        "chat_template": "x", "user": "me", "metadata": {"a": vec![0; 1_000]}, "top_k": 3,
    });
    assert_eq!(understood(body).unwrap().request.options, plain);
    let options = understood(json!({
        "max_completion_tokens": 9, "frequency_penalty": 1, "presence_penalty": -1, "reasoning_effort": "low",
    }));
    let options = options.unwrap().request.options;
    assert_eq!((options.max_completion_tokens, options.frequency_penalty), (Some(9), Some(1.0)));
    assert_eq!((options.presence_penalty, options.reasoning_effort.as_deref()), (Some(-1.0), Some("low")));
    assert_eq!(refused(json!({"response_format": "x".repeat(RESPONSE_FORMAT_BYTES_MAX)})), "response_format");
    assert_eq!(refused(json!({"stop": vec!["x"; STOPS_MAX + 1]})), "stop");
    assert_eq!(refused(json!({"stop": [1]})), "stop");
}

#[test]
fn how_passages_are_found_is_said_in_one_object() {
    let chat = understood(json!({"ragstone": {
        "k": 3, "token_budget": 100, "mode": "text", "template_source": "{{ question }}", "filter": "year >= 2020",
        "min_score": 0.5, "mmr": 0.25, "per_document": 2,
    }}));
    let enrich = chat.unwrap().request.enrich;
    assert_eq!((enrich.k, enrich.token_budget, enrich.mode), (3, 100, RetrievalMode::Text));
    assert_eq!((enrich.min_score, enrich.mmr, enrich.per_document), (Some(0.5), Some(0.25), Some(2)));
    assert_eq!(enrich.template, TemplateChoice::Source("{{ question }}".to_owned()));
    assert_eq!(enrich.filter, Some(Filter::parse("year >= 2020").unwrap()));
    assert_eq!(refused(json!({"ragstone": {"mode": "magic"}})), "ragstone.mode");
    assert_eq!(refused(json!({"ragstone": {"filter": "year >="}})), "ragstone.filter");
    let unknown = json!({"messages": [], "ragstone": {"colour": 1}});
    assert!(serde_json::from_str::<ChatBody>(&unknown.to_string()).is_err());
    let named = understood(json!({"ragstone": {"template": "short@2"}})).unwrap().request.enrich.template;
    assert_eq!(named, TemplateChoice::Registered("short@2".parse().unwrap()));
    assert_eq!(refused(json!({"ragstone": {"template": "short@none"}})), "ragstone.template");
    let both = json!({"ragstone": {"template": "short", "template_source": "x"}});
    assert_eq!(refused(both), "ragstone.template_source");
}
#[test]
fn a_conversation_is_taken_as_it_is() {
    let chat = understood(json!({"messages": [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": "What?", "name": "Ann"},
        {"role": "assistant", "content": [{"type": "text", "text": "This"}, {"type": "refusal", "refusal": "that"}]},
        {"role": "user", "content": [{"type": "text", "text": "Why?"}]},
    ]}));
    let expected = [
        ChatMessage::system("Be brief."),
        ChatMessage::user("What?"),
        ChatMessage::assistant("This\nthat"),
        ChatMessage::user("Why?"),
    ];
    assert_eq!(chat.unwrap().request.enrich.messages, expected);
    let image =
        json!([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://x"}}]}]);
    assert_eq!(refused(json!({"messages": image})), "messages[0].content[0].type");
    assert_eq!(refused(json!({"messages": [{"role": "tool", "content": "x"}]})), "messages[0].role");
    let many = vec![json!({"role": "user", "content": "x"}); CHAT_MESSAGES_MAX + 1];
    assert_eq!(refused(json!({"messages": many})), "messages");
}

/// Lists were kept as a whole, at several times their bytes, before anybody counted them.
#[test]
fn no_more_of_a_list_is_kept_than_may_be() {
    let many = json!({"messages": vec![json!({"role": "user", "content": "x"}); 3 * CHAT_MESSAGES_MAX]});
    let body = serde_json::from_str::<ChatBody>(&many.to_string()).unwrap();
    assert_eq!(body.messages.len(), CHAT_MESSAGES_MAX + 1);
    assert_eq!(refused(many), "messages");
    let parts = json!([{"type": "text", "text": "a"}, {"type": "image_url"}, {"type": "text", "text": "b"}]);
    let mixed = json!([{"role": "user", "content": parts}]);
    assert_eq!(refused(json!({"messages": mixed})), "messages[0].content[1].type");
    let none = understood(json!({"messages": [{"role": "user", "content": []}]})).unwrap();
    assert_eq!(none.request.enrich.messages, [ChatMessage::user("")]);
    // What is read past is JSON nevertheless.
    let broken = many_messages_that_end_in("{\"role\": ]");
    assert!(serde_json::from_str::<ChatBody>(&broken).is_err());
}

fn many_messages_that_end_in(end: &str) -> String {
    let messages = "{\"role\": \"user\", \"content\": \"x\"},".repeat(CHAT_MESSAGES_MAX + 1);
    format!("{{\"messages\": [{messages}{end}]}}")
}
