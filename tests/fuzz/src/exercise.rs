//! Reading a database in every way there is.

use std::ops::ControlFlow;
use std::path::Path;

use ragstone::query::{
    Fuse, Nearest, OrderBy, Query, Recommend, Rescore, Select, Source, Strategy, TextQuery,
};
use ragstone::{
    Collection, Db, DbOptions, Error, FieldType, Filter, GeoPoint, PointId, Range, RangeRequest,
    ScrollRequest, SearchRequest, SparseVector, Value, Vector, VectorKind,
};

use crate::sample::{id_of, options, point, update};

/// Rows of a page: small, so that scrolling starts in the middle too.
const PAGE: usize = 30;
/// Pages read at most: damage may lead in circles.
const PAGES_MAX: usize = 8;

/// What became of a damaged database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Opening it was an error.
    Refused,
    /// It opened, and so many rows were read.
    Read(usize),
}

/// Opens a database, and reads all of it if that succeeds: pages, points by id, searches with and without filters,
/// counts, and what is asked of fields; verifies it; and writes to it and seals it, if so asked.
///
/// # Panics
/// If the engine does, or if it refuses the files with an error that does not speak of files.
pub fn exercise(directory: &Path, writes: bool) -> Outcome {
    match open(directory, options()) {
        Some(db) => Outcome::Read(read_all(&db, writes)),
        None => Outcome::Refused,
    }
}

/// Opens damaged files, unless they are refused.
pub(crate) fn open(directory: &Path, options: DbOptions) -> Option<Db> {
    match Db::open_with(directory, options) {
        Ok(db) => Some(db),
        Err(Error::Corrupt { .. } | Error::Io { .. }) => None,
        Err(other) => panic!("opening damaged files: {other}"),
    }
}

/// Reads and asks for everything, and writes, if so asked; the number of rows on pages.
pub(crate) fn read_all(db: &Db, writes: bool) -> usize {
    let mut rows = 0;
    let _ = (db.aliases(), db.attributes(""), db.stats(), db.pin_log(1));
    for info in db.collections() {
        let Ok(collection) = db.collection(&info.name) else { continue };
        rows += read(&collection);
        ask(&collection);
        if writes {
            // Any error is an answer.
            let _ = db.set_alias("third", &info.name);
            let _ = collection.upsert((0..20).map(|id| point(id, 4)).collect());
            let _ = collection.delete(&[id_of(11), id_of(12)]);
            let _ = collection.update((12..18).map(update).collect());
            let _ = collection.update((16..22).map(|id| update(id).set("text", "tea")).collect());
            let _ = collection.delete_where(&Filter::eq("version", 4));
        }
    }
    if writes {
        let _ = (db.set_attribute("fuzz.other", Some(b"1")), db.pin().map(drop), db.flush());
        db.collections().iter().filter_map(|info| db.collection(&info.name).ok()).for_each(|collection| {
            read(&collection);
        });
    }
    // Whatever it finds; nothing is read after it, as damage that is known keeps readers away.
    let _ = db.verify(|_| ControlFlow::Continue(()));
    rows
}

/// Reads a collection; the number of its rows on pages.
fn read(collection: &Collection) -> usize {
    let filters = filters(collection);
    search(collection, &filters);
    let mut rows = 0;
    let filter = of_all_tenants(collection);
    let mut request = ScrollRequest { limit: PAGE, with_vectors: true, filter, ..ScrollRequest::default() };
    for _ in 0..PAGES_MAX {
        let Ok(page) = collection.scroll(&request) else { break };
        rows += page.points.len();
        let ids: Vec<PointId> = page.points.iter().map(|point| point.id.clone()).collect();
        // Ids that nobody could have written are refused one and all.
        let _ = collection.get(&ids);
        for id in ids {
            let _ = collection.get(&[id]);
        }
        let Some(next) = page.next else { break };
        request.after = Some(next);
    }
    let known: Vec<PointId> = (0..20).map(id_of).collect();
    let _ = collection.get(&known);
    for filter in &filters {
        let _ = collection.view().count(Some(filter));
        let _ = collection.scroll(&ScrollRequest {
            filter: Some(filter.clone()),
            limit: PAGE,
            ..request.clone()
        });
    }
    rows
}

fn search(collection: &Collection, filters: &[Filter]) {
    for (name, kind) in collection.schema().vectors() {
        let VectorKind::Dense(options) = kind else { continue };
        let vector: Vec<f32> = (0..options.dimension).map(|component| 1.0 / (component + 1) as f32).collect();
        let request = |k| SearchRequest::new(vector.clone(), k).of(name);
        let of_all = |request: SearchRequest| match of_all_tenants(collection) {
            Some(filter) => request.filter(filter),
            None => request,
        };
        for k in [1, 10, 200] {
            let _ = collection.search(&of_all(request(k)));
        }
        for filter in filters {
            let _ = collection.search(&request(10).filter(filter.clone()));
        }
    }
}

/// Asks by word, by entries, by several of these, and what takes a field's whole column: its values, rows in their order, groups.
fn ask(collection: &Collection) {
    let words = SparseVector { indices: vec![1, 5, 1_009], values: vec![1.0, 0.5, 2.0] };
    let late = Vector::Multi(vec![vec![1.0, 0.5]; 2]);
    let mut sources: Vec<Source> = vec![
        TextQuery::new("Grüße 9 tea").into(),
        TextQuery::new("Grüße 11").all_terms().into(),
        Nearest::new(Vector::Sparse(words)).by("words").into(),
        Nearest::new(late).by("late").into(),
    ];
    ask_ids(collection, &sources);
    sources.push(Rescore::new(Fuse::reciprocal_rank(sources.clone()), TextQuery::new("tea")).into());
    sources.extend(dense_sources(collection));
    let filter = of_all_tenants(collection);
    let asked = |source: Source, k: usize| Query { filter: filter.clone(), ..Query::new(source, k) };
    let ranked = sources.last().cloned();
    for name in collection.schema().fields().keys() {
        let _ = collection.facet(name, filter.as_ref(), 10);
        let _ = collection.query(&asked(TextQuery::new("Grüße 1").into(), 3).group(name, 2));
        let _ = ranked.clone().map(|source| collection.query(&asked(source, 3).group(name, 2)));
        sources.push(OrderBy::descending(name).into());
    }
    for source in sources {
        let _ = collection.query(&asked(source, 20));
    }
}

/// Reads what is told of rows by their ids.
fn ask_ids(collection: &Collection, sources: &[Source]) {
    let (view, filter) = (collection.view(), of_all_tenants(collection));
    let ids: Vec<PointId> = (0..20).map(id_of).collect();
    let _ = (view.ids(None).map(Iterator::count), view.etags(&ids), view.vectors());
    let _ = (view.select(&ids, filter.as_ref(), &Select::default()), view.score(&ids, sources));
}

/// Asks by each dense vector for all rows within a distance. What is like a row and unlike another, to ask for.
fn dense_sources(collection: &Collection) -> Vec<Source> {
    let mut sources = Vec::new();
    for (name, kind) in collection.schema().vectors() {
        let VectorKind::Dense(options) = kind else { continue };
        let mut range = RangeRequest::new(vec![0.5; options.dimension], 0.5).of(name);
        range.filter = of_all_tenants(collection);
        let _ = (collection.search_range(&range), collection.search_range(&range.clone().exact().limit(5)));
        let like = Recommend::like([id_of(2)]).unlike([id_of(5)]).by(name);
        sources.extend([Source::from(like.clone()), like.strategy(Strategy::BestScore).into()]);
    }
    sources
}

/// What lets a read of a collection with a tenant key go over all of it.
pub(crate) fn of_all_tenants(collection: &Collection) -> Option<Filter> {
    collection.schema().tenant().map(|_| Filter::AllTenants)
}

/// A condition on every field that the collection says it has, of its type; beside one on its tenant key, of all tenants.
fn filters(collection: &Collection) -> Vec<Filter> {
    let schema = collection.schema();
    let of_field = |(name, field_type): (&String, &FieldType)| match field_type {
        FieldType::Bool => Filter::eq(name, true),
        FieldType::Int => Filter::eq(name, 1i64),
        FieldType::Float => {
            Filter::Range(name.clone(), Range { gte: Some(Value::Float(0.0)), ..Range::default() })
        }
        FieldType::String => Filter::eq(name, "Grüße 1"),
        FieldType::Timestamp => {
            let bound = Some(Value::Timestamp(0));
            Filter::Range(name.clone(), Range { gte: bound, ..Range::default() })
        }
        FieldType::Strings => Filter::contains(name, "ü"),
        FieldType::Geo => Filter::GeoRadius(name.clone(), GeoPoint::new(1.0, 1.0), 1e6),
        FieldType::Json => Filter::Exists(name.clone()),
    };
    let of_tenants = |(name, filter): (&String, Filter)| match schema.tenant() {
        Some(tenant) if tenant != name => Filter::And(vec![filter, Filter::AllTenants]),
        _ => filter,
    };
    schema.fields().iter().map(|field| of_tenants((field.0, of_field(field)))).collect()
}
