//! What is written where, and what holds.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use super::*;

/// Resolves a file's text, variables and flags.
fn resolved(
    file: &str,
    environment: &[(&str, &str)],
    flags: &[(&'static str, &str)],
) -> Result<Resolved, Vec<String>> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("r.toml");
    std::fs::write(&path, file).unwrap();
    let value = |name: &str| environment.iter().find(|(variable, _)| *variable == name);
    let sources = Sources {
        file: Some(path.clone()),
        environment: &|name| value(name).map(|(_, value)| OsString::from(value)),
        flags: flags.iter().map(|(key, value)| (*key, vec![OsString::from(value)])).collect(),
    };
    resolve(sources).map_err(|error| {
        let text = error.to_string().replace(&path.display().to_string(), "r.toml");
        text.lines().map(str::to_owned).collect()
    })
}

#[test]
fn flags_win_over_the_environment_over_the_file_over_defaults() {
    let file = "# comment\nlisten = \"a:1\"\nhttp_listen = \"a:2\"\nmodel = \"of/file\"\n\n[tls]\nreload_interval = \"9s\"\n";
    let environment = [("RAGSTONE_LISTEN", "b:1"), ("RAGSTONE_HTTP_LISTEN", "b:2"), ("RAGSTONE_MODEL", "")];
    let resolved = resolved(file, &environment, &[("listen", "c:1")]).unwrap();
    let settings = &resolved.settings;
    assert_eq!((settings.listen.as_str(), settings.http_listen.as_deref()), ("c:1", Some("b:2")));
    assert_eq!(settings.server.default_model, "of/file", "a variable that is set to nothing is unset");
    assert_eq!(settings.server.tls.reload_interval, Duration::from_secs(9));
    assert_eq!(settings.data, PathBuf::from(DEFAULT_DATA));
    let origin = |key| match resolved.origin(key) {
        Origin::File { line, .. } => format!("line {line}"),
        other => other.to_string(),
    };
    let origins = ["listen", "http_listen", "model", "tls.reload_interval", "data"].map(origin);
    assert_eq!(origins, ["--listen", "RAGSTONE_HTTP_LISTEN", "line 4", "line 7", "default"]);
}

#[test]
fn lists_are_taken_whole_from_one_place() {
    let file = "snapshot_stores = [\"a b\", \"c\"]\ngenerate_models = ['x=http://h/v1']\n";
    let environment = [("RAGSTONE_GENERATE_MODELS", " y=http://h/v1  z=http://h/v1 ")];
    let settings = resolved(file, &environment, &[]).unwrap().settings;
    assert_eq!(settings.server.snapshot_stores, ["a b", "c"]);
    assert_eq!(settings.generate_models, ["y=http://h/v1", "z=http://h/v1"]);
    let settings = resolved(file, &environment, &[("generate_models", "w=http://h/v1")]).unwrap().settings;
    assert_eq!(settings.generate_models, ["w=http://h/v1"]);
    // These have spaces.
    let environment = [("RAGSTONE_JWT_ROLES", "reader=read on a\n\n writer=write on b where c = 1 \n")];
    let roles = resolved("", &environment, &[]).unwrap().settings.server.access.jwt.role_texts();
    assert_eq!(roles, ["reader=read on a", "writer=write on b where c = 1"]);
}

#[test]
fn a_variable_that_others_read_too_gives_way_to_our_own() {
    let mut environment = vec![("OTEL_EXPORTER_OTLP_ENDPOINT", "http://theirs:4317")];
    let endpoint = |resolved: &Resolved| {
        (
            resolved.settings.server.telemetry.otlp_endpoint.clone(),
            resolved.origin("otlp_endpoint").to_string(),
        )
    };
    let expected =
        |url: &str, origin: &str| (Some(url.to_owned()).filter(|url| !url.is_empty()), origin.to_owned());
    let file = "otlp_endpoint = \"http://file:4317\"";
    let told = endpoint(&resolved(file, &environment, &[]).unwrap());
    assert_eq!(told, expected("http://theirs:4317", "OTEL_EXPORTER_OTLP_ENDPOINT"));
    environment.push(("RAGSTONE_OTLP_ENDPOINT", "http://ours:4317"));
    let told = endpoint(&resolved(file, &environment, &[]).unwrap());
    assert_eq!(told, expected("http://ours:4317", "RAGSTONE_OTLP_ENDPOINT"));
    let told = endpoint(&resolved(file, &environment, &[("otlp_endpoint", "")]).unwrap());
    assert_eq!(told, expected("", "--otlp-endpoint"));
}

#[test]
fn every_mistake_is_told_with_its_place() {
    let file = "listn = \"a:1\"\nrequest_timeout = 30\noffline = \"yes\"\nread_wait = \"soon\"\n\n[tls]\ncertt = \"x\"\n\n[limits]\nx = 1\n[jwt]\nroles = [\"reader=fly\"]\n";
    let environment = [("RAGSTONE_HTTP_CONNECTIONS_MAX", "many")];
    let mistakes = resolved(file, &environment, &[("log_format", "xml"), ("read_wait", "1s")]).unwrap_err();
    let expected = [
        ("r.toml:1: ", "`listn` is no setting; the nearest is `listen`"),
        ("r.toml:2: ", "request_timeout is a text such as \"30s\", not a whole number"),
        ("r.toml:3: ", "offline is true or false, not a text"),
        ("r.toml:4: ", "read_wait `soon` is no time"),
        ("r.toml:7: ", "`tls.certt` is no setting; the nearest is `tls.cert`"),
        (
            "r.toml:9: ",
            "`limits` is no section; settings stand above all sections, or in [tls], [jwt], [answer_cache]",
        ),
        ("r.toml:12: ", "jwt.roles grant `fly`"),
        ("RAGSTONE_HTTP_CONNECTIONS_MAX: ", "http_connections_max `many` is no number"),
        ("--log-format: ", "`xml` is not one of text, json"),
    ];
    assert_eq!(mistakes.len(), expected.len(), "{mistakes:#?}");
    for (mistake, (place, what)) in mistakes.iter().zip(expected) {
        assert!(mistake.starts_with(place) && mistake.contains(what), "{mistake}");
    }
}

/// `listen` below `[tls]` is `tls.listen`, of which the nearest key is one of TLS, which sends the reader the wrong way.
#[test]
fn a_setting_in_the_wrong_place_is_told_its_own() {
    let file = "cert = \"c\"\n[tls]\nkey = \"k\"\nlisten = \"a:1\"\n[jwt]\nlifetime = \"1h\"\n";
    let mistakes = resolved(file, &[], &[]).unwrap_err();
    let expected = [
        "r.toml:1: `cert` is no setting; `cert` is one of the section [tls]",
        "r.toml:4: `tls.listen` is no setting; `listen` stands above all sections",
        "r.toml:6: `jwt.lifetime` is no setting; `lifetime` is one of the section [answer_cache]",
    ];
    assert_eq!(mistakes, expected);
}

#[test]
fn an_address_without_a_port_and_one_for_both_ports_are_refused() {
    let checked =
        |file: &str| resolved(file, &[], &[]).unwrap().settings.check().map_err(|error| error.to_string());
    for wrong in
        ["127.0.0.1", "6733", ":6733", "localhost", "[::1]", "127.0.0.1:65536", "http://127.0.0.1:1/"]
    {
        for key in ["listen", "http_listen"] {
            let refused = checked(&format!("{key} = \"{wrong}\"")).unwrap_err();
            assert!(refused.contains(wrong) && refused.contains("HOST:PORT"), "{wrong}: {refused}");
        }
    }
    let refused = checked("listen = \"127.0.0.1:1\"\nhttp_listen = \"127.0.0.1:1\"").unwrap_err();
    assert!(refused.starts_with("http_listen is the same address as listen"), "{refused}");
    assert_eq!(checked("listen = \"127.0.0.1:0\"\nhttp_listen = \"127.0.0.1:0\""), Ok(()));
}

/// Each was told once the one before was mended.
#[test]
fn all_that_a_server_would_not_start_for_is_told_at_once() {
    let file = "request_timeout = \"0s\"\nhttp_listen = \"6734\"\ncaller_share_max = 0.0\nlisten = \"0.0.0.0:1\"\n[tls]\ncert = \"absent.pem\"\n";
    let settings = resolved(file, &[], &[]).unwrap().settings;
    let problems: Vec<String> = settings.problems().iter().map(ToString::to_string).collect();
    let expected =
        ["request_timeout is 0", "tls.key is needed", "caller_share_max is not", "`6734`", "0.0.0.0:1"];
    assert_eq!(problems.len(), expected.len(), "{problems:?}");
    for (problem, expected) in problems.iter().zip(expected) {
        assert!(problem.contains(expected), "{problem}: {expected}");
    }
    assert!(settings.check().unwrap_err().to_string().contains(expected[0]));
    let absent = resolved("[tls]\ncert = \"absent.pem\"\nkey = \"absent.key\"\n", &[], &[]).unwrap().settings;
    let problems: Vec<String> = absent.problems().iter().map(ToString::to_string).collect();
    assert!(matches!(problems.as_slice(), [only] if only.contains("absent.pem")), "{problems:?}");
    assert!(Settings::default().problems().is_empty());
}

/// A server ran with it: a request that `request_bytes_max` allows was told to come back when there is more room, which there never is.
#[test]
fn a_limit_that_another_one_keeps_from_being_reached_is_told() {
    let doubts = |file: &str, flags: &[(&'static str, &str)]| resolved(file, &[], flags).unwrap().doubts();
    let told = doubts("\nmessage_bytes_max = \"48MiB\"\n", &[("request_bytes_max", "50MiB")]);
    let [request, response] = told.as_slice() else { panic!("{told:?}") };
    assert!(
        request.starts_with("message_bytes_max = \"48MiB\" (") && request.contains("r.toml:2) is below"),
        "{request}"
    );
    assert!(request.contains(" is below request_bytes_max = \"50MiB\" (--request-bytes-max): "), "{request}");
    assert!(response.contains(" is below response_bytes_max = \"64MiB\" (default): "), "{response}");
    assert!(doubts("", &[]).is_empty());
    assert!(doubts("message_bytes_max = \"64MiB\"", &[("request_bytes_max", "64MiB")]).is_empty());
}

#[test]
fn what_is_no_toml_is_told_with_its_line() {
    for (file, line) in [("listen = \"a:1\"\nmodel = nonsense\n", 2), ("a = 1\n\na = 2\n", 3), ("[tls\n", 1)]
    {
        let mistakes = resolved(file, &[], &[]).unwrap_err();
        assert!(mistakes[0].starts_with(&format!("r.toml:{line}: ")), "{mistakes:?}");
    }
    let absent = Sources { file: Some("no/such/r.toml".into()), environment: &|_| None, flags: Vec::new() };
    assert!(resolve(absent).unwrap_err().to_string().contains("no/such/r.toml"));
}

/// Of a file with an umlaut of another encoding it was told that the stream did not contain valid UTF-8, and not where.
#[test]
fn what_is_no_utf_8_is_told_with_its_line() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("r.toml");
    std::fs::write(&path, b"listen = \"a:1\"\n# Z\xfcrich\nmodel = \"m\"\n").unwrap();
    let refused =
        resolve(Sources { file: Some(path.clone()), environment: &|_| None, flags: Vec::new() }).unwrap_err();
    assert_eq!(refused.to_string(), format!("{}:2: is not UTF-8, as TOML is", path.display()));
}

#[test]
fn what_strangers_would_reach_is_refused_unless_they_are_asked_or_it_is_insisted_on() {
    let checked = |file: &str| match resolved(file, &[], &[]).unwrap().settings.check() {
        Ok(()) => None,
        Err(ServeError::Insecure { address }) => Some(address),
        Err(other) => panic!("{file}: {other}"),
    };
    for here in ["127.0.0.1", "127.1.2.3", "[::1]", "localhost"] {
        assert_eq!(checked(&format!("listen = \"{here}:1\"\nhttp_listen = \"{here}:2\"")), None, "{here}");
    }
    for elsewhere in ["0.0.0.0:1", "[::]:1", "10.0.0.1:1"] {
        for key in ["listen", "http_listen"] {
            let file = format!("{key} = \"{elsewhere}\"\n");
            assert_eq!(checked(&file).as_deref(), Some(elsewhere));
            assert_eq!(checked(&format!("{file}auth = true")), None);
            assert_eq!(checked(&format!("{file}insecure_listen = true")), None);
        }
    }
}

#[test]
fn a_variable_names_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("r.toml");
    std::fs::write(&path, "listen = \"a:1\"").unwrap();
    let environment = |name: &str| (name == CONFIG_VARIABLE).then(|| path.clone().into_os_string());
    let sources = Sources { file: None, environment: &environment, flags: Vec::new() };
    let resolved = resolve(sources).unwrap();
    assert_eq!((resolved.settings.listen.as_str(), resolved.file.as_ref()), ("a:1", Some(&path)));
}

/// Another value than the default, as a file has it.
fn other(setting: &Setting) -> String {
    match setting.field() {
        Field::Texts(_) => "[\"other\"]".to_owned(),
        Field::Switch(_) => (setting.shown(&Settings::default()).as_deref() != Some("true")).to_string(),
        Field::Number(_) | Field::Bytes(_) | Field::CountIf { .. } => "7".to_owned(),
        Field::Share(_) | Field::RateIf(_) => "0.75".to_owned(),
        Field::Lines { .. } => "[\"reader=read on a\"]".to_owned(),
        Field::Time(_) => "\"7s\"".to_owned(),
        Field::Choice { words, .. } => format!("{:?}", words[words.len() - 1]),
        _ => "\"other\"".to_owned(),
    }
}

/// Each key sets its own field and no other; there are no two of a name.
#[test]
fn every_setting_is_itself() {
    let default = Settings::default();
    let mut names = BTreeSet::new();
    for setting in all() {
        for name in [setting.key().to_owned(), setting.flag()].into_iter().chain(setting.variables()) {
            assert!(names.insert(name.clone()) || name == setting.key(), "{name} is there twice");
        }
        let settings =
            resolved(&format!("{} = {}", setting.key(), other(setting)), &[], &[]).unwrap().settings;
        for each in all() {
            let expected =
                if each.key() == setting.key() { Some(other(setting)) } else { each.shown(&default) };
            assert_eq!(each.shown(&settings), expected, "{} after {}", each.key(), setting.key());
        }
    }
}

/// What is shown of a setting is what a file may have, so that what a server runs with can be copied into one.
#[test]
fn what_is_shown_can_be_written() {
    let default = Settings::default();
    let shown = all().filter_map(|setting| Some(format!("{} = {}", setting.key(), setting.shown(&default)?)));
    let file: Vec<String> = shown.collect();
    let settings = resolved(&file.join("\n"), &[], &[]).unwrap().settings;
    assert_eq!(format!("{settings:?}"), format!("{default:?}"));
}

/// A field of the configuration that nothing sets was forgotten in the table: with every setting changed, no field is as it was.
#[test]
fn no_field_is_forgotten() {
    let file: Vec<String> = all().map(|setting| format!("{} = {}", setting.key(), other(setting))).collect();
    let changed = format!("{:#?}", resolved(&file.join("\n"), &[], &[]).unwrap().settings);
    let changed: BTreeSet<&str> = changed.lines().collect();
    let default = format!("{:#?}", Settings::default());
    let fields = default.lines().filter(|line| line.contains(": ") && !line.ends_with('{'));
    let forgotten: Vec<&str> = fields.filter(|line| changed.contains(line)).collect();
    assert!(forgotten.is_empty(), "{forgotten:#?}");
    assert!(default.lines().count() > 25, "{default}");
}
