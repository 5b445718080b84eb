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

/// A text is embedded by whoever searches, with the model of the rows that are searched: it was once compared with vectors of other kinds,
/// and over a server embedded by another call than the one that searched.
#[test]
fn a_text_is_compared_with_the_vectors_of_the_model() {
    crate::in_both_places(|scratch, place| {
        scratch.json(
            place,
            &["collection", "create", "docs", "--model", crate::support::model(), "--vector", "title=2"],
        );
        let search = ["search", "-c", "docs", "when does the lease end"];
        for more in [&[] as &[&str], &["--all-within", "0.5"], &["--hybrid"], &["--order-by", "_document"]] {
            let found = scratch.json(place, &[&search[..], more].concat());
            let stages: Vec<_> = found["timings_ms"].as_object().unwrap().keys().collect();
            assert_eq!(stages, ["embed", "search"], "{more:?}");
        }
        for (more, field) in [
            (&[] as &[&str], "source.nearest.text: "),
            (&["--all-within", "0.5"], "text: "),
            (&["--hybrid"], "source.fuse.sources[0].nearest.text: "),
        ] {
            let other = [&search[..], &["--by", "title"], more].concat();
            scratch.fails(place, &other, &[field, "the collection's model makes the default vector"]);
        }
    });
}

/// What a filter means to a collection is pointed at as what is wrong with its letters is.
#[test]
fn what_a_filter_cannot_mean_is_pointed_at() {
    crate::in_both_places_without_a_model(|scratch, place| {
        papers(scratch, place);
        for (filter, column, reason, carets) in [
            ("year > 1 and lang match 'x'", 14, "`lang` has no lexical index", "^^^^"),
            ("at within -1 m of (1, 2)", 11, "a radius is a number of metres from zero on, not -1", "^^"),
            ("at within 1 m of (91, 2)", 19, "91 is not between -90 and 90 degrees", "^^"),
        ] {
            let place_of = format!("--filter: column {column}: {reason}");
            let shown = format!("\n  {filter}\n  {}{carets}\n", " ".repeat(column - 1));
            for command in [&["search", "--order-by", "year"][..], &["points", "count"]] {
                let asked = [command, &["-c", "papers", "--filter", filter]].concat();
                scratch.fails(place, &asked, &[&place_of, &shown]);
            }
        }
    });
}
