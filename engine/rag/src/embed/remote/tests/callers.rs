//! What callers of a service have of it: how long they wait, where their texts go, what their collections keep.

use std::cell::Cell;
use std::time::Instant;

use ragstone::{CancelToken, Db};

use super::*;
use crate::embed::{ModelOptions, Models};
use crate::limits::{EMBED_REQUESTS_MAX, REMOTE_LOADS_MAX};
use crate::progress::Silent;
use crate::{CollectionSpec, Rag, ReembedOptions};

#[test]
fn a_service_without_room_says_when_to_come_back() {
    let slow = |seconds: &'static str| {
        StandIn::start(move |_| Answer {
            headers: vec![("retry-after", seconds.to_owned())],
            ..Answer::new(429, "slow down")
        })
    };
    let embed = |server: &StandIn, wanted: Wanted<'_>| {
        let name = format!("{}/v1?dimensions=3#small", server.url);
        let embedder = RemoteEmbedder::connect_with_key(&name, None).unwrap();
        match embedder.embed_wanted(&["a"], Role::Plain, Overflow::Error, wanted).unwrap_err() {
            Error::RemoteBusy { retry_after, .. } => (retry_after, server.requests().len()),
            error => panic!("not RemoteBusy: {error}"),
        }
    };
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    assert_eq!(embed(&slow("3600"), Wanted::always()), (seconds(3_600), 1));
    assert_eq!(embed(&slow("0"), Wanted::always()), (seconds(0), 5), "it was tried again as often as may be");
    let soon = Wanted::always().until(Some(Instant::now() + Duration::from_secs(40)));
    assert_eq!(embed(&slow("50"), soon), (seconds(50), 1), "nobody has the time for such a pause");
}

/// A call whose caller had left slept on for up to a minute, or waited for its answer for as long as one try may take.
#[test]
fn who_stops_waiting_is_let_go() {
    // Looks at the caller, who leaves at the thirtieth one: by then the service has answered, and asked for a minute.
    let looks = Cell::new(0);
    let check = || -> Result<()> {
        looks.set(looks.get() + 1);
        if looks.get() < 30 { Ok(()) } else { Err(ragstone::Error::Cancelled.into()) }
    };
    let began = Instant::now();
    let embed = |url: &str| {
        looks.set(0);
        let name = format!("{url}/v1?dimensions=3#small");
        let embedder = RemoteEmbedder::connect_with_key(&name, None).unwrap();
        let wanted = Wanted::while_ok(&check);
        let error = embedder.embed_wanted(&["a"], Role::Plain, Overflow::Error, wanted).unwrap_err();
        assert!(matches!(error, Error::Engine(ragstone::Error::Cancelled)), "{error}");
    };
    let server = StandIn::start(|_| Answer {
        headers: vec![("retry-after", "60".to_owned())],
        ..Answer::new(503, "later")
    });
    embed(&server.url);
    assert!(server.requests().len() <= 1, "it is not tried again for nobody");
    // The connection is made, in the system's queue, and nobody says anything on it.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    embed(&format!("http://{}", silent.local_addr().unwrap()));
    assert!(began.elapsed() < Duration::from_secs(50), "{:?}", began.elapsed());
}

/// Loading asks a service for a vector where its name does not say how long that is, and went on asking for minutes, for nobody.
#[test]
fn who_stops_waiting_for_a_model_to_be_loaded_is_let_go() {
    // The connection is made, in the system's queue, and nobody says anything on it.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let name = format!("http://{}/v1#small", silent.local_addr().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let cache_dir = folder.path().join("models");
    let models = Models::new(ModelOptions { cache_dir, offline: true, ..ModelOptions::default() });
    let looks = Cell::new(0);
    let check = || -> Result<()> {
        looks.set(looks.get() + 1);
        if looks.get() < 5 { Ok(()) } else { Err(ragstone::Error::Cancelled.into()) }
    };
    let is_cancelled = |error: &Error| matches!(error, Error::Engine(ragstone::Error::Cancelled));
    let loaded = models.load_wanted(&name, Wanted::while_ok(&check));
    assert!(loaded.is_err_and(|error| is_cancelled(&error)));
    assert!(models.loaded(&name).is_none());
    // Who makes a collection, and who re-embeds one: each by its own token.
    let server = StandIn::start(answer);
    let rag = Rag::new(Db::in_memory().unwrap(), models);
    let soon = rag.wanted_until(Instant::now() + Duration::from_millis(100));
    let made = soon.create_collection("notes", CollectionSpec::with_model(&name));
    assert!(made.is_err_and(|error| is_cancelled(&error)));
    let other = format!("{}/v1?dimensions=3#small", server.url);
    rag.create_collection("notes", CollectionSpec::with_model(&other)).unwrap();
    let token = CancelToken::new();
    token.cancel();
    let moved = rag.reembed("notes", &ReembedOptions::to(&name), &Silent, &token);
    assert!(matches!(moved, Err(Error::Interrupted { .. })), "{moved:?}");
    assert!(rag.reembedding("notes").unwrap().is_none(), "nothing was begun");
}

/// Callers who leave while connections are being made leave threads behind, which nothing else counts.
#[test]
fn requests_under_way_are_bounded() {
    let server = StandIn::start(answer);
    let name = format!("{}/v1?dimensions=3#small", server.url);
    let embedder = RemoteEmbedder::connect_with_key(&name, None).unwrap();
    let mut under_way: Vec<_> = (0..EMBED_REQUESTS_MAX).map(|_| Arc::clone(&embedder.endpoint)).collect();
    // Nobody has the time for the pause before another try.
    let soon = Wanted::always().until(Some(Instant::now() + Duration::from_millis(400)));
    let error = embedder.embed_wanted(&["a"], Role::Plain, Overflow::Error, soon).unwrap_err();
    let is_busy = matches!(error, Error::RemoteBusy { .. });
    assert!(is_busy && error.to_string().contains("EMBED_REQUESTS_MAX = 256"), "{error}");
    assert!(server.requests().is_empty());
    under_way.clear();
    let made = embedder.embed(&["a"], Role::Plain, Overflow::Error).unwrap();
    assert_eq!(made.vectors, [vector("a")]);
}

/// Each load has requests of its own, so that no bound of theirs holds for the threads that callers leave behind with many of them.
#[test]
fn loads_under_way_are_bounded() {
    let server = StandIn::start(answer);
    let (name, loads) = (format!("{}/v1#small", server.url), RemoteLoads::default());
    let connect = |name: &str| RemoteEmbedder::connect_counted(name, Wanted::always(), &loads);
    let mut under_way: Vec<Arc<()>> = (0..REMOTE_LOADS_MAX).map(|_| loads.begin().unwrap()).collect();
    let refused = connect(&name);
    assert!(matches!(refused, Err(Error::RemoteBusy { .. })));
    assert!(reason(refused).contains("REMOTE_LOADS_MAX = 64"));
    assert!(server.requests().is_empty());
    // What asks nothing is none of them.
    assert!(connect(&format!("{}/v1?dimensions=3#small", server.url)).is_ok());
    under_way.pop();
    let loaded = connect(&name).unwrap();
    assert_eq!((loaded.info().dimension, server.requests().len()), (3, 1));
    assert_eq!(Arc::strong_count(&loads.0), REMOTE_LOADS_MAX, "one that is loaded is counted no more");
}

/// A redirect would carry the texts to an address that nobody named.
#[test]
fn no_redirect_is_followed() {
    let other = StandIn::start(answer);
    let location = format!("{}/v1/embeddings", other.url);
    let server = StandIn::start(move |_| Answer {
        headers: vec![("location", location.clone())],
        ..Answer::new(307, "elsewhere")
    });
    let reason = reason(connect(&server));
    assert!(reason.contains("HTTP 307"), "{reason}");
    assert_eq!((server.requests().len(), other.requests().len()), (1, 0));
}

/// What a name says of how requests are sent holds whenever its collection is opened.
#[test]
fn a_collection_keeps_how_its_model_is_asked() {
    let server = StandIn::start(answer);
    let name = format!("{}/v1?dimensions=3&batch=2&timeout=600#small", server.url);
    let folder = tempfile::tempdir().unwrap();
    let open = || {
        let cache_dir = folder.path().join("models");
        let models = Models::new(ModelOptions { cache_dir, offline: true, ..ModelOptions::default() });
        Rag::new(Db::open(folder.path().join("data")).unwrap(), models)
    };
    open().create_collection("notes", CollectionSpec::with_model(&name)).unwrap();
    let rag = open();
    assert_eq!(rag.collection_model("notes").unwrap().unwrap().name, name);
    let notes = rag.db().collection("notes").unwrap();
    let vectors = rag.embed_queries(&notes, &[("a", "one"), ("b", "second"), ("c", "thirdly")]).unwrap();
    assert_eq!(vectors, ["one", "second", "thirdly"].map(vector));
    assert_eq!(server.requests().len(), 2, "two texts a request");
}
