//! How many passes there are before writes must wait, or it is given up.

use ragstone::{CancelToken, Point};

use super::fixture::{C, fill, made_with, make, open, reembed, rows};
use crate::error::Error;
use crate::progress::Silent;
use crate::rag::Rag;
use crate::rag::reembed::state::State;
use crate::rag::reembed::{HELD_ROWS_MAX, PASSES_MAX, ReembedOptions};

/// One that had given up, as more was written than the model embedded, was refused again as soon as it was begun again, though
/// nobody wrote any more: its passes were used up, and what was written since the last of them is never less.
#[test]
fn one_that_gave_up_is_gone_on_with_when_less_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let rag = open(folder.path());
    let write = |rag: &Rag| {
        fill(rag, 0..3);
        let note = |id: usize| Point::without_vector(100 + id as u64).with("note", id as i64);
        rag.db().collection(C).unwrap().upsert((0..=HELD_ROWS_MAX).map(note).collect()).unwrap();
    };
    make(&rag, "old");
    write(&rag);
    let token = CancelToken::new();
    token.cancel();
    let stopped = rag.reembed(C, &ReembedOptions::to("new"), &Silent, &token);
    assert!(matches!(stopped, Err(Error::Interrupted { .. })));
    let replacement = rag.db().replacement(C).unwrap().unwrap();
    let mut state = State::load(rag.db(), &replacement).unwrap().unwrap();
    state.pass = PASSES_MAX;
    state.save(rag.db(), &replacement).unwrap();
    drop(replacement);
    let report = reembed(&rag, &ReembedOptions::to("new")).unwrap();
    assert!(report.resumed && report.passes > PASSES_MAX, "{report:?}");
    assert_eq!(rows(&rag), made_with("new", write));
}
