//! A server that runs from a file, what `config check` says of it, and TLS by flags.

use std::process::Command;

use ragstone_tests::certificates::Authority;
use serde_json::Value;

use crate::support::{Scratch, Server, binary};

/// A setting of what `config check` printed.
fn setting<'a>(checked: &'a Value, key: &str) -> &'a Value {
    let settings = checked["settings"].as_array().unwrap();
    settings.iter().find(|setting| setting["setting"] == key).unwrap()
}

#[test]
fn a_server_runs_from_a_file_and_flags_win() {
    let scratch = Scratch::new();
    scratch.write("ragstone.toml", b"# ports\nlisten = \"no such host\"\nhttp_listen = \"127.0.0.1:0\"\n");
    let file = scratch.path("ragstone.toml");
    let server = Server::start_with(&scratch.path("data"), &["--config", &file]);
    assert!(server.http_address.is_some(), "the file asks for the HTTP port");
    let listed = scratch.json(&["--url", &server.url()], &["collection", "list"]);
    assert_eq!(listed["collections"], serde_json::json!([]));
    // What the flag won over was the file's.
    scratch.fails(
        &["--data", &scratch.path("other")],
        &["serve", "--config", &file],
        &[&format!("{file}:2")],
    );
}

#[test]
fn check_tells_what_holds_and_from_where() {
    let scratch = Scratch::new();
    let text =
        "\nlisten = \"a:1\"\nrequest_timeout = \"90s\"\ngenerate_models = [\"m=http://127.0.0.1:9/v1\"]\n";
    scratch.write("r.toml", text.as_bytes());
    let file = scratch.path("r.toml");
    let check = ["config", "check", "--config", &file, "--listen", "127.0.0.1:0", "--offline"];
    let checked = scratch.json(&[], &check);
    assert_eq!(checked["file"], file.as_str());
    let holds = |key: &str| (setting(&checked, key)["value"].clone(), setting(&checked, key)["from"].clone());
    assert_eq!(holds("listen"), ("\"127.0.0.1:0\"".into(), "--listen".into()));
    assert_eq!(holds("offline"), ("true".into(), "--offline".into()));
    assert_eq!(holds("request_timeout"), ("\"90s\"".into(), format!("{file}:3").into()));
    assert_eq!(holds("tls.cert"), (Value::Null, "default".into()));
    let output = scratch.run(&[], &check);
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && shown.contains("request_timeout = \"90s\"  # line 3"), "{shown}");
}

/// `RAGSTONE_DATA=` in a file of variables refused every command, as if `--data` were typed without a directory.
#[test]
fn a_variable_that_is_set_to_nothing_is_unset() {
    let scratch = Scratch::new();
    let run = |arguments: &[&str]| {
        let mut command = scratch.command(&[], arguments);
        let output = command.env("RAGSTONE_DATA", "").env("RAGSTONE_URL", "").output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    run(&["collection", "create", "notes", "--dimension", "2"]);
    assert!(std::path::Path::new(&scratch.path("ragstone-data")).is_dir());
    let checked: Value = serde_json::from_slice(&run(&["--json", "config", "check"])).unwrap();
    assert_eq!(setting(&checked, "data")["from"], "default");
}

/// With `RAGSTONE_URL` in the environment, a copy was taken of whatever lay in the working directory, and not of the server's database.
#[test]
fn what_works_on_a_directory_is_told_which_where_a_server_is_named() {
    let scratch = Scratch::new();
    let run = |arguments: &[&str]| {
        let mut command = scratch.command(&[], arguments);
        let output = command.env("RAGSTONE_URL", "http://127.0.0.1:9").output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let data = ["--data", "ragstone-data"];
    let made = run(&["collection", "create", "notes", "--dimension", "2", data[0], data[1]]);
    assert_eq!(made.0, Some(0), "{}", made.1);
    let copies = scratch.path("copies");
    for command in [
        &["check"][..],
        &["repair", "--dry-run"],
        &["snapshot", "--to", &copies],
        &["snapshot", "archive", "--to", &copies],
        &["restore", "--from", &copies],
    ] {
        let (code, told) = run(command);
        assert_eq!(code, Some(2), "{command:?}: {told}");
        assert!(
            told.contains("RAGSTONE_URL") && told.contains("`--data ragstone-data`"),
            "{command:?}: {told}"
        );
    }
    let mut check = scratch.command(&[], &["check"]);
    check.env("RAGSTONE_URL", "http://127.0.0.1:9").env("RAGSTONE_DATA", data[1]);
    assert!(check.output().unwrap().status.success(), "a directory is named");
    let (code, told) = run(&["snapshot", "--to", &copies, data[0], data[1]]);
    assert_eq!(code, Some(0), "{told}");
    // These work on the copies alone.
    for command in ["list", "verify", "collect"] {
        let (code, told) = run(&["snapshot", command, "--at", &copies]);
        assert_eq!(code, Some(0), "{command}: {told}");
    }
}

/// A key in a URL is refused, and not told to whoever reads along.
#[test]
fn check_does_not_tell_what_is_secret() {
    let scratch = Scratch::new();
    let text = "generate_models = [\"m=http://me:hunter2@127.0.0.1:9/v1\"]\n[jwt]\nkeys = \"https://id.example/jwks?token=hunter3\"\n";
    scratch.write("r.toml", text.as_bytes());
    let output = scratch.run(&[], &["config", "check", "--config", &scratch.path("r.toml")]);
    assert!(!output.status.success());
    let shown = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(shown.contains("(redacted)@127.0.0.1") && shown.contains("key_env"), "{shown}");
    assert!(shown.contains("https://id.example/jwks?token=(redacted)"), "{shown}");
    assert!(!shown.contains("hunter"), "{shown}");
}

/// The flag is `--generate-model`, the variable `RAGSTONE_GENERATE_MODELS`: the singular was nothing to anybody.
#[test]
fn check_tells_a_variable_that_is_nearly_a_setting() {
    let command = |json: &[&str]| {
        let mut command = Command::new(binary());
        command
            .args(json)
            .args(["config", "check"])
            .env("RAGSTONE_GENERATE_MODEL", "m=http://127.0.0.1:9/v1");
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    let shown = command(&[]);
    let told = "# RAGSTONE_GENERATE_MODEL is no setting; the nearest is RAGSTONE_GENERATE_MODELS";
    assert!(shown.lines().any(|line| line == told), "{shown}");
    let checked: Value = serde_json::from_str(&command(&["--json"])).unwrap();
    assert_eq!(checked["misspelt"][0]["nearest"], "RAGSTONE_GENERATE_MODELS");
}

#[test]
fn check_tells_limits_that_cannot_be_meant_together() {
    let scratch = Scratch::new();
    let check = ["config", "check", "--message-bytes-max", "32MiB", "--response-bytes-max", "33MiB"];
    let told = "message_bytes_max = \"32MiB\" (--message-bytes-max) is below response_bytes_max = \"33MiB\" (--response-bytes-max)";
    let checked = scratch.json(&[], &check);
    let doubts = &checked["doubts"];
    assert!(
        doubts.as_array().unwrap().len() == 1 && doubts[0].as_str().unwrap().starts_with(told),
        "{doubts}"
    );
    let shown = String::from_utf8(scratch.run(&[], &check).stdout).unwrap();
    assert!(shown.contains(&format!("\n# {told}: ")), "{shown}");
}

#[test]
fn check_tells_every_mistake_with_its_place() {
    let scratch = Scratch::new();
    scratch.write("r.toml", b"lissten = \"a:1\"\n\n[tls]\nreload_interval = 5\n");
    let file = scratch.path("r.toml");
    let (first, second) = (format!("{file}:1"), format!("{file}:4"));
    let words = [first.as_str(), "nearest is `listen`", &second, "30s"];
    scratch.fails(&[], &["config", "check", "--config", &file], &words);
    scratch.fails(&[], &["serve", "--config", &file], &words);

    scratch.write("s.toml", b"request_timeout = \"0s\"\n");
    let file = scratch.path("s.toml");
    scratch.fails(
        &[],
        &["config", "check", "--config", &file],
        &[&format!("{file}:1"), "request_timeout is 0"],
    );
    scratch.write("t.toml", b"\nhttp_listen = \"0.0.0.0:0\"\n");
    let file = scratch.path("t.toml");
    let open = ["config", "check", "--config", &file];
    scratch.fails(&[], &open, &[&format!("{file}:2"), "not listening on 0.0.0.0:0", "--auth"]);
    for meant in ["--auth", "--insecure-listen"] {
        assert!(scratch.run(&[], &[&open[..], &[meant]].concat()).status.success(), "{meant}");
    }
    let long = ["config", "check", "--message-bytes-max", "8GiB", "--request-bytes-max", "4GiB"];
    scratch.fails(&[], &long, &["--request-bytes-max", "is not below 4 GiB"]);
    // What is missing stands nowhere; the line that asks for it does.
    scratch.write("u.toml", b"\n[tls]\ncert = \"absent.pem\"\n");
    let file = scratch.path("u.toml");
    scratch.fails(&[], &["config", "check", "--config", &file], &[&format!("{file}:3"), "tls.key is needed"]);
    scratch.write("v.toml", b"http_listen = \"6734\"\n");
    let file = scratch.path("v.toml");
    scratch.fails(
        &[],
        &["config", "check", "--config", &file],
        &[&format!("{file}:1"), "`6734`", "HOST:PORT"],
    );
    let several = b"caller_share_max = 0.0\nrequest_timeout = \"0s\"\nhttp_listen = \"6734\"\ngenerate_models = [\"m\"]\n";
    scratch.write("w.toml", several);
    let file = scratch.path("w.toml");
    let places: Vec<String> = (1..=4).map(|line| format!("{file}:{line}")).collect();
    let places: Vec<&str> = places.iter().map(String::as_str).collect();
    scratch.fails(&[], &["config", "check", "--config", &file], &places);
    let alone = ["config", "check", "--tls-cert", "absent.pem"];
    scratch.fails(&[], &alone, &["tls.key", "beside tls.cert"]);
    let absent = ["config", "check", "--tls-cert", "absent.pem", "--tls-key", "absent.key"];
    scratch.fails(&[], &absent, &["--tls-cert", "absent.pem"]);
}

#[test]
fn commands_reach_a_server_with_tls() {
    let scratch = Scratch::new();
    let (authority, clients) = (Authority::new("servers"), Authority::new("clients"));
    let (server, client) = (authority.issue("server"), clients.issue("client"));
    for (name, pem) in [
        ("ca.pem", authority.pem()),
        ("clients.pem", clients.pem()),
        ("server.pem", server.cert),
        ("server.key", server.key),
        ("client.pem", client.cert),
        ("client.key", client.key),
    ] {
        scratch.write(name, pem.as_bytes());
    }
    let [ca, clients, cert, key, own, own_key] =
        ["ca.pem", "clients.pem", "server.pem", "server.key", "client.pem", "client.key"]
            .map(|name| scratch.path(name));
    let flags = ["--tls-cert", &cert, "--tls-key", &key, "--tls-client-ca", &clients];
    let server = Server::start_with(&scratch.path("data"), &flags);
    let url = server.url().replace("http://", "https://");
    let trusting = ["--url", &url, "--tls-ca", &ca];
    let known = [&trusting[..], &["--tls-cert", own.as_str(), "--tls-key", own_key.as_str()]].concat();
    scratch.json(&known, &["collection", "create", "notes", "--dimension", "2"]);
    let listed = scratch.json(&known, &["collection", "list"]);
    assert_eq!(listed["collections"][0]["name"], "notes");
    // What it is told depends on how far its call comes before the server has hung up.
    scratch.fails(&trusting, &["collection", "list"], &[]);
    scratch.fails(&["--url", &url], &["collection", "list"], &["--url"]);
    let half = [&trusting[..], &["--tls-cert", own.as_str()]].concat();
    scratch.fails(&half, &["collection", "list"], &["--tls-key"]);
}
