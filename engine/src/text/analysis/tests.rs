use proptest::prelude::*;

use super::*;

fn terms(analyzer: Analyzer, text: &str) -> Vec<String> {
    analyzer.terms(text)
}

fn query(analyzer: Analyzer, text: &str) -> Vec<(String, u32)> {
    Analysis::new(analyzer).query(text).terms
}

#[test]
fn words_end_where_a_reader_sees_them_end() {
    let cases: &[(&str, &[&str])] = &[
        ("", &[]),
        ("...—!", &[]),
        ("Hello, World", &["hello", "world"]),
        ("l'eau d’été", &["l", "eau", "d", "ete"]),
        ("3.14 and 1.2.3.", &["3.14", "and", "1.2.3"]),
        ("std::fs.read(x.y)", &["std", "fs", "read", "x", "y"]),
        ("Ünïcode CAFÉ Straße", &["unicode", "cafe", "strasse"]),
        ("ＦＵＬＬ ｗｉｄｔｈ", &["full", "width"]),
        ("हिन्दी भाषा", &["हिन्दी", "भाषा"]),
        ("Ёлка й", &["елка", "й"]),
        ("__ _x_", &["_x_"]),
    ];
    for (text, expected) in cases {
        assert_eq!(terms(Analyzer::Standard, text), *expected, "{text}");
    }
}

#[test]
fn identifiers_are_found_by_their_parts_however_they_are_spelled() {
    let cases: &[(&str, &[&str])] = &[
        ("getRowCount", &["getrowcount", "get", "row", "count"]),
        ("get_row_count", &["getrowcount", "get", "row", "count"]),
        ("GET_ROW", &["getrow", "get", "row"]),
        ("HTTPServer2", &["httpserver2", "http", "server", "2"]),
        ("utf8", &["utf8", "utf", "8"]),
        ("_x_", &["x"]),
        ("Title", &["title"]),
        ("USA", &["usa"]),
        ("v1.2", &["v1.2", "v", "1.2"]),
        ("été2", &["ete2", "ete", "2"]),
    ];
    for (text, expected) in cases {
        assert_eq!(terms(Analyzer::Code, text), *expected, "{text}");
    }
    let long = "aB".repeat(TERM_BYTES_MAX);
    assert_eq!(terms(Analyzer::Code, &long).len(), 1, "it is cut, not split");
}

#[test]
fn languages_have_stems_and_queries_no_stop_words() {
    assert_eq!(terms(Analyzer::English, "The walkers were walking"), ["the", "walker", "were", "walk"]);
    assert_eq!(
        query(Analyzer::English, "The walkers and the walking"),
        [("walker".into(), 1), ("walk".into(), 1)]
    );
    assert_eq!(query(Analyzer::English, "to be or not to be").len(), 4, "there is nothing else");
    assert_eq!(query(Analyzer::English, "rust rust Rust"), [("rust".into(), 3)]);
    assert_eq!(query(Analyzer::German, "die Häuser"), [("haus".into(), 1)]);
    assert_eq!(terms(Analyzer::French, "les chevaux"), terms(Analyzer::French, "LES CHEVAUX"));
    assert_eq!(query(Analyzer::Russian, "и книги"), query(Analyzer::Russian, "книги"));
}

#[test]
fn scripts_without_spaces_are_found_by_pairs_and_by_one_character() {
    assert_eq!(terms(Analyzer::English, "東京都"), ["東", "京", "東京", "都", "京都"]);
    assert_eq!(query(Analyzer::English, "京都"), [("京都".into(), 1)]);
    assert_eq!(query(Analyzer::English, "都"), [("都".into(), 1)]);
    assert_eq!(query(Analyzer::English, "東京 tower").len(), 2);
    assert_eq!(terms(Analyzer::Standard, "ｶﾞ"), ["ガ"], "half-width kana are what they look like");
    assert_eq!(terms(Analyzer::Standard, "x東y"), ["x", "東", "y"]);
}

#[test]
fn analysers_come_back_by_name_and_code() {
    for analyzer in Analyzer::all() {
        assert_eq!(analyzer.to_string().parse(), Ok(analyzer));
        assert_eq!(Analyzer::from_code(analyzer.code()), Some(analyzer));
        assert!(!terms(analyzer, "Something to see").is_empty());
    }
    assert_eq!(Analyzer::from_code(200), None);
    let error = "klingon".parse::<Analyzer>().unwrap_err().to_string();
    assert!(error.contains("klingon") && error.contains("english"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is written: no panic, terms within their limit, and every text is found by itself.
    #[test]
    fn every_text_has_the_terms_of_a_query_for_it(text in "\\PC{0,60}", mixed in "[a-zA-Z0-9_.'’éßİẞ東ガ한ไ\u{300} ]{0,40}") {
        for analyzer in Analyzer::all() {
            for text in [&text, &mixed] {
                let own = terms(analyzer, text);
                prop_assert!(own.iter().all(|term| !term.is_empty() && term.len() <= TERM_BYTES_MAX));
                for (term, _) in query(analyzer, text) {
                    prop_assert!(own.contains(&term), "{analyzer}: {term:?} of {text:?} is not among {own:?}");
                }
            }
        }
    }

    /// What is all ASCII goes another way than the rest; both give the same.
    #[test]
    fn ascii_is_nothing_special(text in "[a-cA-C0-2_.:' -]{0,30}") {
        let plain = terms(Analyzer::Standard, &text);
        // A letter of another script behind every word takes it through the tables.
        let marked: String = text.split(' ').flat_map(|word| [word, " "]).collect();
        prop_assert_eq!(&terms(Analyzer::Standard, &marked), &plain);
        let mut through_tables = Vec::new();
        super::words::normal(&text, &mut |piece| {
            if let Piece::Word(word) = piece { through_tables.push(word.to_lowercase()); }
        });
        prop_assert_eq!(through_tables, plain);
    }
}
