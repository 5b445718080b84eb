//! Queries: what is asked for beside the source.
//!
//! The wire has short forms: a vector or a text in place of a source. The engine knows sources alone, so its errors name
//! their parts, which [`QueryPaths`] turns into what the caller wrote.

use std::time::Duration;

use ragstone::query::{Group, Names, Nearest, Query, Select};
use ragstone_proto::v1;
use ragstone_proto::v1::query_request;
use tonic::Status;

use super::filter::filter_at;
use super::source::{Text, source_at, source_texts};
use crate::status;

/// A query. What ends it with its call is the handle that it is asked of.
pub(crate) fn query(wire: v1::QueryRequest, path: &str) -> Result<Query, Status> {
    let within = |field: &str| format!("{path}{field}");
    let (ef, exact) = (wire.ef.map(|ef| ef as usize), wire.exact);
    let source = match wire.query {
        Some(query_request::Query::Vector(vector)) => {
            Nearest { ef, exact, ..Nearest::new(vector.values) }.into()
        }
        Some(query_request::Query::Source(source)) => {
            if ef.is_some() || exact {
                let field = within(if exact { "exact" } else { "ef" });
                return Err(status::invalid(&field, "a source has its own: set it there"));
            }
            source_at(source, &within("source"), 1)?
        }
        Some(query_request::Query::Text(_)) | None => {
            return Err(status::invalid(&within("query"), "no query is set; set vector, text or source"));
        }
    };
    let mut query = Query::new(source, wire.k as usize);
    query.filter = wire.filter.map(|filter| filter_at(filter, &within("filter"), 1)).transpose()?;
    query.group = wire.group.map(|group| Group { field: group.field, per_group: group.per_group as usize });
    let some = |names: Vec<String>, default| if names.is_empty() { default } else { Names::Only(names) };
    query.select = Select {
        fields: if wire.without_payload { Names::None } else { some(wire.fields, Names::All) },
        vectors: if wire.with_vectors { Names::All } else { some(wire.vectors, Names::None) },
    };
    query.threshold = wire.threshold;
    query.budget = wire.budget_ms.map(|ms| Duration::from_millis(u64::from(ms)));
    query.explain = wire.explain;
    Ok(query)
}

/// Whether a model is needed to answer the query.
pub(crate) fn has_text(wire: &v1::QueryRequest) -> bool {
    match &wire.query {
        Some(query_request::Query::Text(_)) => true,
        Some(query_request::Query::Source(source)) => super::source::has_text(source),
        _ => false,
    }
}

/// The texts of a query that are to be embedded, each with what takes its vector.
pub(crate) fn query_texts<'a>(
    wire: &'a mut v1::QueryRequest,
    path: &str,
    texts: &mut Vec<Text<'a>>,
) -> Result<(), Status> {
    match &mut wire.query {
        Some(query_request::Query::Source(source)) => source_texts(source, &format!("{path}source"), texts),
        Some(query @ query_request::Query::Text(_)) => {
            if let query_request::Query::Text(text) = query {
                let (path, text) = (format!("{path}text"), std::mem::take(text));
                let put = |values| *query = query_request::Query::Vector(v1::Vector { values });
                texts.push(Text { path, text, put: Box::new(put) });
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// How the fields of a query are named in errors.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QueryPaths {
    /// The query has a vector or a text in place of a source.
    is_short: bool,
}

impl QueryPaths {
    pub(crate) fn of(wire: &v1::QueryRequest) -> Self {
        Self { is_short: !matches!(wire.query, Some(query_request::Query::Source(_))) }
    }

    /// The engine's path of a field as the caller has it.
    pub(crate) fn wire(self, field: &str) -> String {
        let field = field.strip_prefix("select.").unwrap_or(field);
        match field.strip_prefix("source.nearest.").filter(|_| self.is_short) {
            Some("query") => "vector".to_owned(),
            Some(rest) => rest.to_owned(),
            None => field.replace(".method.k", ".reciprocal_rank.k"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_what_the_caller_wrote() {
        let (short, full) = (QueryPaths { is_short: true }, QueryPaths { is_short: false });
        assert_eq!(short.wire("source.nearest.query"), "vector");
        assert_eq!(short.wire("source.nearest.ef"), "ef");
        assert_eq!(full.wire("source.nearest.query"), "source.nearest.query");
        assert_eq!(full.wire("source.fuse.method.k"), "source.fuse.reciprocal_rank.k");
        assert_eq!(full.wire("select.fields[1].year"), "fields[1].year");
        assert_eq!(short.wire("filter.and[1].year"), "filter.and[1].year");
    }
}
