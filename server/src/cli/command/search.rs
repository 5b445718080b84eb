//! `ragstone search`.

mod batch;

use std::io::Write;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use ragstone::query::{Example, Group, Names, Nearest, Recommend, Select, TextQuery};
use ragstone::{Filter, RangeRequest, Vector};

use super::Session;
use crate::cli::args::SearchArgs;
use crate::cli::backend::{
    FuseAsk, HitView, NearestText, QueryAsk, RangeAsk, RescoreAsk, SearchView, SourceAsk,
};
use crate::cli::json::Shown;
use crate::cli::{json, output};

pub(super) fn run(session: &Session, args: SearchArgs) -> Result<()> {
    if let Some(file) = &args.batch {
        return batch::run(session, file, &args);
    }
    let collection = args.collection.collection.as_str();
    let source = source(&args)?;
    let filter = args.conditions.filter(session, collection)?;
    let found = match args.all_within {
        Some(threshold) => {
            session.backend.search_range(collection, &range(source, threshold, filter, &args)?)?
        }
        None => session.backend.query(collection, &query(source, filter, &args))?,
    };
    if session.json { output::json(&found) } else { show(&found) }
}

fn source(args: &SearchArgs) -> Result<SourceAsk> {
    if let Some(source) = &args.source {
        return json::source(super::json_or_file("--source", source)?, "source");
    }
    let by = args.by.clone().unwrap_or_default();
    let (ef, exact) = (args.ef, args.exact);
    let near = match (&args.text, &args.vector) {
        (Some(text), _) => {
            Some(SourceAsk::NearestText(NearestText { text: text.clone(), vector: by, ef, exact }))
        }
        (None, Some(vector)) => {
            let query = json::vector(super::json_or_file("--vector", vector)?, "--vector")?;
            Some(SourceAsk::Nearest(Nearest { vector: by, ef, exact, ..Nearest::new(query) }))
        }
        (None, None) if args.like.is_empty() && args.unlike.is_empty() => None,
        (None, None) => Some(SourceAsk::Recommend(recommend(args))),
    };
    let found = match (near, words(args)?.map(SourceAsk::Words)) {
        (Some(near), Some(words)) => Some(SourceAsk::Fuse(FuseAsk::reciprocal_rank([near, words]))),
        (near, words) => near.or(words),
    };
    let order = args.order_by.as_deref().map(|order| SourceAsk::OrderBy(super::order(order)));
    match (found, order) {
        (Some(found), Some(order)) => {
            let rescore = RescoreAsk { candidates: args.k, ..RescoreAsk::new(found, order) };
            Ok(SourceAsk::Rescore(rescore))
        }
        (Some(one), None) | (None, Some(one)) => Ok(one),
        (None, None) => {
            bail!("nothing to search by: give a text, --words, --vector, --like, --order-by or --source")
        }
    }
}

/// What is searched by word, if anything is.
fn words(args: &SearchArgs) -> Result<Option<TextQuery>> {
    let hybrid = args.text.as_ref().filter(|_| args.hybrid);
    let Some(query) = args.words.as_ref().or(hybrid) else {
        if args.all_words || !args.fields_of_words.is_empty() {
            bail!("--in and --all-words are about words: give --words, or a text and --hybrid");
        }
        return Ok(None);
    };
    let mut words = TextQuery { all_terms: args.all_words, ..TextQuery::new(query) };
    for field in &args.fields_of_words {
        words = match field.rsplit_once(':') {
            Some((name, boost)) => words
                .field(name, boost.parse().with_context(|| format!("--in {field}: `{boost}` is no number"))?),
            None => words.field(field, 1.0),
        };
    }
    Ok(Some(words))
}

fn recommend(args: &SearchArgs) -> Recommend {
    let examples =
        |ids: &[String]| -> Vec<Example> { ids.iter().map(|id| Example::Id(json::parse_id(id))).collect() };
    let mut recommend = Recommend::like(examples(&args.like)).unlike(examples(&args.unlike));
    if args.like.is_empty() {
        // Away from something there is no one direction.
        recommend = recommend.strategy(ragstone::query::Strategy::BestScore);
    }
    recommend.ef = args.ef;
    recommend.exact = args.exact;
    recommend.by(args.by.clone().unwrap_or_default())
}

fn range(source: SourceAsk, threshold: f32, filter: Option<Filter>, args: &SearchArgs) -> Result<RangeAsk> {
    let (text, vector, name, exact) = match source {
        SourceAsk::NearestText(NearestText { text, vector: name, exact, .. }) => {
            (Some(text), Vec::new(), name, exact)
        }
        SourceAsk::Nearest(Nearest { vector: name, query: Vector::Dense(vector), exact, .. }) => {
            (None, vector, name, exact)
        }
        _ => bail!("--all-within goes with a text or a dense --vector"),
    };
    let mut request = RangeRequest::new(vector, threshold).of(name).limit(args.limit);
    request.filter = filter;
    request.exact = exact;
    request.with_payload = !args.without_payload;
    request.budget = args.budget_ms.map(Duration::from_millis);
    request.explain = args.explain;
    Ok(RangeAsk { text, request })
}

fn query(source: SourceAsk, filter: Option<Filter>, args: &SearchArgs) -> QueryAsk {
    QueryAsk {
        source,
        k: args.k,
        filter,
        group: args.group_by.clone().map(|field| Group { field, per_group: args.per_group }),
        select: Select {
            fields: super::fields(&args.fields, args.without_payload),
            vectors: match args.vectors.as_slice() {
                _ if args.with_vectors => Names::All,
                [] => Names::None,
                names => Names::Only(names.to_vec()),
            },
        },
        threshold: args.threshold,
        budget: args.budget_ms.map(Duration::from_millis),
        explain: args.explain,
    }
}

fn show(found: &SearchView) -> Result<()> {
    let mut out = std::io::stdout().lock();
    for (place, hit) in found.hits.iter().enumerate() {
        show_hit(&mut out, place, hit)?;
    }
    for group in &found.groups {
        writeln!(out, "{}", output::harmless(&group.value.to_string()))?;
        for (place, hit) in group.hits.iter().enumerate() {
            show_hit(&mut out, place, hit)?;
        }
    }
    let is_empty = found.hits.is_empty() && found.groups.is_empty();
    if is_empty && !found.interrupted {
        writeln!(out, "nothing found")?;
    }
    if found.interrupted {
        let found = if is_empty { "nothing was found yet" } else { "rows may be missing" };
        writeln!(
            out,
            "interrupted: the time was spent before the search was done, and {found}; raise --budget-ms"
        )?;
    }
    if found.truncated {
        writeln!(out, "there are more: raise --limit, or come nearer")?;
    }
    if let Some(explain) = &found.explain {
        output::explain(&mut out, explain)?;
    }
    // Of many queries at once, nobody knows which took how long.
    if !found.timings_ms.0.is_empty() {
        writeln!(out, "{}", output::timings(&found.timings_ms))?;
    }
    Ok(())
}

fn show_hit(out: &mut impl Write, place: usize, hit: &HitView) -> Result<()> {
    let payload = &hit.point.payload;
    let text = |field: &str| payload.get(field).and_then(Shown::as_str).unwrap_or_default();
    let number = |field: &str| payload.get(field).and_then(Shown::as_u64).unwrap_or_default();
    let score = hit.score.map(|score| format!("{score:.3}  ")).unwrap_or_default();
    match text("_document") {
        "" => {
            let id = output::harmless(&hit.point.id.to_string());
            let fields = output::snippet(&serde_json::to_string(payload)?);
            writeln!(out, "{:>2}. {score}{id}  {fields}", place + 1)?;
        }
        document => {
            let (start, end) = (number("_start"), number("_end"));
            let (document, heading) = (output::harmless(document), output::harmless(text("_heading")));
            writeln!(out, "{:>2}. {score}{document} [{start}..{end}] {heading}", place + 1)?;
            writeln!(out, "      {}", output::snippet(text("_text")))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use ragstone::Point;
    use ragstone::query::QueryHit;

    use super::*;

    /// Headings and names of documents were printed as they are, and are anybody's.
    #[test]
    fn what_a_document_says_does_not_steer_the_terminal() {
        let point = Point::without_vector("chunk")
            .with("_document", "name\u{1b}[2J")
            .with("_heading", "heading\u{1b}[2J")
            .with("_text", "text\u{1b}[2J");
        let mut out = Vec::new();
        show_hit(&mut out, 0, &QueryHit { score: None, point }.into()).unwrap();
        let text = String::from_utf8(out).unwrap();
        for part in ["name", "heading", "text"] {
            assert!(text.contains(&format!("{part}\u{fffd}[2J")), "{text:?}");
        }
    }
}
