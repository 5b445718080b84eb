//! What is taken and what is refused.

use std::ffi::OsStr;

use ragstone_server::settings;

use super::*;

fn parsed(words: &[&str]) -> Result<Arguments, clap::Error> {
    let words = [&["ragstone"], words].concat();
    let matches = Arguments::command().try_get_matches_from(words)?;
    Arguments::from_arg_matches(&matches)?.settled(&matches)
}

#[test]
fn arguments_are_consistent() {
    Arguments::command().debug_assert();
}

#[test]
fn one_place_is_meant() {
    assert_eq!(
        parsed(&["--url", "http://a:1", "model", "list"]).unwrap().place.url.as_deref(),
        Some("http://a:1")
    );
    assert_eq!(
        parsed(&["model", "list", "--url", "http://a:1"]).unwrap().place.url.as_deref(),
        Some("http://a:1")
    );
    for words in [
        ["--url", "http://a:1", "--data", "d", "model", "list"],
        ["--url", "http://a:1", "model", "list", "--data", "d"],
    ] {
        assert!(parsed(&words).unwrap_err().to_string().contains("two places"));
    }
    assert!(parsed(&["check", "--url", "http://a:1"]).unwrap_err().to_string().contains("--data"));
    // `--url "$SERVER"` of a script that did not set it worked on the directory beside it.
    for place in ["--url", "--data"] {
        let refused = parsed(&[place, "", "collection", "delete", "notes"]).unwrap_err().to_string();
        assert!(refused.contains(&format!("{place} is empty")), "{refused}");
    }
    assert!(parsed(&["restore", "--from", "x", "--url", "http://a:1"]).is_err());
    assert!(parsed(&["serve", "--url", "http://a:1"]).unwrap_err().to_string().contains("--data"));
}

#[test]
fn what_is_asked_of_calls_is_asked_of_a_server() {
    for words in [["--at-least", "x", "model", "list"], ["model", "list", "--timeout", "5s"]] {
        assert!(parsed(&words).unwrap_err().to_string().contains("give --url"), "{words:?}");
        assert!(parsed(&[&words[..], &["--url", "http://a:1"]].concat()).is_ok(), "{words:?}");
    }
    assert!(parsed(&["model", "list", "--timeout", "5", "--url", "http://a:1"]).is_err());
    // Each call was given up before it was made, or in a year, whatever was asked for.
    for (timeout, is_taken) in [("0s", false), ("0d", false), ("1s", true), ("365d", true), ("366d", false)] {
        let parsed = parsed(&["model", "list", "--timeout", timeout, "--url", "http://a:1"]);
        let told = parsed.err().map(|error| error.to_string());
        assert_eq!(told.is_none(), is_taken, "{timeout}: {told:?}");
        let names_both = |told: &str| told.contains("--timeout") && told.contains("1s to 365d");
        assert!(told.is_none_or(|told| names_both(&told)), "{timeout}");
    }
    // A variable of a script that is set to nothing asks for no write: whatever were read would do.
    assert!(parsed(&["model", "list", "--at-least", "", "--url", "http://a:1"]).is_err());
    assert!(parsed(&["documents", "delete", "a.md", "--request-id", ""]).is_err());
}

/// A setting of a server whose flag every command has is one setting: the same flag, the same variable.
#[test]
fn global_flags_are_the_settings_of_a_server() {
    let command = Arguments::command();
    let mut seen = 0;
    for setting in settings::all().filter(|setting| setting.is_global()) {
        let id = serve::global_id(setting);
        let flag = command.get_arguments().find(|flag| flag.get_id().as_str() == id).unwrap();
        assert!(flag.is_global_set(), "{id}");
        assert_eq!(flag.get_long(), Some(setting.flag().as_str()));
        assert_eq!(flag.get_env(), Some(OsStr::new(&setting.variable())));
        seen += 1;
    }
    assert_eq!(seen, 4);
}

#[test]
fn flags_of_a_server_are_settings() {
    let resolved = |words: &[&str]| {
        let Command::Serve(args) = parsed(words).unwrap().command else { panic!("{words:?}") };
        args.resolve().unwrap()
    };
    let words =
        ["--data", "d", "serve", "--snapshot-store", "a b", "--snapshot-store", "c", "--allow-any-model"];
    let settings = resolved(&words).settings;
    assert_eq!(settings.data.to_str(), Some("d"));
    assert_eq!(settings.server.snapshot_stores, ["a b", "c"]);
    assert!(settings.server.allow_any_model && settings.server.load_default_model);
    let words = [
        "serve",
        "--offline",
        "--load-default-model=false",
        "--tls-cert",
        "c",
        "--tls-key",
        "k",
        "--data",
        "e",
    ];
    let resolved = resolved(&words);
    assert_eq!(resolved.origin("tls.cert").to_string(), "--tls-cert");
    let settings = resolved.settings;
    assert!(settings.offline && !settings.server.load_default_model);
    assert_eq!((settings.data.to_str(), settings.server.tls.key), (Some("e"), Some("k".into())));
}

#[test]
fn certificates_are_for_whom_they_can_be_shown_to() {
    let refused = |words: &[&str]| parsed(words).unwrap_err().to_string();
    assert!(refused(&["serve", "--tls-ca", "a"]).contains("--tls-client-ca"));
    assert!(refused(&["model", "list", "--tls-ca", "a", "--data", "d"]).contains("https"));
    assert!(refused(&["model", "list", "--tls-cert", "a", "--url", "http://a:1"]).contains("https"));
    assert!(parsed(&["model", "list", "--tls-ca", "a", "--url", "https://a:1"]).is_ok());
}

/// The words of a command as a shell has them: quotes hold words together, and a comment, a pipe or another file than the standard ones ends it.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None::<char>);
    for c in line.chars() {
        match (quote, c) {
            (Some(end), c) if c == end => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, '#') if word.is_none() => break,
            (None, '|' | '<' | '>') => break,
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// The help behind the arguments of a command and of those in it.
fn help_behind(command: &clap::Command) -> String {
    let own = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    command.get_subcommands().map(help_behind).fold(own, |help, further| help + "\n" + &further)
}

/// Whoever copies a line out of the documents or of a help text is not told that it makes no sense.
#[test]
fn commands_of_the_documents_and_of_help_are_taken() {
    let documents = [
        include_str!("../../../../README.md"),
        include_str!("../../../README.md"),
        include_str!("../../../COMMANDS.md"),
        include_str!("../../../CONFIGURATION.md"),
        include_str!("../../../monitoring/README.md"),
        include_str!("../../../../clients/python/README.md"),
        include_str!("../../../../clients/langchain/README.md"),
        include_str!("../../../../clients/llamaindex/README.md"),
        include_str!("../../../../benches/record/retrieval.md"),
    ];
    let text = documents.join("\n") + "\n" + &help_behind(&Arguments::command());
    let mut taken = 0;
    for line in text.lines().map(str::trim_start) {
        let command = line.strip_prefix("ragstone ").or_else(|| line.strip_prefix("cargo run --release -- "));
        let Some(command) = command else { continue };
        // In a help text two spaces come before what is said of the line.
        let words = words(command.split("  ").next().unwrap_or(command));
        match parsed(&words.iter().map(String::as_str).collect::<Vec<_>>()) {
            Ok(_) => taken += 1,
            Err(error) => assert_eq!(error.kind(), ErrorKind::DisplayHelp, "{line}: {error}"),
        }
    }
    assert!(taken > 60, "{taken}");
}

/// `--tls-ca` stood between `--model` and `--field`, as everything else that every command has.
#[test]
fn help_has_the_own_options_of_a_command_first() {
    let mut program = Arguments::command();
    program.build();
    let help = program.find_subcommand_mut("ingest").unwrap().render_help().to_string();
    let (own, every) = help.split_once(EVERY).unwrap();
    assert!(own.contains("--title-field") && !own.contains("--tls-ca"), "{help}");
    assert!(every.contains("--tls-ca") && every.contains("--json"), "{help}");
}
