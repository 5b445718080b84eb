//! ARCHITECTURE.md has a line for each room.

use std::collections::BTreeSet;

use super::{fail_on, files, root};

/// Where folders are rooms.
const SOURCES: [&str; 3] = ["engine/src/", "engine/rag/src/", "server/src/"];

/// What a line of the table names: a path from the root, and behind it others in the same folder.
fn named(line: &str) -> Vec<String> {
    let Some(cell) = line.strip_prefix('|').and_then(|line| line.split('|').next()) else {
        return Vec::new();
    };
    let (mut folder, mut names) = (String::new(), Vec::new());
    for name in cell.split('`').skip(1).step_by(2) {
        let is_whole = is_source(name);
        let name = if is_whole { name.to_owned() } else { format!("{folder}{name}") };
        let end = name.trim_end_matches('/').rfind('/').map_or(0, |slash| slash + 1);
        name[..end].clone_into(&mut folder);
        names.push(name);
    }
    names
}

/// Three folders of the server had none, one of them the gates that every call goes through.
#[test]
fn every_room_has_its_line() {
    let architecture = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let named: BTreeSet<String> = architecture.lines().flat_map(named).collect();
    let mut rooms = BTreeSet::new();
    for (file, _) in files() {
        for source in SOURCES {
            if let Some((room, _)) = file.strip_prefix(source).and_then(|rest| rest.split_once('/')) {
                rooms.insert(format!("{source}{room}"));
            }
        }
    }
    assert!(rooms.len() > 30, "{rooms:?}");
    // A room is named as a folder, as a part of it, or as the file in front of it.
    let has_line = |room: &String| {
        let (folder, file) = (format!("{room}/"), format!("{room}.rs"));
        room.ends_with("/tests") || named.iter().any(|name| name.starts_with(&folder) || *name == file)
    };
    let without: Vec<String> = rooms.into_iter().filter(|room| !has_line(room)).collect();
    fail_on("folders that ARCHITECTURE.md has no line for", &without);
    let gone: Vec<String> =
        named.into_iter().filter(|name| is_source(name) && !root().join(name).exists()).collect();
    fail_on("what ARCHITECTURE.md has a line for and is gone", &gone);
}

fn is_source(name: &str) -> bool {
    SOURCES.iter().any(|source| name.starts_with(source))
}

#[test]
fn a_line_names_what_lies_in_one_folder() {
    let line = "| `server/src/work.rs`, `work/`, `page.rs` | places, `turns` |";
    assert_eq!(named(line), ["server/src/work.rs", "server/src/work/", "server/src/page.rs"]);
    assert!(named("text with `code`").is_empty());
}
