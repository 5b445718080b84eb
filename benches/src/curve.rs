//! Reading a measured curve at a recall that no setting hit exactly.
//!
//! Only the upper envelope counts: a setting that another beats in both recall and speed is no choice. Between two
//! points of the envelope the logarithm of the speed is linear in the recall, which is how such curves look.

use crate::measure::Point;

/// The larger-is-better value at a recall, of points (recall, value); `None` if no point reaches it. Below the first
/// point of the envelope it is that point's value: slower settings are not the way to less recall.
pub fn value_at(points: &[(f64, f64)], recall: f64) -> Option<f64> {
    let envelope = envelope(points);
    let above = envelope.iter().position(|point| point.0 >= recall)?;
    let (x1, y1) = envelope[above];
    let Some(&(x0, y0)) = above.checked_sub(1).and_then(|below| envelope.get(below)) else {
        return Some(y1);
    };
    Some((y0.ln() + (y1.ln() - y0.ln()) * (recall - x0) / (x1 - x0)).exp())
}

/// Queries per second at a recall.
pub fn qps_at(points: &[Point], recall: f64) -> Option<f64> {
    value_at(&points.iter().map(|point| (point.recall, point.qps)).collect::<Vec<_>>(), recall)
}

/// The smaller-is-better value at a recall: distances or seconds of a query.
pub fn cost_at(points: &[(f64, f64)], recall: f64) -> Option<f64> {
    let inverted: Vec<_> = points.iter().map(|(recall, cost)| (*recall, cost.recip())).collect();
    value_at(&inverted, recall).map(f64::recip)
}

/// The points that no other beats, recall ascending.
fn envelope(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut sorted = points.to_vec();
    sorted.sort_by(|a, b| b.0.total_cmp(&a.0).then(b.1.total_cmp(&a.1)));
    let mut kept: Vec<(f64, f64)> = Vec::new();
    for point in sorted {
        if kept.last().is_none_or(|last| point.1 > last.1) {
            kept.push(point);
        }
    }
    kept.reverse();
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn between_two_points_the_logarithm_is_linear() {
        let points = [(0.9, 10_000.0), (0.98, 100.0)];
        let at = |recall| value_at(&points, recall);
        assert!((at(0.94).unwrap() - 1_000.0).abs() < 1e-6);
        assert!((at(0.98).unwrap() - 100.0).abs() < 1e-9);
        assert_eq!((at(0.5), at(0.981)), (Some(10_000.0), None));
        assert_eq!(value_at(&[], 0.5), None);
    }

    #[test]
    fn a_beaten_point_does_not_count() {
        // The middle one is slower than one that finds more.
        let points = [(0.98, 500.0), (0.9, 1_000.0), (0.95, 400.0)];
        let without = [(0.9, 1_000.0), (0.98, 500.0)];
        assert_eq!(value_at(&points, 0.95), value_at(&without, 0.95));
        assert_eq!(envelope(&points), without);
    }

    #[test]
    fn costs_go_the_other_way() {
        let cost = cost_at(&[(0.9, 100.0), (0.98, 10_000.0), (0.95, 20_000.0)], 0.94).unwrap();
        assert!((cost - 1_000.0).abs() < 1e-6, "{cost}");
    }
}
