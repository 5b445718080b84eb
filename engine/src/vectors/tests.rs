//! Every encoding under every metric against the exact distances.

use std::sync::Arc;

use super::*;
use crate::random::SplitMix64;
use crate::schema::DenseOptions;

const METRICS: [Metric; 3] = [Metric::Cosine, Metric::Dot, Metric::L2];
const CODED: [EncodingKind; 4] =
    [EncodingKind::F16, EncodingKind::Int8, EncodingKind::Int4, EncodingKind::Bit1];
const DIMENSIONS: [usize; 7] = [1, 3, 63, 65, 127, 129, 384];

/// Points around a few centres that are themselves off the origin, as embeddings are.
fn clustered(rows: usize, dimension: usize, metric: Metric, random: &mut SplitMix64) -> Vec<Vec<f32>> {
    let centres: Vec<Vec<f32>> =
        (0..10).map(|_| (0..dimension).map(|_| 0.5 + random.normal()).collect()).collect();
    let rows = (0..rows).map(|row| {
        let mut row: Vec<f32> = centres[row % 10].iter().map(|x| x + 0.6 * random.normal()).collect();
        let length = ragstone_kernels::norm(&row);
        let wanted = match metric {
            Metric::Cosine => 1.0,
            Metric::Dot => 0.5 + random.uniform(),
            Metric::L2 => length,
        };
        row.iter_mut().for_each(|x| *x *= wanted / length);
        row
    });
    rows.collect()
}

/// Rows with the codes that a sealed segment has.
struct Coded {
    rows: GrowingRows,
    codes: Option<GrowingCodes>,
}

impl Coded {
    fn new(vectors: &[Vec<f32>], encodings: &Encodings) -> Self {
        let rows = GrowingRows::new(vectors[0].len(), None);
        vectors.iter().for_each(|vector| {
            rows.push(vector);
        });
        let sample: Vec<&[f32]> = vectors.iter().map(Vec::as_slice).collect();
        let of = |codec: Arc<dyn Codec>| GrowingCodes::of(codec.clone(), codec.train(&sample), &rows);
        let codes = encodings.sealed.codec().map(of);
        Self { rows, codes }
    }
}

impl Rows for Coded {
    fn dimension(&self) -> usize {
        self.rows.dimension()
    }
    fn len(&self) -> usize {
        self.rows.len()
    }
    fn row(&self, slot: Slot) -> std::borrow::Cow<'_, [f32]> {
        self.rows.row(slot)
    }
    fn gather<'a>(&'a self, slots: &[Slot], out: &mut [&'a [f32]]) {
        self.rows.gather(slots, out);
    }
    fn squared_lengths(&self, slots: &[Slot], out: &mut [f32]) {
        self.rows.squared_lengths(slots, out);
    }
    fn lengths(&self) -> super::rows::Lengths {
        self.rows.lengths()
    }
    fn greatest_length(&self) -> f32 {
        self.rows.greatest_length()
    }
    fn codes(&self) -> CodesRef<'_> {
        self.codes.as_ref().map_or(CodesRef::NONE, CodesRef::Growing)
    }
}

fn encodings(dimension: usize, metric: Metric, kind: EncodingKind, walked: usize) -> Encodings {
    let options = DenseOptions::new(dimension).metric(metric).encoding(kind).walk_dimension(walked);
    Encodings::new(&options)
}

/// Estimates, exact distances, and the margin.
fn compared(rows: &Coded, query: &[f32], encodings: &Encodings) -> (Vec<f32>, Vec<f32>, f32) {
    let slots: Vec<Slot> = (0..rows.len() as u32).map(Slot).collect();
    let (mut estimates, mut exact) = (vec![f32::NAN; slots.len()], vec![f32::NAN; slots.len()]);
    let scorer = encodings.sealed.scorer(query, rows);
    scorer.score(&slots, &mut estimates);
    encodings.exact_scorer(query, rows).score(&slots, &mut exact);
    (estimates, exact, scorer.margin())
}

/// The share of rows whose exact distance lies within the margin of its estimate, over all dimensions. Three standard
/// deviations of a normal distribution would be .997; of `int8` and `int4` some combinations are a little worse.
#[test]
fn estimates_are_within_the_margin() {
    for (kind, metric) in CODED.iter().flat_map(|kind| METRICS.map(|metric| (*kind, metric))) {
        let (mut within, mut all) = (0, 0);
        for dimension in DIMENSIONS {
            let mut random = SplitMix64(dimension as u64);
            let mut vectors = clustered(400, dimension, metric, &mut random);
            let queries = vectors.split_off(390);
            let encodings = encodings(dimension, metric, kind, dimension);
            let rows = Coded::new(&vectors, &encodings);
            for query in &queries {
                let (estimates, exact, margin) = compared(&rows, query, &encodings);
                assert!(margin > 0.0 && margin.is_finite(), "{kind:?} {metric:?} {dimension}: {margin}");
                within += estimates.iter().zip(&exact).filter(|(a, b)| (*a - *b).abs() <= margin).count();
                all += exact.len();
            }
        }
        let share = within as f64 / f64::from(all as u32);
        println!("{kind:?} {metric:?}: {share:.4}");
        assert!(share >= 0.98, "{kind:?} {metric:?}: {share:.4} within the margin");
    }
}

/// A walk ends early by the ratio of distances, so a score and the shift have to make a squared distance, or a multiple of
/// one. Where rows of several lengths are compared by products, nothing does.
#[test]
fn shifted_scores_are_squared_distances() {
    let dimension = 129;
    for (kind, metric) in CODED.iter().flat_map(|kind| METRICS.map(|metric| (*kind, metric))) {
        let mut vectors = clustered(400, dimension, metric, &mut SplitMix64(4));
        let query = vectors.pop().unwrap();
        let encodings = encodings(dimension, metric, kind, dimension);
        if metric == Metric::Dot {
            let rows = Coded::new(&vectors, &encodings);
            assert_eq!(encodings.sealed.scorer(&query, &rows).shift(), None, "{kind:?}");
            for row in &mut vectors {
                let length = ragstone_kernels::norm(row);
                row.iter_mut().for_each(|x| *x *= 1.7 / length);
            }
        }
        let rows = Coded::new(&vectors, &encodings);
        let shift = encodings.sealed.scorer(&query, &rows).shift().unwrap();
        let (estimates, _, margin) = compared(&rows, &query, &encodings);
        let query_length = ragstone_kernels::norm(&query);
        let expected = vectors.iter().map(|row| {
            // Of unit vectors, times half the product of the lengths that they had.
            let lengths =
                if metric == Metric::L2 { (1.0, 1.0) } else { (ragstone_kernels::norm(row), query_length) };
            let differences = row.iter().zip(&query).map(|(x, y)| x / lengths.0 - y / lengths.1);
            let squared: f32 = differences.map(|difference| difference * difference).sum();
            if metric == Metric::L2 { squared } else { squared * lengths.0 * lengths.1 / 2.0 }
        });
        let is_near = |(estimate, expected): (&f32, f32)| (estimate + shift - expected).abs() <= 2.0 * margin;
        let near = estimates.iter().zip(expected).filter(|pair| is_near(*pair)).count();
        assert!(near >= 391, "{kind:?} {metric:?}: {near} of 399");
    }
}

/// How large errors are, relative to the lengths of row and query: the figures that the modules state.
#[test]
fn errors_are_as_small_as_the_bits_allow() {
    let (dimension, metric) = (384, Metric::Cosine);
    let mut random = SplitMix64(3);
    let mut vectors = clustered(400, dimension, metric, &mut random);
    let query = vectors.pop().unwrap();
    let cases = [
        (EncodingKind::F16, 3e-5),
        (EncodingKind::Int8, 2e-3),
        (EncodingKind::Int4, 1e-2),
        (EncodingKind::Bit1, 4e-2),
    ];
    for (kind, bound) in cases {
        let encodings = encodings(dimension, metric, kind, dimension);
        let (estimates, exact, _) = compared(&Coded::new(&vectors, &encodings), &query, &encodings);
        let squares: f64 = estimates.iter().zip(&exact).map(|(a, b)| f64::from((a - b) * (a - b))).sum();
        let error = (squares / exact.len() as f64).sqrt();
        println!("{kind:?}: {error:.6}");
        assert!(error < bound, "{kind:?}: {error}");
    }
}

#[test]
fn a_prefix_leaves_every_candidate_in_doubt_and_is_compared_alone() {
    for (kind, metric) in
        [EncodingKind::F16, EncodingKind::Bit1].iter().flat_map(|kind| METRICS.map(|metric| (kind, metric)))
    {
        let mut random = SplitMix64(5);
        let vectors = clustered(200, 40, metric, &mut random);
        let walked = encodings(40, metric, *kind, 16);
        let (estimates, _, margin) = compared(&Coded::new(&vectors, &walked), &vectors[0], &walked);
        assert_eq!(margin, f32::INFINITY, "{kind:?} {metric:?}");
        let cut: Vec<Vec<f32>> = vectors.iter().map(|vector| vector[..16].to_vec()).collect();
        let encodings = encodings(16, metric, *kind, 16);
        let (of_prefix, ..) = compared(&Coded::new(&cut, &encodings), &cut[0], &encodings);
        assert_eq!(estimates, of_prefix, "{kind:?} {metric:?}");
    }
}

/// Rows that are zero, subnormal, as long as a collection takes them, alike, or alone.
#[test]
fn extremes_have_estimates() {
    let long = |sign: f32| vec![sign * 6e18 / 65.0_f32.sqrt() * 0.999; 65];
    let sets: [(&str, Vec<Vec<f32>>); 6] = [
        ("zeros", vec![vec![0.0; 65]; 3]),
        ("subnormal", vec![vec![1e-40; 65], vec![-f32::from_bits(1); 65], vec![0.0; 65]]),
        ("long", vec![long(1.0), long(-1.0), vec![1e18 / 9.0; 65]]),
        ("mixed", vec![long(1.0), vec![1e-40; 65], vec![0.0; 65], vec![1.0; 65]]),
        ("alike", vec![vec![0.25; 65]; 20]),
        ("alone", vec![(0..65).map(|i| i as f32 - 30.0).collect()]),
    ];
    for (name, vectors) in &sets {
        for (kind, metric) in
            CODED.iter().flat_map(|kind| [Metric::Dot, Metric::L2].map(|metric| (*kind, metric)))
        {
            let encodings = encodings(65, metric, kind, 65);
            let rows = Coded::new(vectors, &encodings);
            for query in vectors.iter().chain([&vec![0.0; 65], &vec![1.0; 65], &long(0.7)]) {
                let (estimates, exact, margin) = compared(&rows, query, &encodings);
                let context =
                    format!("{name} {kind:?} {metric:?}: {estimates:?} for {exact:?}, margin {margin}");
                assert!(!margin.is_nan(), "{context}");
                assert!(estimates.iter().all(|distance| !distance.is_nan()), "{context}");
                if *name == "alike" {
                    assert!(estimates.iter().all(|distance| *distance == estimates[0]), "{context}");
                }
                let scale = exact.iter().fold(0.0_f32, |scale, distance| scale.max(distance.abs()));
                if kind == EncodingKind::F16 {
                    let off = estimates.iter().zip(&exact).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                    assert!(off <= scale * 2e-3, "{context}");
                }
            }
        }
    }
}

/// A quantiser learns from the rows, so rows far from the origin are kept as well as those around it.
#[test]
fn one_bit_is_relative_to_the_centroid() {
    let mut random = SplitMix64(9);
    let vectors = clustered(300, 64, Metric::L2, &mut random);
    let far: Vec<Vec<f32>> =
        vectors.iter().map(|vector| vector.iter().map(|x| x + 100.0).collect()).collect();
    let encodings = encodings(64, Metric::L2, EncodingKind::Bit1, 64);
    let (near_estimates, _, near_margin) =
        compared(&Coded::new(&vectors, &encodings), &vectors[0], &encodings);
    let (far_estimates, _, far_margin) = compared(&Coded::new(&far, &encodings), &far[0], &encodings);
    assert!((near_margin - far_margin).abs() < 0.05 * near_margin, "{near_margin} {far_margin}");
    for (near, far) in near_estimates.iter().zip(far_estimates) {
        assert!((near - far).abs() < near_margin, "{near} {far}");
    }
}

/// Codes whose parameters are not those of the codec (a segment of another version) are compared all the same, with
/// everything in doubt where the parameters would have said how much.
#[test]
fn codes_without_parameters_leave_every_candidate_in_doubt() {
    let mut random = SplitMix64(2);
    for (kind, metric) in CODED.iter().flat_map(|kind| METRICS.map(|metric| (*kind, metric))) {
        let vectors = clustered(50, 20, metric, &mut random);
        let encodings = encodings(20, metric, kind, 20);
        let mut rows = Coded::new(&vectors, &encodings);
        let codec = encodings.sealed.codec().unwrap();
        rows.codes = Some(GrowingCodes::of(codec, Vec::new(), &rows.rows));
        let (estimates, exact, margin) = compared(&rows, &vectors[0], &encodings);
        assert!(margin == f32::INFINITY || kind == EncodingKind::Int8, "{kind:?} {metric:?}: {margin}");
        let scale = exact.iter().fold(0.0_f32, |scale, distance| scale.max(distance.abs()));
        for (estimate, exact) in estimates.iter().zip(&exact) {
            assert!((estimate - exact).abs() <= 0.5 * scale, "{kind:?} {metric:?}: {estimate} for {exact}");
        }
    }
}
