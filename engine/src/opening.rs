//! What opening a database looks at: whether there is one, what a crash left of it, and its collections, each by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rayon::prelude::*;

use crate::collection::{self, CollectionCore, is_request_file, request_file};
use crate::db::DbOptions;
use crate::dir::{Dir, corrupt};
use crate::error::{Error, Result};
use crate::faults;
use crate::manifest::{CollectionEntry, MANIFEST_COPY_FILE, MANIFEST_FILE, MANIFEST_NEW_FILE, Manifest};
use crate::payload::FieldId;
use crate::segment::patching::Patched;
use crate::segment::{
    self, Check, DeadRows, FileKind, Opening, Patches, SealedSegment, SegmentView, patch_file, patching,
    tombstone_file, tombstones,
};
use crate::vectors::Encodings;
use crate::verify::{Damage, Storage, Verify};
use crate::wal;

/// Whether the directory holds no database yet.
pub(crate) fn is_fresh(dir: &dyn Dir, names: &[String]) -> Result<bool> {
    if names.iter().any(|name| name == MANIFEST_FILE) {
        return Ok(false);
    }
    let is_ours = |name: &&String| wal::is_log_file(name) || is_rooted(name) || *name == MANIFEST_COPY_FILE;
    let of_ours = names.iter().find(is_ours);
    match of_ours {
        None => Ok(true),
        Some(name) => {
            Err(corrupt(dir, MANIFEST_FILE, 0, format!("the file is missing, but {name} is there")))
        }
    }
}

/// Whether it is a name of a file that is there only as long as the manifest names it, or its segment.
pub(crate) fn is_rooted(name: &str) -> bool {
    segment::parse_file(name).is_some() || is_request_file(name)
}

/// Whether it is such a name, and neither it nor its segment is among those that the manifest names.
pub(crate) fn is_unnamed(name: &str, named: &BTreeSet<String>) -> bool {
    match segment::parse_file(name) {
        Some((id, FileKind::Words(_))) => !named.contains(&segment::segment_file(id)),
        _ => is_rooted(name) && !named.contains(name),
    }
}

/// Whether a repair was about to put a file in the place of a segment's.
fn is_mended(name: &str) -> bool {
    name.strip_suffix(".new")
        .is_some_and(|name| matches!(segment::parse_file(name), Some((_, FileKind::Rows))))
}

/// Removes the files that a crash left and the manifest does not name. Names of other kinds are left alone.
pub(crate) fn remove_leftovers(dir: &dyn Dir, names: &[String], root: &Manifest) -> Result<()> {
    let named = root.files();
    let mut removed = false;
    for name in names {
        let is_unfinished =
            name == MANIFEST_NEW_FILE || is_mended(name) || segment::is_unfinished_words(name);
        if is_unfinished || is_unnamed(name, &named) {
            faults::point("recovery.leftover");
            dir.remove(name)?;
            removed = true;
        }
    }
    if removed { dir.sync() } else { Ok(()) }
}

/// Collections by id, and the damaged ones by name.
type Opened = (BTreeMap<u64, Arc<CollectionCore>>, BTreeMap<String, (u64, Damage)>);

/// The fields of each segment whose words lie beside it, by the names of the files.
type WordsOf = BTreeMap<u64, Vec<FieldId>>;

/// Opens every segment, in parallel, and makes the collections of them. `names` are those of the files.
pub(crate) fn open_collections(
    dir: &dyn Dir,
    (root, names): (&Manifest, &[String]),
    options: &DbOptions,
) -> Result<Opened> {
    let mut words = WordsOf::new();
    for name in names {
        if let Some((id, FileKind::Words(field))) = segment::parse_file(name) {
            words.entry(id).or_default().push(field);
        }
    }
    let opened: Vec<(u64, Result<Arc<CollectionCore>>)> = root
        .collections
        .par_iter()
        .map(|(id, entry)| (*id, open_collection(dir, (*id, entry), &words, options)))
        .collect();
    let (mut cores, mut damaged) = Opened::default();
    for (id, opened) in opened {
        match opened.map_err(|error| error.into_damage(options.on_damage)) {
            Ok(core) => drop(cores.insert(id, core)),
            Err(damage) => {
                let (name, damage) = (root.collections[&id].name.clone(), damage?);
                tracing::error!(collection = %name, error = %Error::from(damage.clone()), "a collection is not opened; `ragstone check` names what is damaged, `ragstone repair` or a snapshot mends it");
                damaged.insert(name, (id, damage));
            }
        }
    }
    Ok((cores, damaged))
}

fn open_collection(
    dir: &dyn Dir,
    (id, entry): (u64, &CollectionEntry),
    words: &WordsOf,
    options: &DbOptions,
) -> Result<Arc<CollectionCore>> {
    let check = match (options.storage, options.verify) {
        (Storage::Resident, _) | (_, Verify::OnOpen) => Check::Everything,
        (Storage::Mapped, Verify::Background | Verify::OnDemand) => Check::Headers,
    };
    let encodings = Encodings::all(&entry.schema);
    let DbOptions { storage, filter_cache_bytes, .. } = *options;
    let opening =
        Opening { schema: &entry.schema, encodings: &encodings, storage, check, filter_cache_bytes };
    let segments = entry
        .segments
        .par_iter()
        .map(|segment| {
            let sealed = Arc::new(SealedSegment::open(dir, segment.id, &opening)?);
            if !sealed.has_only(&entry.fields) {
                let reason = "a column is of a field that the collection does not have";
                return Err(corrupt(dir, &segment::segment_file(segment.id), 0, reason));
            }
            for field in words.get(&segment.id).into_iter().flatten() {
                // Whatever is wrong with them, they can be made again.
                if let Err(error) = sealed.open_words(dir, *field, (storage, check)) {
                    tracing::warn!(%error, "the words of a field are not used; they are made anew");
                }
            }
            let dead = match segment.tombstones {
                0 => DeadRows::default(),
                generation => {
                    let name = tombstone_file(segment.id, generation);
                    tombstones::read(dir, &name, segment.id, sealed.rows())?
                }
            };
            let patches = match segment.patches {
                0 => Patches::default(),
                generation => {
                    let of = Patched { segment: segment.id, rows: sealed.rows(), fields: &entry.fields };
                    patching::read(dir, &patch_file(segment.id, generation), &of)?
                }
            };
            Ok((SegmentView::sealed(sealed, (dead, patches), &entry.fields), *segment))
        })
        .collect::<Result<Vec<_>>>()?;
    let requests = match entry.requests {
        0 => Default::default(),
        generation => collection::read_requests(dir, &request_file(id, generation), id)?,
    };
    Ok(Arc::new(CollectionCore::open(id, entry, collection::Opened { segments, requests }, &options.clock)))
}
