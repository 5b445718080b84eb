//! A database that is closed, reopened and killed, while time passes.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use ragstone::{Clock, Collection, Db, DbOptions, Schema};

use super::Random;

/// A database with one collection. Each time that it is opened, it has threads in the background or not.
pub(crate) struct Store {
    now: Arc<AtomicI64>,
    seal_rows: usize,
    directory: tempfile::TempDir,
    db: Option<Db>,
    in_background: bool,
}

impl Store {
    /// With segments of so many rows.
    pub(crate) fn new(schema: Schema, seal_rows: usize, random: &mut Random) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut store = Self { now: Arc::default(), seal_rows, directory, db: None, in_background: false };
        store.reopen(random);
        store.db().create_collection("c", schema).unwrap();
        store
    }

    pub(crate) fn db(&self) -> &Db {
        self.db.as_ref().expect("the database is open between steps")
    }

    pub(crate) fn collection(&self) -> Collection {
        self.db().collection("c").unwrap()
    }

    pub(crate) fn now(&self) -> i64 {
        self.now.load(Ordering::SeqCst)
    }

    /// Time passes.
    pub(crate) fn wait(&self, micros: i64) {
        self.now.fetch_add(micros, Ordering::SeqCst);
    }

    pub(crate) fn reopen(&mut self, random: &mut Random) {
        self.db = None;
        let mut options = DbOptions::default();
        options.seal_rows = self.seal_rows;
        self.in_background = random.is_one_in(2);
        options.background = self.in_background;
        let now = self.now.clone();
        options.clock = Clock::new(move || now.load(Ordering::SeqCst));
        self.db = Some(Db::open_with(self.directory.path(), options).unwrap());
    }

    /// Goes on with the files as they are while the database is open: what a killed process leaves. With threads in the
    /// background they may change while they are copied, so then it is closed first.
    pub(crate) fn crash(&mut self, random: &mut Random) {
        if self.in_background {
            self.db = None;
        }
        let after = tempfile::tempdir().unwrap();
        copy(self.directory.path(), after.path());
        self.db = None;
        self.directory = after;
        self.reopen(random);
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}
