//! One collection of a copy, without what the others hold.

use std::ops::ControlFlow;

use super::*;
use crate::catalogue::{CATALOGUE, CatalogueChange};

/// Puts the log of a copy into its place, then what one collection needs beside it. The names of the latter.
fn put_part(copied: &Copied, dir: &MemoryDir, name: &str) -> Result<(Restore, Vec<u8>, Vec<String>)> {
    let restore = Restore::begin_in(Arc::new(dir.clone()), "part")?;
    let put = |(name, bytes): &(String, Vec<u8>)| -> Result<()> {
        let mut file = restore.write(name)?;
        file.write_all(bytes).unwrap();
        file.commit()
    };
    copied.files.iter().filter(|(name, _)| Restore::is_log_file(name)).try_for_each(put)?;
    let (manifest, needed) = restore.part(&copied.manifest, name)?;
    assert!(needed.iter().all(|name| !Restore::is_log_file(name)));
    copied.files.iter().filter(|(name, _)| needed.contains(name)).try_for_each(put)?;
    Ok((restore, manifest, needed.into_iter().collect()))
}

fn goes_on(_: crate::VerifyProgress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

#[test]
fn it_is_whole_and_the_others_hold_nothing() {
    let db = open(&MemoryDir::new()).unwrap();
    for name in ["a", "b", "z"] {
        db.create_collection(name, schema()).unwrap();
        write_to(&db, name, 0..20, 1);
    }
    db.set_alias("x", "z").unwrap();
    let replacement = db.begin_replacement("b", schema()).unwrap();
    let rows = (0..20_u64).map(|id| Point::new(id, [2.0, id as f32]).with("version", 2));
    replacement.collection().upsert(rows.collect()).unwrap();
    replacement.finish(|_| Ok::<(), Error>(())).unwrap();
    drop(replacement);
    db.flush().unwrap();
    // In the log alone.
    write(&db, 15..25, 2);
    update(&db, 0..3, 5);
    write_to(&db, "b", 3..9, 4);
    write_to(&db, "z", 3..9, 4);
    db.collection("z").unwrap().delete(&[0.into()]).unwrap();
    db.create_collection("late", schema()).unwrap();
    write_to(&db, "late", 0..3, 1);
    let copied = Copied::of(&db.pin().unwrap());
    let expected = contents(&db);
    let mut of_all = Vec::new();
    for name in ["a", "b", "late", "z"] {
        let target = MemoryDir::new();
        let (restore, manifest, needed) = put_part(&copied, &target, name).unwrap();
        restore.open_while(&manifest, &mut goes_on).unwrap().finish().unwrap();
        let part = open(&target).unwrap();
        for ((found, versions), (_, expected)) in contents(&part).into_iter().zip(&expected) {
            match found == name {
                true => assert_eq!(versions, *expected, "{name}"),
                false => assert!(versions.is_empty(), "{found} beside {name}"),
            }
        }
        assert_eq!(contents(&part).len(), expected.len());
        assert_eq!(part.collection("x").unwrap().name(), "z");
        assert_eq!(name == "late", needed.is_empty());
        of_all.extend(needed);
    }
    // Each file is one collection's.
    let names = copied.files.iter().map(|(name, _)| name.clone());
    let mut expected: Vec<String> = names.filter(|name| !Restore::is_log_file(name)).collect();
    of_all.sort();
    expected.sort();
    assert_eq!(of_all, expected);
    let absent = put_part(&copied, &MemoryDir::new(), "x").unwrap_err();
    assert!(matches!(absent, Error::CollectionNotFound { .. }), "{absent}");
}

/// What changes names while a copy is begun may be in its log alone: whoever has the name by that has it in the part.
#[test]
fn what_takes_a_place_by_the_log_alone_has_the_name() {
    let db = open(&MemoryDir::new()).unwrap();
    for name in ["a", "z"] {
        db.create_collection(name, schema()).unwrap();
        write_to(&db, name, 0..4, 1);
    }
    let replacement = db.begin_replacement("a", schema()).unwrap();
    let row = |id: u64, version: i64| Point::new(id, [2.0, id as f32]).with("version", version);
    replacement.collection().upsert((0..9).map(|id| row(id, 2)).collect()).unwrap();
    db.flush().unwrap();
    replacement.collection().upsert(vec![row(9, 3)]).unwrap();
    let original = db.collection("a").unwrap().info().id;
    let body = CatalogueChange::Replace { id: replacement.id(), original }.encode();
    let log = &db.any_store().log;
    // Three were made before.
    log.wait(log.submit(Record { log_id: CATALOGUE, seq: 4, body: &body }).unwrap()).unwrap();
    let copied = Copied::of(&db.pin().unwrap());
    let a = [vec![2_i64; 9], vec![3]].concat();
    for (name, a, z) in [("a", a, vec![]), ("z", vec![], vec![1; 4])] {
        let target = MemoryDir::new();
        let (restore, manifest, needed) = put_part(&copied, &target, name).unwrap();
        assert!(!needed.is_empty());
        restore.open_while(&manifest, &mut goes_on).unwrap().finish().unwrap();
        let part = open(&target).unwrap();
        assert_eq!(contents(&part), [("a".to_owned(), a), ("z".to_owned(), z)], "of {name}");
        assert!(part.replacement("a").unwrap().is_none());
    }
}

#[test]
fn comparing_it_can_be_cancelled_and_finds_damage() {
    let options = DbOptions { seal_rows: 10_000, ..options() };
    let db = Db::open_in(Arc::new(MemoryDir::new()), options).unwrap();
    db.create_collection("a", schema()).unwrap();
    write(&db, 0..3_000, 1);
    db.flush().unwrap();
    let copied = Copied::of(&db.pin().unwrap());
    let put = |dir: &MemoryDir| put_part(&copied, dir, "a").unwrap();
    let mut asked = 0;
    let (restore, manifest, _) = put(&MemoryDir::new());
    let ended = restore.open_while(&manifest, &mut |_| {
        asked += 1;
        ControlFlow::Break(())
    });
    assert!(matches!(ended, Err(Error::Cancelled)), "{ended:?}");
    assert_eq!(asked, 1, "it is not asked again");
    let dir = MemoryDir::new();
    let (restore, manifest, needed) = put(&dir);
    dir.flip(&needed[0], dir.length(&needed[0]) / 2);
    let damaged = restore.open_while(&manifest, &mut goes_on);
    assert!(matches!(damaged, Err(Error::Corrupt { .. })), "{damaged:?}");
}
