//! The words of rows whose texts updates changed.
//!
//! **Problem.** An index never changes, and a patch (`patches.rs`) changes what a row's texts are: what the indexes of the segment say of that
//! row is wrong from then on.
//!
//! **Idea.** The words of such a row *move*: for the indexes of the segment it counts as dead, for the postings as for what the scores are
//! made of, and all of its texts are in the index of a run beside them. As with patches, the rows of one write are a run, and runs of
//! like size are merged; a row that is changed again is gone from the runs before. So each live row has its words in one place, which
//! depends on nothing but its texts: a search adds up what it would of a row that was written like that.
//!
//! A run keeps the patches of its rows and makes an index of a field from them and from the segment. A write makes it before it is
//! acknowledged; of patches that are read from a file, come over from segments that were sealed or merged, or are there when a field comes to be searched by word, the first who asks does.
//!
//! **Invariants.** A row that some patch says a text of is in a run, whose patch of it is up to date for texts: what else an update changes
//! moves nothing, so a field that comes to be searched by word moves the rows anew that some patch says it of. A row is in one run at most, or dead there. Indexes of the segment are made of
//! the rows without their patches, so views that show different patches share them.
//!
//! **Cost.** An update of a text analyses all texts of the row, not the changed one alone. Each posting is written anew at each of log2(n) merges of runs.

use std::borrow::Cow;
use std::sync::Arc;

use super::made::MadeIndexes;
use super::patches::{Patch, SlotPatch};
use super::{DeadRows, Segment, SegmentView};
use crate::payload::{FieldId, FieldTable, Value};
use crate::text::{
    Analyses, Analyzer, Flavour, Index, IndexOf, MergeSource, NOWHERE, index_texts, index_texts_by,
    merge_in_memory,
};

/// Rows of a run that is merged no more, so that no write waits long for it.
const ROWS_MAX: usize = 1 << 15;

/// Rows whose words are elsewhere than in the indexes of their segment.
#[derive(Debug)]
pub(super) struct MovedRun {
    /// Ascending.
    pub(super) rows: Arc<[u32]>,
    /// What is different in each of them.
    patches: Box<[Arc<Patch>]>,
    patch_bytes: usize,
    made: MadeIndexes,
}

impl MovedRun {
    /// Of rows in any order, each once.
    fn new(mut patches: Vec<SlotPatch>) -> Self {
        patches.sort_unstable_by_key(|(row, _)| *row);
        let patch_bytes = patches.iter().map(|(_, patch)| patch.size_bytes()).sum();
        let (rows, patches): (Vec<u32>, Vec<Arc<Patch>>) = patches.into_iter().unzip();
        Self { rows: rows.into(), patches: patches.into(), patch_bytes, made: MadeIndexes::default() }
    }

    /// The words of a field of its rows, which are of this segment; with the stems of analysers at work, if there are any.
    fn index(
        &self,
        segment: &Segment,
        (field, analyzer): (FieldId, Analyzer),
        at_work: Option<&mut Analyses>,
    ) -> Arc<Index> {
        let text = |(slot, (row, patch)): (u32, (&u32, &'_ Arc<Patch>))| {
            let value = match patch.value(field) {
                Some(value) => value?.as_text().map(Cow::into_owned),
                None => segment.own_value(*row, field)?.as_text().map(Cow::into_owned),
            };
            Some((slot, Cow::<str>::Owned(value?)))
        };
        let texts = (0..).zip(self.rows.iter().zip(&self.patches)).filter_map(text);
        let rows = self.rows.len() as u32;
        let make = || match at_work {
            Some(analyses) => index_texts_by(analyses.of(analyzer), rows, texts),
            None => index_texts(analyzer, rows, texts),
        };
        self.made.get((IndexOf::Text(field), Some(analyzer), 0), make)
    }
}

/// A run as one view shows it.
#[derive(Clone, Debug)]
pub(super) struct ShownRun {
    pub(super) run: Arc<MovedRun>,
    /// By the places of its rows: those that died, and those that a later run has.
    pub(super) gone: Arc<DeadRows>,
}

impl ShownRun {
    fn live(&self) -> usize {
        self.run.rows.len() - self.gone.count
    }

    /// Marks some rows of the segment as gone.
    fn lose(&mut self, rows: &[u32]) {
        let place = |row: &u32| self.run.rows.binary_search(row).ok();
        let lost: Vec<u32> = rows.iter().filter_map(place).map(|place| place as u32).collect();
        if lost.iter().any(|place| !self.gone.contains(*place)) {
            // The views before still show these rows.
            let gone = Arc::make_mut(&mut self.gone);
            for place in lost {
                gone.insert(place);
            }
        }
    }

    /// One run of two, with the indexes that both have.
    fn joined(&self, later: &Self) -> Self {
        let both = [self, later];
        let entries = both.iter().flat_map(|shown| {
            let places = (0..).zip(shown.run.rows.iter().zip(&shown.run.patches));
            places
                .filter(|(place, _)| !shown.gone.contains(*place))
                .map(|(_, (row, patch))| (*row, patch.clone()))
        });
        let run = MovedRun::new(entries.collect());
        let slots = both.map(|shown| {
            let slot = |(place, row): (u32, &u32)| match run.rows.binary_search(row) {
                Ok(slot) if !shown.gone.contains(place) => slot as u32,
                _ => NOWHERE,
            };
            (0..).zip(shown.run.rows.iter()).map(slot).collect::<Vec<u32>>()
        });
        for (of, index) in self.run.made.all() {
            let Some(other) = later.run.made.find(of) else { continue };
            let sources = [(&index, &slots[0]), (&other, &slots[1])];
            let sources = sources.map(|(index, slots)| MergeSource { index, slots });
            run.made.get(of, || merge_in_memory(Flavour::Counts, &sources, run.rows.len() as u32));
        }
        Self { run: Arc::new(run), gone: Arc::default() }
    }
}

/// The words that moved, as of one view.
#[derive(Clone, Debug, Default)]
pub(crate) struct MovedWords {
    /// Older before later, mostly larger before smaller.
    pub(super) runs: Vec<ShownRun>,
}

impl MovedWords {
    pub(super) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Roughly what they take in memory; indexes that nobody asked for yet take none.
    pub(crate) fn size_bytes(&self) -> usize {
        let of_run =
            |shown: &ShownRun| shown.run.rows.len() * 4 + shown.run.patch_bytes + shown.run.made.bytes();
        self.runs.iter().map(of_run).sum()
    }

    /// Marks rows of the segment as gone.
    pub(super) fn lose(&mut self, rows: &[u32]) {
        self.runs.iter_mut().for_each(|shown| shown.lose(rows));
    }

    fn add(&mut self, run: MovedRun) {
        self.runs.push(ShownRun { run: Arc::new(run), gone: Arc::default() });
        while let [.., before, last] = self.runs.as_slice()
            && before.live() <= 2 * last.live()
            && before.live() < ROWS_MAX
        {
            let joined = before.joined(last);
            self.runs.truncate(self.runs.len() - 2);
            self.runs.push(joined);
        }
    }
}

/// Whether a patch says what some text is.
fn is_about_texts(patch: &Patch, fields: &FieldTable) -> bool {
    patch.values.iter().any(|(field, _)| fields.text(*field).is_some())
}

impl SegmentView {
    /// Takes in patches, each about a row of its own, and indexes the texts that they change.
    pub(crate) fn patch(&mut self, patches: Vec<SlotPatch>, fields: &FieldTable, analyses: &mut Analyses) {
        let moving = patches.iter().filter(|(row, patch)| self.changes_texts(*row, patch, fields));
        let moving: Vec<SlotPatch> = moving.cloned().collect();
        self.patches = self.patches.with(patches);
        if moving.is_empty() {
            return;
        }
        let run = MovedRun::new(moving);
        for (field, analyzer) in fields.texts() {
            run.index(&self.segment, (field, analyzer), Some(&mut *analyses));
        }
        self.move_to(run);
    }

    /// Moves the words of rows that patches say a text of: of a segment that comes with patches.
    pub(crate) fn move_patched(&mut self, fields: &FieldTable) {
        self.move_those(|patch| is_about_texts(patch, fields));
    }

    /// The same as a field comes to be searched by word: also of rows that have moved, whose runs have what patches said of it then.
    pub(crate) fn move_patched_in(&mut self, field: FieldId) {
        self.move_those(|patch| patch.value(field).is_some());
    }

    fn move_those(&mut self, is_to_move: impl Fn(&Patch) -> bool) {
        let of_live =
            self.patches.iter().filter(|(row, patch)| !self.dead.contains(*row) && is_to_move(patch));
        let moving: Vec<SlotPatch> = of_live.map(|(row, patch)| (row, patch.clone())).collect();
        if !moving.is_empty() {
            self.move_to(MovedRun::new(moving));
        }
    }

    /// Whether the words of a live row are not, or not all, where a search looks for them once it has a patch.
    fn changes_texts(&self, row: u32, patch: &Patch, fields: &FieldTable) -> bool {
        let has_moved = self.gone.contains(row);
        let differs = |(field, value): &(FieldId, Option<Value>)| {
            fields.text(*field).is_some() && value.as_ref().map(Value::as_ref) != self.value(row, *field)
        };
        !self.dead.contains(row)
            && is_about_texts(patch, fields)
            && (!has_moved || patch.values.iter().any(differs))
    }

    fn move_to(&mut self, run: MovedRun) {
        self.moved.lose(&run.rows);
        let mut gone = DeadRows::clone(&self.gone);
        for row in &*run.rows {
            gone.insert(*row);
        }
        self.gone = Arc::new(gone);
        self.moved.add(run);
    }

    /// The index of a field for each run of rows whose words moved.
    pub(super) fn moved_indexes(
        &self,
        field: FieldId,
        analyzer: Analyzer,
    ) -> impl Iterator<Item = (&ShownRun, Arc<Index>)> {
        let index = move |shown: &ShownRun| shown.run.index(&self.segment, (field, analyzer), None);
        self.moved.runs.iter().map(move |shown| (shown, index(shown)))
    }
}
