//! What a filter costs: finding all of its rows, and the search that it is part of.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use ragstone::{
    Collection, Db, DbOptions, FieldType, Filter, GeoPoint, Point, PointId, Range, Schema, SearchRequest,
};
use ragstone_benches::Failure;
use ragstone_benches::arguments;
use ragstone_benches::index::rounded;
use ragstone_benches::quantiles::{mean, quantile};
use ragstone_benches::random::{Random, hash};
use serde_json::json;

/// Rows of one batch.
const BATCH: usize = 10_000;
/// Filters whose rows are kept at a time for the searches after them: not so many that they take each other's places.
const READY: usize = 8;
const KINDS: [&str; 5] = ["equality", "range", "prefix", "contains", "geo"];
/// Places lie in a square of so many degrees at the equator, where a degree is as long in both directions.
const SQUARE_DEGREES: f64 = 10.0;
const METRES_A_DEGREE: f64 = 111_195.0;
/// Shares of the rows that conditions let pass, and of how many values of a field one has that share.
const SHARES: [(f64, u64); 4] = [(0.001, 1_000), (0.01, 100), (0.1, 10), (0.5, 2)];

/// Measures conditions of every kind on fields with indexes, at 0.1, 1, 10 and 50 % of the rows, one call a query, one thread.
///
/// Rows are around random centres; their values have nothing to do with where they lie. Each condition is asked with other values
/// every time; times are medians. `count_us` is the time to check the filter and to find and count its rows with no answer kept, `count_kept_us` with the
/// default memory for answers; `search_us` the search for ten rows that it is part of, with no answer kept, and `unfiltered_us` that without
/// a filter. `share_of_search` and `share_of_unfiltered` are what `count_us` is of the two searches.
///
/// A search need not find all rows of its filter, so what it pays is measured apart: `search_ready_us` is the same search where the rows of the
/// filter were found and kept just before, and `filter_us` the median of what the search with no answer kept takes more, query by query: finding
/// rows, or asking those that the walk comes to, with all that follows from it. The searches are measured in turn, and have read their rows before. It says nothing
/// where answers are not kept: of few rows, which are listed, and of filters of several conditions. `filter_share_of_search` is what it is of `search_us`.
///
/// `recall` is what the first `--exact` searches find of the ten nearest rows that pass, and `unfiltered_recall` the same without a filter: a search that
/// finds less costs less, and its filter is more of it. Prints JSON lines.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[arg(long, default_value_t = 1_000_000, value_name = "N")]
    rows: usize,
    /// Components of a vector.
    #[arg(long, default_value_t = 384, value_name = "N")]
    dimension: usize,
    /// Centres that rows lie around.
    #[arg(long, default_value_t = 2_000, value_name = "N")]
    centres: usize,
    /// Queries of each condition.
    #[arg(long, default_value_t = 500, value_name = "N")]
    queries: usize,
    /// Width of searches; without it, the engine's own.
    #[arg(long, value_name = "N")]
    ef: Option<usize>,
    /// Queries of each condition that are answered exactly, too, for the recall.
    #[arg(long, default_value_t = 20, value_name = "N")]
    exact: usize,
    /// Where the rows are kept; those that an earlier run of the same size wrote there are taken as they are.
    #[arg(long, value_name = "DIRECTORY")]
    directory: Option<PathBuf>,
    /// Kinds of conditions.
    #[arg(long, value_delimiter = ',', value_parser = KINDS, default_values = KINDS, value_name = "KIND")]
    kinds: Vec<String>,
}

impl Arguments {
    fn request(&self, vector: Vec<f32>) -> SearchRequest {
        SearchRequest { ef: self.ef, ..SearchRequest::new(vector, 10) }
    }
}

fn main() -> ExitCode {
    arguments::run(run)
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    let temporary = tempfile::tempdir()?;
    let directory = arguments.directory.as_deref().unwrap_or(temporary.path());
    write(arguments, directory)?;
    let open = |bytes: Option<usize>| {
        let mut options = DbOptions::default();
        options.read_only = true;
        options.background = false;
        options.filter_cache_bytes = bytes.unwrap_or(options.filter_cache_bytes);
        Db::open_with(directory, options)
    };
    // Both at once, so that what is compared is measured in turn.
    let (fresh, kept) = (open(Some(0))?, open(None)?);
    let asked = Asked { arguments, fresh: fresh.collection("rows")?, kept: kept.collection("rows")? };
    asked.measure()
}

/// Where rows lie and what they hold.
struct Rows {
    centres: Vec<Vec<f32>>,
}

impl Rows {
    fn new(arguments: &Arguments) -> Self {
        let mut random = Random::new(1);
        let centre = |_| (0..arguments.dimension).map(|_| random.normal()).collect();
        Self { centres: (0..arguments.centres.max(1)).map(centre).collect() }
    }

    fn vector(&self, random: &mut Random) -> Vec<f32> {
        let centre = &self.centres[random.below(self.centres.len())];
        centre.iter().map(|component| component + random.normal() * 0.7).collect()
    }

    fn point(&self, row: u64) -> Point {
        let of = |field: u64, values: u64| hash(field, row) % values;
        let code = of(20, 1_000_000);
        let degrees = |field| (of(field, 1 << 40) as f64 / (1_u64 << 40) as f64 - 0.5) * SQUARE_DEGREES;
        let mut point = Point::new(row, self.vector(&mut Random::new(hash(30, row))))
            .with("number", code as i64)
            .with("code", format!("{code:06}"))
            .with("half", format!("{}{code:06}", if code.is_multiple_of(2) { 'a' } else { 'b' }))
            .with("place", GeoPoint::new(degrees(21), degrees(22)));
        for (_, values) in SHARES {
            point = point.with(format!("of {values}"), of(values, values) as i64);
        }
        let tags = SHARES.map(|(_, values)| format!("{values}:{}", of(values + 1, values)));
        point.with("tags", tags.to_vec())
    }
}

fn write(arguments: &Arguments, path: &Path) -> Result<(), Failure> {
    let db = Db::open(path)?;
    if let Ok(rows) = db.collection("rows") {
        let count = rows.count(None)?;
        return match count == arguments.rows as u64 {
            true => Ok(()),
            false => Err(format!("{} has {count} rows, not {}", path.display(), arguments.rows).into()),
        };
    }
    let schema = Schema::builder(arguments.dimension).field("number", FieldType::Int).build()?;
    let (collection, rows) = (db.create_collection("rows", schema)?, Rows::new(arguments));
    for first in (0..arguments.rows).step_by(BATCH) {
        let end = arguments.rows.min(first + BATCH);
        collection.upsert((first..end).map(|row| rows.point(row as u64)).collect())?;
    }
    db.flush()?;
    db.compact()?;
    Ok(())
}

/// A condition of a kind, which a share of the rows passes.
fn condition(kind: &str, (share, values): (f64, u64), random: &mut Random) -> Filter {
    let below = random.below(values as usize);
    match kind {
        "equality" => Filter::eq(format!("of {values}"), below as i64),
        "range" => {
            let width = (share * 1e6) as i64;
            let from = random.below((1_000_000 - width) as usize) as i64;
            let (gte, lt) = (Some(from.into()), Some((from + width).into()));
            Filter::Range("number".into(), Range { gte, lt, ..Range::default() })
        }
        "prefix" if values == 2 => Filter::Prefix("half".into(), if below == 0 { "a" } else { "b" }.into()),
        "prefix" => {
            Filter::Prefix("code".into(), format!("{below:0digits$}", digits = values.ilog10() as usize))
        }
        "contains" => Filter::contains("tags", format!("{values}:{below}")),
        _ => {
            let degrees = SQUARE_DEGREES * (share / std::f64::consts::PI).sqrt();
            let room = SQUARE_DEGREES - 2.0 * degrees;
            let mut degree = || (f64::from(random.unit()) - 0.5) * room;
            Filter::GeoRadius("place".into(), GeoPoint::new(degree(), degree()), degrees * METRES_A_DEGREE)
        }
    }
}

/// Ways to ask: without a filter, with one of whose rows nothing is kept, and with one whose rows are.
const WAYS: usize = 3;

/// The same rows twice.
struct Asked<'a> {
    arguments: &'a Arguments,
    /// Keeps no answers of filters.
    fresh: Collection,
    /// Has the default memory for them.
    kept: Collection,
}

/// The share of the nearest rows that the first searches find.
fn recall(
    (collection, exact): (&Collection, usize),
    requests: &[SearchRequest],
    filters: &[Option<Filter>],
) -> Result<f64, Failure> {
    let (mut wanted, mut found) = (0, 0);
    for (request, filter) in requests.iter().zip(filters).take(exact) {
        let request = SearchRequest { filter: filter.clone(), ..request.clone() };
        let ids = |request: &SearchRequest| -> Result<Vec<PointId>, Failure> {
            Ok(collection.search(request)?.hits.into_iter().map(|hit| hit.id).collect())
        };
        let (nearest, hits) = (ids(&SearchRequest { exact: true, ..request.clone() })?, ids(&request)?);
        wanted += nearest.len();
        found += nearest.iter().filter(|id| hits.contains(id)).count();
    }
    Ok(found as f64 / wanted.max(1) as f64)
}

/// How long something takes, in microseconds, and what comes of it.
fn timed<T>(job: impl FnOnce() -> ragstone::Result<T>) -> Result<(f64, T), Failure> {
    let begun = Instant::now();
    let given = job()?;
    Ok((begun.elapsed().as_secs_f64() * 1e6, given))
}

impl Asked<'_> {
    fn measure(&self) -> Result<(), Failure> {
        let rows = Rows::new(self.arguments);
        let mut random = Random::new(7);
        let requests: Vec<SearchRequest> =
            (0..self.arguments.queries).map(|_| self.arguments.request(rows.vector(&mut random))).collect();
        let exact = self.arguments.exact;
        let unfiltered_recall = recall((&self.fresh, exact), &requests, &vec![None; requests.len()])?;
        for kind in &self.arguments.kinds {
            for share in SHARES {
                let asked: Vec<Option<Filter>> =
                    requests.iter().map(|_| Some(condition(kind, share, &mut random))).collect();
                let (first_us, _) = timed(|| self.fresh.count(asked[0].as_ref()))?;
                let [(count_us, rows), (count_kept_us, _)] =
                    [counts(&self.fresh, &asked)?, counts(&self.kept, &asked)?];
                let [unfiltered, fresh, ready] = self.times(&requests, &asked)?;
                let more: Vec<f64> = fresh.iter().zip(&ready).map(|(fresh, ready)| fresh - ready).collect();
                let [search_us, ready_us, unfiltered_us, filter_us] =
                    [&fresh, &ready, &unfiltered, &more].map(|samples| median(samples));
                let line = json!({
                    "measured": "filter",
                    "kind": kind,
                    "share": share.0,
                    "rows": rounded(rows, 0),
                    "first_ms": rounded(first_us / 1e3, 2),
                    "count_us": rounded(count_us, 2),
                    "count_kept_us": rounded(count_kept_us, 2),
                    "search_us": rounded(search_us, 2),
                    "search_ready_us": rounded(ready_us, 2),
                    "filter_us": rounded(filter_us, 2),
                    "unfiltered_us": rounded(unfiltered_us, 2),
                    "recall": rounded(recall((&self.fresh, exact), &requests, &asked)?, 3),
                    "unfiltered_recall": rounded(unfiltered_recall, 3),
                    "share_of_search": rounded(count_us / search_us, 4),
                    "filter_share_of_search": rounded(filter_us / search_us, 4),
                    "share_of_unfiltered": rounded(count_us / unfiltered_us, 4),
                });
                println!("{line}");
            }
        }
        Ok(())
    }

    /// How long each query takes in each of the [`WAYS`], in microseconds. Some queries at a time are asked in rounds, each in another way in each, so that a
    /// machine that has other things to do now and then keeps all ways waiting alike.
    fn times(
        &self,
        requests: &[SearchRequest],
        filters: &[Option<Filter>],
    ) -> Result<[Vec<f64>; WAYS], Failure> {
        let mut times = [(); WAYS].map(|()| vec![0.0; requests.len()]);
        for first in (0..requests.len()).step_by(READY) {
            let some = first..requests.len().min(first + READY);
            for filter in &filters[some.clone()] {
                self.kept.count(filter.as_ref())?;
            }
            // Twice: what is measured has read its rows before.
            for round in 0..2 * WAYS {
                for at in some.clone() {
                    let way = (at + round) % WAYS;
                    let (collection, filter) = match way {
                        0 => (&self.fresh, None),
                        1 => (&self.fresh, filters[at].clone()),
                        _ => (&self.kept, filters[at].clone()),
                    };
                    let request = SearchRequest { filter, ..requests[at].clone() };
                    times[way][at] = timed(|| collection.search(&request))?.0;
                }
            }
        }
        Ok(times)
    }
}

/// How long it takes to count the rows of some filters, and how many they have.
fn counts(collection: &Collection, filters: &[Option<Filter>]) -> Result<(f64, f64), Failure> {
    let timed: Vec<(f64, u64)> =
        filters.iter().map(|filter| timed(|| collection.count(filter.as_ref()))).collect::<Result<_, _>>()?;
    let (times, counts): (Vec<f64>, Vec<f64>) = timed.into_iter().map(|(us, rows)| (us, rows as f64)).unzip();
    Ok((median(&times), mean(&counts).unwrap_or_default()))
}

fn median(samples: &[f64]) -> f64 {
    quantile(&mut samples.to_vec(), 0.5).unwrap_or_default()
}
