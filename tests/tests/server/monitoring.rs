//! What operators go by: the table of metrics, the dashboard and the alerts have what a server gives out.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{SystemTime, UNIX_EPOCH};

use prost::Message as _;
use prost_types::FileDescriptorSet;
use ragstone_client::{Enrich, ExportCollection, OperationState, Query};
use ragstone_proto::v1::{self, ErrorReason};
use ragstone_rag::answers::AnswerCacheOptions;
use ragstone_server::{ServerConfig, TelemetryConfig};
use serde_json::{Value, json};

use crate::fixture::{Server, config, eventually};
use crate::generate::{answering, with_notes};
use crate::http::{get_at, metric_of, post_at};
use crate::operations::ended;

/// What only a server with certificates gives out (`tls.rs`).
const OF_TLS: &str = "ragstone_certificate_expiration_timestamp_seconds";

/// Labels that Prometheus puts to every series of a server.
const OF_EVERY_SERIES: [&str; 2] = ["instance", "job"];

fn read(name: &str) -> String {
    let path = format!("{}/../server/monitoring/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The table of metrics: type and labels by name.
fn table() -> BTreeMap<String, (String, BTreeSet<String>)> {
    let text = read("README.md");
    let rows = text.lines().filter(|line| line.starts_with("| `ragstone_") && line.matches('|').count() == 5);
    let quoted =
        |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<BTreeSet<String>>();
    let table: BTreeMap<_, _> = rows
        .map(|row| {
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            (cells[1].trim_matches('`').to_owned(), (cells[2].to_owned(), quoted(cells[3])))
        })
        .collect();
    assert!(table.len() > 30, "{table:?}");
    table
}

/// The series that a text names (`ragstone_…{a="b"}`), each with the labels between its braces.
fn series(text: &str) -> Vec<(String, BTreeSet<String>)> {
    let mut found: Vec<(String, BTreeSet<String>)> = Vec::new();
    let (mut word, mut in_braces, mut in_string, mut is_escaped) = (String::new(), false, false, false);
    for c in text.chars().chain([' ']) {
        if in_string {
            in_string = is_escaped || c != '"';
            is_escaped = !is_escaped && c == '\\';
            continue;
        }
        if c.is_ascii_alphanumeric() || c == '_' {
            word.push(c);
            continue;
        }
        let ended = std::mem::take(&mut word);
        if in_braces && matches!(c, '=' | '!') && !ended.is_empty() {
            found.last_mut().unwrap().1.insert(ended);
        } else if ended.starts_with("ragstone_") && !in_braces {
            found.push((ended, BTreeSet::new()));
            in_braces = c == '{';
        }
        in_braces &= c != '}';
        in_string = c == '"';
    }
    found
}

/// The metric that a series belongs to, and the label that this kind of series has beside the metric's.
fn metric_of_series<'a>(
    name: &'a str,
    table: &BTreeMap<String, (String, BTreeSet<String>)>,
) -> Option<(&'a str, Option<&'static str>)> {
    if table.contains_key(name) {
        return Some((name, None));
    }
    [("_bucket", Some("le")), ("_sum", None), ("_count", None)].into_iter().find_map(|(suffix, label)| {
        let metric = name.strip_suffix(suffix)?;
        (table.get(metric)?.0 == "histogram").then_some((metric, label))
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_table_has_every_metric_with_its_labels_and_no_other() {
    let service = answering();
    let telemetry = TelemetryConfig { recall_sample: 1.0, ..TelemetryConfig::default() };
    let answer_cache = AnswerCacheOptions { entries_max: 8, ..AnswerCacheOptions::default() };
    let folder = tempfile::tempdir().unwrap();
    let exchange_dir = Some(folder.path().to_owned());
    let config = ServerConfig { telemetry, answer_cache, exchange_dir, ..config() };
    let server = Server::start_generating(config, &[&service.named("small")]).await;
    with_notes(&server).await;
    let client = server.client().await;
    client.enrich(Enrich::new("notes", "When does the lease end?")).await.unwrap();
    client.query(Query::text("notes", "lease", 2)).await.unwrap();
    assert!(client.get_collection("absent").await.is_err());
    // The file is there already for the second one.
    for state in [OperationState::Succeeded, OperationState::Failed] {
        let begun = client.export_collection(ExportCollection::new("notes", "notes.parquet")).await.unwrap();
        assert_eq!(ended(&client, &begun.id).await.state, state);
    }
    let chat = json!({"model": "small@notes", "messages": [{"role": "user", "content": "When?"}]});
    let answer = post_at(server.http_address, "/v1/chat/completions", "application/json", &chat.to_string());
    assert_eq!(answer.status, 200, "{answer:?}");
    let wanted = r#"ragstone_recall_rows_wanted_total{collection="notes"}"#;
    eventually("the answer is counted, and the query measured", || {
        let counted = metric_of(&server, r#"ragstone_generations_total{model="small",outcome="done"}"#);
        counted == Some(1.0) && metric_of(&server, wanted).is_some()
    })
    .await;
    let text = get_at(server.http_address, "/metrics").body;

    let mut table = table();
    assert_eq!(table.remove(OF_TLS), Some(("gauge".to_owned(), BTreeSet::new())));
    let documented: BTreeMap<&str, &str> =
        table.iter().map(|(name, (kind, _))| (name.as_str(), kind.as_str())).collect();
    let given: BTreeMap<&str, &str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect();
    assert_eq!(given, documented);
    let mut seen = BTreeSet::new();
    for (name, mut labels) in text.lines().filter(|line| !line.starts_with('#')).flat_map(series) {
        let (metric, further) = metric_of_series(&name, &table).unwrap_or_else(|| panic!("{name}"));
        if let Some(further) = further {
            assert!(labels.remove(further), "{name} {labels:?}");
        }
        assert_eq!(labels, table[metric].1, "{name}");
        seen.insert(metric.to_owned());
    }
    assert_eq!(seen.len(), table.len(), "each has a series, so that its labels were seen: {seen:?}");

    let value = |name: &str| {
        let line =
            text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse::<f64>().ok());
        line.unwrap_or_else(|| panic!("{name}:\n{text}"))
    };
    let found = value(r#"ragstone_recall_rows_found_total{collection="notes"}"#);
    assert!(found >= 2.0 && found == value(wanted), "of two chunks none is missed: {found}");
    assert_eq!(value(r#"ragstone_errors_total{reason="COLLECTION_NOT_FOUND"}"#), 1.0);
    // Of a counter that begins at 1 an alert about its rate misses the first.
    for reason in ["STORE_IO", "STORE_CORRUPT"] {
        assert_eq!(value(&format!(r#"ragstone_errors_total{{reason="{reason}"}}"#)), 0.0);
    }
    for (kind, outcome, count) in [
        ("export", "succeeded", 1.0),
        ("export", "failed", 1.0),
        ("export", "cancelled", 0.0),
        ("take_snapshot", "failed", 0.0),
    ] {
        let name = format!(r#"ragstone_operations_total{{kind="{kind}",outcome="{outcome}"}}"#);
        assert_eq!(value(&name), count, "{name}");
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
    for last in ["success", "failure"] {
        let told = value(&format!(r#"ragstone_operation_last_{last}_timestamp_seconds{{kind="export"}}"#));
        assert!((now - 600.0..=now).contains(&told), "{last}: {told} of {now}");
    }
    let began = value("ragstone_start_timestamp_seconds");
    assert!((now - 600.0..=now).contains(&began), "{began} of {now}");
    let search = r#"ragstone_stage_duration_seconds_count{activity="query",stage="search"}"#;
    assert_eq!(value(search), 1.0);
    let assemble = r#"ragstone_stage_duration_seconds_count{activity="enrich",stage="assemble"}"#;
    assert_eq!(value(assemble), 2.0, "Enrich and the answer");
    assert!(value("ragstone_log_sync_seconds_count") >= 2.0 && value("ragstone_log_bytes") > 0.0);
    assert!(value(r#"ragstone_queue_wait_seconds_count{kind="read"}"#) >= 2.0);
    assert_eq!(value(r#"ragstone_answer_cache_lookups_total{outcome="miss"}"#), 1.0);
    assert_eq!(value("ragstone_writes_stopped"), 0.0);
    server.stop().await;
}

/// The codes of gRPC.
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// What an expression compares labels with, each alternative by itself: `code=~"A|B"` is `code`, `A` and `code`, `B`. Of patterns of other
/// kinds, and of variables, nothing is told.
fn compared(expression: &str) -> Vec<(String, String)> {
    let parts: Vec<&str> = expression.split('"').collect();
    let mut found = Vec::new();
    for pair in parts.chunks_exact(2) {
        let (before, values) = (pair[0].trim_end_matches(['=', '!', '~']), pair[1]);
        let label =
            before.rsplit(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or_default();
        let is_word =
            |value: &&str| value.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.'));
        let words = values.split('|').filter(is_word).filter(|value| !value.contains(".."));
        found.extend(words.map(|value| (label.to_owned(), value.to_owned())));
    }
    found
}

/// Whether a label may have a value: one of the API's, or one that the README names.
fn may_be(label: &str, value: &str) -> bool {
    let files = FileDescriptorSet::decode(v1::FILE_DESCRIPTOR_SET).unwrap().file;
    let services = || files.iter().flat_map(|file| file.service.iter().map(move |service| (file, service)));
    match label {
        "code" => CODES.contains(&value),
        "service" => {
            services().any(|(file, service)| format!("{}.{}", file.package(), service.name()) == value)
        }
        "method" => services().any(|(_, service)| service.method.iter().any(|method| method.name() == value)),
        "reason" if ErrorReason::from_str_name(&format!("ERROR_REASON_{value}")).is_some() => true,
        _ => read("README.md").contains(&format!("`{value}`")),
    }
}

/// What is wrong with an expression, and with the labels that a text beside it shows.
fn wrong_in(expression: &str, shown: &[String]) -> Vec<String> {
    let table = table();
    let (mut wrong, mut known) = (Vec::new(), BTreeSet::from(OF_EVERY_SERIES.map(str::to_owned)));
    let named = series(expression);
    if named.is_empty() {
        wrong.push(format!("no metric: {expression}"));
    }
    for (name, asked) in named {
        let Some((metric, further)) = metric_of_series(&name, &table) else {
            wrong.push(format!("there is no {name}: {expression}"));
            continue;
        };
        let mut labels = table[metric].1.clone();
        labels.extend(OF_EVERY_SERIES.into_iter().chain(further).map(str::to_owned));
        wrong.extend(asked.difference(&labels).map(|label| format!("{name} has no label {label}")));
        known.extend(labels);
    }
    for (label, value) in compared(expression) {
        if !may_be(&label, &value) {
            wrong.push(format!("{label} is never {value}: {expression}"));
        }
    }
    let grouped = expression.split("by (").skip(1).filter_map(|rest| rest.split_once(')'));
    let grouped = grouped.flat_map(|(labels, _)| labels.split(',')).map(|label| label.trim().to_owned());
    for label in grouped.chain(shown.iter().cloned()) {
        if !known.contains(&label) {
            wrong.push(format!("no metric has the label {label}: {expression}"));
        }
    }
    wrong
}

/// The labels that a text shows between double braces: `{{method}}`, `{{ $labels.kind }}`.
fn shown_in(text: &str) -> Vec<String> {
    let inside = text.split("{{").skip(1).filter_map(|rest| rest.split_once("}}"));
    inside
        .map(|(inside, _)| inside.trim().trim_start_matches("$labels.").to_owned())
        .filter(|shown| !shown.starts_with("$value"))
        .collect()
}

#[test]
fn the_dashboard_shows_metrics_that_there_are() {
    let dashboard: Value = serde_json::from_str(&read("dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let mut wrong = Vec::new();
    let (mut ids, mut places) = (BTreeSet::new(), BTreeSet::new());
    for panel in panels {
        let (title, place) = (&panel["title"], &panel["gridPos"]);
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title}: another panel has its id");
        assert!(places.insert((place["x"].as_u64(), place["y"].as_u64())), "{title}: another one is there");
        if panel["type"] == "row" {
            continue;
        }
        let targets = panel["targets"].as_array().unwrap();
        assert!(!targets.is_empty(), "{title}");
        let defaults = &panel["fieldConfig"]["defaults"];
        for target in targets {
            let (expression, name) =
                (target["expr"].as_str().unwrap(), target["legendFormat"].as_str().unwrap());
            wrong.extend(wrong_in(expression, &shown_in(name)));
            // How many a second stood beside the recall as a share: 3 a second as 300 %, on an axis that ends at 100.
            if defaults["unit"] == "percentunit" && !expression.contains(" / ") {
                let others = panel["fieldConfig"]["overrides"].as_array().unwrap();
                let own = others.iter().find(|other| other["matcher"]["options"] == name);
                let has_unit =
                    own.is_some_and(|own| own["properties"].to_string().contains(r#""id":"unit""#));
                assert!(has_unit, "{title}: {name} is no share");
            }
        }
    }
    for variable in dashboard["templating"]["list"].as_array().unwrap() {
        if let Some(query) = variable["query"]["query"].as_str() {
            wrong.extend(wrong_in(query, &[]));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    // What a server gives out is on it, but for what says nothing in a graph.
    let text = dashboard.to_string().replace("\\\"", "\"");
    let all: BTreeSet<String> = series(&text.replace('"', " ")).into_iter().map(|(name, _)| name).collect();
    let table = table();
    let on: BTreeSet<&str> = all.iter().filter_map(|name| Some(metric_of_series(name, &table)?.0)).collect();
    let absent: Vec<&String> = table.keys().filter(|name| !on.contains(name.as_str())).collect();
    assert_eq!(absent, ["ragstone_recall_queries_total"]);
}

#[test]
fn alerts_are_about_metrics_that_there_are() {
    let rules: Value = serde_yaml_ng::from_str(&read("alerts.yaml")).unwrap();
    let groups = rules["groups"].as_array().unwrap();
    let alerts: Vec<&Value> = groups.iter().flat_map(|group| group["rules"].as_array().unwrap()).collect();
    let (mut wrong, mut names) = (Vec::new(), BTreeSet::new());
    for alert in &alerts {
        let name = alert["alert"].as_str().unwrap();
        assert!(names.insert(name), "{name} is there twice");
        assert!(["warning", "critical"].contains(&alert["labels"]["severity"].as_str().unwrap()), "{name}");
        let told = alert["annotations"].as_object().unwrap();
        // Who is woken reads what has happened and what to do.
        assert!(told.contains_key("summary") && told.contains_key("description"), "{name}");
        let shown: Vec<String> = told.values().flat_map(|text| shown_in(text.as_str().unwrap())).collect();
        wrong.extend(wrong_in(alert["expr"].as_str().unwrap(), &shown));
        // What looks back finds servers that are no more, too, whose addresses may never come again.
        let expression = alert["expr"].as_str().unwrap();
        assert!(!expression.contains("_over_time(") || expression.contains("and on ("), "{name}");
        // A server that is asked by gRPC how it is, each second, has few calls besides, and all of these may fail: of all requests that was too small a share.
        let requests = "ragstone_grpc_requests_total";
        let of_the_api = format!("{requests}{{service=~\"ragstone.*\"");
        assert_eq!(expression.matches(requests).count(), expression.matches(&of_the_api).count(), "{name}");
        let opened = |bracket: char| expression.matches(bracket).count();
        assert!(opened('(') == opened(')') && opened('{') == opened('}'), "{name}");
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(alerts.len() >= 10, "{names:?}");
    // What a server fails for, by whichever of its ports, and one that is no more, wakes somebody: a full disk fails writes by
    // RESOURCE_EXHAUSTED, which is in no alert about codes, and the HTTP port has series of its own.
    let all: String = alerts.iter().map(|alert| format!("{}\n", alert["expr"].as_str().unwrap())).collect();
    let asked = compared(&all);
    let is_asked = |label: &str, value: &str| asked.contains(&(label.to_owned(), value.to_owned()));
    assert!(is_asked("reason", "STORE_IO") && is_asked("code", "INTERNAL"), "{asked:?}");
    assert!(is_asked("kind", "take_snapshot"), "{asked:?}");
    let named: BTreeSet<String> = series(&all).into_iter().map(|(name, _)| name).collect();
    for name in [
        "ragstone_build_info",
        "ragstone_http_requests_total",
        "ragstone_operation_last_failure_timestamp_seconds",
        "ragstone_operation_last_success_timestamp_seconds",
        "ragstone_start_timestamp_seconds",
        OF_TLS,
    ] {
        assert!(named.contains(name), "{name}: {named:?}");
    }
}

#[test]
fn the_checks_themselves_see_what_they_look_for() {
    let named = series(r#"sum by (le) (rate(ragstone_a_bucket{b="}\"{x=",c=~"d"}[5m])) / ragstone_e > 1"#);
    let labels = |labels: &[&str]| labels.iter().map(|label| (*label).to_owned()).collect::<BTreeSet<_>>();
    let expected =
        [("ragstone_a_bucket".to_owned(), labels(&["b", "c"])), ("ragstone_e".to_owned(), labels(&[]))];
    assert_eq!(named, expected);
    let values = compared(r#"a{b="c",d=~"E|F.*|5..",g!="$h"} > 0 and i{j!~"k.L"}"#);
    let pairs = [("b", "c"), ("d", "E"), ("j", "k.L")];
    assert_eq!(values, pairs.map(|(label, value)| (label.to_owned(), value.to_owned())));
    assert_eq!(shown_in("{{method}} of {{ $labels.kind }}: {{ $value | humanize }}"), ["method", "kind"]);
    assert!(wrong_in("sum by (kind) (ragstone_places_taken)", &["kind".to_owned()]).is_empty());
    for (expression, shown) in [
        ("ragstone_nothing", ""),
        (r#"ragstone_points{collection="a"}"#, ""),
        ("sum by (model) (ragstone_points)", ""),
        ("ragstone_points", "model"),
        ("ragstone_points_sum", ""),
        (r#"ragstone_places_taken{kind="raed"}"#, ""),
        (r#"ragstone_grpc_requests_total{service="ragstone.v1.SearchService", method="Qery"}"#, ""),
        (r#"ragstone_grpc_requests_total{code=~"INTERNAL|UNAVAILBLE"}"#, ""),
        ("rate(ragstone_log_sync_seconds_bucket[5m]) > up", "stage"),
        ("up", ""),
    ] {
        let shown: Vec<String> =
            Some(shown.to_owned()).filter(|shown| !shown.is_empty()).into_iter().collect();
        assert!(!wrong_in(expression, &shown).is_empty(), "{expression}");
    }
}
