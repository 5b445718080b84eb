//! Rows of a type of your own: written, found, counted through, and what happens to one that does not fit.
//!
//! `cargo run -p ragstone --example typed_rows`

use ragstone::{Db, Filter, Schema, ScrollRequest, SearchRequest};
use serde::{Deserialize, Serialize};

#[derive(Debug, Deserialize, PartialEq, Serialize)]
struct Dish {
    id: String,
    /// Sweet, sour, salty.
    vector: [f32; 3],
    course: Course,
    minutes: u32,
    season: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Course {
    Main,
    Dessert,
}

/// What a list needs of a dish: neither the vector is read, nor the other fields.
#[derive(Deserialize)]
struct Line {
    id: String,
    minutes: u32,
}

fn main() -> ragstone::Result<()> {
    let dish = |id: &str, vector, course, minutes, season: Option<&str>| Dish {
        id: id.into(),
        vector,
        course,
        minutes,
        season: season.map(Into::into),
    };
    let db = Db::in_memory()?;
    let dishes = db.create_collection("dishes", Schema::new(3)?)?;
    dishes.upsert_rows([
        dish("lemon tart", [0.8, 0.6, 0.1], Course::Dessert, 90, None),
        dish("plum cake", [0.9, 0.3, 0.1], Course::Dessert, 70, Some("autumn")),
        dish("goulash", [0.1, 0.2, 0.9], Course::Main, 150, Some("winter")),
    ])?;

    let sweet = SearchRequest::new([1.0, 0.0, 0.0], 1).filter(Filter::eq("course", "dessert"));
    let found = dishes.search_rows::<Dish>(&sweet)?;
    let best = &found.hits[0];
    assert_eq!((best.row.id.as_str(), best.row.course), ("plum cake", Course::Dessert));
    println!("{} scores {:.2}, {:?}", best.row.id, best.score, best.row.season);

    // All of them, one after the other in the order of their ids, as they were at this moment.
    let view = dishes.view();
    let mut minutes = 0;
    for line in view.rows(&ScrollRequest::default())?.typed::<Line>() {
        let line = line?;
        println!("{:>4} minutes  {}", line.minutes, line.id);
        minutes += line.minutes;
    }
    assert_eq!(minutes, 310);

    // A value that has no place in a row is named with its field.
    #[derive(Serialize)]
    struct Counted {
        id: u64,
        grains: u64,
    }
    let error = dishes.upsert_rows([Counted { id: 1, grains: u64::MAX }]).expect_err("no int holds it");
    println!("{error}");
    assert!(error.to_string().starts_with("points[0].grains: "));
    Ok(())
}
