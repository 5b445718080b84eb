//! `ragstone search`, beyond the sources that it has (`points.rs`).

use crate::points::papers;

/// What a search found before its time was over was once printed as if it were all that there is.
#[test]
fn a_search_that_was_cut_short_says_so() {
    crate::in_both_places_without_a_model(|scratch, place| {
        papers(scratch, place);
        let near = ["search", "-c", "papers", "--vector", "[1, 0]"];
        for more in [&["--budget-ms", "0"][..], &["--budget-ms", "0", "--all-within", "0.5"]] {
            let cut = [&near[..], more].concat();
            assert_eq!(scratch.json(place, &cut)["interrupted"], true, "{cut:?}");
            let shown = scratch.run(place, &cut);
            let text = String::from_utf8(shown.stdout).unwrap();
            assert_eq!(shown.status.code(), Some(0), "{text}");
            assert!(text.contains("interrupted: ") && text.contains("--budget-ms"), "{text}");
            assert!(!text.contains("nothing found"), "{text}");
        }
        let shown = scratch.run(place, &[&near[..], &["--filter", "year > 3000"]].concat());
        let text = String::from_utf8(shown.stdout).unwrap();
        assert!(text.contains("nothing found") && !text.contains("interrupted"), "{text}");
    });
}
