//! A query of signed bytes, as products of codes want it.
//!
//! ```text
//! scale = greatest magnitude / 127      component = round(x / scale)
//! ```
//! The arithmetic is scalar and without fused steps, so that every processor makes the same bytes.

/// A vector in signed bytes.
#[derive(Debug)]
pub(super) struct Quantised {
    /// Components, padded with zeros.
    pub(super) components: Vec<i8>,
    /// What a component of one stands for.
    pub(super) scale: f32,
    /// The sum of all components.
    pub(super) sum: i32,
}

/// The scale of a vector: one for a vector of zeros, whose components are zero at any scale.
pub(super) fn scale_of(vector: &[f32]) -> f32 {
    let greatest = greatest_magnitude(vector);
    // Of a subnormal magnitude the quotient would be zero, or its inverse infinite.
    if greatest / 127.0 >= f32::MIN_POSITIVE { greatest / 127.0 } else { 1.0 }
}

/// Lanes of the loops below: in each a chain of its own, as one alone would wait for every step before it.
const LANES: usize = 16;

fn greatest_magnitude(vector: &[f32]) -> f32 {
    let (blocks, rest) = vector.as_chunks::<LANES>();
    let mut lanes = [0.0_f32; LANES];
    for block in blocks {
        for (greatest, x) in lanes.iter_mut().zip(block) {
            *greatest = if x.abs() > *greatest { x.abs() } else { *greatest };
        }
    }
    lanes.iter().chain(rest).fold(0.0, |greatest, x| greatest.max(x.abs()))
}

/// The squared length of a query, summed in the same order on every processor.
pub(super) fn squared_length(query: &[f32]) -> f32 {
    let (blocks, rest) = query.as_chunks::<LANES>();
    let mut lanes = [0.0_f32; LANES];
    for block in blocks {
        for (sum, x) in lanes.iter_mut().zip(block) {
            *sum += x * x;
        }
    }
    lanes.iter().sum::<f32>() + rest.iter().map(|x| x * x).sum::<f32>()
}

/// One component in signed bytes, -127 to 127.
#[inline]
pub(super) fn component_of(x: f32, scale: f32) -> i32 {
    // Rounds half up, by a conversion that cuts: every processor has that as one instruction.
    ((x / scale).clamp(-127.0, 127.0) + 127.5) as i32 - 127
}

/// Quantises a query, padded to `length` components.
pub(super) fn quantise(query: &[f32], length: usize) -> Quantised {
    let scale = scale_of(query);
    let mut components = vec![0; length];
    for (component, x) in components.iter_mut().zip(query) {
        *component = component_of(*x, scale) as i8;
    }
    let sum = components.iter().map(|component| i32::from(*component)).sum();
    Quantised { components, scale, sum }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_component_is_off_by_half_a_step_at_most(query in prop::collection::vec(-1e30_f32..1e30, 1..100)) {
            let made = quantise(&query, 128);
            for (x, component) in query.iter().zip(&made.components) {
                prop_assert!((x - f32::from(*component) * made.scale).abs() <= made.scale * 0.5001);
            }
            prop_assert_eq!(made.components.len(), 128);
        }
    }

    #[test]
    fn extremes_have_a_scale() {
        for query in [vec![0.0; 3], vec![1e-45, -1e-45], vec![f32::MAX, f32::MIN], vec![f32::MIN_POSITIVE]] {
            let made = quantise(&query, 4);
            assert!(made.scale.is_finite() && made.scale > 0.0, "{query:?} {made:?}");
        }
        assert_eq!(quantise(&[f32::MAX, f32::MIN], 2).components, [127, -127]);
    }
}
