//! Columns as Arrow writes them, and damaged ones.

use super::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::CancelToken;
use crate::interrupt::cancelled_at;
use crate::payload::arrow::{ArrowColumns, layout};
use crate::payload::{
    ColumnIndex, CompiledFilter, FieldId, FieldIndex, FieldSource, FieldTable, Filter, Indexed, Json, Range,
    Value,
};

/// The column, its file, and the rows of each batch.
pub(crate) fn column_of(
    values: &[Option<Value>],
    field_type: FieldType,
    batch_rows: usize,
) -> (ColumnEntry, Vec<u32>, Vec<u8>) {
    // Not at the start of the file, as in a segment.
    let mut file = vec![0xAA; 64];
    let fields = [(0, "f", field_type)];
    let mut columns = ArrowColumns::new(&mut file, &fields).unwrap();
    for chunk in values.chunks(batch_rows) {
        for value in chunk {
            columns.push(&mut |_| value.as_ref().map(Value::as_ref));
        }
        columns.end_batch().unwrap();
    }
    columns.finish().unwrap();
    let end = file.len();
    let layout = layout(&file, 64..end, &[field_type]).unwrap();
    let count = values.iter().flatten().count() as u32;
    let entry = ColumnEntry { field_type, count, buffers: layout.buffers.into_iter().next().unwrap() };
    (entry, layout.batch_rows, file)
}

fn round_trip(values: &[Option<Value>], field_type: FieldType) -> (Column, Vec<u8>) {
    let (entry, batch_rows, file) = column_of(values, field_type, 60);
    let column = Column::open(&entry, &batch_rows, file.len()).unwrap();
    assert!(column.has_right_counts(&file));
    let one_less = ColumnEntry { count: entry.count - 1, ..entry.clone() };
    assert!(!Column::open(&one_less, &batch_rows, file.len()).unwrap().has_right_counts(&file));
    let cut = ColumnEntry { buffers: entry.buffers[1..].to_vec(), ..entry.clone() };
    assert!(Column::open(&cut, &batch_rows, file.len()).is_none());
    assert!(Column::open(&entry, &batch_rows, file.len() / 2).is_none());
    for damaged in 64..file.len() {
        let mut file = file.clone();
        file[damaged] ^= 0x80;
        // Reading goes on, with whatever values.
        assert!((0..values.len()).filter_map(|row| column.get(&file, row)).count() <= values.len());
        for row in (0..values.len() + 2).step_by(5) {
            column.prefetch(&file, row);
            column.prefetch_rest(&file, row);
        }
        if damaged % 7 == 0 && FieldIndex::is_for(field_type) {
            let indexed = Indexed { column: &column, file: &file, rows: values.len() };
            let index = FieldIndex::new(indexed, &Watch::default()).unwrap();
            for test in [
                Test::Exists,
                Test::ListAny(vec![[].into(), (*b"\xc3\xb6").into()]),
                Test::Within(GeoPoint::default(), 1e7),
            ] {
                index.select(indexed, &test);
                index.list(indexed, &test, values.len());
            }
        }
    }
    (column, file)
}

#[test]
fn every_value_comes_back() {
    let make = |field_type, i: i64| match field_type {
        FieldType::Bool => Value::Bool(i % 2 == 0),
        FieldType::Int => Value::Int(-i),
        FieldType::Float => Value::Float(i as f64 / 4.0),
        FieldType::String => Value::String("ä".repeat(i as usize % 5)),
        FieldType::Timestamp => Value::Timestamp(i << 40),
        FieldType::Strings => Value::Strings((0..i % 4).map(|n| "ö".repeat(n as usize)).collect()),
        FieldType::Geo => Value::Geo(GeoPoint::new(i as f64 / 4.0, -i as f64 / 2.0)),
        FieldType::Json => Value::Json(Json::new(format!("[{i}]")).unwrap()),
    };
    for field_type in FieldType::ALL {
        let values: Vec<_> = (0..201).map(|i| (i % 3 != 1).then(|| make(field_type, i))).collect();
        let (column, file) = round_trip(&values, field_type);
        for (row, value) in values.iter().enumerate() {
            assert_eq!(column.get(&file, row).map(ValueRef::to_value), *value);
        }
    }
}

#[test]
fn a_filter_selects_the_rows_that_pass() {
    struct One(Column, Vec<u8>, usize);
    impl FieldSource for One {
        fn rows(&self) -> usize {
            self.2
        }
        fn select(&self, _: FieldId, test: &Arc<Test>, _: &Watch) -> Arc<FixedBitSet> {
            let index = ColumnIndex::new(&self.0, &self.1, (self.2, &Watch::default())).unwrap();
            let found = index.select(&self.0, &self.1, test, self.2);
            let tested = self.0.tested(&self.1, test, self.2);
            assert_eq!(found, tested, "{test:?}");
            Arc::new(found)
        }
        fn select_text(
            &self,
            _: FieldId,
            _: crate::Analyzer,
            _: &crate::text::QueryTerms,
        ) -> Arc<FixedBitSet> {
            Arc::default()
        }
    }
    let values: Vec<_> = (0..130).map(|i| (i % 2 == 0).then_some(Value::Int(i % 10))).collect();
    let (column, file) = round_trip(&values, FieldType::Int);
    let mut fields = FieldTable::default();
    fields.add("n", FieldType::Int);
    let source = One(column, file, values.len());
    let rows = |filter: Filter| -> Vec<usize> {
        CompiledFilter::new(&filter, &fields).unwrap().run(&source, &Watch::default()).ones().collect()
    };
    assert_eq!(rows(Filter::eq("n", 4i64)), (0..130).filter(|i| i % 10 == 4).collect::<Vec<_>>());
    // A row without the field fails the condition and so passes its negation.
    let not = rows(Filter::Not(Box::new(Filter::eq("n", 4i64))));
    assert_eq!(not, (0..130).filter(|i| i % 10 != 4).collect::<Vec<_>>());
    let range = |gte: Option<i64>, lt: Option<i64>| {
        let (gte, lt) = (gte.map(Value::Int), lt.map(Value::Int));
        rows(Filter::Range("n".into(), Range { gte, lt, ..Range::default() })).len()
    };
    assert_eq!([range(Some(2), None), range(None, Some(9)), range(Some(3), Some(4))], [52, 65, 0]);
    let twice = Filter::In("n".into(), [8i64, 2, 8, 7, 0, 4].map(Value::Int).into());
    assert_eq!(rows(twice).len(), 52);
    assert_eq!(rows(Filter::And(vec![])).len(), 130);
    assert_eq!(rows(Filter::Or(vec![])).len(), 0);
}

#[test]
fn going_through_a_column_ends_at_the_look_that_says_so() {
    let values: Vec<_> = (0..2_000).map(|number| Some(Value::Int(number))).collect();
    let (entry, batch_rows, file) = column_of(&values, FieldType::Int, 1_000);
    let column = Column::open(&entry, &batch_rows, file.len()).unwrap();
    let three = |token: &CancelToken| {
        column.tested_by(&file, &Test::IntIn(vec![3]), (values.len(), &Watch::new(None, Some(token))))
    };
    let looks = Arc::new(AtomicU64::new(0));
    let counted = looks.clone();
    let token = CancelToken::polled(move || {
        counted.fetch_add(1, Ordering::Relaxed);
    });
    assert_eq!(three(&token).unwrap().ones().collect::<Vec<_>>(), [3]);
    let looks = looks.load(Ordering::Relaxed);
    assert_eq!(looks, 4, "one for each 512 rows");
    for look in 1..=looks {
        assert_eq!(three(&cancelled_at(look)), None, "look {look}");
    }
    assert!(three(&cancelled_at(looks + 1)).is_some());
}
