//! A data set read whole and checked: the parts fit each other.

use crate::Failure;
use crate::arguments::DataArguments;
use crate::measure::K;
use crate::npy::{Matrix, read_floats, read_ids};

/// Rows, queries and the truth about them.
#[derive(Clone, Debug)]
pub struct Data {
    /// Rows to index.
    pub base: Matrix<f32>,
    /// As long as the truth.
    pub query: Matrix<f32>,
    /// The nearest rows of each query, nearest first.
    pub truth: Matrix<u32>,
}

impl Data {
    /// Reads the files; queries without a truth, or truths without a query, are left out.
    ///
    /// # Errors
    /// Which file cannot be read, or does not fit the others.
    pub fn read(arguments: &DataArguments) -> Result<Self, Failure> {
        let (base, mut query) = read_pair(arguments)?;
        let mut truth = read_ids(&arguments.truth)?;
        if truth.columns < K {
            return Err(format!("the truth has {} columns, not {K}", truth.columns).into());
        }
        let both = query.len().min(truth.len());
        query.truncate(both);
        truth.truncate(both);
        if both == 0 {
            return Err("there are no queries".into());
        }
        let rows = base.len();
        if let Some(id) = truth.elements.iter().find(|&&id| id as usize >= rows) {
            return Err(format!("the truth names row {id}, and the base has {rows} rows").into());
        }
        Ok(Self { base, query, truth })
    }

    /// Keeps the first queries only.
    pub fn keep_queries(&mut self, count: usize) {
        self.query.truncate(count);
        self.truth.truncate(count);
    }
}

fn read_pair(arguments: &DataArguments) -> Result<(Matrix<f32>, Matrix<f32>), Failure> {
    let (base, query) = (read_floats(&arguments.base)?, read_floats(&arguments.query)?);
    check_pair(&base, &query)?;
    Ok((base, query))
}

/// Checks that rows and queries can be compared.
///
/// # Errors
/// What keeps them from it.
pub fn check_pair(base: &Matrix<f32>, query: &Matrix<f32>) -> Result<(), Failure> {
    if base.is_empty() {
        return Err("the base has no rows".into());
    }
    if base.columns != query.columns {
        return Err(format!("the base has {} columns, the queries {}", base.columns, query.columns).into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::npy::{write_floats, write_ids};

    fn read(base: (usize, usize), query: (usize, usize), truth: (usize, usize)) -> Result<Data, Failure> {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let arguments = DataArguments { base: path("base"), query: path("query"), truth: path("truth") };
        let floats = |(rows, columns)| Matrix { columns, elements: vec![0.5_f32; rows * columns] };
        write_floats(&arguments.base, &floats(base)).unwrap();
        write_floats(&arguments.query, &floats(query)).unwrap();
        let (rows, columns) = truth;
        write_ids(&arguments.truth, &Matrix { columns, elements: (0..(rows * columns) as u32).collect() })
            .unwrap();
        Data::read(&arguments)
    }

    #[test]
    fn the_shorter_of_queries_and_truth_counts() {
        let data = read((40, 3), (5, 3), (4, 10)).unwrap();
        assert_eq!((data.base.len(), data.query.len(), data.truth.len()), (40, 4, 4));
    }

    #[test]
    fn parts_that_do_not_fit_are_named() {
        let cases = [
            ((40, 3), (4, 2), (4, 10), "columns"),
            ((40, 3), (4, 3), (4, 9), "truth has 9 columns"),
            ((39, 3), (4, 3), (4, 10), "names row 39"),
            ((40, 3), (0, 3), (4, 10), "no queries"),
            ((0, 3), (4, 3), (4, 10), "no rows"),
        ];
        for (base, query, truth, expected) in cases {
            let message = read(base, query, truth).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
    }
}
