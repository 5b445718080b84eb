//! The main job end to end, with the real model: `ragstone demo`, as the README's first command runs it.
//!
//! The model comes from the cache, or is fetched as it is for any user.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[expect(dead_code, reason = "the command line's tests use the rest")]
mod support;

use support::{Scratch, binary};

const LEASE: &str = "# House\n\n## Lease\n\nThe tenancy of the house ends on 31 May 2027.\n\n## Garden\n\nThe roses are cut in March.\n";
const SPACE: &str = "<h1>Space</h1><p>The probe reached Saturn's largest moon, Titan, in January 2005 and landed by parachute.</p>";
const BREAD: &str =
    "Bread\n\nSourdough needs a starter, flour, water and salt. It proves overnight in a cool place.\n";

#[test]
fn the_demo_indexes_answers_and_reuses() {
    let scratch = Scratch::new();
    scratch.write("docs/house.md", LEASE.as_bytes());
    scratch.write("docs/space.html", SPACE.as_bytes());
    scratch.write("docs/bread.txt", BREAD.as_bytes());
    let demo = |data: &str| {
        let docs = scratch.path("docs");
        let arguments = [
            "demo",
            "--docs",
            &docs,
            "--question",
            "When do we have to move out?",
            "--question",
            "Which moon was visited?",
            "--question",
            "How is the dough raised?",
        ];
        let output = scratch.run(&["--data", data], &arguments);
        let (out, err) =
            (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        assert!(output.status.success(), "{out}\n{err}");
        out + &err
    };
    let data = scratch.path("data");
    let first = demo(&data);
    for (document, words) in [("house.md", "31 May 2027"), ("space.html", "Titan"), ("bread.txt", "starter")]
    {
        assert!(
            first.contains(&format!("[1] {document}")),
            "{document} is not the first citation of its question:\n{first}"
        );
        assert!(first.contains(words), "{first}");
    }
    assert!(first.contains("3 added") && first.contains("embed") && first.contains("search"), "{first}");

    // As it is called here, as whoever runs the demo from a fresh clone has no `ragstone` in their path, and where it has indexed.
    assert!(first.contains(&format!("{} --data {data} ask -c default", binary().display())), "{first}");

    let second = demo(&data);
    assert!(second.contains("3 unchanged") && second.contains("0 added"), "{second}");
    std::fs::remove_file(scratch.path("docs/bread.txt")).unwrap();
    scratch.write("docs/house.md", LEASE.replace("2027", "2028").as_bytes());
    let third = demo(&data);
    assert!(
        third.contains("1 replaced") && third.contains("1 removed") && third.contains("31 May 2028"),
        "{third}"
    );
    assert!(!third.contains("31 May 2027") && !third.contains("Sourdough"), "{third}");
}
