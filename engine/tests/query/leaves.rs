//! Random queries: sources of every kind, alone and within others.

use ragstone::query::{
    Example, Fuse, Fusion, Nearest, OrderBy, Query, Recommend, Rescore, Source, Strategy, TextQuery,
};
use ragstone::{PointId, SparseVector, Vector};

use super::kinds::vector;
use super::oracle::dense;
use super::support::{ORDERED, WORDS};
use super::world::{Numbers, World};

impl World {
    /// An example by a dense vector.
    fn example(&mut self, name: &str) -> Example {
        let with_vector: Vec<&PointId> = self
            .points
            .values()
            .filter(|point| dense(point, name).is_some())
            .map(|point| &point.id)
            .collect();
        if with_vector.is_empty() || self.random.is_one_in(3) {
            return Example::Vector(self.numbers.dense(&mut self.random, name));
        }
        Example::Id(self.random.pick(&with_vector).clone())
    }

    /// By the default vector or a named one.
    fn recommend(&mut self) -> Recommend {
        let name = self.random.pick(&["", "", "half"]);
        // One, two or none: averages of whole numbers that are exact.
        let positive: Vec<Example> = (0..1 + self.random.below(2)).map(|_| self.example(name)).collect();
        let negative: Vec<Example> = (0..self.random.below(3)).map(|_| self.example(name)).collect();
        let strategy = self.random.pick(&[Strategy::AverageVector, Strategy::BestScore]);
        let mut recommend = Recommend::like(positive).unlike(negative).strategy(strategy).by(name);
        if strategy == Strategy::BestScore && !recommend.negative.is_empty() && self.random.is_one_in(3) {
            recommend.positive.clear();
        }
        recommend
    }

    /// By any vector.
    fn nearest(&mut self) -> Nearest {
        let name = self.random.pick(&["", "", "half", "late", "words"]);
        let query: Vector = match name {
            "" => self.numbers.dense(&mut self.random, name).into(),
            name => self.wanted(name),
        };
        let nearest = Nearest::new(query).by(name);
        if self.random.is_one_in(2) { nearest.exact() } else { nearest }
    }

    /// A vector of a name to ask for: a sparse one has components.
    pub(crate) fn wanted(&mut self, name: &str) -> Vector {
        loop {
            let wanted = vector(self.numbers, &mut self.random, name);
            if wanted != Vector::Sparse(SparseVector::default()) {
                return wanted;
            }
        }
    }

    /// By one to three words, some twice, in all fields or in some.
    pub(crate) fn text_query(&mut self) -> TextQuery {
        let words: Vec<&str> = (0..1 + self.random.below(3)).map(|_| self.random.pick(&WORDS)).collect();
        let mut query = TextQuery::new(words.join(" "));
        if self.random.is_one_in(2) {
            for field in self.texts.clone() {
                if query.fields.is_empty() || self.random.is_one_in(2) {
                    query = query.field(field, self.random.pick(&[0.5, 1.0, 2.0]));
                }
            }
        }
        if self.random.is_one_in(3) { query.all_terms() } else { query }
    }

    fn leaf(&mut self) -> Source {
        match self.random.below(9) {
            0 | 1 => {
                let field = self.ordered();
                OrderBy { field: field.into(), descending: self.random.is_one_in(2) }.into()
            }
            2 | 3 => self.recommend().into(),
            4 | 5 => self.text_query().into(),
            _ => self.nearest().into(),
        }
    }

    /// A field whose values have an order.
    fn ordered(&mut self) -> &'static str {
        let mut fields = self.later.clone();
        fields.retain(|field| *field != "marks");
        if fields.is_empty() || !self.random.is_one_in(4) {
            self.random.pick(&ORDERED)
        } else {
            self.random.pick(&fields)
        }
    }

    /// A field by whose values rows are told apart.
    pub(crate) fn told_apart(&mut self) -> &'static str {
        match self.random.below(8) {
            0 | 1 => "tags",
            2 if self.later.contains(&"marks") => "marks",
            _ => self.ordered(),
        }
    }

    /// Few candidates only where no scores are equal: which of equal rows are among them is not said.
    fn candidates(&mut self, has_equal: bool) -> usize {
        match self.numbers {
            Numbers::Any(_) if !has_equal => 1 + self.random.below(60) as usize,
            _ => 10_000,
        }
    }

    pub(crate) fn source(&mut self, depth: u64) -> Source {
        match self.random.below(if depth == 0 { 1 } else { 4 }) {
            0 | 1 => self.leaf(),
            2 => {
                let mut sources: Vec<(Source, f32)> = (0..1 + self.random.below(3))
                    .map(|_| (self.source(depth - 1), self.random.below(3) as f32))
                    .collect();
                sources[0].1 = 1.5;
                let mut method = Fusion::ReciprocalRank { k: self.random.pick(&[0.0, 60.0]) };
                if self.random.is_one_in(2) {
                    method = Fusion::Weighted;
                    sources.retain(|(source, _)| has_scores(source));
                    if sources.is_empty() {
                        return self.source(depth);
                    }
                    sources[0].1 = 1.5;
                }
                let candidates = self.candidates(sources.iter().any(|(source, _)| has_words(source)));
                Fuse { sources, method, candidates }.into()
            }
            _ => {
                let from = self.source(depth - 1);
                let by = loop {
                    let by = self.source(depth - 1);
                    if !matches!(by, Source::Rescore(_)) {
                        break by;
                    }
                };
                let candidates = self.candidates(has_words(&from));
                Rescore::new(from, by).candidates(candidates).into()
            }
        }
    }

    pub(crate) fn query(&mut self) -> Query {
        let k = 1 + self.random.below(30) as usize;
        let mut query = Query::new(self.source(2), k);
        query.filter = self.any_filter();
        query.explain = self.random.is_one_in(4);
        query
    }
}

pub(crate) fn has_scores(source: &Source) -> bool {
    match source {
        Source::OrderBy(_) => false,
        Source::Rescore(rescore) => has_scores(&rescore.by),
        _ => true,
    }
}

/// Whether words count: texts of the same words score alike, whatever the numbers are.
fn has_words(source: &Source) -> bool {
    match source {
        Source::Text(_) => true,
        Source::Fuse(fuse) => fuse.sources.iter().any(|(source, _)| has_words(source)),
        Source::Rescore(rescore) => has_words(&rescore.from) || has_words(&rescore.by),
        Source::Nearest(_) | Source::Recommend(_) | Source::OrderBy(_) => false,
    }
}
