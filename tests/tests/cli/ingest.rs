//! `ragstone ingest` of every kind of file, of broken ones, and ended early.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::in_both_places;
use super::support::{Scratch, binary, model};

const LEASE_PDF: &[u8] = include_bytes!("../../../engine/rag/tests/data/pdf/lease.pdf");
const SCANNED_PDF: &[u8] = include_bytes!("../../../engine/rag/tests/data/pdf/scanned.pdf");
const FAQ: &str = "id,title,text,year\n1,Tea,Green tea is steeped for two minutes.,2026\n2,Coffee,Beans are ground first.,2025\n";

fn number(value: &Value, name: &str) -> u64 {
    value[name].as_u64().unwrap_or_else(|| panic!("no {name} in {value}"))
}

/// Added, replaced, unchanged, removed.
fn counts(value: &Value) -> [u64; 4] {
    ["added", "replaced", "unchanged", "removed"].map(|name| number(value, name))
}

/// A volume that was not mounted was an empty folder, and took all documents with it.
#[test]
fn an_empty_folder_removes_nothing_unless_it_may() {
    in_both_places(|scratch, place| {
        scratch.write("docs/one.md", b"A note on roses.");
        scratch.write("docs/two.md", b"A note on tea.");
        let docs = scratch.path("docs");
        let ingest = ["ingest", &docs, "--model", model()];
        assert_eq!(counts(&scratch.json(place, &ingest)), [2, 0, 0, 0]);
        std::fs::remove_dir_all(&docs).unwrap();
        // What is no document stands for none.
        scratch.write("docs/lost+found.bin", b"");
        scratch.fails(place, &ingest, &["docs", "2 that are stored", "--allow-empty"]);
        let stored = scratch.json(place, &["documents", "list"]);
        assert_eq!(stored["documents"].as_array().unwrap().len(), 2, "{stored}");
        let emptied = scratch.json(place, &[&ingest[..], &["--allow-empty"]].concat());
        assert_eq!(counts(&emptied), [0, 0, 0, 2]);
        assert_eq!(counts(&scratch.json(place, &ingest)), [0, 0, 0, 0], "nothing is left to lose");
        // Whoever gave the wrong folder was told of nothing, and of its folders as files.
        let told = scratch.run(place, &ingest);
        let (out, err) = (String::from_utf8_lossy(&told.stdout), String::from_utf8_lossy(&told.stderr));
        assert!(out.contains("files of other kinds: 1"), "{out}");
        assert!(err.contains("looking for documents: 1 files"), "{err}");
    });
}

#[test]
fn files_of_every_kind_go_in_and_broken_ones_are_named() {
    in_both_places(|scratch, place| {
        scratch.write("docs/lease.pdf", LEASE_PDF);
        scratch.write("docs/scanned.pdf", SCANNED_PDF);
        scratch.write("docs/faq.csv", FAQ.as_bytes());
        scratch.write("docs/notes.jsonl", b"{\"id\": \"n1\", \"text\": \"A note on roses.\"}\n{broken\n");
        scratch.write("docs/src/moon.rs", b"struct Moon;\n\nimpl Moon {\n    fn phase(&self) {}\n}\n");
        scratch.write("docs/picture.png", b"\x89PNG");
        let ingest = ["ingest", &scratch.path("docs"), "--model", model()];
        let first = scratch.json_with_code(place, &ingest, 3);
        assert_eq!(counts(&first), [5, 0, 0, 0], "{first}");
        assert_eq!((number(&first, "other_files"), &first["interrupted"]), (1, &Value::Bool(false)));
        let mut skipped: Vec<(String, String)> = first["skipped"]
            .as_array()
            .unwrap()
            .iter()
            .map(|skipped| {
                (skipped["path"].as_str().unwrap().into(), skipped["reason"].as_str().unwrap().into())
            })
            .collect();
        skipped.sort();
        assert_eq!(skipped.len(), 2, "{skipped:?}");
        assert!(skipped[0].0.ends_with("notes.jsonl") && skipped[0].1.contains("line 2"), "{skipped:?}");
        assert!(
            skipped[1].0.ends_with("scanned.pdf") && skipped[1].1.contains("only pictures"),
            "{skipped:?}"
        );

        let asked = scratch.json(place, &["ask", "What about roses in March?", "-k", "2"]);
        let cited: Vec<&str> = asked["citations"]
            .as_array()
            .unwrap()
            .iter()
            .map(|cited| cited["document"].as_str().unwrap())
            .collect();
        assert!(cited.contains(&"lease.pdf"), "{asked}");
        let late = scratch.json(place, &["search", "tea or coffee", "--where", "year=\"2025\""]);
        assert_eq!(late["hits"][0]["payload"]["_document"], "faq.csv#2", "{late}");

        // A record that goes is removed; one that cannot be read stays as it was.
        scratch.write("docs/faq.csv", FAQ.replace("2,Coffee", "3,Coffee").as_bytes());
        scratch.write("docs/notes.jsonl", b"{broken\n");
        std::fs::remove_file(scratch.path("docs/scanned.pdf")).unwrap();
        let second = scratch.json_with_code(place, &ingest, 3);
        assert_eq!((counts(&second), number(&second, "embedded")), ([1, 0, 3, 1], 1), "{second}");
        std::fs::remove_file(scratch.path("docs/notes.jsonl")).unwrap();
        let third = scratch.json(place, &ingest);
        assert_eq!((counts(&third), number(&third, "tokens")), ([0, 0, 4, 1], 0), "{third}");
    });
}

/// Whoever wanted no progress was told how many documents were left out, and not which.
#[test]
fn what_is_left_out_is_named_without_progress_too() {
    let scratch = Scratch::new();
    let (folder, data) = (super::notes(&scratch), scratch.path("data"));
    let output = scratch.run(&["--data", &data, "--quiet"], &["ingest", &folder, "--model", model()]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{error}");
    assert!(error.contains("skipped ") && error.contains("broken.txt: "), "{error}");
    assert!(!error.contains("Ingesting"), "{error}");
}

#[test]
fn formats_and_fields_are_said_where_names_do_not_say_them() {
    in_both_places(|scratch, place| {
        scratch.write("faq.txt", b"key\tquestion\tanswer\na\tWhich?\tThis one.\n");
        let create =
            ["collection", "create", "c", "--model", model(), "--chunk", "64/8", "--analyzer", "code"];
        let made = scratch.json(place, &create);
        assert_eq!(
            (&made["chunks"]["tokens"], &made["chunks"]["overlap"]),
            (&64.into(), &8.into()),
            "{made}"
        );
        assert_eq!(made["analyzer"], "code");
        let file = scratch.path("faq.txt");
        let fields = ["--text-field", "question", "--text-field", "answer", "--id-field", "key"];
        let records = [&["ingest", &file, "-c", "c", "--format", "tsv"], fields.as_slice()].concat();
        assert_eq!(counts(&scratch.json(place, &records)), [1, 0, 0, 0]);
        let found = scratch.json(place, &["search", "which one", "-c", "c"]);
        assert_eq!(found["hits"][0]["payload"]["_document"], "faq.txt#a", "{found}");
        assert_eq!(
            counts(&scratch.json(place, &["ingest", &file, "-c", "c", "--format", "text/plain"])),
            [1, 0, 0, 0]
        );
        let refused = scratch.run(place, &["ingest", &file, "--format", "docx"]);
        assert_eq!(refused.status.code(), Some(2));
        let own = ["collection", "create", "d", "--dimension", "3", "--analyzer", "code"];
        scratch.fails(place, &own, &["analyzer"]);
        let small = ["collection", "create", "d", "--model", model(), "--chunk-tokens", "8"];
        let refused = scratch.run(place, &small);
        let error = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(refused.status.code() == Some(2) && error.contains("16 tokens at least"), "{error}");
    });
}

#[cfg(unix)]
#[test]
fn interrupted_it_ends_between_documents_and_goes_on_later() {
    let scratch = Scratch::new();
    let text =
        |at: usize| format!("# Note {at}\n\n{}", format!("Note {at} says something at length. ").repeat(300));
    for at in 0..400 {
        scratch.write(&format!("docs/{at}.md"), text(at).as_bytes());
    }
    model();
    let data = scratch.path("data");
    let arguments = ["--data", &data, "--json", "ingest", &scratch.path("docs"), "--model", model()];
    let mut child =
        Command::new(binary()).args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // It says so when it is at work.
    let mut errors = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.starts_with("Ingesting") {
        line.clear();
        assert!(errors.read_line(&mut line).unwrap() > 0, "it ended before it was at work");
    }
    let kill = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    let output = child.wait_with_output().unwrap();
    let out = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(130), "{out}");
    let summary: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(summary["interrupted"], true, "{summary}");
    let stored = number(&summary, "added");
    assert!(stored < 400, "{summary}");
    for at in 20..400 {
        std::fs::remove_file(scratch.path(&format!("docs/{at}.md"))).unwrap();
    }
    let rest = scratch.json(&["--data", &data], &["ingest", &scratch.path("docs"), "--model", model()]);
    let [added, replaced, unchanged, removed] = counts(&rest);
    assert_eq!((added + unchanged, replaced, unchanged + removed), (20, 0, stored), "{rest}");
}

/// A PDF with one page that uses colour space C, which the function of object 5 makes, and these objects from the fifth on.
fn hostile_pdf(contents: &str, filter: &str, further: &[String]) -> Vec<u8> {
    let resources = "<</ColorSpace<</C[/Separation/A/DeviceGray 5 0 R]>>>>";
    let mut objects = vec![
        "<</Type/Catalog/Pages 2 0 R>>".to_owned(),
        "<</Type/Pages/Kids[3 0 R]/Count 1>>".to_owned(),
        format!("<</Type/Page/Parent 2 0 R/MediaBox[0 0 99 99]/Contents 4 0 R/Resources{resources}>>"),
        format!("<</Length {}{filter}>>stream\n{contents}\nendstream", contents.len()),
    ];
    objects.extend_from_slice(further);
    let (mut file, mut table) = (String::from("%PDF-1.4\n"), String::new());
    for (at, object) in objects.iter().enumerate() {
        table += &format!("{:010} 00000 n \n", file.len());
        file += &format!("{} 0 obj{object}\nendobj\n", at + 1);
    }
    let (count, begin) = (objects.len() + 1, file.len());
    file += &format!("xref\n0 {count}\n0000000000 65535 f \n{table}trailer<</Size {count}/Root 1 0 R>>\n");
    (file + &format!("startxref\n{begin}\n%%EOF")).into_bytes()
}

/// Runs of runs of runs of runs: 48 x 64^4 x 2 bytes, in hexadecimal so that the file is a text. The filters are named in an object of
/// their own, where nobody looks before the file is read.
fn runs_of_runs() -> Vec<u8> {
    let (mut tail, mut levels) = (Vec::<u8>::new(), 4);
    while levels > 0 {
        let literal = if tail.is_empty() { vec![] } else { [&[tail.len() as u8 - 1][..], &tail].concat() };
        tail = [&literal[..], &[0x80][..]].concat();
        levels -= 1;
    }
    let bytes = [[0x81, 0x81].repeat(48), tail].concat();
    let hexadecimal: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let filters = format!("[/ASCIIHexDecode{}]", "/RunLengthDecode".repeat(4));
    hostile_pdf(&format!("{hexadecimal}>"), "/Filter 5 0 R", &[filters])
}

/// One caller could end a server, or take half a gigabyte for 500 bytes: a PDF is read in a process of its own, which ends alone.
#[cfg(target_os = "linux")]
#[test]
fn a_pdf_that_exhausts_its_reader_exhausts_nothing_else() {
    let braces = "{".repeat(3_000_000);
    let function = "<</FunctionType 4/Domain[0 1]/Range[0 1]/Length 3000000>>stream\n";
    let nested = [format!("{function}{braces}\nendstream")];
    let chain = (5..60_005)
        .map(|at| format!("<</FunctionType 3/Domain[0 1]/Functions[{} 0 R]/Bounds[]/Encode[0 1]>>", at + 1));
    let chain: Vec<String> = chain.collect();
    in_both_places(|scratch, place| {
        scratch.write("docs/braces.pdf", &hostile_pdf("/C cs 1 sc", "", &nested));
        scratch.write("docs/runs.pdf", &runs_of_runs());
        scratch.write("docs/lease.pdf", LEASE_PDF);
        let ingest = ["ingest", &scratch.path("docs"), "--model", model()];
        let first = scratch.json_with_code(place, &ingest, 3);
        assert_eq!(counts(&first), [1, 0, 0, 0], "{first}");
        let skipped = first["skipped"].as_array().unwrap();
        assert_eq!(skipped.len(), 2, "{first}");
        for skipped in skipped {
            let reason = skipped["reason"].as_str().unwrap();
            let is_runs = skipped["path"].as_str().unwrap().ends_with("runs.pdf");
            let is_true = reason.contains("MiB of memory") || (!is_runs && reason.contains("MiB of stack"));
            assert!(is_true && reason.contains("that it may take"), "{skipped}");
        }
        // A chain of functions either fits in the stack of the process or does not: it has no text, and nobody is the worse for it.
        scratch.write("docs/chain.pdf", &hostile_pdf("/C cs 1 sc", "", &chain));
        let second = scratch.json_with_code(place, &ingest, 3);
        assert_eq!(second["skipped"].as_array().unwrap().len(), 3, "{second}");
        assert_eq!(counts(&second), [0, 0, 1, 0], "{second}");
    });
}

/// What `ragstone` asks of itself answers in the form that it reads, and its memory is bounded.
#[cfg(target_os = "linux")]
#[test]
fn the_reader_of_pdfs_answers_and_ends() {
    use std::io::Write;

    let read = |content: &[u8]| {
        let mut command = Command::new(binary());
        command.arg("read-pdf").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let _ = child.stdin.take().unwrap().write_all(content);
        child.wait_with_output().unwrap()
    };
    let whole = read(LEASE_PDF);
    assert!(whole.status.success() && whole.stdout.starts_with(b"T"), "{whole:?}");
    let length = u64::from_le_bytes(whole.stdout[1..9].try_into().unwrap());
    assert_eq!(length as usize, whole.stdout.len() - 9);
    let refused = read(b"no file");
    assert!(refused.status.success() && refused.stdout.starts_with(b"R"), "{refused:?}");
    let died = read(&runs_of_runs());
    assert!(!died.status.success() && died.stdout.is_empty(), "{died:?}");
    // By which it is told from other deaths.
    assert!(String::from_utf8_lossy(&died.stderr).contains("memory allocation of"), "{died:?}");
}
