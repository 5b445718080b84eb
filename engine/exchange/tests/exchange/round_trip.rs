//! What goes out comes back.

use std::ops::ControlFlow;

use ragstone::{Db, Filter, Metric, Point, PointId, Schema};
use ragstone_exchange::{
    BatchSize, ColumnNames, Compression, DbSink, Error, ExportOptions, ImportOptions, export_stream,
    import_stream, quietly,
};

use crate::support::{ENDINGS, collection, export, full_points, full_schema, import, rows};

#[test]
fn every_kind_of_vector_and_field_comes_back_with_the_schema() {
    for ending in ENDINGS {
        let (db, folder) = (Db::in_memory().unwrap(), tempfile::tempdir().unwrap());
        let path = folder.path().join("all").with_extension(ending);
        let from = collection(&db, "from", full_schema(), full_points());
        assert_eq!(export(&from, &path), 5);
        // Into another database, where nothing is known.
        let db = Db::in_memory().unwrap();
        let done = import(&db, "to", &path, &ImportOptions::default()).unwrap();
        assert_eq!((done.rows, done.created, done.notes.as_slice()), (5, true, &[][..]));
        let to = db.collection("to").unwrap();
        assert_eq!(to.schema(), full_schema(), "{ending}");
        assert_eq!(rows(&to), rows(&from), "{ending}");
        // Once more into what is there: every row replaces itself.
        let again = import(&db, "to", &path, &ImportOptions::default()).unwrap();
        assert_eq!((again.rows, again.created), (5, false));
        assert_eq!(rows(&to), rows(&from), "{ending}");
    }
}

#[test]
fn a_stream_carries_what_a_file_does() {
    let (db, other) = (Db::in_memory().unwrap(), Db::in_memory().unwrap());
    let from = collection(&db, "from", full_schema(), full_points());
    let options =
        ExportOptions { batch: BatchSize { rows: 2, ..BatchSize::default() }, ..ExportOptions::default() };
    let stream = export_stream(&from, &options).unwrap();
    // One state, whatever is written meanwhile.
    from.delete(&[full_points()[0].id.clone()]).unwrap();
    let mut sink = DbSink::new(&other, "to").unwrap();
    let done = import_stream(&mut sink, Box::new(stream), &ImportOptions::default(), &mut quietly).unwrap();
    assert_eq!((done.rows, done.created), (5, true));
    let to = other.collection("to").unwrap();
    assert_eq!(to.schema(), full_schema());
    from.upsert(full_points()).unwrap();
    assert_eq!(rows(&to), rows(&from));
}

#[test]
fn ids_of_one_kind_are_one_column_and_an_empty_collection_is_a_file() {
    for ending in ENDINGS {
        for ids in [vec![PointId::Num(3), PointId::Num(9)], vec!["a".into(), "b".into()], vec![]] {
            let (db, folder) = (Db::in_memory().unwrap(), tempfile::tempdir().unwrap());
            let path = folder.path().join("ids").with_extension(ending);
            let points: Vec<Point> = ids.iter().map(|id| Point::new(id.clone(), [1.0, 0.0])).collect();
            let from = collection(&db, "from", Schema::new(2).unwrap(), points);
            assert_eq!(export(&from, &path), ids.len() as u64);
            let done = import(&db, "to", &path, &ImportOptions::default()).unwrap();
            let columns: Vec<&str> = done.columns.iter().map(|(column, _)| column.as_str()).collect();
            assert_eq!(columns, ["id", "vector", "expires_at"]);
            assert_eq!(rows(&db.collection("to").unwrap()), rows(&from));
        }
    }
}

#[test]
fn every_compression_and_every_size_of_batch_gives_the_same_rows() {
    let (db, folder) = (Db::in_memory().unwrap(), tempfile::tempdir().unwrap());
    let point = |id: u64| Point::new(id, [id as f32, 1.0]).with("text", format!("row {id}").repeat(9));
    let schema = Schema::builder(2).metric(Metric::L2).build().unwrap();
    let from = collection(&db, "from", schema, (0..999).map(point).collect());
    let kinds =
        [Compression::Usual, Compression::None, Compression::Zstd, Compression::Lz4, Compression::Snappy];
    let sizes = [(1, 1 << 20), (100, 1), (7, 1_000), (100_000, 1 << 20)];
    for ending in ENDINGS {
        for (number, compression) in kinds.into_iter().enumerate() {
            let path = folder.path().join(format!("{number}.{ending}"));
            let (rows_max, bytes) = sizes[number % sizes.len()];
            let batch = BatchSize { rows: rows_max, bytes };
            let options = ExportOptions { compression, batch, ..ExportOptions::default() };
            let done = ragstone_exchange::export(&from, &path, &options, &mut quietly);
            if (ending, compression) == ("arrow", Compression::Snappy) {
                assert!(done.unwrap_err().to_string().starts_with("compression: "));
                assert!(!path.exists());
                continue;
            }
            assert_eq!(done.unwrap().bytes, path.metadata().unwrap().len());
            let name = format!("to-{ending}-{number}");
            import(&db, &name, &path, &ImportOptions { batch, ..ImportOptions::default() }).unwrap();
            assert_eq!(rows(&db.collection(&name).unwrap()), rows(&from), "{ending} {compression:?}");
        }
    }
}

#[test]
fn cosine_vectors_stay_at_unit_length() {
    let (db, folder) = (Db::in_memory().unwrap(), tempfile::tempdir().unwrap());
    let path = folder.path().join("a.parquet");
    let points = (0..50_u64).map(|id| Point::new(id, [1.0 + id as f32, 2.0, -0.5])).collect();
    let from = collection(&db, "from", Schema::new(3).unwrap(), points);
    export(&from, &path);
    import(&db, "to", &path, &ImportOptions::default()).unwrap();
    for (from, to) in rows(&from).into_iter().zip(rows(&db.collection("to").unwrap())) {
        for (a, b) in from.vector.unwrap().into_iter().zip(to.vector.unwrap()) {
            assert!((a - b).abs() <= f32::EPSILON, "{a} {b}");
        }
    }
}

#[test]
fn columns_are_called_as_wanted_filtered_and_selected() {
    for ending in ENDINGS {
        let (db, folder) = (Db::in_memory().unwrap(), tempfile::tempdir().unwrap());
        let path = folder.path().join("own").with_extension(ending);
        let point = |id: u64| Point::new(id, [1.0, 0.0]).with("year", id as i64).with("lang", "en");
        let from = collection(&db, "from", Schema::new(2).unwrap(), (0..10).map(point).collect());
        let names = ColumnNames { id: "year".into(), vector: "embedding".into() };
        let filter = Some(Filter::parse("year >= 8").unwrap());
        let options = ExportOptions { names, filter, ..ExportOptions::default() };
        assert_eq!(ragstone_exchange::export(&from, &path, &options, &mut quietly).unwrap().rows, 2);
        // The file says which column is which.
        let done = import(&db, "to", &path, &ImportOptions::default()).unwrap();
        let columns: Vec<&str> = done.columns.iter().map(|(column, _)| column.as_str()).collect();
        assert_eq!(columns, ["year", "embedding", "lang", "field:year", "expires_at"]);
        assert_eq!(rows(&db.collection("to").unwrap()), rows(&from)[8..]);
        let few = ImportOptions { columns: Some(vec!["lang".into()]), ..ImportOptions::default() };
        import(&db, "few", &path, &few).unwrap();
        let expected: Vec<Point> =
            (8..10).map(|id: u64| Point::without_vector(id).with("lang", "en")).collect();
        assert_eq!(rows(&db.collection("few").unwrap()), expected);
    }
}

#[test]
fn progress_tells_every_batch_and_may_end_the_work() {
    let (db, folder) = (Db::in_memory().unwrap(), tempfile::tempdir().unwrap());
    let path = folder.path().join("a.arrow");
    let points = (0..100_u64).map(|id| Point::new(id, [1.0, 0.0])).collect();
    let from = collection(&db, "from", Schema::new(2).unwrap(), points);
    let batch = BatchSize { rows: 30, ..BatchSize::default() };
    let options = ExportOptions { batch, ..ExportOptions::default() };
    let mut seen = Vec::new();
    let mut stop = |progress: ragstone_exchange::Progress| {
        seen.push((progress.rows, progress.rows_total));
        if progress.rows == 60 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let stopped = ragstone_exchange::export(&from, &path, &options, &mut stop);
    assert!(matches!(stopped, Err(Error::Cancelled)));
    assert_eq!(seen, [(0, Some(100)), (30, Some(100)), (60, Some(100))]);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left of it");

    ragstone_exchange::export(&from, &path, &options, &mut quietly).unwrap();
    let options = ImportOptions { batch, ..ImportOptions::default() };
    let mut seen = Vec::new();
    let mut stop = |progress: ragstone_exchange::Progress| {
        seen.push((progress.rows, progress.rows_total));
        if progress.rows == 60 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let stopped = ragstone_exchange::import(&db, "to", &path, &options, &mut stop);
    assert!(matches!(stopped, Err(Error::Cancelled)));
    assert_eq!(seen, [(0, Some(100)), (30, Some(100)), (60, Some(100))]);
    assert_eq!(db.collection("to").unwrap().info().points, 60, "what was written stays");
    assert_eq!(import(&db, "to", &path, &options).unwrap().rows, 100);
    assert_eq!(rows(&db.collection("to").unwrap()), rows(&from));
}

#[test]
fn a_file_that_is_there_is_not_replaced_unasked() {
    let (db, folder) = (Db::in_memory().unwrap(), tempfile::tempdir().unwrap());
    let path = folder.path().join("a.parquet");
    let from = collection(&db, "from", Schema::new(2).unwrap(), Vec::new());
    export(&from, &path);
    let again = |overwrite| {
        let options = ExportOptions { overwrite, ..ExportOptions::default() };
        ragstone_exchange::export(&from, &path, &options, &mut quietly)
    };
    assert!(matches!(again(false), Err(Error::Exists { .. })));
    again(true).unwrap();
}

#[test]
fn all_tenants_go_out_and_come_back_under_their_key() {
    for ending in ENDINGS {
        let (db, folder) = (Db::in_memory().unwrap(), tempfile::tempdir().unwrap());
        let path = folder.path().join("tenants").with_extension(ending);
        let schema = Schema::builder(2).metric(Metric::Dot).tenant("customer").build().unwrap();
        let point =
            |id: u64| Point::new(id, [1.0, id as f32]).with("customer", format!("c{}", id % 3)).with("n", 1);
        let from = collection(&db, "from", schema, (0..9).map(point).collect());
        assert_eq!(export(&from, &path), 9);
        import(&db, "to", &path, &ImportOptions::default()).unwrap();
        let to = db.collection("to").unwrap();
        assert_eq!(to.schema().tenant(), Some("customer"));
        let of = |name: &str| to.count(Some(&Filter::eq("customer", name))).unwrap();
        assert_eq!(["c0", "c1", "c2", "c3"].map(of), [3, 3, 3, 0]);
        let few = folder.path().join("few").with_extension(ending);
        let options =
            ExportOptions { filter: Some(Filter::eq("customer", "c1")), ..ExportOptions::default() };
        assert_eq!(ragstone_exchange::export(&from, &few, &options, &mut quietly).unwrap().rows, 3);
        // A filter that forgets the tenant is refused, and one that means all says so.
        let options = |filter| ExportOptions { filter: Some(filter), overwrite: true, ..Default::default() };
        let forgotten = options(Filter::eq("n", 1));
        let error = ragstone_exchange::export(&from, &few, &forgotten, &mut quietly).unwrap_err().to_string();
        assert!(error.contains("keeps tenants apart by `customer`"), "{error}");
        assert!(export_stream(&from, &forgotten).is_err());
        let all = options(Filter::And(vec![Filter::AllTenants, Filter::eq("n", 1)]));
        assert_eq!(ragstone_exchange::export(&from, &few, &all, &mut quietly).unwrap().rows, 9);
    }
}
