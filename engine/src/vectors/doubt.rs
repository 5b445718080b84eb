//! How far estimates are from what they estimate, measured when a codec is trained.
//!
//! An encoding whose error cannot be said beforehand compares pairs of a sample of the rows, one of the pair as query. The
//! root of the mean square of the errors, each relative to what it grows with (the lengths of both), is kept with the
//! codes. Pairs drawn at random are farther apart than a query and its nearest rows, and errors shrink with the
//! distance, so this errs to the safe side.

/// Pairs that are compared.
const PAIRS: usize = 4096;
/// Standard deviations of an error that count as doubt.
const DEVIATIONS: f32 = 3.0;
/// One row in so many may be longer than what counts as the length of rows.
const LONGER_ONE_IN: usize = 100;

/// Pairs of `rows` rows, spread over all of them; a row may meet itself where there are few.
pub(super) fn pairs(rows: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..PAIRS.min(rows * rows)).map(move |pair| {
        let round = pair / rows;
        let from = pair % rows;
        (from, (from + 1 + round * round) % rows)
    })
}

/// The root of the mean square of relative errors; those that are no number (rows of length zero) do not count.
pub(super) fn root_mean_square(errors: impl Iterator<Item = f32>) -> f32 {
    let finite = errors.filter(|error| error.is_finite());
    let (sum, count) = finite
        .fold((0.0_f64, 0), |(sum, count), error| (sum + f64::from(error) * f64::from(error), count + 1));
    (sum / f64::from(count.max(1))).sqrt() as f32
}

/// The length that few rows exceed: what errors that grow with it are estimated by. Not the longest, which one odd row
/// would make.
pub(super) fn usual_length(mut lengths: Vec<f32>) -> f32 {
    lengths.sort_unstable_by(f32::total_cmp);
    let place = (lengths.len() * (LONGER_ONE_IN - 1)).div_ceil(LONGER_ONE_IN);
    lengths.get(place.saturating_sub(1)).copied().unwrap_or_default()
}

/// The margin of a scorer whose error has this root of the mean square. Never zero, which would say that scores are
/// exact.
pub(super) fn margin(error: f32) -> f32 {
    // An error that is no number says nothing, so everything is in doubt.
    if error.is_nan() { f32::INFINITY } else { (DEVIATIONS * error).max(f32::MIN_POSITIVE) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_spread_over_all_rows() {
        for rows in [1, 2, 3, 100, 1024, 10_000] {
            let all: Vec<_> = pairs(rows).collect();
            assert!(!all.is_empty() && all.len() <= PAIRS);
            assert!(all.iter().all(|(from, to)| *from < rows && *to < rows));
            let mut from: Vec<usize> = all.iter().map(|pair| pair.0).collect();
            from.dedup();
            assert!(from.len() >= rows.min(PAIRS), "{rows}");
        }
        assert_eq!(pairs(0).count(), 0);
    }

    #[test]
    fn the_usual_length_ignores_one_row_in_a_hundred() {
        let mut lengths: Vec<f32> = (1..=200).map(|length| length as f32).collect();
        lengths[7] = 1e18;
        assert_eq!(usual_length(lengths), 199.0);
        assert_eq!(usual_length(vec![3.0]), 3.0);
        assert_eq!(usual_length(Vec::new()), 0.0);
    }

    #[test]
    fn errors_that_are_no_numbers_do_not_count() {
        let error = root_mean_square([3.0, f32::NAN, -4.0, f32::INFINITY].into_iter());
        assert!((error - 12.5_f32.sqrt()).abs() < 1e-6);
        assert_eq!(root_mean_square(std::iter::empty()), 0.0);
        assert!(margin(0.0) > 0.0);
    }
}
