//! Updates while rows are sealed and merged, and how much of them a segment bears.

use std::sync::{Arc, OnceLock};

use super::faults::soon;
use super::{Step, contents, id_of, options};
use crate::dir::Dir;
use crate::dir::hooked::HookedDir;
use crate::faults::{Mutant, with};
use crate::segment::Segment;
use crate::{Analyzer, Collection, Db, DbOptions, Filter, Point, Schema, Update};

/// Updates two rows and returns when that can be seen. The writer itself comes back later: it waits for its turn to seal.
fn update_and_see(collection: &Collection) {
    let etag = |collection: &Collection| collection.get(&[id_of(4)]).unwrap()[0].as_ref().unwrap().etag;
    let (before, writer) = (etag(collection), collection.clone());
    std::thread::spawn(move || {
        let text = super::text(&id_of(2), 1 + 14 * super::NOTE);
        let updates = vec![
            Update::new(id_of(2)).set("note", 14).set("text", text),
            Update::new(id_of(4)).unset("note"),
        ];
        writer.update(updates).unwrap();
    });
    soon("it is applied", || etag(collection) > before);
}

/// Updates some rows while segment files are written, and says whether all is there in the end.
fn with_updates_meanwhile(before: &[Step]) -> bool {
    let collection: Arc<OnceLock<Collection>> = Arc::default();
    let meanwhile = collection.clone();
    let dir = HookedDir::new(move |operation, name| {
        if operation == "sync"
            && name.starts_with("segment-")
            && let Some(collection) = meanwhile.get()
        {
            update_and_see(collection);
        }
        Ok(())
    });
    let open = || Db::open_in(Arc::new(dir.clone()), options()).unwrap();
    let db = open();
    let mut expected = super::Contents::new();
    let step = |db: &Db, expected: &mut _, step: Step| {
        step.run(db).unwrap();
        step.apply(expected);
    };
    step(&db, &mut expected, Step::Create("a"));
    step(&db, &mut expected, Step::Write("a", (0..7).map(|id| (id, Some(1))).collect()));
    step(&db, &mut expected, Step::Update("a", vec![(3, 4), (4, 4)]));
    before.iter().for_each(|before| step(&db, &mut expected, before.clone()));
    assert!(collection.set(db.collection("a").unwrap()).is_ok());
    db.flush().unwrap();
    db.compact().unwrap();
    Step::Update("a", vec![(2, 14), (4, 0)]).apply(&mut expected);
    let found = contents(&db);
    // The handle that the hook has keeps the directory locked.
    let copied = dir.inner().copied();
    found == expected && contents(&super::open(&copied).unwrap()) == expected
}

#[test]
fn what_is_updated_while_rows_are_sealed_or_merged_is_not_lost() {
    // Another segment, so that there is something to merge.
    let merge = [Step::Flush, Step::Write("a", (7..10).map(|id| (id, Some(1))).collect())];
    assert!(with_updates_meanwhile(&[]));
    assert!(with_updates_meanwhile(&merge));
    assert!(!with(Mutant::ForgetPatchesOnMerge, || with_updates_meanwhile(&[])), "a mistake is found out");
}

/// Patches that are many are folded by a merge of their segment, and their file goes.
#[test]
fn many_patches_make_a_merge_due() {
    let dir = HookedDir::new(|_, _| Ok(()));
    let db = Db::open_in(Arc::new(dir.clone()), DbOptions { seal_rows: 10_000, ..options() }).unwrap();
    Step::Create("a").run(&db).unwrap();
    Step::Write("a", (0..4_096).map(|id| (id, Some(1))).collect()).run(&db).unwrap();
    db.flush().unwrap();
    let names = |prefix: &str| -> Vec<String> {
        dir.list().unwrap().into_iter().filter(|name| name.starts_with(prefix)).collect()
    };
    let first = names("segment-");
    Step::Update("a", (0..1_023).map(|id| (id, 3)).collect()).run(&db).unwrap();
    db.flush().unwrap();
    assert_eq!((names("segment-"), names("patch-").len()), (first.clone(), 1));
    Step::Update("a", vec![(1_023, 3)]).run(&db).unwrap();
    db.flush().unwrap();
    assert_ne!(names("segment-"), first);
    assert!(names("patch-").is_empty());
    assert_eq!(db.collection("a").unwrap().count(Some(&Filter::eq("note", 3))).unwrap(), 1_024);
}

/// An update of a text leaves the row, its vector and its links where they are: what is written is the log and a patch file.
#[test]
fn an_update_of_a_text_rewrites_neither_vectors_nor_links() {
    let dir = HookedDir::new(|_, _| Ok(()));
    let db = Db::open_in(Arc::new(dir.clone()), DbOptions { seal_rows: 10_000, ..options() }).unwrap();
    let schema = Schema::builder(64).text("text", Analyzer::English).build().unwrap();
    let collection = db.create_collection("c", schema).unwrap();
    let row = |id: u64| {
        let vector: Vec<f32> = (0..64).map(|place| (id + place) as f32 + 1.0).collect();
        Point::new(id, vector).with("text", "the old words").with("n", id as i64)
    };
    let update = |id: u64| Update::new(id).set("text", format!("the new words of {id}"));
    collection.upsert((0..300).map(row).collect()).unwrap();
    collection.update((0..9).map(update).collect()).unwrap();
    let found = |text: &str| super::words::with_all_terms(&collection.view(), text);
    let in_place = |rows: u32| {
        let view = collection.view();
        let [segment] = view.state.segments.as_slice() else { panic!("there is one segment") };
        assert_eq!((segment.rows, segment.dead.count), (rows, 0), "no row was written anew");
        matches!(segment.segment, Segment::Sealed(_))
    };
    assert!(!in_place(300));
    assert_eq!((found("old"), found("new"), found("new words 7")), (291, 9, 1));
    db.flush().unwrap();
    assert!(in_place(300));
    assert_eq!((found("old"), found("new")), (291, 9), "sealed with what had changed");
    let files = |prefix: &str| -> Vec<(String, Vec<u8>)> {
        let names = dir.list().unwrap().into_iter().filter(|name| name.starts_with(prefix));
        names.map(|name| (name.clone(), dir.read(&name).unwrap())).collect()
    };
    let segments = files("segment-");
    assert!(files("patch-").is_empty());
    collection.update((5..20).map(update).collect()).unwrap();
    collection.update(vec![Update::new(6).unset("text"), Update::new(7).set("text", "old again")]).unwrap();
    assert_eq!((found("old"), found("new"), found("new words 7")), (281, 18, 0));
    db.flush().unwrap();
    assert!(in_place(300));
    assert_eq!(files("segment-"), segments, "not a byte of it");
    let [(_, patches)] = &files("patch-")[..] else { panic!("there is one patch file") };
    assert!(patches.len() < 15 * 60, "{} bytes", patches.len());
}
