use std::fmt::Write;

use proptest::prelude::*;

use super::*;

fn to_text(content: &[u8]) -> Result<String, String> {
    super::to_text(content, None, Wanted::always()).map_err(|unread| match unread {
        Unread::Refused(reason) => reason,
        other => panic!("{other:?}"),
    })
}

fn fixture(name: &str) -> Vec<u8> {
    let path = format!("{}/tests/data/pdf/{name}.pdf", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A file of pages with these content streams, in Helvetica.
fn pdf(pages: &[&str]) -> Vec<u8> {
    pdf_with(pages, "/Font << /F 3 0 R >>", &[])
}

/// The same with these resources, and further objects behind those of the pages.
fn pdf_with(pages: &[&str], resources: &str, further: &[String]) -> Vec<u8> {
    let kids: String = (0..pages.len()).map(|at| format!("{} 0 R ", 4 + 2 * at)).collect();
    let mut objects = vec![
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        format!("<< /Type /Pages /Kids [{kids}] /Count {} >>", pages.len()),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>".to_owned(),
    ];
    for (at, page) in pages.iter().enumerate() {
        let contents = 5 + 2 * at;
        objects.push(format!(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 400 600] /Resources << {resources} >> /Contents {contents} 0 R >>"
        ));
        objects.push(format!("<< /Length {} >>\nstream\n{page}\nendstream", page.len()));
    }
    objects.extend_from_slice(further);
    let (mut file, mut offsets) = (String::from("%PDF-1.4\n"), Vec::new());
    for (at, object) in objects.iter().enumerate() {
        offsets.push(file.len());
        write!(file, "{} 0 obj\n{object}\nendobj\n", at + 1).unwrap();
    }
    let table = file.len();
    write!(file, "xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1).unwrap();
    for offset in offsets {
        writeln!(file, "{offset:010} 00000 n ").unwrap();
    }
    write!(file, "trailer\n<< /Size {} /Root 1 0 R >>\nstartxref\n{table}\n%%EOF\n", objects.len() + 1)
        .unwrap();
    file.into_bytes()
}

#[test]
fn pages_of_a_real_writer_are_text_with_paragraphs() {
    let text = to_text(&fixture("lease")).unwrap();
    let pages: Vec<&str> = text.split(PAGE_END).collect();
    assert_eq!(pages.len(), 2, "{text}");
    assert!(
        pages[0].starts_with("Lease\n\nThe lease ends on 31 May. The deposit is three rents, and\nit is"),
        "{text}"
    );
    assert!(pages[0].contains("as wear.\n\nGröße, naïve façade, Čeština: every character\nstands"), "{text}");
    assert!(pages[0].trim_end().ends_with("even €."), "{text}");
    assert_eq!(pages[1], "Garden\n\nThe roses are cut in March.");
    assert_eq!(to_text(&fixture("restricted")).unwrap(), text, "no password is needed to read it");
}

#[test]
fn what_has_no_text_to_read_says_why() {
    let reason = |content: &[u8]| to_text(content).unwrap_err();
    assert!(reason(&fixture("scanned")).contains("only pictures"), "{}", reason(&fixture("scanned")));
    assert!(reason(&fixture("password")).contains("password"));
    for broken in [b"".as_slice(), b"%PDF-1.7\n", b"\0\xff plain text", &fixture("lease")[..200]] {
        assert!(reason(broken).contains("no PDF"), "{}", reason(broken));
    }
    assert!(reason(&pdf(&[""])).contains("only pictures"));
}

#[test]
fn text_is_read_as_it_is_placed() {
    let page = "BT /F 12 Tf 50 500 Td (Hello) Tj 0 -14 Td [(w) -50 (orld) -600 (again)] TJ ET";
    assert_eq!(to_text(&pdf(&[page])).unwrap(), "Hello\nworld again");
    let turned = "BT /F 12 Tf 0 1 -1 0 100 100 Tm (up) Tj ( there) Tj ET";
    assert_eq!(to_text(&pdf(&[turned])).unwrap(), "up there");
    let hidden = "BT /F 12 Tf 3 Tr 50 500 Td (recognised) Tj ET";
    assert_eq!(to_text(&pdf(&[hidden, ""])).unwrap(), "recognised\n\u{c}");
}

#[test]
fn a_file_that_never_ends_is_left() {
    let reader = |began, bytes| Reader { began, page: PageText::default(), bytes, nameless: 0 };
    let stopped = |reader: Reader| {
        std::panic::catch_unwind(move || reader.look_up()).err().and_then(|stop| stop.downcast::<Stop>().ok())
    };
    assert!(stopped(reader(Instant::now(), 0)).is_none());
    let late = Instant::now().checked_sub(READ_TIME_MAX + Duration::from_secs(1)).unwrap();
    assert!(stopped(reader(late, 0)).unwrap().0.contains("30 s"));
    assert!(
        stopped(reader(Instant::now(), DOCUMENT_BYTES_MAX + 1)).unwrap().0.contains("DOCUMENT_BYTES_MAX")
    );
}

/// Functions in PostScript, a brace in a brace: the parser recurses into each, and 16 MiB of stack were too few for these.
#[test]
fn functions_nested_deep_fit_in_the_stack() {
    let spaces = "/ColorSpace << /C [/Separation /A /DeviceGray 6 0 R] >> /Font << /F 3 0 R >>";
    let braces = "{".repeat(100_000) + &"}".repeat(100_000);
    let function = format!(
        "<< /FunctionType 4 /Domain [0 1] /Range [0 1] /Length {} >>\nstream\n{braces}\nendstream",
        braces.len()
    );
    let page = "/C cs 1 sc BT /F 12 Tf 50 500 Td (Hello) Tj ET";
    // Whatever it makes of the colour, this process is there to hear it.
    let _ = to_text(&pdf_with(&[page], spaces, &[function]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Damage gives text or a reason, never a panic that leaves the reader's thread.
    #[test]
    fn any_damage_gives_text_or_a_reason(hits in proptest::collection::vec((any::<usize>(), any::<u8>()), 1..20), cut in any::<usize>()) {
        let mut content = fixture("lease");
        for (at, byte) in hits {
            let at = at % content.len();
            content[at] = byte;
        }
        content.truncate(content.len() - cut % 200);
        let _ = to_text(&content);
    }

    #[test]
    fn any_operators_give_text_or_a_reason(page in "(BT|ET|q|Q|Tj|TJ|Td|Tm|Tf|/F|[0-9 .-]{1,8}|\\([a-z\\\\() ]{0,9}\\)|\\[|\\]|Do|cm|re|W|n| ){0,60}") {
        let _ = to_text(&pdf(&[&page]));
    }
}
