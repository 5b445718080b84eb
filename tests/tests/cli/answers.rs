//! `ragstone ask --generate` and `ragstone serve --generate-model --http-listen`: a language model answers.

use std::io::{Read, Write};

use ragstone_tests::chat::{ChatService, Reply};

use crate::support::{Scratch, Server, model};
use crate::{in_both_places, notes};

fn answering() -> ChatService {
    ChatService::start(|_| Reply::answer(&["It ends ", "on 31 May [1], as [9] says."]))
}

#[test]
fn an_answer_is_streamed_and_its_citations_are_checked() {
    let scratch = Scratch::new();
    let folder = notes(&scratch);
    let data = scratch.path("data");
    let place = ["--data", data.as_str()];
    scratch.json_with_code(&place, &["ingest", &folder, "--model", model()], 3);
    let service = answering();
    let small = format!("{}#large", service.named("small"));
    let options =
        ["--max-tokens", "50", "--temperature", "0.5", "--top-p", "0.25", "--stop", "END", "--seed", "-7"];
    let ask = [&["ask", "When?", "--generate", &small], &options[..]].concat();
    let asked = scratch.json(&place, &ask);
    assert_eq!(asked["answer"], "It ends on 31 May [1], as [9] says.");
    let generated = &asked["generated"];
    assert_eq!((&generated["model"], &generated["finish_reason"]), (&"small".into(), &"stop".into()));
    assert_eq!((&generated["cited"][0], &generated["unknown"][0]), (&1.into(), &9.into()));
    assert_eq!((&generated["prompt_tokens"], &generated["completion_tokens"]), (&11.into(), &7.into()));
    assert!(generated["timings_ms"]["generate"].as_f64().is_some(), "{generated}");
    assert_eq!(generated["cached"], false);
    let request = &service.asked()[0].body;
    assert_eq!((&request["model"], &request["max_tokens"]), (&"large".into(), &50.into()));
    assert_eq!((&request["temperature"], &request["top_p"]), (&0.5.into(), &0.25.into()));
    assert_eq!((&request["stop"], &request["seed"]), (&serde_json::json!(["END"]), &(-7).into()));

    let printed = scratch.run(&place, &ask);
    let text = String::from_utf8_lossy(&printed.stdout).into_owned();
    assert!(text.contains("Answer:\nIt ends on 31 May [1], as [9] says.\n"), "{text}");
    assert!(text.contains("small cites [1]") && text.contains("[9], which it was not given"), "{text}");
    assert!(!text.contains("Kept from an earlier question"), "{text}");
}

#[test]
fn of_an_answer_that_was_kept_it_is_said_so() {
    let scratch = Scratch::new();
    let folder = notes(&scratch);
    let service = answering();
    let (small, data) = (service.named("small"), scratch.path("data"));
    let keeping = ["--generate-model", small.as_str(), "--answer-cache-entries-max", "10"];
    let server = Server::start_with(&data, &keeping);
    let url = server.url();
    let place = ["--url", url.as_str()];
    scratch.json_with_code(&place, &["ingest", &folder, "--model", model()], 3);
    let ask = ["ask", "When?", "--generate", "small"];
    for cached in [false, true] {
        let asked = scratch.json(&place, &ask);
        assert_eq!(asked["answer"], "It ends on 31 May [1], as [9] says.");
        assert_eq!(asked["generated"]["cached"], cached);
    }
    let printed = scratch.run(&place, &ask);
    let text = String::from_utf8_lossy(&printed.stdout).into_owned();
    assert!(text.contains("small cites [1]") && text.contains("Kept from an earlier question"), "{text}");
    assert_eq!(service.asked().len(), 1);
}

#[test]
fn a_server_asks_the_models_that_its_operator_listed() {
    let scratch = Scratch::new();
    let folder = notes(&scratch);
    let service = answering();
    let (small, data) = (service.named("small"), scratch.path("data"));
    let server = Server::start_with(&data, &["--generate-model", &small, "--http-listen", "127.0.0.1:0"]);
    let url = server.url();
    let place = ["--url", url.as_str()];
    scratch.json_with_code(&place, &["ingest", &folder, "--model", model()], 3);
    for named in [vec!["--generate", "small"], vec!["--generate"]] {
        let asked = scratch.json(&place, &[vec!["ask", "When?"], named].concat());
        assert_eq!(asked["answer"], "It ends on 31 May [1], as [9] says.");
        assert_eq!(asked["generated"]["cited"][0], 1);
    }
    let options = ["--top-p", "0.25", "--stop", "END", "--stop", "FIN", "--seed", "7"];
    scratch.json(&place, &[&["ask", "When?", "--generate", "small"], &options[..]].concat());
    let request = &service.asked()[2].body;
    assert_eq!((&request["top_p"], &request["seed"]), (&0.25.into(), &7.into()));
    assert_eq!(request["stop"], serde_json::json!(["END", "FIN"]));
    let beyond = ["ask", "When?", "--generate", "small", "--top-p", "2"];
    scratch.fails(&place, &beyond, &["top_p", "above 0"]);
    scratch.fails(&place, &["ask", "When?", "--generate", "absent"], &["`absent`", "small"]);
    scratch.fails(&place, &["ask", "When?", "--generate", &small], &["--generate", "give a NAME"]);

    let http = server.http_address.as_deref().expect("the server has an HTTP port");
    let mut stream = std::net::TcpStream::connect(http).unwrap();
    write!(stream, "GET /readyz HTTP/1.1\r\nhost: {http}\r\nconnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert!(text.starts_with("HTTP/1.1 200") && text.ends_with("ready\n"), "{text}");
}

#[test]
fn what_is_no_model_to_ask_is_named() {
    let service = answering();
    in_both_places(|scratch, place| {
        let folder = notes(scratch);
        scratch.json_with_code(place, &["ingest", &folder, "--model", model()], 3);
        scratch.fails(place, &["ask", "When?", "--generate", "small"], &["NAME=URL"]);
    });
    let scratch = Scratch::new();
    let folder = notes(&scratch);
    let data = scratch.path("data");
    let place = ["--data", data.as_str()];
    scratch.json_with_code(&place, &["ingest", &folder, "--model", model()], 3);
    let ask =
        |named: &str, words: &[&str]| scratch.fails(&place, &["ask", "When?", "--generate", named], words);
    ask("small", &["NAME=URL"]);
    ask("small=ftp://host/v1", &["generate_model", "http"]);
    ask("small=http://host?key_env=RAGSTONE_ABSENT_KEY", &["RAGSTONE_ABSENT_KEY", "not set"]);
    ask("small=http://host?colour=red", &["unknown setting colour"]);
    scratch.fails(&["--data", &data], &["serve", "--generate-model", "nonsense"], &["NAME=URL"]);
    let named = service.named("small");
    let twice = ["serve", "--generate-model", &named, "--generate-model", &named];
    scratch.fails(&["--data", &data], &twice, &["small", "twice"]);
    assert!(service.asked().is_empty());
}
