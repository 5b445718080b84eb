//! Roots come back, and nonsense is refused.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::dir::hooked::HookedDir;
use crate::dir::{Dir, io_error};
use crate::payload::FieldType;
use crate::schema::Metric;

fn example() -> Manifest {
    let mut fields = FieldTable::default();
    fields.add("year", FieldType::Int);
    fields.add("text", FieldType::String);
    let schema = Schema::builder(3)
        .metric(Metric::L2)
        .field("year", FieldType::Int)
        .field("text", FieldType::String)
        .attribute("model", "m")
        .build()
        .unwrap();
    let segments =
        vec![SegmentEntry::new(4), SegmentEntry { tombstones: 2, patches: 3, ..SegmentEntry::new(5) }];
    let entry = CollectionEntry {
        name: "a".into(),
        schema,
        fields,
        stored_seq: 7,
        requests: 6,
        time_us: 5,
        segments,
    };
    Manifest {
        generation: 3,
        next_collection: 9,
        next_segment: 6,
        lineage: Lineage([7; 16]),
        catalogue_seq: 2,
        log: LogMark { next_file: 4, position: 11, time_us: 12 },
        keep_log_bytes: 13,
        collections: [(8, entry)].into(),
        attributes: [("k".into(), Attribute { value: b"v\xff".as_slice().into(), revision: 2 })].into(),
        aliases: [("b".into(), "a".into())].into(),
    }
}

#[test]
fn it_comes_back() {
    assert_eq!(Manifest::decode(&example().encode()).unwrap(), example());
}

#[test]
fn any_flipped_byte_is_seen() {
    let bytes = example().encode();
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        assert!(Manifest::decode(&damaged).is_err(), "{at}");
    }
}

#[test]
fn numbers_that_were_never_given_out_are_refused() {
    let refused = |change: fn(&mut Manifest)| {
        let mut manifest = example();
        change(&mut manifest);
        Manifest::decode(&manifest.encode()).unwrap_err().1
    };
    let never = "is used twice or was never given out";
    // A seal would have written its file over that of a segment in use.
    assert!(refused(|manifest| manifest.next_segment = 5).contains(never));
    assert!(refused(|manifest| manifest.next_collection = 8).contains(never));
    let twice = |manifest: &mut Manifest| {
        let collection = manifest.collections.get_mut(&8).unwrap();
        collection.segments[1].id = collection.segments[0].id;
    };
    assert!(refused(twice).contains(never));
    assert!(refused(|manifest| manifest.log.position = u64::MAX).contains("counted"));
    // The next change would have counted beyond the end.
    assert!(refused(|manifest| manifest.generation = u64::MAX).contains("counted"));
    assert!(refused(|manifest| manifest.next_segment = u64::MAX).contains("counted"));
    assert!(
        refused(|manifest| manifest.collections.get_mut(&8).unwrap().stored_seq = u64::MAX)
            .contains("counted")
    );
}

#[test]
fn one_without_attributes_and_aliases_is_read() {
    let mut old = example();
    (old.attributes, old.aliases) = Default::default();
    let bytes = old.encode();
    // As version 4 had it: without the two counts at the end.
    let mut bytes = bytes[..bytes.len() - 4 - 8].to_vec();
    bytes[8] = 4;
    let length = (bytes.len() - HEADER_BYTES) as u64;
    bytes[12..20].copy_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
    assert_eq!(Manifest::decode(&bytes).unwrap(), old);
}

#[test]
fn attributes_and_aliases_that_cannot_be_are_refused() {
    let refused = |change: fn(&mut Manifest)| {
        let mut manifest = example();
        change(&mut manifest);
        Manifest::decode(&manifest.encode()).unwrap_err().1
    };
    assert!(refused(|manifest| manifest.catalogue_seq = 1).contains("no change 2"));
    let alias = |manifest: &mut Manifest, alias: &str, collection: &str| {
        drop(manifest.aliases.insert(alias.into(), collection.into()));
    };
    assert!(!refused(|manifest| drop(manifest.aliases.insert("c".into(), "b".into()))).is_empty());
    let mut hiding = example();
    alias(&mut hiding, "a", "a");
    assert!(Manifest::decode(&hiding.encode()).unwrap_err().1.contains("alias"));
}

#[test]
fn a_sound_checksum_over_nonsense_is_an_error_not_a_panic() {
    let bytes = example().encode();
    for length in HEADER_BYTES..bytes.len() - 4 {
        let mut cut = bytes[..length].to_vec();
        cut[12..20].copy_from_slice(&((length - HEADER_BYTES) as u64).to_le_bytes());
        let crc = crc32fast::hash(&cut);
        cut.extend_from_slice(&crc.to_le_bytes());
        assert!(Manifest::decode(&cut).is_err(), "{length}");
    }
}

/// A process was killed after the rename. The next one went by the new root, and removed log that only the old one needed; where
/// a power loss then undid the rename alone, acknowledged rows were gone.
#[test]
fn a_root_is_durable_before_anybody_goes_by_it() {
    let is_killed = Arc::new(AtomicBool::new(false));
    let killed = is_killed.clone();
    let dir = HookedDir::new(move |operation, name| {
        if killed.load(Ordering::SeqCst) && operation == "sync" && name.is_empty() {
            return Err(io_error("sync", name.as_ref(), std::io::ErrorKind::Other.into()));
        }
        Ok(())
    });
    let store = ManifestStore::open(Arc::new(dir.clone()), true).unwrap();
    is_killed.store(true, Ordering::SeqCst);
    let change = |manifest: &mut Manifest| {
        manifest.next_segment = 9;
        Ok(())
    };
    store.update(change).unwrap_err();
    let found = ManifestStore::open(Arc::new(dir.inner().clone()), false).unwrap().current();
    assert_eq!(found.next_segment, 9);
    for seed in 0..20 {
        let left = dir.inner().recovered(seed).read(MANIFEST_FILE).unwrap();
        assert_eq!(Manifest::decode(&left).unwrap(), found, "{seed}");
    }
}
