//! Bringing the manifest up to the view, and removing what it names no more.
//!
//! What lies beside a segment (which rows died, what updates changed) and the requests that are remembered are written anew if they
//! changed, each as another file; then the manifest names these in the place of the ones before, together with the last write
//! that is stored; then the log is cut. Why the order is safe stands in `maintain.rs`.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use super::requests::request_file;
use super::state::{CollectionCore, CommittedFiles, ViewState, lock};
use crate::db::Store;
use crate::dir::Dir;
use crate::error::Result;
use crate::faults::{self, Mutant};
use crate::segment::patching::{self, Patched};
use crate::segment::{Segment, SegmentView, patch_file, segment_file, tombstone_file, tombstones};

impl CollectionCore {
    /// Brings the manifest up to the view: its sealed segments, their tombstones, and that every write up to
    /// `stored_seq` is in them. Then removes what is not needed any more.
    ///
    /// A failure poisons the store: which manifest the disk has is unknown then. But on a full disk the manifest stays as
    /// it was, and is brought up to the view before anything else is rewritten.
    pub(super) fn commit(&self, store: &Store, stored_seq: u64) -> Result<()> {
        let stored_seq = stored_seq.max(self.owed.load(Ordering::SeqCst).saturating_sub(1));
        let result = store.poison_on_error(self.try_commit(store, stored_seq));
        match &result {
            Ok(()) => {
                // More may be owed by now.
                let _ = self.owed.compare_exchange(stored_seq + 1, 0, Ordering::SeqCst, Ordering::SeqCst);
            }
            Err(_) => drop(self.owed.fetch_max(stored_seq + 1, Ordering::SeqCst)),
        }
        result
    }

    pub(super) fn commit_owed(&self, store: &Store) -> Result<()> {
        match self.owed.load(Ordering::SeqCst) {
            0 => Ok(()),
            _ => self.commit(store, 0),
        }
    }

    fn try_commit(&self, store: &Store, stored_seq: u64) -> Result<()> {
        let mut guard = lock(&self.committed);
        let view = self.view();
        let Some(committed) = &*guard else {
            // Of what was written meanwhile nobody else knows. Whoever copies the database may hold files of before, so none of
            // their names is written again.
            self.remove_obsolete(&*store.dir, &CommittedFiles::default(), &CommittedFiles::default(), &view);
            return Ok(());
        };
        let (mut entries, mut next) = (Vec::new(), CommittedFiles::default());
        for segment in &*view.segments {
            let Some(sealed) = segment.as_sealed() else { continue };
            let mut state = committed.segments.get(&sealed.id).copied().unwrap_or_default();
            if state.dead < segment.dead.count {
                (state.generation, state.dead) = (state.generation + 1, segment.dead.count);
                let name = tombstone_file(sealed.id, state.generation);
                tombstones::write(&*store.dir, &name, sealed.id, segment.rows, &segment.dead)?;
            }
            if state.made != segment.patches.made() && !faults::is(Mutant::CutLogBeforePatches) {
                (state.patches, state.made) = (state.patches + 1, segment.patches.made());
                let name = patch_file(sealed.id, state.patches);
                let of = Patched { segment: sealed.id, rows: segment.rows, fields: &view.fields };
                state.patched = patching::write(&*store.dir, &name, &of, &segment.patches, &segment.dead)?;
            }
            entries.push(state.entry(sealed.id));
            next.segments.insert(sealed.id, state);
        }
        self.commit_requests(store, committed, &mut next)?;
        let requests = next.requests;
        faults::point("commit.tombstones");
        store.dir.sync()?;
        if faults::is(Mutant::CutLogBeforeManifest) {
            let manifest = store.manifest.current();
            let of_others = |id| manifest.collections.get(&id).map_or(u64::MAX, |entry| entry.stored_seq);
            let stored = |id| if id == self.id { stored_seq } else { of_others(id) };
            store.log.cut(store.log.mark(), &stored)?;
        }
        faults::point("commit.files");
        let void = store.catalogue_void();
        // What no write will have had is in the log before a manifest counts it.
        store.log.fulfil()?;
        let time_us = lock(&self.submit).time_us;
        let (next_segment, log) = (store.segment_ids_given(), store.log.mark());
        let is_there = store.manifest.update(|manifest| {
            manifest.next_segment = next_segment.max(manifest.next_segment);
            manifest.note_log(log);
            manifest.catalogue_seq = manifest.catalogue_seq.max(void);
            let Some(entry) = manifest.collections.get_mut(&self.id) else { return Ok(false) };
            entry.segments = entries;
            entry.requests = requests;
            entry.time_us = entry.time_us.max(time_us);
            entry.stored_seq = entry.stored_seq.max(stored_seq);
            entry.fields = view.fields.stored(entry.stored_seq);
            (entry.schema.fields, entry.schema.texts) = (entry.fields.to_map(), entry.fields.texts_by_name());
            Ok(true)
        })?;
        faults::point("commit.manifest");
        if !is_there {
            // It was deleted meanwhile, and nobody else knows of what was just written.
            let written = std::mem::take(&mut next);
            self.remove_obsolete(&*store.dir, &written, &next, &view);
        }
        self.remove_obsolete(&*store.dir, committed, &next, &view);
        faults::point("commit.removed");
        *guard = is_there.then_some(next);
        drop(guard);
        store.cut_log()
    }

    /// Writes the requests that are remembered, if there are new ones.
    fn commit_requests(
        &self,
        store: &Store,
        committed: &CommittedFiles,
        next: &mut CommittedFiles,
    ) -> Result<()> {
        // What is added meanwhile is written again by the next commit.
        let added = self.requests.added();
        (next.requests, next.requested, next.remembered) = (committed.requests, added, committed.remembered);
        if added != committed.requested && !faults::is(Mutant::ForgetRequestsOnCommit) {
            next.requests += 1;
            next.remembered =
                self.requests.write(&*store.dir, &request_file(self.id, next.requests), self.id)?;
        }
        Ok(())
    }

    /// Removes the files of a collection that the manifest names no more, and forgets its memory.
    pub(crate) fn remove_files(&self, store: &Store) {
        self.removed.cancel();
        let mut guard = lock(&self.committed);
        let committed = guard.take().unwrap_or_default();
        self.remove_obsolete(&*store.dir, &committed, &CommittedFiles::default(), &self.view());
        drop(guard);
        for view in &*self.view().segments {
            match &view.segment {
                Segment::Growing(segment) => segment.release(),
                Segment::Sealed(segment) => segment.remove_words(&*store.dir),
            }
        }
    }

    /// Removes files that the manifest named before and does not now. Failing is harmless: what is left is removed when the
    /// database is opened.
    fn remove_obsolete(
        &self,
        dir: &dyn Dir,
        before: &CommittedFiles,
        now: &CommittedFiles,
        view: &ViewState,
    ) {
        let files_of = |files: &CommittedFiles| -> BTreeSet<String> {
            let requests = (files.requests > 0).then(|| request_file(self.id, files.requests));
            files.segments.iter().flat_map(|(id, state)| state.entry(*id).files()).chain(requests).collect()
        };
        let kept = files_of(now);
        let mut names = files_of(before);
        names.retain(|name| !kept.contains(name));
        if now.segments.is_empty() {
            // A deleted collection: segments that were sealed meanwhile were never committed.
            let sealed = view.segments.iter().filter_map(SegmentView::as_sealed);
            names.extend(sealed.map(|sealed| segment_file(sealed.id)));
        }
        for name in names {
            if let Err(error) = dir.remove(&name) {
                tracing::debug!(%error, "left an obsolete file for the next opening");
            }
        }
    }
}
