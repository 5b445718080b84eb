//! The best rows of each of the groups that have the best rows.
//!
//! **Problem.** The ten nearest rows may all be of one document, and so may the ten thousand nearest. Whoever looks at a
//! fixed number of candidates returns fewer groups than there are, or groups with fewer rows, and does not say so.
//!
//! **Idea.** A leaf ranks a row by that row alone, so its order is the same under a narrower filter. What is missing is asked
//! for again: rows of no group found so far, until there are `k` groups; then rows of each group that is not full. That takes a
//! few searches under a filter, however the rows lie. A fusion or a rescoring ranks rows among candidates; of these more
//! and more are fetched, until the groups are full, or have all rows that there are of them and there are no others: filters tell that, where
//! most documents have fewer rows than are wanted of each, or a field has few values. So all rows are fetched only if some row of a group that
//! is not full is among the last.
//!
//! **Invariants.** The groups are those of the best rows, in their order; each has its best rows. A row beyond the
//! threshold is in none: it ends the list.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::node::{Node, Scores};
use super::request::Group;
use super::run::{Found, Ranked, Run};
use crate::error::Result;
use crate::interrupt::POLL_DISTANCES;
use crate::limits::{GROUP_BYTES_MAX, check_limit};
use crate::payload::{FieldId, FieldType, Filter, Value, ValueRef};
use crate::vectors::Slot;

/// Rows that are asked for at least, where it is not known how many it takes.
const ROWS_MIN: usize = 64;

/// Groups, as they fill.
pub(super) struct Grouping<'a> {
    run: &'a Run<'a>,
    node: &'a Node<'a>,
    asked: Asked<'a>,
    groups: Vec<Filling>,
    places: HashMap<Key, usize>,
    /// Of the groups' values.
    bytes: usize,
    exact: bool,
}

/// What is asked for.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) filter: Option<&'a Filter>,
    pub(super) threshold: Option<f32>,
    pub(super) group: &'a Group,
    pub(super) field: (FieldId, FieldType),
    pub(super) k: usize,
}

/// A group, as it fills.
struct Filling {
    value: Value,
    rows: Vec<Ranked>,
    /// Whether all its rows were looked at.
    is_whole: bool,
}

/// A value as what is looked up.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Key {
    Bool(bool),
    /// A timestamp too: a field has one type.
    Int(i64),
    /// The bits, both zeros being one.
    Float(u64),
    Text(String),
}

impl Key {
    /// `None` of values that make no groups.
    fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Bool(value) => Some(Key::Bool(*value)),
            Value::Int(value) | Value::Timestamp(value) => Some(Key::Int(*value)),
            Value::Float(value) => Some(Key::Float((value + 0.0).to_bits())),
            Value::String(value) => Some(Key::Text(value.clone())),
            Value::Strings(_) | Value::Geo(_) | Value::Json(_) => None,
        }
    }
}

/// The groups, best first, and whether they are exact.
pub(super) type Groups = (Vec<(Value, Vec<Ranked>)>, bool);

impl<'a> Grouping<'a> {
    pub(super) fn new(run: &'a Run<'a>, node: &'a Node<'a>, asked: Asked<'a>) -> Self {
        Self { run, node, asked, groups: Vec::new(), places: HashMap::new(), bytes: 0, exact: true }
    }

    /// Finds them.
    pub(super) fn run(mut self) -> Result<Groups> {
        // A row of several groups belongs to the others too when it is of a known one, so no filter leaves known groups out.
        if self.node.is_leaf() && self.asked.field.1 != FieldType::Strings {
            while self.more_groups()? {}
            self.fill()?;
            self.sort();
        } else {
            self.widen()?;
        }
        Ok((self.groups.into_iter().map(|group| (group.value, group.rows)).collect(), self.exact))
    }

    /// What the source gives, as far as the threshold; whether that is all.
    fn top(&mut self, run: &Run<'_>, n: usize) -> (Vec<Ranked>, bool) {
        let Found { mut rows, is_whole, exact } = self.node.top(run, n);
        self.exact &= exact;
        let given = rows.len();
        if let Some(threshold) = self.asked.threshold {
            let scores = self.node.scores(run.view);
            rows.truncate(rows.partition_point(|row| scores.reaches(row.score, threshold)));
        }
        let is_cut = rows.len() < given;
        (rows, is_whole || is_cut || run.watch.interrupted().is_some())
    }

    /// Puts rows into groups, of which there are `k` at most.
    ///
    /// # Errors
    /// [`Error::Limit`](crate::Error::Limit) if their values are too much in memory together: each may be a whole text.
    fn add(&mut self, rows: &[Ranked], is_whole: bool) -> Result<()> {
        for row in rows {
            let segment = &self.run.view.segments[row.segment];
            let Some(value) = segment.value(row.slot.0, self.asked.field.0) else { continue };
            match value.to_value() {
                Value::Strings(texts) => {
                    let texts: BTreeSet<String> = texts.into_iter().collect();
                    for text in texts {
                        self.add_to(Value::String(text), row, is_whole)?;
                    }
                }
                value => self.add_to(value, row, is_whole)?,
            }
        }
        Ok(())
    }

    fn add_to(&mut self, value: Value, row: &Ranked, is_whole: bool) -> Result<()> {
        let Some(key) = Key::of(&value) else { return Ok(()) };
        let place = match self.places.get(&key) {
            Some(place) => *place,
            None if self.groups.len() == self.asked.k => return Ok(()),
            None => {
                self.bytes += value.size_bytes();
                check_limit("group", "GROUP_BYTES_MAX", GROUP_BYTES_MAX, self.bytes)?;
                self.places.insert(key, self.groups.len());
                self.groups.push(Filling { value, rows: Vec::new(), is_whole });
                self.groups.len() - 1
            }
        };
        let rows = &mut self.groups[place].rows;
        if rows.len() < self.asked.group.per_group {
            rows.push(*row);
        }
        Ok(())
    }

    /// Looks for rows of no group found so far; whether there may be more groups to find.
    fn more_groups(&mut self) -> Result<bool> {
        let Asked { filter, group, k, .. } = self.asked;
        let mut more = vec![Filter::Exists(group.field.clone())];
        if !self.groups.is_empty() {
            let known = self.groups.iter().map(|group| group.value.clone()).collect();
            more.push(Filter::Not(Box::new(Filter::In(group.field.clone(), known))));
        }
        let run = self.run.narrowed(filter, &more)?;
        let missing = k - self.groups.len();
        let (rows, is_all) = self.top(&run, (missing * group.per_group * 2).max(ROWS_MIN));
        self.add(&rows, is_all)?;
        // Rows of no group known that bring none are damaged: they would only come again.
        let has_more = self.groups.len() > k - missing;
        Ok(!is_all && has_more && self.groups.len() < k)
    }

    /// Looks for the rows of each group that has too few.
    fn fill(&mut self) -> Result<()> {
        let Asked { filter, group, .. } = self.asked;
        for place in 0..self.groups.len() {
            let Filling { value, rows, is_whole } = &self.groups[place];
            if *is_whole || rows.len() == group.per_group || self.run.watch.poll() {
                continue;
            }
            let run = self.run.narrowed(filter, &[Filter::Eq(group.field.clone(), value.clone())])?;
            let (rows, _) = self.top(&run, group.per_group);
            // A search that was cut short may lack the best rows, which are known.
            if self.run.watch.interrupted().is_none() && rows.len() > self.groups[place].rows.len() {
                self.groups[place].rows = rows;
            }
        }
        Ok(())
    }

    /// Puts the groups in the order of their best rows: a walk may miss a row that a later one finds.
    fn sort(&mut self) {
        let scores = self.node.scores(self.run.view);
        // What is in the order of a field is not walked to.
        if scores == Scores::Absent {
            return;
        }
        let mut best: Vec<Ranked> =
            self.groups.iter().filter_map(|group| group.rows.first().copied()).collect();
        self.run.sort(&mut best, scores);
        let places: HashMap<(usize, Slot), usize> = best.iter().map(Ranked::key).zip(0..).collect();
        self.groups.sort_by_key(|group| group.rows.first().and_then(|row| places.get(&row.key()).copied()));
    }

    /// Fetches more and more rows, until the groups are full or more would add nothing to them.
    fn widen(&mut self) -> Result<()> {
        let Asked { group, k, .. } = self.asked;
        let run = self.run;
        let mut n = (k * group.per_group * 2).max(ROWS_MIN);
        let mut is_first = true;
        loop {
            let (rows, is_all) = self.top(run, n);
            if run.watch.interrupted().is_some() && !is_first {
                // The groups of the search before this one, which was cut short, are better: of this one the best may be missing.
                return Ok(());
            }
            is_first = false;
            self.groups.clear();
            self.places.clear();
            self.bytes = 0;
            self.add(&rows, is_all)?;
            let is_full =
                self.groups.len() == k && self.groups.iter().all(|found| found.rows.len() == group.per_group);
            if is_all || is_full || n >= run.live() || self.is_exhausted(&rows)? {
                return Ok(());
            }
            n *= 2;
        }
    }

    /// Whether no other row than those that the groups were made of may add to them: none of a group that is not full, and none of another group, if
    /// one is missing.
    fn is_exhausted(&self, fetched: &[Ranked]) -> Result<bool> {
        let Asked { filter, group, field, k, .. } = self.asked;
        let fetched: HashSet<(usize, Slot)> = fetched.iter().map(Ranked::key).collect();
        let (full, open): (Vec<&Filling>, Vec<&Filling>) =
            self.groups.iter().partition(|found| found.rows.len() == group.per_group);
        let is_list = field.1 == FieldType::Strings;
        let name = || group.field.clone();
        let is_of = |groups: &[&Filling]| {
            let values = groups.iter().map(|found| &found.value);
            if is_list {
                Filter::Contains(name(), values.filter_map(Value::as_str).map(str::to_owned).collect())
            } else {
                Filter::In(name(), values.cloned().collect())
            }
        };
        let mut more = Vec::new();
        if self.groups.len() == k {
            more.push(is_of(&open));
        } else {
            more.push(Filter::Exists(name()));
            if !is_list && !full.is_empty() {
                more.push(Filter::Not(Box::new(is_of(&full))));
            }
        }
        let run = self.run.narrowed(filter, &more)?;
        // A row with a list may be of a full group and of another one, which no filter says.
        let full: HashSet<&[u8]> =
            full.iter().filter_map(|found| found.value.as_str()).map(str::as_bytes).collect();
        let may_add = |index: usize, slot: u32| {
            let is_of_others = || match run.view.segments[index].value(slot, field.0) {
                Some(ValueRef::Strings(texts)) => texts.iter().any(|text| !full.contains(text)),
                _ => true,
            };
            !fetched.contains(&(index, Slot(slot))) && (!is_list || is_of_others())
        };
        Ok(!self.gives_any(&run, &may_add))
    }

    /// Whether the source may give one of some rows of a run. After an interruption no more are fetched, so then it gives none.
    fn gives_any(&self, run: &Run<'_>, is_wanted: &dyn Fn(usize, u32) -> bool) -> bool {
        for (index, segment) in run.view.segments.iter().enumerate() {
            let passing = segment.passing(run.filter.as_deref(), run.watch);
            let mut slots = passing.iter();
            loop {
                let some: Vec<u32> = slots.by_ref().take(POLL_DISTANCES as usize).collect();
                if some.is_empty() || run.watch.poll() {
                    break;
                }
                let wanted = some.into_iter().filter(|slot| is_wanted(index, *slot));
                let wanted: Vec<(usize, u32)> = wanted.map(|slot| (index, slot)).collect();
                if !wanted.is_empty() && self.node.gives(run, &wanted).contains(&true) {
                    return true;
                }
            }
        }
        false
    }
}

#[cfg(test)]
mod tests;
