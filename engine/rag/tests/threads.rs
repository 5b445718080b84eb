//! What embedding takes of its process: threads within the bound that it was given, none after the model was dropped.
//!
//! One test, alone in its process, as it counts all threads.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ragstone::Db;
use ragstone_kernels::Workers;
use ragstone_rag::embed::{ModelOptions, Models, Overflow, Role};
use ragstone_rag::ingest::DocumentInput;
use ragstone_rag::prompt::EnrichRequest;
use ragstone_rag::{CollectionSpec, Error, Rag};

/// The names of the process's threads, sorted.
fn threads() -> Vec<String> {
    let mut names = Vec::new();
    for task in std::fs::read_dir("/proc/self/task").unwrap() {
        // A thread may end meanwhile.
        names.extend(std::fs::read_to_string(task.unwrap().path().join("comm")));
    }
    names.sort();
    names
}

/// Waits until something holds, or for so long that it never will.
fn eventually(mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() && start.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn tiny() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tiny-models/bert-cls-dense")
}

fn models(folder: &Path, threads: usize) -> Models {
    let (cache_dir, threads) = (folder.join("models"), NonZero::new(threads));
    Models::new(ModelOptions { cache_dir, offline: true, threads, ..ModelOptions::default() })
}

/// Everything that embeds.
fn work(rag: &Rag, model: &str) {
    rag.create_collection("notes", CollectionSpec::with_model(model)).unwrap();
    let text = "# Tea\n\nGreen tea.\n\n# Sun\n\nIt shines.";
    rag.ingest("notes", DocumentInput::new("notes.md", text)).unwrap();
    rag.enrich("notes", &EnrichRequest::new("tea?")).unwrap();
    let texts: Vec<&str> = std::iter::repeat_n("green tea and the sun", 64).collect();
    let made = rag.embed(Some(model), &texts, Role::Passage, Overflow::Truncate).unwrap();
    assert!(made.vectors.iter().all(|vector| *vector == made.vectors[0]));
}

#[test]
fn a_model_computes_with_its_own_threads_and_they_end_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let name = tiny().to_str().unwrap().to_owned();
    let before = threads();
    for count in [1, 3] {
        let rag = Rag::new(Db::in_memory().unwrap(), models(folder.path(), count));
        work(&rag, &name);
        let mut found = Vec::new();
        eventually(|| {
            found = threads();
            found.iter().filter(|name| !name.starts_with("ragstone-")).eq(&before)
        });
        let of_model = found.iter().filter(|name| name.starts_with("ragstone-embed")).count();
        assert_eq!(of_model, count, "{found:?}");
        assert!(found.iter().all(|name| name.starts_with("ragstone-") || before.contains(name)), "{found:?}");
        drop(rag);
        eventually(|| threads() == before);
        assert_eq!(threads(), before);
    }
    from_a_pool_of_the_callers(folder.path(), &name);
    eventually(|| threads() == before);
    assert_eq!(threads(), before);
    let refused = models(folder.path(), 1 << 40).load(&name).err().unwrap();
    assert!(
        matches!(&refused, Error::Limit { field, limit: "THREADS_MAX", .. } if field == "threads"),
        "{refused}"
    );
    assert_eq!(threads(), before);
}

/// Tasks of one pool that load one model at once: whoever waits must not take up another such task, which would wait for it.
fn from_a_pool_of_the_callers(folder: &Path, name: &str) {
    let (callers, models) = (Workers::new("callers", NonZero::new(2).unwrap()).unwrap(), models(folder, 2));
    let load = || {
        let embedder = models.load(name).unwrap();
        let made = embedder.embed(&["tea", "sun"], Role::Query, Overflow::Truncate).unwrap();
        assert_eq!(made.vectors.len(), 2);
    };
    callers.run(|| rayon::scope(|scope| (0..16).for_each(|_| scope.spawn(|_| load())))).unwrap();
}
