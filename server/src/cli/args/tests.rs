//! What is taken and what is refused.

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
    assert!(parsed(&["restore", "--from", "x", "--url", "http://a:1"]).is_err());
    assert!(parsed(&["serve", "--url", "http://a:1"]).unwrap_err().to_string().contains("--data"));
}
