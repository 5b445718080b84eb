use arrow_cast::cast;
use arrow_ipc::reader::FileReader;
use arrow_ipc::writer::FileWriter;
use arrow_schema::Field;

use super::*;
use crate::layout;
use crate::options::ColumnNames;
use crate::seam::IdKinds;
use ragstone::{DenseOptions, FieldType, Json, MultiOptions, Point, Schema, SparseVector};

/// Rows with a bit of everything, of which every third lacks most.
fn batch() -> RecordBatch {
    let schema = Schema::builder(3)
        .vector("named", DenseOptions::new(2))
        .sparse("words")
        .multi("tokens", MultiOptions::new(2))
        .field("flag", FieldType::Bool)
        .field("tags", FieldType::Strings)
        .field("text", FieldType::String)
        .field("json", FieldType::Json)
        .field("n", FieldType::Int)
        .build()
        .unwrap();
    let columns = layout::of(&schema, IdKinds { numbers: true, texts: false }, &ColumnNames::default());
    let point = |id: u64| {
        let x = id as f32;
        let point = Point::new(id, [x, x + 1.0, -x]).with("n", id as i64);
        if id % 3 == 1 {
            return Point { vector: None, ..point };
        }
        let words = SparseVector { indices: vec![id as u32, 900], values: vec![x, 1.0] };
        let tokens: Vec<Vec<f32>> = (0..=id % 4).map(|token| vec![x, token as f32]).collect();
        let point =
            point.with_vector("named", [x, 0.5]).with_vector("words", words).with_vector("tokens", tokens);
        let tags: Vec<String> = (0..id % 5).map(|tag| format!("tag {tag} of {id}")).collect();
        let point =
            point.with("flag", id.is_multiple_of(2)).with("tags", tags).with("text", format!("row {id}"));
        point.with("json", Json::new(format!("[{id}]")).unwrap())
    };
    let points: Vec<Point> = (0..1_000).map(point).collect();
    let head = crate::write::Head { columns: &columns, text: String::new() };
    crate::encode::batch(&points, &columns, &head.schema()).unwrap()
}

fn written(batch: &RecordBatch) -> File {
    let mut writer = FileWriter::try_new(tempfile::tempfile().unwrap(), &batch.schema()).unwrap();
    // Twice: what is read of the second lies elsewhere.
    writer.write(batch).unwrap();
    writer.write(batch).unwrap();
    writer.finish().unwrap();
    writer.into_inner().unwrap()
}

/// What Arrow's own reader gives.
fn whole(file: &File, columns: &[usize]) -> Vec<RecordBatch> {
    FileReader::try_new(file, Some(columns.to_vec())).unwrap().map(Result::unwrap).collect()
}

#[test]
fn parts_are_what_the_whole_is() {
    let batch = batch();
    let file = written(&batch);
    let all: Vec<usize> = (0..batch.num_columns()).collect();
    for columns in [all.clone(), vec![0], all[1..].to_vec(), vec![2, 5]] {
        for bytes_at_once in [1, 777, 5_000, 1 << 30] {
            let mut sliced = Sliced::open(file.try_clone().unwrap(), &columns, 1).unwrap().unwrap();
            sliced.bytes_at_once = bytes_at_once;
            let parts: Vec<RecordBatch> = sliced.map(Result::unwrap).collect();
            assert_eq!(parts.iter().map(RecordBatch::num_rows).sum::<usize>(), 2 * batch.num_rows());
            let mut parts = parts.into_iter();
            for whole in whole(&file, &columns) {
                let mut from = 0;
                while from < whole.num_rows() {
                    let part = parts.next().unwrap();
                    assert_eq!(
                        part,
                        whole.slice(from, part.num_rows()),
                        "{columns:?} {bytes_at_once} {from}"
                    );
                    from += part.num_rows();
                }
            }
        }
    }
}

#[test]
fn what_has_no_ranges_is_left_to_the_whole() {
    let batch = batch();
    let file = written(&batch);
    assert!(Sliced::open(file, &[0], 1 << 30).unwrap().is_none(), "no batch is large");
    let kind = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let words = cast(batch.column_by_name("text").unwrap(), &kind).unwrap();
    let schema = arrow_schema::Schema::new(vec![Field::new("text", kind, true)]);
    let batch = RecordBatch::try_new(Arc::new(schema), vec![words]).unwrap();
    assert!(Sliced::open(written(&batch), &[0], 1).unwrap().is_none());
}

#[test]
fn changed_bytes_are_errors() {
    use std::io::{Seek, SeekFrom, Write};
    let file = written(&batch());
    let size = file.metadata().unwrap().len();
    let (mut worked, mut failed) = (0, 0);
    for at in (8..size).step_by(size as usize / 400) {
        let mut changed = tempfile::tempfile().unwrap();
        let mut original = file.try_clone().unwrap();
        original.seek(SeekFrom::Start(0)).unwrap();
        std::io::copy(&mut original, &mut changed).unwrap();
        changed.seek(SeekFrom::Start(at)).unwrap();
        changed.write_all(&[0xff]).unwrap();
        let read = Sliced::open(changed, &[0, 1, 2, 3, 4], 1);
        match read.map(|sliced| sliced.map(|sliced| sliced.collect::<Tried<Vec<_>>>())) {
            Ok(Some(Ok(_)) | None) => worked += 1,
            _ => failed += 1,
        }
    }
    assert!(worked > 0 && failed > 0, "{worked} {failed}");
}
