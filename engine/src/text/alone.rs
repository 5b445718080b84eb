//! An index of texts by itself, without rows or a database around it: what the search by word costs and finds, for measurements.

use std::borrow::Cow;
use std::sync::Arc;

use super::Analyzer;
use super::analysis::Analysis;
use super::index::{Gone, Index};
use super::query::{FieldQuery, Part, TextSearch};
use super::share::Share;
use super::whole::index_texts;
use crate::interrupt::Watch;
use crate::segment::DeadRows;

/// Texts, numbered from 0, that are searched by word.
#[derive(Debug)]
pub struct TextIndex {
    analyzer: Analyzer,
    index: Index,
}

impl TextIndex {
    /// Indexes texts.
    pub fn build(analyzer: Analyzer, texts: &[&str]) -> Self {
        let numbered = (0u32..).zip(texts).map(|(slot, text)| (slot, Cow::Borrowed(*text)));
        Self { analyzer, index: index_texts(analyzer, texts.len() as u32, numbered) }
    }

    /// The best `k` texts for a query, best first, with their scores.
    pub fn search(&self, query: &str, k: usize) -> Vec<(u32, f32)> {
        self.search_counted(query, k).0
    }

    /// The same, and how many postings were read of how many that there are.
    pub fn search_counted(&self, query: &str, k: usize) -> (Vec<(u32, f32)>, [u64; 2]) {
        let terms = Analysis::new(self.analyzer).query(query);
        let lists = terms.terms.iter().filter_map(|(term, _)| self.index.find(term.as_bytes()));
        let there = lists.map(|(word, _)| word.rows as u64).sum();
        let fields = [FieldQuery { boost: 1.0, terms }];
        let dead = Arc::<DeadRows>::default();
        let indexes = [Some(&self.index)];
        let gone = Gone { dead: &dead, first: 0 };
        let parts = [Part {
            segment: 0,
            indexes: &indexes,
            gone,
            share: Share::Whole,
            rows: self.index.info.rows,
            admitted: None,
        }];
        let answer = TextSearch::new(&fields, &parts).best(k, false, &Watch::default());
        (
            answer.rows.into_iter().map(|row| (row.slot, row.score)).collect(),
            [answer.read.iter().map(|read| read.postings).sum(), there],
        )
    }

    /// The terms that a query asks for, and how often it has each.
    pub fn query_terms(&self, query: &str) -> Vec<(String, u32)> {
        Analysis::new(self.analyzer).query(query).terms
    }

    /// Bytes that it would take on a disk.
    pub fn size_bytes(&self) -> usize {
        self.index.bytes()
    }
}
