//! The checks of shape: what ARCHITECTURE.md and CONTRIBUTING.md promise about the tree is read off the tree.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "tidy/rooms.rs"]
mod rooms;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Lines that no source file may exceed.
const FILE_LINES_MAX: usize = 800;
/// Lines above which a file needs an entry in [`LONG_FILES`].
const FILE_LINES_QUESTIONED: usize = 400;
/// Files that are long for a reason, with a ceiling that only goes down.
const LONG_FILES: &[(&str, usize)] = &[
    // Many small tests of one subject; splitting them would hide their common fixture.
    ("engine/src/graph/tests.rs", 455),
    // A row for every refusal of the API.
    ("tests/tests/server/errors.rs", 470),
];

/// Who may depend on whom inside the workspace, apart from tests and benches, which may use anything.
const ARROWS: &[(&str, &[&str])] = &[
    ("ragstone-kernels", &[]),
    ("ragstone", &["ragstone-kernels"]),
    ("ragstone-rag", &["ragstone", "ragstone-kernels"]),
    ("ragstone-snapshot", &["ragstone"]),
    ("ragstone-exchange", &["ragstone"]),
    ("ragstone-proto", &[]),
    ("ragstone-client", &["ragstone-proto"]),
    ("ragstone-embedded", &["ragstone", "ragstone-exchange", "ragstone-rag", "ragstone-server"]),
    (
        "ragstone-server",
        &[
            "ragstone",
            "ragstone-rag",
            "ragstone-snapshot",
            "ragstone-exchange",
            "ragstone-proto",
            "ragstone-client",
        ],
    ),
    ("ragstone-abuse", &["ragstone-proto"]),
    ("xtask", &[]),
];

/// What stands at the top of the tree, apart from files.
const TOP_FOLDERS: &[&str] = &["benches", "clients", "engine", "operator", "proto", "server", "tests"];

/// The places where `unsafe` may stand.
const UNSAFE_PLACES: &[&str] = &[
    "engine/kernels/",
    "engine/src/dir/mmap.rs",
    "clients/embedded/src/capsule.rs",
    "clients/embedded/src/columns.rs",
];

/// Files of the library with state of the process, each for a reason.
const GLOBALS: &[&str] = &[
    // Which instructions the processor has: found once, and the same ever after.
    "engine/kernels/src/isa.rs",
    // Fail points and mistakes on purpose, in builds for tests alone.
    "engine/src/faults.rs",
];

fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("tests/ lies in the workspace").to_path_buf()
}

/// Every file of the tree that git would track, as (path from the root, absolute path).
fn files() -> Vec<(String, PathBuf)> {
    let root = root();
    let walk = ignore::WalkBuilder::new(&root)
        .hidden(false)
        .require_git(false)
        .filter_entry(|entry| entry.file_name() != ".git")
        .build();
    let mut files = Vec::new();
    for entry in walk.map(Result::unwrap) {
        if entry.file_type().is_some_and(|kind| kind.is_file()) {
            let relative = entry.path().strip_prefix(&root).unwrap().to_str().unwrap().replace('\\', "/");
            files.push((relative, entry.path().to_path_buf()));
        }
    }
    assert!(files.len() > 50, "the walk found only {} files", files.len());
    files.sort();
    files
}

/// The text files among them, with their text.
fn texts(endings: &[&str]) -> Vec<(String, String)> {
    let matching =
        files().into_iter().filter(|(name, _)| endings.iter().any(|ending| name.ends_with(ending)));
    matching.filter_map(|(name, path)| Some((name, std::fs::read_to_string(path).ok()?))).collect()
}

fn fail_on(what: &str, found: &[String]) {
    assert!(found.is_empty(), "{what}:\n  {}", found.join("\n  "));
}

#[test]
fn dependencies_point_one_way() {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["metadata", "--no-deps", "--format-version", "1"]).current_dir(root());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let ours: BTreeSet<&str> = packages.iter().map(|package| package["name"].as_str().unwrap()).collect();
    let arrows: BTreeMap<&str, &[&str]> = ARROWS.iter().copied().collect();
    let mut wrong = Vec::new();
    for package in packages {
        let name = package["name"].as_str().unwrap();
        if matches!(name, "ragstone-tests" | "ragstone-fuzz" | "ragstone-benches") {
            continue;
        }
        let Some(allowed) = arrows.get(name) else {
            wrong.push(format!("{name} has no entry in ARROWS"));
            continue;
        };
        for dependency in package["dependencies"].as_array().unwrap() {
            let on = dependency["name"].as_str().unwrap();
            if ours.contains(on) && !allowed.contains(&on) {
                wrong.push(format!("{name} -> {on}"));
            }
        }
    }
    fail_on("arrows that ARCHITECTURE.md does not have", &wrong);
}

#[test]
fn the_top_level_is_the_documented_one() {
    let mut tops = BTreeSet::new();
    for (name, _) in files() {
        if let Some((top, _)) = name.split_once('/') {
            tops.insert(top.to_owned());
        }
    }
    let odd: Vec<String> = tops
        .into_iter()
        .filter(|top| !top.starts_with('.') && !TOP_FOLDERS.contains(&top.as_str()))
        .collect();
    fail_on("folders at the top that ARCHITECTURE.md does not have", &odd);
}

/// The code of a Rust line: without its comment and without string literals.
fn code_of(line: &str) -> String {
    let (mut code, mut in_string, mut escaped) = (String::new(), false, false);
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            _ if escaped => escaped = false,
            '\\' if in_string => escaped = true,
            '"' => in_string = !in_string,
            '/' if !in_string && characters.peek() == Some(&'/') => break,
            _ if !in_string => code.push(character),
            _ => {}
        }
    }
    code
}

fn has_word(code: &str, word: &str) -> bool {
    code.split(|character: char| !character.is_alphanumeric() && character != '_').any(|part| part == word)
}

#[test]
fn unsafe_stands_only_where_it_may() {
    let mut wrong = Vec::new();
    for (name, text) in texts(&[".rs"]) {
        if UNSAFE_PLACES.iter().any(|place| name.starts_with(place)) {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            if has_word(&code_of(line), "unsafe") {
                wrong.push(format!("{name}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    fail_on("`unsafe` outside of the places where it may stand", &wrong);
}

/// State of the process in the library: what several databases would share, and nobody could give back.
#[test]
fn the_library_has_no_global_state() {
    let mut wrong = Vec::new();
    for (name, text) in texts(&[".rs"]) {
        let is_library = [
            "engine/src/",
            "engine/rag/src/",
            "engine/snapshot/src/",
            "engine/exchange/src/",
            "engine/kernels/src/",
        ]
        .iter()
        .any(|folder| name.starts_with(folder));
        if !is_library || name.contains("tests") || GLOBALS.contains(&name.as_str()) {
            continue;
        }
        // What stands behind this is compiled for tests alone.
        let library = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        for (number, line) in library.lines().enumerate() {
            if is_global(&code_of(line)) {
                wrong.push(format!("{name}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    fail_on("state of the process", &wrong);
}

/// Whether a line of code makes a variable that the process, or a thread of it, has one of.
fn is_global(code: &str) -> bool {
    let cells = ["Mutex", "RwLock", "Atomic", "Once", "LazyLock", "Condvar", "Cell"];
    let is_static = code.split_once("static ").is_some_and(|(before, _)| !before.ends_with('\''));
    code.contains("thread_local!") || (is_static && cells.iter().any(|cell| code.contains(cell)))
}

#[test]
fn source_files_can_be_read_in_one_sitting() {
    let ceilings: BTreeMap<&str, usize> = LONG_FILES.iter().copied().collect();
    let mut wrong = Vec::new();
    for (name, text) in texts(&[".rs", ".proto"]) {
        let lines = text.lines().count();
        let ceiling = ceilings.get(name.as_str()).copied().unwrap_or(FILE_LINES_QUESTIONED);
        if lines > ceiling.min(FILE_LINES_MAX) {
            wrong.push(format!("{name}: {lines} lines, {ceiling} allowed"));
        }
    }
    for (name, ceiling) in LONG_FILES {
        if !root().join(name).is_file() {
            wrong.push(format!("{name} is in LONG_FILES ({ceiling} lines) but gone"));
        }
    }
    fail_on("files to split", &wrong);
}

#[test]
fn nothing_names_a_machine() {
    let places = ["work", "root", "home", "Users"].map(|place| format!("/{place}/")); // in pieces: this file does not find itself
    let mut wrong = Vec::new();
    let endings = [".rs", ".md", ".toml", ".proto", ".py", ".yaml", ".yml", ".json", ".sh", "run"];
    for (name, text) in texts(&endings) {
        for (number, line) in text.lines().enumerate() {
            if places.iter().any(|place| names_a_path(line, place)) {
                wrong.push(format!("{name}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    fail_on("paths of somebody's machine", &wrong);
}

/// Whether a path that starts with the place stands in the line. The home of `me` is everybody's in examples.
fn names_a_path(line: &str, place: &str) -> bool {
    line.match_indices(place).any(|(at, _)| {
        let goes_on =
            |before: char| before.is_alphanumeric() || matches!(before, '.' | '_' | '-' | '}' | '/' | '*');
        !line[..at].ends_with(goes_on) && !line[at + place.len()..].starts_with("me/")
    })
}

#[test]
fn nothing_is_left_for_later() {
    let words = [["TO", "DO"], ["FIX", "ME"], ["unimpl", "emented"], ["XX", "X"]].map(|parts| parts.concat());
    let mut wrong = Vec::new();
    for (name, text) in texts(&[".rs", ".proto", ".md", ".py"]) {
        for (number, line) in text.lines().enumerate() {
            if words.iter().any(|word| has_word(line, word)) {
                wrong.push(format!("{name}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    fail_on("unfinished work", &wrong);
}

/// GitHub's anchor of a heading: lower case, spaces to hyphens, punctuation dropped.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase();
    let kept =
        kept.chars().filter(|character| character.is_alphanumeric() || matches!(character, ' ' | '-' | '_'));
    kept.map(|character| if character == ' ' { '-' } else { character }).collect()
}

#[test]
fn links_in_documents_lead_somewhere() {
    let documents: BTreeMap<String, String> = texts(&[".md"]).into_iter().collect();
    let anchors: BTreeMap<&str, BTreeSet<String>> = documents
        .iter()
        .map(|(name, text)| {
            let headings = text.lines().filter(|line| line.starts_with('#'));
            (name.as_str(), headings.map(|line| anchor(line.trim_start_matches('#'))).collect())
        })
        .collect();
    let mut wrong = Vec::new();
    for (name, text) in &documents {
        if name.contains("/data/") {
            continue;
        }
        let folder = Path::new(name).parent().unwrap();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (file, fragment) = target.split_once('#').unwrap_or((target, ""));
            let path = if file.is_empty() { PathBuf::from(name) } else { folder.join(file) };
            let normal = normalised(&path);
            if !root().join(&normal).exists() {
                wrong.push(format!("{name}: {target}"));
            } else if !fragment.is_empty() {
                let known = anchors.get(normal.as_str()).is_some_and(|anchors| anchors.contains(fragment));
                if !known {
                    wrong.push(format!("{name}: {target}: no such heading"));
                }
            }
        }
    }
    fail_on("broken links", &wrong);
}

fn normalised(path: &Path) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.to_str().unwrap().split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// Limits of what the wire does not offer.
const LIMITS_OF_THE_LIBRARY_ALONE: [&str; 15] = [
    "ATTRIBUTES_MAX",
    "ATTRIBUTE_BYTES_MAX",
    "DB_ATTRIBUTES_BYTES_MAX",
    "DB_ATTRIBUTES_MAX",
    "DB_ATTRIBUTE_BYTES_MAX",
    "DB_ATTRIBUTE_KEY_BYTES_MAX",
    "GRAPH_DEGREE_MAX",
    "GRAPH_DEGREE_MIN",
    "LOG_FILE_BYTES_MAX",
    "LOG_QUEUE_BYTES_MAX",
    "REMOVALS_REMEMBERED",
    "REQUESTS_REMEMBERED",
    "SEAL_ROWS_MAX",
    "THREADS_MAX",
    "UNMERGED_SEGMENTS_MAX",
];

#[test]
fn every_limit_stands_in_the_one_table_with_its_value() {
    let read = |name: &str| std::fs::read_to_string(root().join(name)).unwrap();
    let table = read("server/src/limits.rs");
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for file in ["engine/src/limits.rs", "engine/rag/src/limits.rs", "server/src/limits.rs"] {
        for line in read(file).lines().filter_map(|line| line.strip_prefix("pub const ").map(str::to_owned)) {
            let (name, value) = line.split_once(':').unwrap();
            let value = value.split_once('=').unwrap().1.trim().trim_end_matches(';');
            if LIMITS_OF_THE_LIBRARY_ALONE.contains(&name) || value == "K_MAX" {
                continue;
            }
            seen += 1;
            let row = table.lines().find(|row| row.contains(&format!("| [`{name}`] |")));
            if !row.is_some_and(|row| row.contains(&format!("| {}", shown(value)))) {
                wrong.push(format!("{name} = {value} ({}), the table: {row:?}", shown(value)));
            }
        }
    }
    assert!(seen > 15, "only {seen} limits were found");
    fail_on("limits that the table in server/src/limits.rs does not have", &wrong);
}

/// A limit's value as the table writes it: `1_024 << 20` as `1,024 MiB`, `10_000` as `10,000`.
fn shown(value: &str) -> String {
    match value.replace('_', ",").split_once(" << ") {
        Some((count, "10")) => format!("{count} KiB"),
        Some((count, "20")) => format!("{count} MiB"),
        _ => value.replace('_', ","),
    }
}

#[test]
fn the_checks_themselves_see_what_they_look_for() {
    assert!(has_word(&code_of("    unsafe { f() }"), "unsafe"));
    assert!(!has_word(&code_of("    // unsafe is not allowed"), "unsafe"));
    assert!(!has_word(&code_of("    let text = \"unsafe\";"), "unsafe"));
    assert!(!has_word("unsafe_code", "unsafe"));
    assert!(is_global("static LOCKS: [Mutex<()>; 4] =") && is_global("    pub(crate) static A: AtomicU8 ="));
    assert!(!is_global("static MASKS: [i32; 2] =") && !is_global("fn f() -> MutexGuard<'static, ()> {"));
    let place = "/".to_owned() + "root/";
    assert!(names_a_path(&format!("open({place}x)"), &place) && !names_a_path(&format!("a{place}x"), &place));
    assert_eq!(anchor(" What it is, and isn't"), "what-it-is-and-isnt");
    assert_eq!((shown("1_024 << 20").as_str(), shown("10_000").as_str()), ("1,024 MiB", "10,000"));
    assert_eq!(normalised(Path::new("engine/../proto/./a.md")), "proto/a.md");
}
