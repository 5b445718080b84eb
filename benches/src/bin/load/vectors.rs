//! Vectors of rows and of queries: of files, or drawn at random.

use std::path::Path;

use ragstone_benches::Failure;
use ragstone_benches::data::check_pair;
use ragstone_benches::npy::{Matrix, read_floats};
use ragstone_benches::random::Random;

use super::Arguments;

const ROWS_SEED: u64 = 1;
const QUERY_SEED: u64 = 12;
const CENTRE_SEED: u64 = 14;
/// How far rows lie from their centre in each component, beside how far centres lie from each other.
const AROUND_CENTRE: f32 = 0.7;
/// Different queries that are drawn; they come again and again.
const QUERIES: usize = 1_024;

/// Where they come from, and how they lie.
#[derive(Clone, Debug)]
pub(crate) enum Vectors {
    /// All around nothing, of so many components.
    Drawn(usize),
    /// Around centres.
    Around(Vec<Vec<f32>>),
    /// As a file has them.
    Read(Matrix<f32>),
}

impl Vectors {
    /// Those of the rows that are asked for, of so many components. Queries are looked at too, so that no collection is filled in vain.
    ///
    /// # Errors
    /// Which file cannot be read, has too few rows, or has others than are wanted.
    pub(crate) fn of(arguments: &Arguments, dimension: usize) -> Result<Vectors, Failure> {
        let (Some(base), Some(query)) = (&arguments.base, &arguments.query) else {
            return Ok(Vectors::drawn(dimension, arguments.centres));
        };
        let mut base = read_floats(base)?;
        check_pair(&base, &read_queries(query)?)?;
        if base.columns != dimension {
            return Err(
                format!("the base has {} columns, and --dimension is {dimension}", base.columns).into()
            );
        }
        if base.len() < arguments.rows {
            return Err(format!("the base has {} rows, and --rows is {}", base.len(), arguments.rows).into());
        }
        base.truncate(arguments.rows);
        Ok(Vectors::Read(base))
    }

    /// What is searched with, of so many components. A file of rows, which may be gigabytes, is not read for it.
    ///
    /// # Errors
    /// The file of queries cannot be read, has none, or has others than are wanted.
    pub(crate) fn queries(arguments: &Arguments, dimension: usize) -> Result<Vec<Vec<f32>>, Failure> {
        let Some(file) = &arguments.query else {
            let drawn = Vectors::drawn(dimension, arguments.centres);
            return Ok(drawn.draws(QUERY_SEED).take(QUERIES).collect());
        };
        let query = read_queries(file)?;
        if query.columns != dimension {
            return Err(format!("the queries have {} columns, not {dimension}", query.columns).into());
        }
        Ok(query.rows().map(<[f32]>::to_vec).collect())
    }

    fn drawn(dimension: usize, centres: usize) -> Vectors {
        let mut random = Random::new(CENTRE_SEED);
        match centres {
            0 => Vectors::Drawn(dimension),
            _ => Vectors::Around((0..centres).map(|_| normal(&mut random, dimension).collect()).collect()),
        }
    }

    /// So many rows, in their order; of files, as many as these have.
    pub(crate) fn rows(&self, count: usize) -> Box<dyn Iterator<Item = Vec<f32>> + Send + '_> {
        match self {
            Vectors::Read(base) => Box::new(base.rows().take(count).map(<[f32]>::to_vec)),
            _ => Box::new(self.draws(ROWS_SEED).take(count)),
        }
    }

    /// Draws without end, of the normal distribution.
    fn draws(&self, seed: u64) -> impl Iterator<Item = Vec<f32>> + Send + '_ {
        let mut random = Random::new(seed);
        std::iter::from_fn(move || match self {
            Vectors::Drawn(dimension) => Some(normal(&mut random, *dimension).collect()),
            Vectors::Around(centres) => {
                let centre = &centres[random.below(centres.len())];
                let drawn = centre.iter().zip(normal(&mut random, centre.len()));
                Some(drawn.map(|(at, by)| at + by * AROUND_CENTRE).collect())
            }
            Vectors::Read(_) => None,
        })
    }
}

/// Queries of a file, of which there is one at least.
fn read_queries(file: &Path) -> Result<Matrix<f32>, Failure> {
    let query = read_floats(file)?;
    if query.is_empty() { Err("the file of queries has none".into()) } else { Ok(query) }
}

fn normal(random: &mut Random, dimension: usize) -> impl Iterator<Item = f32> {
    (0..dimension).map(move |_| random.normal())
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use ragstone_benches::npy::write_floats;

    use super::*;

    #[test]
    fn vectors_lie_around_centres_where_there_are_any() {
        let distance = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f32>();
        let vectors = Vectors::drawn(64, 2);
        let Vectors::Around(centres) = &vectors else { panic!("there are centres") };
        for vector in vectors.rows(100) {
            let nearest = centres.iter().map(|centre| distance(centre, &vector)).reduce(f32::min);
            // 64 squares of 0.7 on average, and of vectors that know of no centre four times as many.
            assert!(nearest.unwrap() < 60.0, "{nearest:?}");
        }
        let arguments = Arguments::try_parse_from(["load", "--centres", "0"]).unwrap();
        let queries = Vectors::queries(&arguments, 3).unwrap();
        assert!(queries.len() == QUERIES && queries.iter().all(|vector| vector.len() == 3));
    }

    #[test]
    fn files_are_taken_as_they_are_if_they_fit() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let matrix =
            |rows: usize| Matrix { columns: 2, elements: (0..2 * rows).map(|at| at as f32).collect() };
        write_floats(&path("base"), &matrix(3)).unwrap();
        write_floats(&path("query"), &matrix(1)).unwrap();
        let arguments = |rows: &str| {
            let (base, query) = (path("base"), path("query"));
            let words = [
                "load",
                "--rows",
                rows,
                "--base",
                base.to_str().unwrap(),
                "--query",
                query.to_str().unwrap(),
            ];
            Arguments::try_parse_from(words).unwrap()
        };
        let read =
            |rows, dimension| Vectors::of(&arguments(rows), dimension).map_err(|error| error.to_string());
        let vectors = read("2", 2).unwrap();
        assert_eq!(vectors.rows(2).collect::<Vec<_>>(), [[0.0, 1.0], [2.0, 3.0]]);
        assert_eq!(read("4", 2).unwrap_err(), "the base has 3 rows, and --rows is 4");
        assert_eq!(read("2", 3).unwrap_err(), "the base has 2 columns, and --dimension is 3");

        // Who only asks needs no rows.
        std::fs::remove_file(path("base")).unwrap();
        let queries =
            |dimension| Vectors::queries(&arguments("2"), dimension).map_err(|error| error.to_string());
        assert_eq!(queries(2).unwrap(), [[0.0, 1.0]]);
        assert_eq!(queries(3).unwrap_err(), "the queries have 2 columns, not 3");
        write_floats(&path("query"), &matrix(0)).unwrap();
        assert_eq!(queries(2).unwrap_err(), "the file of queries has none");
    }
}
