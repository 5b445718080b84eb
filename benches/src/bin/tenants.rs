//! What a tenant's search costs among many tenants, sealed or not, and what a collection costs at rest among many collections.

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use ragstone::{Collection, Db, DbOptions, Filter, Point, Schema, SearchRequest};
use ragstone_benches::Failure;
use ragstone_benches::arguments;
use ragstone_benches::index::rounded;
use ragstone_benches::measure::resident_bytes;
use ragstone_benches::quantiles::{mean, quantile};
use ragstone_benches::random::Random;
use serde_json::json;

/// Rows of one batch.
const BATCH: usize = 10_000;

/// Compares the searches of one tenant among many in a collection with those of a collection that has the tenant's rows alone, and with
/// those of one whose rows are not sealed yet; then makes many collections in one database, opens it anew and says what memory each
/// takes.
///
/// Prints JSON lines: `tenants` with microseconds of a search in each, and `collections` with resident bytes of each at rest.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Tenants in one collection.
    #[arg(long, default_value_t = 10_000, value_name = "N")]
    tenants: usize,
    /// Rows of each.
    #[arg(long, default_value_t = 100, value_name = "N")]
    rows: usize,
    /// Rows of all these tenants together that are not sealed; 0 for none.
    #[arg(long, default_value_t = 50_000, value_name = "N")]
    unsealed_rows: usize,
    /// Components of a vector.
    #[arg(long, default_value_t = 64, value_name = "N")]
    dimension: usize,
    /// Searches, each of another tenant.
    #[arg(long, default_value_t = 2_000, value_name = "N")]
    searches: usize,
    /// Collections in one database; 0 for none.
    #[arg(long, default_value_t = 4_000, value_name = "N")]
    collections: usize,
    /// Rows of each of these.
    #[arg(long, default_value_t = 20, value_name = "N")]
    collection_rows: usize,
}

fn main() -> ExitCode {
    arguments::run(run)
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    tenants(arguments)?;
    if arguments.collections > 0 { collections(arguments) } else { Ok(()) }
}

fn vector(random: &mut Random, dimension: usize) -> Vec<f32> {
    (0..dimension).map(|_| random.normal()).collect()
}

fn name(tenant: usize) -> String {
    format!("tenant-{tenant:06}")
}

fn tenants(arguments: &Arguments) -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let db = Db::open(directory.path())?;
    let schema = || Schema::builder(arguments.dimension).tenant("tenant").build();
    let (many, one) = (db.create_collection("many", schema()?)?, db.create_collection("one", schema()?)?);
    let mut random = Random::new(1);
    write_in_turn(&many, arguments.tenants * arguments.rows, arguments, &mut random)?;
    let alone =
        |row: usize| Point::new(row as u64, vector(&mut random, arguments.dimension)).with("tenant", name(0));
    one.upsert((0..arguments.rows).map(alone).collect())?;
    db.flush()?;
    db.compact()?;
    let mut random = Random::new(2);
    let mut times = |collection: &Collection, tenants: usize, rows: usize| -> Result<Vec<f64>, Failure> {
        let mut times = Vec::with_capacity(arguments.searches);
        for _ in 0..arguments.searches {
            let filter = Filter::eq("tenant", name(random.below(tenants)));
            let request = SearchRequest::new(vector(&mut random, arguments.dimension), 10).filter(filter);
            let begun = Instant::now();
            let response = collection.search(&request)?;
            times.push(begun.elapsed().as_secs_f64() * 1e6);
            assert_eq!(response.hits.len(), rows.min(10), "no row of the tenant is missed");
        }
        Ok(times)
    };
    // The first search of each sorts the column.
    times(&many, arguments.tenants, arguments.rows)?;
    times(&one, 1, arguments.rows)?;
    let mut line = json!({
        "measured": "tenants",
        "tenants": arguments.tenants,
        "rows_each": arguments.rows,
        "segments": many.info().segments,
    });
    let mut places =
        vec![("many", many, (arguments.tenants, arguments.rows)), ("alone", one, (1, arguments.rows))];
    let unsealed_rows = arguments.unsealed_rows / arguments.tenants * arguments.tenants;
    if unsealed_rows > 0 {
        line["unsealed_rows"] = unsealed_rows.into();
        let of_each = (arguments.tenants, arguments.unsealed_rows / arguments.tenants);
        places.push(("unsealed", unsealed(unsealed_rows, arguments, &mut Random::new(1))?, of_each));
    }
    for (place, collection, (tenants, rows)) in &places {
        let mut found = times(collection, *tenants, *rows)?;
        line[format!("{place}_mean_us")] = rounded(mean(&found).unwrap_or_default(), 2).into();
        line[format!("{place}_p50_us")] = rounded(quantile(&mut found, 0.5).unwrap_or_default(), 2).into();
        line[format!("{place}_p99_us")] = rounded(quantile(&mut found, 0.99).unwrap_or_default(), 2).into();
    }
    println!("{line}");
    Ok(())
}

/// Tenants write in turn, so that none's rows come together.
fn write_in_turn(
    collection: &Collection,
    rows: usize,
    arguments: &Arguments,
    random: &mut Random,
) -> Result<(), Failure> {
    for first in (0..rows).step_by(BATCH) {
        let point = |row: usize| {
            let vector = vector(random, arguments.dimension);
            Point::new(row as u64, vector).with("tenant", name(row % arguments.tenants))
        };
        collection.upsert((first..rows.min(first + BATCH)).map(point).collect())?;
    }
    Ok(())
}

/// A collection whose rows are in memory and in the log, and in the graph: nothing goes on while it is searched.
fn unsealed(rows: usize, arguments: &Arguments, random: &mut Random) -> Result<Collection, Failure> {
    let mut options = DbOptions::default();
    options.background = false;
    options.seal_rows = options.seal_rows.max(rows + 1);
    options.seal_bytes = u64::MAX;
    let db = Db::in_memory_with(options)?;
    let collection =
        db.create_collection("unsealed", Schema::builder(arguments.dimension).tenant("tenant").build()?)?;
    write_in_turn(&collection, rows, arguments, random)?;
    assert_eq!(collection.info().growing, rows as u64, "no row is sealed");
    Ok(collection)
}

fn collections(arguments: &Arguments) -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let options = || {
        let mut options = DbOptions::default();
        options.background = false;
        options
    };
    let db = Db::open_with(directory.path(), options())?;
    let mut random = Random::new(3);
    for number in 0..arguments.collections {
        let collection = db.create_collection(&format!("c{number}"), Schema::new(arguments.dimension)?)?;
        let point = |row: usize| {
            Point::new(row as u64, vector(&mut random, arguments.dimension)).with("text", name(row))
        };
        collection.upsert((0..arguments.collection_rows).map(point).collect())?;
    }
    db.flush()?;
    drop(db);
    let before = resident_bytes();
    let begun = Instant::now();
    let db = Db::open_with(directory.path(), options())?;
    let open_s = begun.elapsed().as_secs_f64();
    let bytes = resident_bytes().saturating_sub(before);
    let line = json!({
        "measured": "collections",
        "collections": arguments.collections,
        "rows_each": arguments.collection_rows,
        "open_s": rounded(open_s, 3),
        "resident_bytes_each": bytes / arguments.collections as u64,
    });
    println!("{line}");
    drop(db);
    Ok(())
}
