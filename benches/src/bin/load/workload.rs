//! Which call comes next, and with what: it follows from the call's number, so that runs and places get the same.

use std::str::FromStr;
use std::sync::Arc;

use ragstone_benches::Failure;
use ragstone_benches::random::{Random, hash};
use ragstone_proto::v1;
use tonic::{Response, Status};

use super::Arguments;
use super::calls::Calls;
use super::drive::{Callee, Outcome};
use super::vectors::Vectors;
use super::words;

/// Decides the kinds of calls.
const MIX_SEED: u64 = 11;
const QUESTION_SEED: u64 = 13;
/// Different questions; they come again and again, as queries do.
const QUESTIONS: usize = 1_024;
/// Different ids that upserts write.
const UPSERTED_IDS: u64 = 10_000;

/// A kind of call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Search,
    Retrieve,
    Upsert,
}

impl Kind {
    const ALL: [Kind; 3] = [Kind::Search, Kind::Retrieve, Kind::Upsert];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Search => "search",
            Kind::Retrieve => "retrieve",
            Kind::Upsert => "upsert",
        }
    }
}

/// Kinds of calls and their shares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mix(Vec<(Kind, u64)>);

impl Mix {
    pub(crate) fn searches() -> Mix {
        Mix(vec![(Kind::Search, 1)])
    }

    pub(crate) fn has(&self, kind: Kind) -> bool {
        self.0.iter().any(|(other, _)| *other == kind)
    }

    /// The kind of a call.
    fn kind(&self, number: u64) -> Kind {
        let all = self.0.iter().map(|(_, share)| share).sum::<u64>().max(1);
        let mut at = hash(MIX_SEED, number) % all;
        for (kind, share) in &self.0 {
            if at < *share {
                return *kind;
            }
            at -= share;
        }
        Kind::Search
    }
}

impl FromStr for Mix {
    type Err = String;

    fn from_str(text: &str) -> Result<Mix, String> {
        let mut mix: Vec<(Kind, u64)> = Vec::new();
        for part in text.split(',') {
            let (name, share) = part.split_once('=').unwrap_or((part, "1"));
            let known = Kind::ALL.into_iter().find(|kind| kind.name() == name.trim());
            let kind = known.ok_or_else(|| format!("`{name}` is none of search, retrieve and upsert"))?;
            let share = share.trim().parse::<u32>().ok().filter(|share| *share > 0);
            let share =
                share.ok_or_else(|| format!("the share of {name} is a whole number of at least 1"))?;
            if mix.iter().any(|(other, _)| *other == kind) {
                return Err(format!("{name} stands there twice"));
            }
            mix.push((kind, u64::from(share)));
        }
        Ok(Mix(mix))
    }
}

/// A point as a collection is filled with, and as upserts write them.
pub(crate) fn point(id: v1::point_id::Id, values: Vec<f32>, number: u64) -> v1::Point {
    let value = |kind| v1::Value { kind: Some(kind) };
    let category = v1::value::Kind::IntValue((number % 100) as i64);
    let source = v1::value::Kind::StringValue(format!("source-{:05}", number % 1_000));
    v1::Point {
        id: Some(v1::PointId { id: Some(id) }),
        vector: Some(v1::Vector { values }),
        payload: [("category".to_owned(), value(category)), ("source".to_owned(), value(source))].into(),
        ..Default::default()
    }
}

/// What is asked and written.
#[derive(Debug)]
pub(crate) struct Workload {
    collection: String,
    mix: Mix,
    k: u32,
    ef: Option<u32>,
    batch: u64,
    vectors: Vec<Vec<f32>>,
    questions: Vec<String>,
}

impl Workload {
    /// Of a collection whose vectors have so many components.
    ///
    /// # Errors
    /// Those of [`Vectors::queries`].
    pub(crate) fn new(arguments: &Arguments, mix: Mix, dimension: usize) -> Result<Workload, Failure> {
        let mut asked = Random::new(QUESTION_SEED);
        Ok(Workload {
            collection: arguments.collection.clone(),
            mix,
            k: arguments.k,
            ef: arguments.ef,
            batch: arguments.batch as u64,
            vectors: Vectors::queries(arguments, dimension)?,
            questions: (0..QUESTIONS).map(|_| words::text(&mut asked, 6)).collect(),
        })
    }

    fn vector(&self, number: u64) -> &Vec<f32> {
        &self.vectors[number as usize % self.vectors.len()]
    }

    /// The vectors that are searched with.
    pub(crate) fn vectors(&self) -> &[Vec<f32>] {
        &self.vectors
    }

    pub(crate) fn query(&self, number: u64) -> v1::QueryRequest {
        v1::QueryRequest {
            collection: self.collection.clone(),
            k: self.k,
            ef: self.ef,
            query: Some(v1::query_request::Query::Vector(v1::Vector { values: self.vector(number).clone() })),
            ..Default::default()
        }
    }

    fn retrieval(&self, number: u64) -> v1::RetrieveRequest {
        v1::RetrieveRequest {
            collection: self.collection.clone(),
            question: self.questions[number as usize % self.questions.len()].clone(),
            k: Some(self.k),
            mode: v1::RetrievalMode::Hybrid.into(),
            ..Default::default()
        }
    }

    fn upsert(&self, number: u64) -> v1::UpsertPointsRequest {
        let points = (0..self.batch).map(|place| {
            let at = number * self.batch + place;
            let id = v1::point_id::Id::Text(format!("load-{:05}", at % UPSERTED_IDS));
            point(id, self.vector(at).clone(), at)
        });
        v1::UpsertPointsRequest {
            collection: self.collection.clone(),
            points: points.collect(),
            ..Default::default()
        }
    }
}

/// A workload on its way to a server.
#[derive(Debug)]
pub(crate) struct Load {
    calls: Vec<Calls>,
    workload: Arc<Workload>,
}

impl Load {
    /// Over some connections, one at least.
    pub(crate) fn new(calls: Vec<Calls>, workload: Arc<Workload>) -> Load {
        Load { calls, workload }
    }
}

impl Callee for Load {
    async fn call(&self, caller: usize, number: u64) -> (Kind, Outcome) {
        let (calls, workload) = (&self.calls[caller % self.calls.len()], &self.workload);
        let kind = workload.mix.kind(number);
        let outcome = match kind {
            Kind::Search => outcome(calls.search().query(workload.query(number)).await),
            Kind::Retrieve => outcome(calls.rag().retrieve(workload.retrieval(number)).await),
            Kind::Upsert => outcome(calls.points().upsert_points(workload.upsert(number)).await),
        };
        (kind, outcome)
    }
}

fn outcome<T>(answer: Result<Response<T>, Status>) -> Outcome {
    answer.map(drop).map_err(|status| format!("{:?}", status.code()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mix_is_read_and_kept_to() {
        let mix: Mix = "search=6, retrieve=3,upsert".parse().unwrap();
        assert_eq!(mix, Mix(vec![(Kind::Search, 6), (Kind::Retrieve, 3), (Kind::Upsert, 1)]));
        let count = |kind| (0..10_000).filter(|number| mix.kind(*number) == kind).count();
        for (kind, share) in &mix.0 {
            let (found, wanted) = (count(*kind), *share as usize * 1_000);
            assert!(found.abs_diff(wanted) < 300, "{kind:?}: {found} of 10000");
        }
        for wrong in ["", "sing", "search=0", "search=-1", "search,search=2", "search=x"] {
            assert!(wrong.parse::<Mix>().is_err(), "{wrong}");
        }
    }
}
