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

/// Compares the searches of one tenant among many in a collection with those of tenants that have a collection of their own each, with
/// those of one collection that is searched all the time, and with those of tenants whose rows are not sealed yet; then makes many
/// collections in one database, opens it anew and says what memory each takes.
///
/// Places are searched in turn, so that whatever else the machine does meets them alike, and each tenant twice in a row: what a search
/// takes whose rows are in the processor's cache is `again`. Rows of tenants that wait for their turn are not, wherever they lie, so
/// `many` compares with `apart`, and `alone`, whose rows always are, with what `many` takes again.
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
    /// Tenants with a collection of their own each; 0 for none.
    #[arg(long, default_value_t = 2_000, value_name = "N")]
    apart: usize,
    /// Rows of all these tenants together that are not sealed; 0 for none.
    #[arg(long, default_value_t = 50_000, value_name = "N")]
    unsealed_rows: usize,
    /// Components of a vector.
    #[arg(long, default_value_t = 64, value_name = "N")]
    dimension: usize,
    /// Searches in each place, each of another tenant.
    #[arg(long, default_value_t = 10_000, value_name = "N")]
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

fn schema(arguments: &Arguments) -> Result<Schema, Failure> {
    Ok(Schema::builder(arguments.dimension).tenant("tenant").build()?)
}

/// Where tenants are searched, and what that took.
struct Place {
    name: &'static str,
    /// One of all tenants, or one of each.
    collections: Vec<Collection>,
    tenants: usize,
    /// Of each tenant.
    rows: usize,
    /// Microseconds.
    times: Vec<f64>,
    /// Of the same tenants at once once more.
    again: Vec<f64>,
}

impl Place {
    fn new(name: &'static str, collections: Vec<Collection>, (tenants, rows): (usize, usize)) -> Self {
        Self { name, collections, tenants, rows, times: Vec::new(), again: Vec::new() }
    }

    /// Searches among the rows of a tenant, and says how many microseconds that took.
    fn search(&self, tenant: usize, vector: Vec<f32>) -> Result<f64, Failure> {
        let request = SearchRequest::new(vector, 10).filter(Filter::eq("tenant", name(tenant)));
        let collection = &self.collections[tenant % self.collections.len()];
        let begun = Instant::now();
        let response = collection.search(&request)?;
        let took = begun.elapsed().as_secs_f64() * 1e6;
        assert_eq!(response.hits.len(), self.rows.min(10), "no row of the tenant is missed");
        Ok(took)
    }

    /// The first search of a collection sorts its column.
    fn warm(&self, random: &mut Random, arguments: &Arguments) -> Result<(), Failure> {
        for search in 0..arguments.searches.max(self.collections.len()) {
            self.search(search % self.tenants, vector(random, arguments.dimension))?;
        }
        Ok(())
    }

    fn measure(&mut self, random: &mut Random, arguments: &Arguments) -> Result<(), Failure> {
        let tenant = random.below(self.tenants);
        let [first, second] = [(); 2].map(|()| vector(random, arguments.dimension));
        let took = self.search(tenant, first)?;
        self.times.push(took);
        let took = self.search(tenant, second)?;
        self.again.push(took);
        Ok(())
    }

    fn report(&mut self, line: &mut serde_json::Value) {
        let name = self.name;
        line[format!("{name}_mean_us")] = rounded(mean(&self.times).unwrap_or_default(), 2).into();
        let quantiles = [("p50", &mut self.times, 0.5), ("again_p50", &mut self.again, 0.5)];
        for (quantity, times, share) in quantiles {
            let found = quantile(times, share).unwrap_or_default();
            line[format!("{name}_{quantity}_us")] = rounded(found, 2).into();
        }
        let p99 = quantile(&mut self.times, 0.99).unwrap_or_default();
        line[format!("{name}_p99_us")] = rounded(p99, 2).into();
    }
}

fn tenants(arguments: &Arguments) -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let db = Db::open(directory.path().join("together"))?;
    let many = db.create_collection("many", schema(arguments)?)?;
    let one = db.create_collection("one", schema(arguments)?)?;
    let mut random = Random::new(1);
    write_in_turn(&many, arguments.tenants * arguments.rows, arguments, &mut random)?;
    one.upsert(rows_of(0, arguments, &mut random))?;
    db.flush()?;
    db.compact()?;
    let mut line = json!({
        "measured": "tenants",
        "tenants": arguments.tenants,
        "rows_each": arguments.rows,
        "segments": many.info().segments,
    });
    let mut places = vec![
        Place::new("many", vec![many], (arguments.tenants, arguments.rows)),
        Place::new("alone", vec![one], (1, arguments.rows)),
    ];
    let own = Db::open_with(directory.path().join("apart"), without_background())?;
    if arguments.apart > 0 {
        line["apart"] = arguments.apart.into();
        let collections = apart(&own, arguments, &mut random)?;
        places.push(Place::new("apart", collections, (arguments.apart, arguments.rows)));
    }
    let unsealed_rows = arguments.unsealed_rows / arguments.tenants * arguments.tenants;
    if unsealed_rows > 0 {
        line["unsealed_rows"] = unsealed_rows.into();
        let collection = unsealed(unsealed_rows, arguments, &mut Random::new(1))?;
        let of_each = (arguments.tenants, unsealed_rows / arguments.tenants);
        places.push(Place::new("unsealed", vec![collection], of_each));
    }
    let mut random = Random::new(2);
    places.iter().try_for_each(|place| place.warm(&mut random, arguments))?;
    for _ in 0..arguments.searches {
        places.iter_mut().try_for_each(|place| place.measure(&mut random, arguments))?;
    }
    places.iter_mut().for_each(|place| place.report(&mut line));
    println!("{line}");
    Ok(())
}

fn rows_of(tenant: usize, arguments: &Arguments, random: &mut Random) -> Vec<Point> {
    let row =
        |row: usize| Point::new(row as u64, vector(random, arguments.dimension)).with("tenant", name(tenant));
    (0..arguments.rows).map(row).collect()
}

/// Nothing goes on but what is asked for.
fn without_background() -> DbOptions {
    let mut options = DbOptions::default();
    options.background = false;
    options
}

/// A sealed collection for each tenant.
fn apart(db: &Db, arguments: &Arguments, random: &mut Random) -> Result<Vec<Collection>, Failure> {
    let mut collections = Vec::with_capacity(arguments.apart);
    for tenant in 0..arguments.apart {
        let collection = db.create_collection(&name(tenant), schema(arguments)?)?;
        collection.upsert(rows_of(tenant, arguments, random))?;
        collections.push(collection);
    }
    db.flush()?;
    Ok(collections)
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
    let mut options = without_background();
    options.seal_rows = options.seal_rows.max(rows + 1);
    options.seal_bytes = u64::MAX;
    let db = Db::in_memory_with(options)?;
    let collection = db.create_collection("unsealed", schema(arguments)?)?;
    write_in_turn(&collection, rows, arguments, random)?;
    assert_eq!(collection.info().growing, rows as u64, "no row is sealed");
    Ok(collection)
}

fn collections(arguments: &Arguments) -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let db = Db::open_with(directory.path(), without_background())?;
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
    let db = Db::open_with(directory.path(), without_background())?;
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
