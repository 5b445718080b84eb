//! The segments of a collection and their tombstones: which are sound, which can be made so, and which of their rows live.
//!
//! **Lost tombstones.** Which rows of a segment were replaced or deleted is not known then. But an id is alive in one segment
//! only. So a row whose id another segment has alive was replaced, wherever that stands: a merge puts newer rows in the place
//! of older ones. Between two segments whose tombstones are both lost, the later one's row counts. What was deleted is nowhere
//! else, so it is back, and the report says so.

use std::collections::HashSet;
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::repair::Repair;
use super::{Loss, files};
use crate::dir::Dir;
use crate::error::{Error, Result};
use crate::manifest::{CollectionEntry, SegmentEntry};
use crate::point::PointId;
use crate::segment::{
    Appending, DeadRows, GrowingSegment, Salvage, Saved, SealRequest, SealedSegment, SegmentView, seal,
    segment_file, tombstone_file, tombstones,
};
use crate::signal::Closing;
use crate::text::Analyses;
use crate::threads::Work;
use crate::vectors::Encodings;
use crate::verify::Storage;

/// A segment as far as it can be read.
#[expect(clippy::large_enum_variant, reason = "there are two at a time")]
pub(super) enum Readable {
    Sound(SealedSegment),
    InPart(Salvage),
}

impl Readable {
    pub(super) fn rows(&self) -> u32 {
        match self {
            Self::Sound(segment) => segment.rows(),
            Self::InPart(salvage) => salvage.rows(),
        }
    }

    fn id(&self, slot: u32) -> Option<PointId> {
        match self {
            Self::Sound(segment) => Some(segment.id(slot)),
            Self::InPart(salvage) => salvage.id(slot),
        }
    }

    /// The ids of rows that are not among the dead, with their slots.
    fn alive<'a>(&'a self, dead: &'a DeadRows) -> impl Iterator<Item = (u32, PointId)> + 'a {
        let slots = (0..self.rows()).filter(|slot| !dead.contains(*slot));
        slots.filter_map(|slot| Some((slot, self.id(slot)?)))
    }
}

/// The dead rows of a segment.
struct Deaths {
    rows: DeadRows,
    /// Whether their file is to be another one.
    is_new: bool,
}

impl Repair {
    pub(super) fn collection(&mut self, collection: &mut CollectionEntry) -> Result<()> {
        let mut segments = Vec::new();
        for entry in &collection.segments {
            segments.extend(match files::segment(&*self.dir, collection, entry.id)? {
                Ok(segment) => {
                    let segment = Readable::Sound(segment);
                    let deaths = self.deaths(collection, *entry, &segment)?;
                    let entry = self.write_deaths(*entry, &segment, &deaths)?;
                    let patches = self.patches(collection, entry, &segment)?;
                    Some(self.write_patches(collection, entry, &segment, &patches)?)
                }
                Err(damaged) => {
                    self.keep(&damaged)?;
                    self.segment(collection, *entry)?
                }
            });
        }
        collection.segments = segments;
        Ok(())
    }

    /// The dead rows of a segment: by its tombstones, by those with a bit turned back, or by what the others have alive.
    fn deaths(
        &mut self,
        collection: &CollectionEntry,
        entry: SegmentEntry,
        segment: &Readable,
    ) -> Result<Deaths> {
        let damage = match files::tombstones(&self.dir, entry, segment.rows())? {
            Ok(rows) => return Ok(Deaths { rows, is_new: false }),
            Err(damage) => damage,
        };
        self.keep(&[damage])?;
        let name = tombstone_file(entry.id, entry.tombstones);
        self.obsolete.push(name.clone());
        if let Some(rows) = self.mended_tombstones(entry, segment) {
            self.report.actions.push(format!("a flipped bit of {name} is turned back"));
            return Ok(Deaths { rows, is_new: true });
        }
        let rows = self.replaced(collection, entry, segment)?;
        let file = segment_file(entry.id);
        self.report.actions.push(format!(
            "{name} cannot be read: which rows of {file} were replaced or deleted is not known; {} of which other segments \
             have a newer one stay dead, the others are back",
            rows.count
        ));
        self.report.lost.push(Loss::of(&collection.name, format!("deletions in {file}")));
        Ok(Deaths { rows, is_new: true })
    }

    /// The tombstones of a segment with a bit turned back.
    fn mended_tombstones(&self, entry: SegmentEntry, segment: &Readable) -> Option<DeadRows> {
        let mut bytes = self.dir.read(&tombstone_file(entry.id, entry.tombstones)).ok()?;
        super::bits::correct(&mut bytes)?;
        tombstones::decode(&bytes, entry.id, segment.rows()).ok()
    }

    /// The rows of a segment without tombstones whose ids other segments have alive.
    fn replaced(
        &self,
        collection: &CollectionEntry,
        entry: SegmentEntry,
        segment: &Readable,
    ) -> Result<DeadRows> {
        let none = DeadRows::default();
        let ids: HashSet<PointId> = segment.alive(&none).map(|(_, id)| id).collect();
        let mut replaced = HashSet::new();
        let mut is_later = false;
        for other in &collection.segments {
            if other.id == entry.id {
                is_later = true;
                continue;
            }
            let Some(segment) = self.readable(collection, *other)? else { continue };
            let dead = match files::tombstones(&self.dir, *other, segment.rows())? {
                Ok(dead) => dead,
                Err(_) => match self.mended_tombstones(*other, &segment) {
                    Some(dead) => dead,
                    None if is_later => DeadRows::default(),
                    // It leaves them to this one.
                    None => continue,
                },
            };
            replaced.extend(segment.alive(&dead).map(|(_, id)| id).filter(|id| ids.contains(id)));
        }
        let mut dead = DeadRows::default();
        for (slot, _) in segment.alive(&none).filter(|(_, id)| replaced.contains(id)) {
            dead.insert(slot);
        }
        Ok(dead)
    }

    /// A segment, sound or not; `None` if nothing of it can be vouched for.
    fn readable(&self, collection: &CollectionEntry, entry: SegmentEntry) -> Result<Option<Readable>> {
        Ok(match files::segment(&*self.dir, collection, entry.id)? {
            Ok(segment) => Some(Readable::Sound(segment)),
            Err(_) => self.salvage(collection, entry)?.map(Readable::InPart),
        })
    }

    fn salvage(&self, collection: &CollectionEntry, entry: SegmentEntry) -> Result<Option<Salvage>> {
        let name = segment_file(entry.id);
        let bytes = match self.dir.read(&name) {
            Err(Error::Io { source, .. }) if source.kind() == ErrorKind::NotFound => return Ok(None),
            read => read?,
        };
        let unread: Vec<_> = self.dir.unreadable(&name).into_iter().map(|unread| unread.range).collect();
        Ok(Salvage::of((bytes, &unread), entry.id, &collection.schema))
    }

    /// Writes the dead rows anew if their file is damaged.
    fn write_deaths(
        &mut self,
        entry: SegmentEntry,
        segment: &Readable,
        deaths: &Deaths,
    ) -> Result<SegmentEntry> {
        if !deaths.is_new {
            return Ok(entry);
        }
        if deaths.rows.count == 0 {
            return Ok(SegmentEntry { tombstones: 0, ..entry });
        }
        let next = SegmentEntry { tombstones: entry.tombstones + 1, ..entry };
        if !self.is_dry_run {
            let name = tombstone_file(next.id, next.tombstones);
            tombstones::write(&*self.dir, &name, next.id, segment.rows(), &deaths.rows)?;
        }
        Ok(next)
    }

    /// Makes a damaged segment good, in its place or as another; `None` if nothing of it is left.
    fn segment(&mut self, collection: &CollectionEntry, entry: SegmentEntry) -> Result<Option<SegmentEntry>> {
        let name = segment_file(entry.id);
        let Some(salvage) = self.salvage(collection, entry)? else {
            self.report.actions.push(format!("{name} is left out: nothing in it can be vouched for"));
            self.report.lost.push(Loss::of(&collection.name, format!("all rows of {name}")));
            self.obsolete.push(name);
            return Ok(None);
        };
        let turned = if salvage.is_whole() { salvage.turned.clone() } else { Vec::new() };
        if turned.is_empty() {
            return self.rewrite(collection, entry, &Readable::InPart(salvage));
        }
        let places: Vec<String> = turned.iter().map(usize::to_string).collect();
        self.report
            .actions
            .push(format!("a flipped bit of {name} is turned back at byte {}", places.join(", ")));
        if !self.is_dry_run {
            salvage.replace(&*self.dir, &name)?;
        }
        let segment = Readable::InPart(salvage);
        let deaths = self.deaths(collection, entry, &segment)?;
        let entry = self.write_deaths(entry, &segment, &deaths)?;
        let patches = self.patches(collection, entry, &segment)?;
        self.write_patches(collection, entry, &segment, &patches).map(Some)
    }

    /// Writes the rows that can be vouched for as a new segment: its graph, codes and order of ids are made anew.
    fn rewrite(
        &mut self,
        collection: &CollectionEntry,
        entry: SegmentEntry,
        segment: &Readable,
    ) -> Result<Option<SegmentEntry>> {
        let name = segment_file(entry.id);
        let Readable::InPart(salvage) = segment else { return Ok(Some(entry)) };
        let dead = self.deaths(collection, entry, segment)?.rows;
        let old = self.patches(collection, entry, segment)?.patches;
        let (mut patches, mut saved) = (Vec::new(), 0);
        let encodings = Encodings::all(&collection.schema);
        let total = Arc::new(AtomicU64::new(0));
        let growing =
            Arc::new(GrowingSegment::new(&collection.schema, &collection.fields, &encodings, total));
        let (mut appending, mut lost, mut unknown) = (Appending::new(&growing), Vec::new(), 0);
        for slot in (0..salvage.rows()).filter(|slot| !dead.contains(*slot)) {
            match salvage.row(slot) {
                Saved::Row(row, vectors) => {
                    patches.extend(old.get(slot).map(|patch| (saved, patch.clone())));
                    saved += 1;
                    appending.push(row, vectors);
                }
                Saved::Lost(Some(id)) => lost.push(id),
                Saved::Lost(None) => unknown += 1,
            }
        }
        let mut view = SegmentView::growing(growing.clone());
        appending.finish(&mut view);
        view.patch(patches, &collection.fields, &mut Analyses::default());
        let rows = view.rows;
        self.note_rewrite(collection, &name, rows, lost, unknown);
        self.obsolete.extend(entry.files());
        let id = self.next_segment;
        self.next_segment += 1;
        if rows == 0 {
            return Ok(None);
        }
        if !self.is_dry_run {
            let request = SealRequest {
                id,
                sources: &[view],
                schema: &collection.schema,
                fields: &collection.fields,
                encodings: &encodings,
                storage: Storage::Mapped,
                stop: Closing::NEVER,
                filter_cache_bytes: 0,
                indexed: &[],
            };
            self.pools.run(Work::Flush, || seal(&*self.dir, &request))??;
        }
        Ok(Some(SegmentEntry::new(id)))
    }

    fn note_rewrite(
        &mut self,
        collection: &CollectionEntry,
        name: &str,
        rows: u32,
        ids: Vec<PointId>,
        unknown: u64,
    ) {
        let new = segment_file(self.next_segment);
        self.report.actions.push(match rows {
            0 => format!("{name} is left out: none of its rows can be vouched for"),
            _ => format!("{rows} rows of {name} are written to {new}, with their graph and codes made anew"),
        });
        if !ids.is_empty() || unknown > 0 {
            let what = format!("{} rows of {name}", ids.len() as u64 + unknown);
            let loss = Loss { ids, rows_without_id: Some(unknown), ..Loss::of(&collection.name, what) };
            self.report.lost.push(loss);
        }
    }
}
