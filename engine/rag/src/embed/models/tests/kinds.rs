//! What a name may stand for beside an embedding model in single precision.

use std::cell::Cell;
use std::sync::mpsc::channel;

use super::*;

#[test]
fn arithmetic_in_eight_bits_is_another_model() {
    let setting = Setting::new();
    let models = setting.models(NOWHERE, &[], true);
    let path = tiny();
    let (float, int8) = (path.to_str().unwrap(), format!("{}@int8", path.to_str().unwrap()));
    let (float, int8) = (models.load(float).unwrap(), models.load(&int8).unwrap());
    assert_eq!((float.info().arithmetic, int8.info().arithmetic), (Arithmetic::Float, Arithmetic::Int8));
    assert_eq!(float.info().sha256, int8.info().sha256);
    assert!(int8.info().name.ends_with("@int8"));
    let vector = |embedder: &Arc<dyn Embedder>| {
        embedder
            .embed(&["the quick brown fox"], crate::embed::Role::Plain, Default::default())
            .unwrap()
            .vectors
    };
    let (exact, near) = (vector(&float), vector(&int8));
    assert_ne!(exact, near);
    let cosine: f32 = exact[0].iter().zip(&near[0]).map(|(a, b)| a * b).sum();
    assert!(cosine > 0.98, "{cosine}");
}

/// A hub's model of which only the tokenizer is asked for.
#[test]
fn tokens_are_counted_without_a_models_weights() {
    let server = StandIn::start(hub_answer);
    let setting = Setting::new();
    let models = setting.models(&server.url, &[], false);
    let counter = models.token_counter("org/model").unwrap();
    assert_eq!((counter.count("the quick brown fox"), counter.is_exact()), (4, true));
    let asked: Vec<String> = server.requests().into_iter().map(|request| request.path).collect();
    assert_eq!(asked, ["/org/model/resolve/main/tokenizer.json"]);
    assert_eq!(setting.cached(), ["tokenizers"]);
    assert!(models.list().unwrap().is_empty(), "a tokenizer is no model");
    // Again from the cache, by another process.
    let again = setting.models(NOWHERE, &[], true).token_counter("org/model").unwrap();
    assert_eq!(again.count("the quick brown fox"), 4);
    let absent = sources(setting.models(NOWHERE, &[], true).token_counter("org/other"));
    assert_eq!(absent.len(), 2);
    // A loaded model counts itself; OpenAI's are built in; of a service's nothing more is known than that.
    let tiny = tiny().to_str().unwrap().to_owned();
    models.load(&tiny).unwrap();
    assert_eq!(models.token_counter(&tiny).unwrap().count("the quick brown fox"), 4);
    assert_eq!(models.token_counter("gpt-4o").unwrap().count("hello world"), 2);
    assert!(models.token_counter("https://h/v1#text-embedding-3-small").unwrap().is_exact());
    let estimate = models.token_counter("https://h/v1#unknown").unwrap();
    assert!(!estimate.is_exact() && estimate.count("hello world") >= 2);
}

/// A model that was loaded counted a text without the space around it, and one of a service's called exact counts estimates.
#[test]
fn a_count_does_not_depend_on_whether_the_model_is_loaded() {
    let setting = Setting::new();
    let tiny = tiny().to_str().unwrap().to_owned();
    let names = [
        tiny.clone(),
        format!("{tiny}@int8"),
        "https://h/v1?dimensions=3#text-embedding-3-small".to_owned(),
        "https://h/v1?dimensions=3#unknown".to_owned(),
    ];
    for name in names {
        let counted = |models: &Models| {
            let counter = models.token_counter(&name).unwrap();
            let counts = ["  The quick  brown FOX \n", "", " "].map(|text| counter.count(text));
            (counts, counter.is_exact())
        };
        let models = setting.models(NOWHERE, &[], true);
        assert!(models.loaded_token_counter(&name).is_none());
        let before = counted(&models);
        assert!(models.loaded_token_counter(&name).is_some(), "{name}");
        // Others have it loaded before it counts.
        let loading = setting.models(NOWHERE, &[], true);
        loading.load(&name).unwrap();
        assert_eq!(counted(&loading), before, "{name}");
    }
}

/// Whoever came second waited for as long as the first one's download took, though their own caller had left.
#[test]
fn who_stops_waiting_for_a_reranker_or_a_counter_is_let_go() {
    type Load = fn(&Models, Wanted<'_>) -> Result<()>;
    let loads: [Load; 2] = [
        |models, wanted| models.reranker_wanted("org/absent", wanted).map(drop),
        |models, wanted| models.token_counter_wanted("org/absent", wanted).map(drop),
    ];
    for load in loads {
        // The hub answers no sooner than it is let.
        let ((ask, asked), (open, opened)) = (channel::<()>(), channel::<()>());
        let server = StandIn::start(move |_| {
            let _ = ask.send(());
            let _ = opened.recv();
            Answer::new(404, "Entry not found")
        });
        let setting = Setting::new();
        let models = setting.models(&server.url, &[], false);
        let looks = Cell::new(0);
        let check = || -> Result<()> {
            looks.set(looks.get() + 1);
            if looks.get() < 3 { Ok(()) } else { Err(ragstone::Error::Cancelled.into()) }
        };
        std::thread::scope(|scope| {
            let first = scope.spawn(|| load(&models, Wanted::always()));
            asked.recv().unwrap();
            let second = load(&models, Wanted::while_ok(&check));
            assert!(matches!(second, Err(Error::Engine(ragstone::Error::Cancelled))), "{second:?}");
            drop(open);
            assert!(matches!(first.join().unwrap(), Err(Error::ModelNotFound { .. })));
        });
    }
}
