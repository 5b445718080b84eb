//! An index as a user makes and asks one: a database in a directory of its own, one collection, one request a query.

use std::num::NonZero;

use ragstone::{
    Collection, Db, DbOptions, GraphOptions, Metric, Payload, Point, PointId, Schema, SearchRequest,
    SearchResponse,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::Failure;
use crate::arguments::IndexArguments;
use crate::curve;
use crate::data::Data;
use crate::encoding::Encoding;
use crate::measure::{self, Cost, K};
use crate::npy::Matrix;
use crate::quantiles;

/// Points of one upsert.
pub const BATCH: usize = 5_000;

/// A filled collection, searchable, with what it cost. Its directory goes with it.
#[derive(Debug)]
pub struct Index {
    /// The collection; row `i` of the data has the id `i`.
    pub collection: Collection,
    /// The database that holds it alone.
    pub db: Db,
    /// What filling it cost, sealed and merged as far as that is due.
    pub cost: Cost,
    /// Bytes that a walk reads of one row and its links.
    pub hot_bytes: usize,
    name: String,
    rows: usize,
    /// Removed last.
    _directory: TempDir,
}

impl Index {
    /// Makes an empty collection of vectors so long, compared by their inner product.
    ///
    /// # Errors
    /// If the directory cannot be made or the engine refuses.
    pub fn create(arguments: &IndexArguments, encoding: Encoding, dimension: usize) -> Result<Self, Failure> {
        let directory = match &arguments.scratch {
            Some(parent) => tempfile::tempdir_in(parent)
                .map_err(|error| format!("no scratch directory in {}: {error}", parent.display()))?,
            None => tempfile::tempdir()?,
        };
        let db = Db::open_with(directory.path(), options(arguments.segment_rows))?;
        let graph = GraphOptions { degree: arguments.degree, ef_construction: arguments.ef_construction };
        let schema =
            Schema::builder(dimension).metric(Metric::Dot).encoding(encoding.kind()).graph(graph).build()?;
        let collection = db.create_collection("bench", schema)?;
        Ok(Self {
            collection,
            db,
            cost: Cost { build_s: 0.0, resident_bytes: 0 },
            hot_bytes: encoding.row_bytes(dimension) + arguments.degree * 4,
            name: encoding.index_name(),
            rows: 0,
            _directory: directory,
        })
    }

    /// Makes a collection of these rows, without fields.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub fn build(
        arguments: &IndexArguments,
        encoding: Encoding,
        base: &Matrix<f32>,
    ) -> Result<Self, Failure> {
        Self::build_with(arguments, encoding, base, |_| Payload::new())
    }

    /// Makes a collection of these rows, each with its fields.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub fn build_with(
        arguments: &IndexArguments,
        encoding: Encoding,
        base: &Matrix<f32>,
        payload: impl Fn(usize) -> Payload,
    ) -> Result<Self, Failure> {
        let (made, cost) = measure::build(|| {
            let mut index = Self::create(arguments, encoding, base.columns)?;
            index.fill(base, payload)?;
            Ok::<_, Failure>(index)
        });
        Ok(Self { cost, ..made? })
    }

    fn fill(&mut self, base: &Matrix<f32>, payload: impl Fn(usize) -> Payload) -> Result<(), Failure> {
        let mut points = (0_usize..)
            .zip(base.rows())
            .map(|(id, row)| Point { payload: payload(id), ..Point::new(PointId::Num(id as u64), row) });
        loop {
            let batch: Vec<Point> = points.by_ref().take(BATCH).collect();
            if batch.is_empty() {
                break;
            }
            self.collection.upsert(batch)?;
        }
        self.db.flush()?;
        self.rows = base.len();
        Ok(())
    }

    /// What it cost, as a line of the results.
    pub fn cost_line(&self) -> Value {
        json!({
            "index": self.name,
            "rows": self.rows,
            "segments": self.collection.info().segments,
            "build_s": rounded(self.cost.build_s, 2),
            "resident_bytes_per_vector": self.cost.resident_bytes / self.rows.max(1) as u64,
            "hot_bytes_per_vector": self.hot_bytes,
        })
    }

    /// Recall and speed of each width, on so many threads. Each result is given to `say` as soon as it is there.
    ///
    /// # Errors
    /// If the engine refuses a query.
    pub fn sweep(
        &self,
        data: &Data,
        efs: &[usize],
        threads: usize,
        mut say: impl FnMut(&Setting),
    ) -> Result<Vec<Setting>, Failure> {
        efs.iter()
            .map(|&ef| {
                let setting = self.setting(data, ef, threads)?;
                say(&setting);
                Ok(setting)
            })
            .collect()
    }

    fn setting(&self, data: &Data, ef: usize, threads: usize) -> Result<Setting, Failure> {
        let requests: Vec<SearchRequest> = data.query.rows().map(|query| request(query).ef(ef)).collect();
        // A round of its own counts distances and shows the first error: in the measurement, a query that failed
        // would find nothing.
        let mut distances = 0;
        for request in &requests {
            distances += self.collection.search(request)?.stats.distances;
        }
        let point = measure::point(&data.truth, threads, |query| {
            self.collection.search(&requests[query]).map(|response| ids(&response)).unwrap_or_default()
        });
        let distances_per_query = distances as f64 / requests.len().max(1) as f64;
        Ok(Setting { index: self.name.clone(), ef, point, distances_per_query })
    }
}

/// Sealing at a number of rows, whatever their size; the engine's own rule without one.
fn options(segment_rows: Option<usize>) -> DbOptions {
    let mut options = DbOptions::default();
    options.threads = NonZero::new(rayon::current_num_threads());
    if let Some(rows) = segment_rows {
        options.seal_rows = rows;
        options.seal_bytes = u64::MAX;
        options.growing_bytes_max = u64::MAX / 4;
        options.log_bytes_max = u64::MAX / 4;
    }
    options
}

/// One width, measured.
#[derive(Clone, Debug)]
pub struct Setting {
    /// The index's name.
    pub index: String,
    /// The width of the walk.
    pub ef: usize,
    /// Recall and speed.
    pub point: measure::Point,
    /// Vectors compared for one query, on average.
    pub distances_per_query: f64,
}

impl Setting {
    /// It as a line of the results.
    pub fn line(&self) -> Value {
        json!({
            "index": self.index,
            "setting": self.ef.to_string(),
            "recall_at_10": rounded(self.point.recall, 4),
            "qps": self.point.qps.round(),
            "distances_per_query": rounded(self.distances_per_query, 1),
        })
    }
}

/// Queries per second and distances per query at a recall, interpolated; `None` if no setting reaches it.
pub fn at_recall(settings: &[Setting], recall: f64) -> Option<(f64, f64)> {
    let points: Vec<_> = settings.iter().map(|setting| setting.point).collect();
    let distances: Vec<_> =
        settings.iter().map(|setting| (setting.point.recall, setting.distances_per_query)).collect();
    Some((curve::qps_at(&points, recall)?, curve::cost_at(&distances, recall)?))
}

/// A request for [`K`] ids at the engine's own width.
pub fn request(query: &[f32]) -> SearchRequest {
    let mut request = SearchRequest::new(query, K);
    request.with_payload = false;
    request
}

/// The rows found, nearest first.
pub fn ids(response: &SearchResponse) -> Vec<u64> {
    let number = |id: &PointId| match id {
        PointId::Num(number) => Some(*number),
        PointId::Str(_) => None,
    };
    response.hits.iter().filter_map(|hit| number(&hit.id)).collect()
}

/// Microseconds of a query: median, 99th percentile and mean.
pub fn latency_line(seconds: &mut [f64]) -> Value {
    let microseconds = |value: Option<f64>| value.map(|value| rounded(value * 1e6, 1));
    json!({
        "p50_us": microseconds(quantiles::quantile(seconds, 0.5)),
        "p99_us": microseconds(quantiles::quantile(seconds, 0.99)),
        "mean_us": microseconds(quantiles::mean(seconds)),
    })
}

/// A number with so many decimals.
pub fn rounded(value: f64, decimals: i32) -> f64 {
    let scale = 10_f64.powi(decimals);
    (value * scale).round() / scale
}
