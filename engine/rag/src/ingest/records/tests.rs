use proptest::prelude::*;
use ragstone::{Json, Value};
use serde_json::json;

use super::*;

fn all(file: &str, format: RecordFormat, options: &RecordOptions) -> Vec<Result<Record, String>> {
    read(file.as_bytes(), format, options.clone())
        .map(|record| record.map_err(|error| error.to_string()))
        .collect()
}

fn jsonl(file: &str) -> Vec<Result<Record, String>> {
    all(file, RecordFormat::JsonLines, &RecordOptions::default())
}

#[test]
fn an_object_a_line_is_a_document() {
    let file = "\u{feff}{\"_id\": \"a\", \"title\": \"T\", \"text\": \"x\", \"year\": 2026, \"score\": 1.5, \"open\": true, \
                \"tags\": [\"p\", \"q\"], \"at\": {\"x\": 1}, \"none\": null}\n\n  {\"content\": \"y\", \"title\": null}\r\n";
    let records = jsonl(file);
    let first = records[0].as_ref().unwrap();
    assert_eq!(
        (first.line, first.id.as_str(), first.title.as_str(), first.text.as_str()),
        (1, "a", "T", "x")
    );
    let wanted: Payload = [
        ("year".to_owned(), Value::Int(2026)),
        ("score".to_owned(), Value::Float(1.5)),
        ("open".to_owned(), Value::Bool(true)),
        ("tags".to_owned(), Value::Strings(vec!["p".into(), "q".into()])),
        ("at".to_owned(), Value::Json(Json::new("{\"x\":1}").unwrap())),
    ]
    .into();
    assert_eq!(first.metadata, wanted);
    let second = records[1].as_ref().unwrap();
    assert_eq!(
        (second.line, second.id.as_str(), second.title.as_str(), second.text.as_str()),
        (3, "2", "", "y")
    );
    assert_eq!(records.len(), 2);
    let document = first.clone().into_document("faq.jsonl", "/docs");
    assert_eq!((document.id.as_str(), document.source.as_str()), ("faq.jsonl#a", "/docs"));
}

#[test]
fn a_broken_line_names_itself_and_the_next_one_is_read() {
    let lines = [
        ("{\"text\": \"x\"", "line 1: it is no object of JSON: EOF while parsing an object at column "),
        ("[1]", "line 2: it is no object of JSON"),
        (
            "{\"id\": 1.5, \"text\": \"x\"}",
            "line 3, field `id`: an id is a string or a whole number, not a number",
        ),
        ("{\"id\": \"\", \"text\": \"x\"}", "line 4, field `id`: an id must not be empty"),
        ("{\"id\": 1}", "line 5: it has none of the fields `text`"),
        ("{\"text\": 7}", "line 6, field `text`: it is to be a string, not a number"),
        ("{\"text\": \"x\", \"title\": []}", "line 7, field `title`: it is to be a string, not a list"),
        ("{\"text\": \"fine\"}", ""),
    ];
    let file: Vec<&str> = lines.iter().map(|(line, _)| *line).collect();
    let records = jsonl(&file.join("\n"));
    assert_eq!(records.len(), lines.len());
    for (record, (_, wanted)) in records.iter().zip(lines) {
        match record {
            Ok(record) => assert_eq!((wanted, record.text.as_str()), ("", "fine")),
            Err(error) => assert!(!wanted.is_empty() && error.starts_with(wanted), "{error}"),
        }
    }
    let reason = records[0].as_ref().unwrap_err();
    assert!(reason.ends_with("; an object is to be one line"), "as of a document of many lines: {reason}");
    let bytes = b"{\"text\": \"\xff\"}\n{\"text\": \"y\"}".as_slice();
    let records: Vec<_> = read(bytes, RecordFormat::JsonLines, RecordOptions::default()).collect();
    assert!(records[0].is_err() && records[1].is_ok());
}

#[test]
fn fields_are_what_they_are_said_to_be() {
    let options = RecordOptions {
        id: Some("key".into()),
        title: Some("name".into()),
        text: vec!["question".into(), "answer".into()],
        types: [
            ("year".to_owned(), FieldType::Int),
            ("price".to_owned(), FieldType::Float),
            ("at".to_owned(), FieldType::Timestamp),
            ("open".to_owned(), FieldType::Bool),
            ("tags".to_owned(), FieldType::Strings),
        ]
        .into(),
    };
    let csv = "key,name,question,answer,year,price,at,open,tags,text,empty\n\
               k,N,\"Which, \"\"if\"\" any?\",None.,2026,3,1970-01-02,true,t,more,\n";
    // The comma in quotes stays one.
    let tsv = csv.replace("Which, ", "Which; ").replace(',', "\t").replace("Which; ", "Which, ");
    for (file, format) in [(csv.to_owned(), RecordFormat::Csv), (tsv, RecordFormat::Tsv)] {
        let record = all(&file, format, &options).remove(0).unwrap();
        assert_eq!((record.line, record.id.as_str(), record.title.as_str()), (2, "k", "N"));
        assert_eq!(record.text, "Which, \"if\" any?\n\nNone.");
        let wanted: Payload = [
            ("year".to_owned(), Value::Int(2026)),
            ("price".to_owned(), Value::Float(3.0)),
            ("at".to_owned(), Value::Timestamp(86_400_000_000)),
            ("open".to_owned(), Value::Bool(true)),
            ("tags".to_owned(), Value::Strings(vec!["t".into()])),
            ("text".to_owned(), Value::from("more")),
        ]
        .into();
        assert_eq!(record.metadata, wanted);
    }
    let line = "{\"key\": 1, \"question\": \"q\", \"answer\": \"a\", \"price\": 3, \"at\": \"1970-01-02\"}\n";
    let record = all(line, RecordFormat::JsonLines, &options).remove(0).unwrap();
    assert_eq!(
        (&record.metadata["price"], record.metadata["at"].as_timestamp()),
        (&Value::Float(3.0), Some(86_400_000_000))
    );
    for (field, value, wanted) in [
        ("year", json!("x"), "field `year`: the field is declared int, `x` is none"),
        ("year", json!(1.5), "field `year`: the field is declared int, this is a number"),
        ("price", json!("inf"), "field `price`: the field is declared float"),
        ("at", json!("yesterday"), "field `at`: the field is declared timestamp"),
        ("open", json!(1), "field `open`: the field is declared bool, this is a number"),
        ("tags", json!([1]), "field `tags`: the field is declared strings, this is a list"),
    ] {
        let line = json!({"key": "k", "question": "q", "answer": "a", field: value}).to_string();
        let error = all(&line, RecordFormat::JsonLines, &options).remove(0).unwrap_err();
        assert!(error.contains(wanted), "{error}");
    }
    let error = all("{\"question\": \"q\"}", RecordFormat::JsonLines, &options).remove(0).unwrap_err();
    assert!(error.contains("line 1, field `key`: it is missing"), "{error}");
}

/// What spreadsheets and Python's programs write was refused.
#[test]
fn truth_is_read_in_any_case_of_letters() {
    let options =
        RecordOptions { types: [("open".to_owned(), FieldType::Bool)].into(), ..Default::default() };
    let csv = "text,open\na,TRUE\nb,False\nc,true\nd,yes\n";
    let records = all(csv, RecordFormat::Csv, &options);
    let open: Vec<_> = records[..3].iter().map(|record| &record.as_ref().unwrap().metadata["open"]).collect();
    assert_eq!(open, [&Value::Bool(true), &Value::Bool(false), &Value::Bool(true)]);
    let error = records[3].as_ref().unwrap_err();
    assert!(error.starts_with("line 5, field `open`: the field is declared bool, `yes` is none"), "{error}");
}

#[test]
fn tables_that_make_no_sense_are_refused() {
    let csv = |file: &str| all(file, RecordFormat::Csv, &RecordOptions::default());
    for (file, wanted) in [
        ("text,text\nx,y\n", "line 1: two columns are called `text`"),
        ("text,,a\nx,y,z\n", "line 1: column 2 has no name"),
        ("id;text\n1;x\n2;y\n", "line 1: it is one column, `id;text`; commas (csv) or tabs (tsv)"),
        ("\u{feff}id\ttext\n1\tx\n", "line 1: it is one column, `id\ttext`; commas"),
    ] {
        let records = csv(file);
        assert!(records.len() == 1 && records[0].as_ref().unwrap_err().starts_with(wanted), "{records:?}");
    }
    assert!(csv("").is_empty() && csv("text\n").is_empty());
    let records = csv("text,a\nx,1\ny\nz,\"2\n3\"\nw,4\n");
    let outcomes: Vec<_> = records.iter().map(|record| record.as_ref().map(|record| record.line)).collect();
    assert_eq!(outcomes[0], Ok(2));
    assert!(
        outcomes[1]
            .as_ref()
            .is_err_and(|error| error.starts_with("line 3: it has 1 fields, the first row has 2"))
    );
    assert_eq!((&outcomes[2], &outcomes[3]), (&Ok(4), &Ok(6)), "a field may have lines");
}

#[test]
fn a_record_takes_bounded_memory() {
    let limit = |file: &[u8], format| -> Vec<bool> {
        let records = read(file, format, RecordOptions::default());
        records
            .map(|record| matches!(record, Err(Error::Limit { limit: "DOCUMENT_BYTES_MAX", .. })))
            .collect()
    };
    let long = "x".repeat(crate::limits::DOCUMENT_BYTES_MAX + 50_000);
    let lines = format!("{{\"text\": \"{long}\"}}\n{{\"text\": \"y\"}}\n");
    assert_eq!(limit(lines.as_bytes(), RecordFormat::JsonLines), [true, false]);
    let open = format!("text\n\"{long}\n");
    assert_eq!(limit(open.as_bytes(), RecordFormat::Csv), [true], "a quote that is never closed");
}

/// A line of 15 MiB took 542 MiB: lists of small numbers, which nothing could be stored of.
#[test]
fn what_a_line_holds_beside_texts_is_bounded_before_it_is_read() {
    let numbers = |count: usize| format!("[{}0]", "0,".repeat(count));
    let limit =
        |line: &str| match read(line.as_bytes(), RecordFormat::JsonLines, RecordOptions::default()).next() {
            Some(Err(Error::Limit { limit, field, .. })) => {
                assert!(field.starts_with("line 1, "), "{field}");
                Some(limit)
            }
            _ => None,
        };
    let one = format!("{{\"text\": \"x\", \"a\": {}}}", numbers(7_000_000));
    assert_eq!(limit(&one), Some("METADATA_BYTES_MAX"));
    let small = (0..200).map(|at| format!(", \"a{at}\": {}", numbers(1_000))).collect::<String>();
    assert_eq!(limit(&format!("{{\"text\": \"x\"{small}}}")), Some("METADATA_BYTES_MAX"), "all together");
    let many = (0..5_000).map(|at| format!(", \"a{at}\": null")).collect::<String>();
    assert_eq!(limit(&format!("{{\"text\": \"x\"{many}}}")), Some("RECORD_NAMES_MAX"));
    let header = (0..5_000).map(|at| format!(",a{at}")).collect::<String>();
    let columns = read(header.as_bytes(), RecordFormat::Csv, RecordOptions::default()).next();
    assert!(matches!(columns, Some(Err(Error::Limit { limit: "RECORD_NAMES_MAX", .. }))));

    let long = "x".repeat(4 << 20);
    let fine = format!("{{\"text\": \"{long}\", \"a\": {}, \"none\": null}}", numbers(1_000));
    let record = jsonl(&fine).remove(0).unwrap();
    assert_eq!((record.text.len(), record.metadata.len()), (long.len(), 1));
}

/// Fields are read one by one, so that an error names the field; what is written twice counts as it is written last.
#[test]
fn fields_of_a_line_are_read_one_by_one() {
    let records =
        jsonl("{\"text\": \"a\", \"text\": \"b\\n\"}\n{\"text\": \"\\ud800\"}\n{\"text\": \"c\"} 1\n");
    assert_eq!(records[0].as_ref().unwrap().text, "b\n");
    let half = records[1].as_ref().unwrap_err();
    assert!(half.starts_with("line 2, field `text`: it is no JSON"), "{half}");
    let more = records[2].as_ref().unwrap_err();
    assert!(more.starts_with("line 3: it is no object of JSON: trailing characters"), "{more}");
    let deep = format!("{{\"text\": \"x\", \"a\": {}{}}}", "[".repeat(1_000), "]".repeat(1_000));
    let reason = jsonl(&deep).remove(0).unwrap_err();
    assert!(reason.starts_with("line 1, field `a`: it is no JSON: recursion limit"), "{reason}");
}

proptest! {
    /// What a table or a list of objects says is what its records say.
    #[test]
    fn any_texts_come_back(texts in proptest::collection::vec("[a-z,\"\n\r\té \\\\]{0,20}", 1..8)) {
        let quoted = |text: &String| format!("\"{}\"\n", text.replace('"', "\"\""));
        let csv = format!("text\n{}", texts.iter().map(quoted).collect::<String>());
        let lines: String = texts.iter().map(|text| json!({"text": text}).to_string() + "\n").collect();
        for (file, format) in [(csv, RecordFormat::Csv), (lines, RecordFormat::JsonLines)] {
            let found: Vec<String> =
                all(&file, format, &RecordOptions::default()).into_iter().map(|record| record.unwrap().text).collect();
            prop_assert_eq!(&found, &texts);
        }
    }

    #[test]
    fn any_bytes_give_records_or_reasons(bytes in proptest::collection::vec(any::<u8>(), 0..200), at in 0..3usize) {
        let format = [RecordFormat::JsonLines, RecordFormat::Csv, RecordFormat::Tsv][at];
        for record in read(bytes.as_slice(), format, RecordOptions::default()) {
            let _ = record;
        }
    }
}
