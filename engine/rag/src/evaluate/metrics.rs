//! What a ranking is worth. Pure: gains in the order of the ranking in, figures out.
//!
//! The definitions are those of trec_eval: gains count linearly in the discounted sum, a document answers if its gain is above 0, and the best
//! ranking that there could be is made of all judgements, found or not.

use std::collections::HashMap;

/// Which documents answer a question, and how well.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Judgements {
    gains: HashMap<String, f64>,
}

impl Judgements {
    /// Notes a judgement; the gain that there was before, if there was one.
    pub fn insert(&mut self, document: impl Into<String>, gain: f64) -> Option<f64> {
        self.gains.insert(document.into(), gain)
    }

    /// What finding a document is worth: 0 if it was not judged.
    pub fn gain(&self, document: &str) -> f64 {
        self.gains.get(document).copied().unwrap_or(0.0).max(0.0)
    }

    /// How many documents answer.
    pub fn answering(&self) -> usize {
        self.gains.values().filter(|gain| **gain > 0.0).count()
    }

    /// The documents that were judged.
    pub fn documents(&self) -> impl Iterator<Item = &str> {
        self.gains.keys().map(String::as_str)
    }

    /// The gains of the best ranking.
    fn best(&self) -> Vec<f64> {
        let mut best: Vec<f64> = self.gains.values().copied().filter(|gain| *gain > 0.0).collect();
        best.sort_by(|a, b| b.total_cmp(a));
        best
    }
}

/// The discounted sum of the first `n` gains, as a part of that of the best ranking; 0 where nothing answers.
pub fn ndcg(gains: &[f64], judged: &Judgements, n: usize) -> f64 {
    let best = discounted(&judged.best(), n);
    if best > 0.0 { discounted(gains, n) / best } else { 0.0 }
}

/// How much of what answers is among the first `n`; 0 where nothing answers.
pub fn recall(gains: &[f64], judged: &Judgements, n: usize) -> f64 {
    let found = gains.iter().take(n).filter(|gain| **gain > 0.0).count();
    found as f64 / judged.answering().max(1) as f64
}

/// One over the place of the first that answers, of the first `n`; 0 if none does.
pub fn reciprocal_rank(gains: &[f64], n: usize) -> f64 {
    gains.iter().take(n).position(|gain| *gain > 0.0).map_or(0.0, |at| 1.0 / (at as f64 + 1.0))
}

fn discounted(gains: &[f64], n: usize) -> f64 {
    (2..).zip(gains.iter().take(n)).map(|(rank, gain)| gain / f64::from(rank).log2()).sum()
}
