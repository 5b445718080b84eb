//! Filtered search at known selectivities: recall, latency, and whether it returns as many rows as match.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use ragstone::{Collection, SearchRequest};
use ragstone_benches::Failure;
use ragstone_benches::arguments::{self, DataArguments, IndexArguments};
use ragstone_benches::curve;
use ragstone_benches::data::Data;
use ragstone_benches::encoding::Encoding;
use ragstone_benches::index::{Index, ids, latency_line, request, rounded};
use ragstone_benches::measure::{K, overlap};
use ragstone_benches::npy::{Matrix, write_ids};
use ragstone_benches::quantiles;
use ragstone_benches::selections::{Fields, Kind, Rule, SELECTIVITIES, Selection};
use serde_json::{Value, json};

/// Queries before the first measurement of a setting.
const WARM_UP: usize = 50;
/// Measurements of a setting; of each query the fastest counts, so that a disturbance does not stand in a quantile.
const ROUNDS: usize = 3;
/// In files: no row, no cluster.
const NONE: u32 = u32::MAX;

/// Measures filtered search: random, ANDed, correlated and anti-correlated filters at 0.1 to 90 % selectivity.
///
/// Every row gets integer fields (two random ones, and the fine and the coarse region that it lies in) and every query
/// filters on them, one query a call, one thread. Evaluating the filter is part of the time. Truth is the engine's own
/// exact search under the same filter. Prints JSON lines: the index's cost; recall and latency without a filter for each
/// width; for each kind and selectivity a line for every width up to the first that reaches the recall asked for
/// ("chosen": true there), or on to --recall-max, and one at the engine's default width (setting "default"). `ratio_to_unfiltered` compares the
/// mean latency with the unfiltered one at that recall; `wrong_counts` counts the answers that do not have exactly
/// min(k, matches) rows. With --out, the fields, the filters and the truth are written for other libraries.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    data: DataArguments,
    #[command(flatten)]
    index: IndexArguments,
    /// The recall to reach.
    #[arg(long, default_value_t = 0.95, value_name = "R")]
    recall: f64,
    /// Goes on to a width that reaches this recall, for a comparison with who finds more than was asked for.
    #[arg(long, default_value_t = 0.0, value_name = "R")]
    recall_max: f64,
    /// Selectivities, as shares of the rows.
    #[arg(long, num_args = 1.., value_name = "SHARE", default_values_t = SELECTIVITIES)]
    selectivity: Vec<f64>,
    /// Only so many of the queries.
    #[arg(long, default_value_t = 1_000, value_name = "N")]
    queries: usize,
    /// Another seed, other fields.
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
    /// Widths of the walk (`ef`) to try, ascending.
    #[arg(long, num_args = 1.., value_name = "N",
        default_values_t = [12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024])]
    ef: Vec<usize>,
    /// Where to write what other libraries need to do the same work; made if absent.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

fn main() -> ExitCode {
    arguments::run(run)
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    arguments.index.start_threads()?;
    if let Some(wrong) = arguments.selectivity.iter().find(|share| !(0.0..=1.0).contains(*share)) {
        return Err(format!("a selectivity is a share from 0 to 1, not {wrong}").into());
    }
    let mut data = Data::read(&arguments.data)?;
    data.keep_queries(arguments.queries);
    let fields = Fields::new(&data.base, arguments.seed);
    let selections: Vec<Selection> = Kind::ALL
        .into_iter()
        .flat_map(|kind| arguments.selectivity.iter().map(move |share| (kind, *share)))
        .map(|(kind, share)| fields.selection(kind, share, &data.query))
        .collect();
    for (number, encoding) in arguments.index.encoding.iter().enumerate() {
        let bench = Bench { arguments, data: &data, fields: &fields, encoding: *encoding };
        // The truth is the same whatever the encoding.
        bench.run(&selections, arguments.out.as_deref().filter(|_| number == 0))?;
    }
    Ok(())
}

struct Bench<'a> {
    arguments: &'a Arguments,
    data: &'a Data,
    fields: &'a Fields,
    encoding: Encoding,
}

/// A selection with what is right about it.
struct Case<'a> {
    selection: &'a Selection,
    counts: Vec<usize>,
    truth: Vec<Vec<u32>>,
}

/// All queries at one width.
struct Measured {
    recall: f64,
    wrong_counts: usize,
    distances_per_query: f64,
    exact_share: f64,
    seconds: Vec<f64>,
}

impl Bench<'_> {
    fn run(&self, selections: &[Selection], out: Option<&Path>) -> Result<(), Failure> {
        let payload = |row| self.fields.payload(row);
        let index = Index::build_with(&self.arguments.index, self.encoding, &self.data.base, payload)?;
        println!("{}", index.cost_line());
        let collection = &index.collection;
        let unfiltered_s = self.unfiltered(collection)?;
        let mut manifest = Vec::new();
        for selection in selections {
            let case = self.case(collection, selection)?;
            if let Some(directory) = out {
                manifest.push(self.write(directory, &case)?);
            }
            self.measure(collection, &case, unfiltered_s)?;
        }
        if let Some(directory) = out {
            write_ids(&directory.join("fields.u32.npy"), &self.fields.columns())?;
            let path = directory.join("cases.json");
            std::fs::write(&path, serde_json::to_string_pretty(&manifest)?)
                .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        }
        Ok(())
    }

    /// Seconds of an unfiltered query at the recall asked for.
    fn unfiltered(&self, collection: &Collection) -> Result<f64, Failure> {
        let rows = self.data.base.len();
        let truth: Vec<Vec<u32>> = self.data.truth.rows().map(|row| row[..K].to_vec()).collect();
        let requests: Vec<SearchRequest> = self.data.query.rows().map(request).collect();
        let mut points = Vec::new();
        for &ef in &self.arguments.ef {
            let measured = answers(collection, &with_ef(&requests, Some(ef)), &truth, &|_| rows)?;
            let seconds = quantiles::mean(&measured.seconds).ok_or("there are no queries")?;
            points.push((measured.recall, seconds));
            let line = self.line("unfiltered", Some(ef), measured);
            println!("{line}");
        }
        let recall = self.arguments.recall;
        curve::cost_at(&points, recall)
            .ok_or_else(|| format!("unfiltered search does not reach a recall of {recall}").into())
    }

    fn requests(&self, selection: &Selection) -> Vec<SearchRequest> {
        let queries = self.data.query.rows().enumerate();
        queries.map(|(number, query)| request(query).filter(selection.filter(number))).collect()
    }

    fn case<'a>(&self, collection: &Collection, selection: &'a Selection) -> Result<Case<'a>, Failure> {
        let counts = selection.match_counts(self.fields, self.data.query.len());
        let nearest = |request: SearchRequest| -> Result<Vec<u32>, Failure> {
            Ok(ids(&collection.search(&request.exact())?).iter().map(|id| *id as u32).collect())
        };
        let truth = self.requests(selection).into_iter().map(nearest).collect::<Result<Vec<_>, _>>()?;
        for ((query, truth), count) in truth.iter().enumerate().zip(&counts) {
            let fits = |row: &u32| selection.matches(&self.fields.values(*row as usize), query);
            if truth.len() != K.min(*count) || !truth.iter().all(fits) {
                return Err(
                    format!("{}: the exact answer to query {query} is wrong", selection.name()).into()
                );
            }
        }
        Ok(Case { selection, counts, truth })
    }

    fn measure(&self, collection: &Collection, case: &Case<'_>, unfiltered_s: f64) -> Result<(), Failure> {
        let requests = self.requests(case.selection);
        let (mut has_chosen, mut is_reached) = (false, false);
        for ef in self.arguments.ef.iter().map(|ef| Some(*ef)).chain([None]) {
            if ef.is_some() && is_reached {
                continue;
            }
            let measured =
                answers(collection, &with_ef(&requests, ef), &case.truth, &|query| case.counts[query])?;
            let is_chosen = ef.is_some() && !has_chosen && measured.recall >= self.arguments.recall;
            has_chosen |= is_chosen;
            is_reached |= has_chosen && measured.recall >= self.arguments.recall_max;
            let ratio = quantiles::mean(&measured.seconds).map(|seconds| rounded(seconds / unfiltered_s, 3));
            let mut line = self.line(&case.selection.name(), ef, measured);
            line["kind"] = case.selection.kind.name().into();
            line["selectivity"] = case.selection.selectivity.into();
            let matches: usize = case.counts.iter().sum();
            line["matches_mean"] = rounded(matches as f64 / case.counts.len().max(1) as f64, 1).into();
            line["ratio_to_unfiltered"] = json!(ratio);
            line["chosen"] = is_chosen.into();
            println!("{line}");
        }
        Ok(())
    }

    fn line(&self, case: &str, ef: Option<usize>, mut measured: Measured) -> Value {
        let mean = quantiles::mean(&measured.seconds);
        let mut line = json!({
            "index": self.encoding.index_name(),
            "case": case,
            "setting": ef.map_or("default".to_owned(), |ef| ef.to_string()),
            "queries": measured.seconds.len(),
            "recall_at_10": rounded(measured.recall, 4),
            "wrong_counts": measured.wrong_counts,
            "qps": mean.map(|seconds| seconds.recip().round()),
            "distances_per_query": rounded(measured.distances_per_query, 1),
            "exact_share": rounded(measured.exact_share, 3),
        });
        let latency = latency_line(&mut measured.seconds);
        if let (Some(line), Value::Object(latency)) = (line.as_object_mut(), latency) {
            line.extend(latency);
        }
        line
    }

    /// Writes what another library needs for a case; its entry in the list of cases.
    fn write(&self, directory: &Path, case: &Case<'_>) -> Result<Value, Failure> {
        std::fs::create_dir_all(directory)
            .map_err(|error| format!("cannot make {}: {error}", directory.display()))?;
        let name = case.selection.name();
        write_ids(&directory.join(format!("{name}.truth.u32.npy")), &padded(&case.truth, K))?;
        let mut entry = json!({
            "case": name,
            "kind": case.selection.kind.name(),
            "selectivity": case.selection.selectivity,
        });
        match &case.selection.rule {
            Rule::Below { a, b } => entry["below"] = json!({ "a": a, "b": b }),
            Rule::Clusters { is_fine, chosen, .. } => {
                let width = chosen.iter().map(Vec::len).max().unwrap_or(0).max(1);
                write_ids(&directory.join(format!("{name}.clusters.u32.npy")), &padded(chosen, width))?;
                entry["clusters"] = if *is_fine { "fine" } else { "coarse" }.into();
            }
        }
        Ok(entry)
    }
}

fn with_ef(requests: &[SearchRequest], ef: Option<usize>) -> Vec<SearchRequest> {
    requests.iter().map(|request| SearchRequest { ef, ..request.clone() }).collect()
}

/// Rows of equal length, filled up with [`NONE`].
fn padded(rows: &[Vec<u32>], columns: usize) -> Matrix<u32> {
    let fill =
        |row: &Vec<u32>| row.iter().copied().chain(std::iter::repeat(NONE)).take(columns).collect::<Vec<_>>();
    Matrix { columns, elements: rows.iter().flat_map(fill).collect() }
}

/// Asks every query, one a call, and judges the answers.
fn answers(
    collection: &Collection,
    requests: &[SearchRequest],
    truth: &[Vec<u32>],
    matches: &dyn Fn(usize) -> usize,
) -> Result<Measured, Failure> {
    for request in requests.iter().take(WARM_UP) {
        collection.search(request)?;
    }
    let mut measured = Measured {
        recall: 0.0,
        wrong_counts: 0,
        distances_per_query: 0.0,
        exact_share: 0.0,
        seconds: vec![f64::INFINITY; requests.len()],
    };
    let (mut hits, mut wanted) = (0, 0);
    for round in 0..ROUNDS {
        for (number, request) in requests.iter().enumerate() {
            let start = Instant::now();
            let response = collection.search(request)?;
            let best = &mut measured.seconds[number];
            *best = start.elapsed().as_secs_f64().min(*best);
            if round > 0 {
                continue;
            }
            hits += overlap(&ids(&response), &truth[number]);
            wanted += truth[number].len().min(K);
            measured.wrong_counts += usize::from(response.hits.len() != K.min(matches(number)));
            measured.distances_per_query += response.stats.distances as f64 / requests.len() as f64;
            measured.exact_share += f64::from(u8::from(response.stats.exact)) / requests.len() as f64;
        }
    }
    // Where nothing matches, nothing can be missed.
    measured.recall = if wanted == 0 { 1.0 } else { hits as f64 / wanted as f64 };
    Ok(measured)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ragstone::Payload;
    use ragstone_benches::random::Random;

    #[test]
    fn short_rows_are_filled_up() {
        let padded = padded(&[vec![1, 2, 3], vec![], vec![4]], 2);
        assert_eq!(padded.elements, [1, 2, NONE, NONE, 4, NONE]);
    }

    /// The judge against answers that are known to be right, wrong and too short.
    #[test]
    fn answers_are_judged() {
        let arguments = Arguments::parse_from(["filters", "--base=b", "--query=q", "--truth=t"]);
        let mut random = Random::new(1);
        let base = Matrix { columns: 4, elements: (0..400).map(|_| random.normal()).collect() };
        let index =
            Index::build_with(&arguments.index, Encoding::default(), &base, |_| Payload::new()).unwrap();
        let requests = vec![request(base.row(0)).exact(), request(base.row(1)).exact()];
        let right: Vec<Vec<u32>> = requests
            .iter()
            .map(|request| {
                ids(&index.collection.search(request).unwrap()).iter().map(|id| *id as u32).collect()
            })
            .collect();
        let judged = answers(&index.collection, &requests, &right, &|_| 100).unwrap();
        assert_eq!((judged.recall, judged.wrong_counts, judged.exact_share), (1.0, 0, 1.0));
        assert!(judged.seconds.iter().all(|seconds| seconds.is_finite()));
        let absent = vec![vec![NONE; 10], right[1].clone()];
        let judged = answers(&index.collection, &requests, &absent, &|query| 10 - query).unwrap();
        assert_eq!((judged.recall, judged.wrong_counts), (0.5, 1));
    }
}
