//! Quantiles of samples.

/// The value that a share of the samples (0 to 1) does not exceed, linear between neighbours as NumPy has it;
/// `None` of no samples. Sorts them.
pub fn quantile(samples: &mut [f64], share: f64) -> Option<f64> {
    samples.sort_unstable_by(f64::total_cmp);
    let last = samples.len().checked_sub(1)?;
    let place = share.clamp(0.0, 1.0) * last as f64;
    let (below, above) = (samples[place.floor() as usize], samples[place.ceil() as usize]);
    Some(below + (above - below) * place.fract())
}

/// The mean; `None` of no samples.
pub fn mean(samples: &[f64]) -> Option<f64> {
    (!samples.is_empty()).then(|| samples.iter().sum::<f64>() / samples.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn between_two_samples_it_is_linear() {
        let mut samples = [4.0, 1.0, 3.0, 2.0];
        let expected = [(0.0, 1.0), (0.5, 2.5), (0.25, 1.75), (1.0, 4.0), (7.0, 4.0)];
        for (share, value) in expected {
            assert_eq!(quantile(&mut samples, share), Some(value), "{share}");
        }
        assert_eq!(mean(&samples), Some(2.5));
    }

    #[test]
    fn nothing_has_no_quantile() {
        assert_eq!((quantile(&mut [], 0.5), mean(&[])), (None, None));
        assert_eq!(quantile(&mut [7.0], 0.99), Some(7.0));
    }
}
