//! What the routes of the front hold, and what the audit log has of them.

use std::convert::Infallible;

use axum::body::Body;
use futures_util::stream;
use http_body_util::BodyExt as _;
use ragstone::Db;
use ragstone_rag::Rag;
use ragstone_rag::embed::{ModelOptions, Models};

use super::*;
use crate::access::AccessConfig;
use crate::logs::lines::Lines;
use crate::recall::Recall;
use crate::work::Work;

/// A port over an empty database.
fn front(config: &ServerConfig) -> Front {
    let work = Work::new(config);
    let counted = Metrics::new(work.clone(), Recall::new(0.0, work.clone()));
    let (_, stage) = watch::channel(Stage::default());
    let front = Front::new((counted.clone(), Traces::default()), config, stage);
    let models = Models::new(ModelOptions { offline: true, ..ModelOptions::default() });
    let rag = Rag::new(Db::in_memory().unwrap(), models);
    front.open(Services::new(config, rag, work, counted), config);
    front
}

fn asked(path: &'static str) -> Request {
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = path.parse().unwrap();
    request.extensions_mut().insert(Origin("192.0.2.7:4711".parse().ok()));
    request
}

/// They were held by nothing: who took none of them had one of each connection.
#[tokio::test]
async fn few_answers_of_metrics_are_on_their_way_at_a_time() {
    let front = front(&ServerConfig::default());
    let scrape = || metrics(State(front.clone()), asked("/metrics"));
    let mut on_their_way = Vec::new();
    for _ in 0..METRICS_ANSWERS_MAX {
        let answer = scrape().await;
        assert_eq!(answer.status(), StatusCode::OK);
        on_their_way.push(answer);
    }
    assert_eq!(scrape().await.status(), StatusCode::TOO_MANY_REQUESTS);
    on_their_way.pop();
    assert_eq!(scrape().await.status(), StatusCode::OK);
}

/// The log told of callers of the gRPC port alone where they come from.
#[tokio::test]
async fn who_is_refused_is_logged_with_where_they_come_from() {
    let access = AccessConfig { required: true, ..AccessConfig::default() };
    let front = front(&ServerConfig { access, ..ServerConfig::default() });
    let lines = Lines::begin();
    for (path, answer) in [
        ("/metrics", metrics(State(front.clone()), asked("/metrics")).await),
        ("/v1/models", work(State(front.clone()), asked("/v1/models")).await),
    ] {
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{path}");
        let text = lines.text();
        let line = text.lines().find(|line| line.contains("ragstone::audit") && line.contains(path));
        assert!(line.is_some_and(|line| line.contains("192.0.2.7:4711")), "{path}: {text}");
    }
}

/// Who had no credentials was told where it lies.
#[tokio::test]
async fn the_default_model_is_named_where_callers_are_not_told_apart() {
    for (required, named) in [(false, " /srv/model"), (true, "")] {
        let access = AccessConfig { required, ..AccessConfig::default() };
        let default_model = "/srv/model".to_owned();
        let front = front(&ServerConfig { access, default_model, ..ServerConfig::default() });
        let answer = health::ready(State(front)).await;
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        let told = axum::body::to_bytes(answer.into_body(), 1_000).await.unwrap();
        assert_eq!(
            String::from_utf8_lossy(&told),
            format!("not ready: the default model{named} is not loaded\n")
        );
    }
}

/// It logs when it ends.
struct Tells;

impl Drop for Tells {
    fn drop(&mut self) {
        tracing::info!("it ends");
    }
}

/// A stream that logs each of its two pieces, and its end.
async fn telling() -> Response {
    let pieces = stream::unfold((Tells, 0), |(tells, piece)| async move {
        tracing::info!(piece, "a piece");
        (piece < 2).then_some((Ok::<_, Infallible>("a piece"), (tells, piece + 1)))
    });
    Response::new(Body::from_stream(pieces))
}

/// What a stream of events logged once its headers had gone, as why it failed, had neither a route nor a trace.
#[tokio::test]
async fn what_makes_an_answer_while_it_is_sent_logs_in_its_span() {
    const PATH: &str = "/v1/chat/completions";
    let layer = middleware::from_fn_with_state(front(&ServerConfig::default()), every_request);
    let mut router: Router = Router::new().route(PATH, get(telling)).layer(layer);
    for (is_left, asked_for) in [(false, 3), (true, 1)] {
        let lines = Lines::begin();
        let Ok(answer) = router.call(asked(PATH)).await;
        let mut body = answer.into_body();
        while body.frame().await.is_some() && !is_left {}
        drop(body);
        let text = lines.text();
        assert!(text.matches("a piece").count() == asked_for && text.contains("it ends"), "{text}");
        // Of a caller who left there is a line of the request, too.
        assert_eq!(text.lines().count(), asked_for + 1 + usize::from(is_left), "{text}");
        assert!(text.lines().all(|line| line.contains(&format!("http{{route={PATH:?}}}"))), "{text}");
    }
}
