//! Texts that are typed or handed on, each of a grammar of its own: settings, grants, cursors, names and the like. Each is what it says or an error,
//! and what is shown of one reads back as the same.

use std::ffi::OsString;
use std::fmt::{Debug, Display};
use std::str::FromStr;

use ragstone::query::Cursor;
use ragstone::{Analyzer, Json, Lineage};
use ragstone_rag::generate::GenerateModel;
use ragstone_rag::ingest::ChunkOptions;
use ragstone_rag::prompt::{ChatRole, DataMarking, TemplateName};
use ragstone_rag::retrieve::RetrievalMode;
use ragstone_server::access::Grant;
use ragstone_server::settings::{Origin, SettingsError, Sources, resolve};

/// Reads a text of the kind that the first byte says; whether it is one.
///
/// # Panics
/// If reading does, if an error points beside the text, or if what is shown reads back as something else.
pub fn exercise_text(input: &[u8]) -> bool {
    let _named = crate::NamedOnPanic(input);
    let Some((kind, rest)) = input.split_first() else { return false };
    let text = String::from_utf8_lossy(rest);
    match kind % 6 {
        0 => settings(&text),
        1 => comes_back::<Grant>(&text),
        2 => comes_back::<Cursor>(&text),
        3 => comes_back::<Cursor>(&checked(rest)),
        4 => Json::new(&*text).is_ok_and(|json| Json::new(json.as_str()).is_ok_and(|again| again == json)),
        _ => names(&text),
    }
}

/// Reads the text as a file of settings.
fn settings(text: &str) -> bool {
    let folder = tempfile::tempdir().expect("a scratch directory");
    let path = folder.path().join("ragstone.toml");
    std::fs::write(&path, text).expect("a file can be written");
    let nothing = |_: &str| -> Option<OsString> { None };
    match resolve(Sources { file: Some(path), environment: &nothing, flags: Vec::new() }) {
        Ok(_) => true,
        Err(SettingsError::Refused(refusals)) => {
            let lines = 1 + text.matches('\n').count();
            for refusal in refusals {
                let Origin::File { line, .. } = refusal.origin else {
                    panic!("nothing else was read: {refusal}")
                };
                assert!((1..=lines).contains(&line), "{text:?}: line {line}: {}", refusal.what);
            }
            false
        }
        Err(other) => panic!("a file of ours: {other}"),
    }
}

/// Reads the text; what it shows as is read as the same.
fn comes_back<T>(text: &str) -> bool
where
    T: FromStr + Display + Debug,
    T::Err: Debug,
{
    let Ok(read) = text.parse::<T>() else { return false };
    let shown = read.to_string();
    let again = shown.parse::<T>();
    // Not the values: a float that is no number is another one than itself.
    let is_same = again.as_ref().is_ok_and(|again| again.to_string() == shown);
    assert!(is_same, "{text:?}: {shown:?} is {again:?}");
    true
}

/// A token of a cursor with these bytes, and the checksum over them.
fn checked(bytes: &[u8]) -> String {
    let crc = crc32fast::hash(bytes).to_le_bytes();
    bytes.iter().chain(&crc).map(|byte| format!("{byte:02x}")).collect()
}

/// Reads the text as each of what is named in a few words.
fn names(text: &str) -> bool {
    [
        text.parse::<Analyzer>().is_ok(),
        text.parse::<Lineage>().is_ok(),
        text.parse::<ChunkOptions>().is_ok(),
        text.parse::<TemplateName>().is_ok(),
        text.parse::<DataMarking>().is_ok(),
        text.parse::<ChatRole>().is_ok(),
        text.parse::<RetrievalMode>().is_ok(),
        GenerateModel::parse(text).is_ok(),
    ]
    .contains(&true)
}
