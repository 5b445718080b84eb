//! Reading and writing NumPy's `.npy` arrays of two dimensions: float32, float16 and uint32, little-endian, row by row.
//!
//! ```text
//! file   = "\x93NUMPY" major minor length header data
//! length = 2 bytes little-endian (major 1) or 4 (major 2 and 3)
//! header = a Python dict as text: {'descr': '<f4', 'fortran_order': False, 'shape': (60000, 384), }
//! ```

use std::io::{BufWriter, Write};
use std::path::Path;

/// Rows of equal length.
#[derive(Clone, Debug, PartialEq)]
pub struct Matrix<T> {
    /// Elements of a row.
    pub columns: usize,
    /// All elements, row after row.
    pub elements: Vec<T>,
}

impl<T> Matrix<T> {
    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.elements.len() / self.columns.max(1)
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.elements.is_empty()
    }

    /// All rows.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[T]> {
        self.elements.chunks_exact(self.columns.max(1))
    }

    /// Keeps the first rows only.
    pub fn truncate(&mut self, rows: usize) {
        self.elements.truncate(rows * self.columns);
    }

    /// One row.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn row(&self, index: usize) -> &[T] {
        &self.elements[index * self.columns..][..self.columns]
    }
}

/// Reads float32 rows, or float16 ones widened.
///
/// # Errors
/// The file and what is wrong with it.
pub fn read_floats(path: &Path) -> Result<Matrix<f32>, String> {
    let (header, data) = read(path)?;
    let elements = match header.kind.as_str() {
        "<f4" => words(&data).map(f32::from_le_bytes).collect(),
        "<f2" => words(&data).map(|bytes| half::f16::from_le_bytes(bytes).to_f32()).collect(),
        other => return Err(format!("{}: elements are {other}, not <f4 or <f2", path.display())),
    };
    header.matrix(path, elements)
}

/// Reads uint32 rows.
///
/// # Errors
/// The file and what is wrong with it.
pub fn read_ids(path: &Path) -> Result<Matrix<u32>, String> {
    let (header, data) = read(path)?;
    if header.kind != "<u4" {
        return Err(format!("{}: elements are {}, not <u4", path.display(), header.kind));
    }
    header.matrix(path, words(&data).map(u32::from_le_bytes).collect())
}

/// Writes rows as float32.
///
/// # Errors
/// The file and what the system says.
pub fn write_floats(path: &Path, matrix: &Matrix<f32>) -> Result<(), String> {
    write(path, "<f4", matrix, |value| value.to_le_bytes())
}

/// Writes rows as float16, each number rounded to the nearest.
///
/// # Errors
/// The file and what the system says.
pub fn write_halves(path: &Path, matrix: &Matrix<f32>) -> Result<(), String> {
    write(path, "<f2", matrix, |value| half::f16::from_f32(*value).to_le_bytes())
}

/// Writes rows as uint32.
///
/// # Errors
/// The file and what the system says.
pub fn write_ids(path: &Path, matrix: &Matrix<u32>) -> Result<(), String> {
    write(path, "<u4", matrix, |id| id.to_le_bytes())
}

fn write<T, const N: usize>(
    path: &Path,
    kind: &str,
    matrix: &Matrix<T>,
    bytes: impl Fn(&T) -> [u8; N],
) -> Result<(), String> {
    let (rows, columns) = (matrix.len(), matrix.columns);
    let dict = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({rows}, {columns}), }}");
    // Ten bytes stand before the header; spaces bring the data to a multiple of 64, and a line feed ends it.
    let length = (dict.len() + 1 + 10).next_multiple_of(64) - 10;
    let written = || {
        let mut file = BufWriter::new(std::fs::File::create(path)?);
        file.write_all(b"\x93NUMPY\x01\x00")?;
        file.write_all(&(length as u16).to_le_bytes())?;
        writeln!(file, "{dict:<width$}", width = length - 1)?;
        for element in &matrix.elements {
            file.write_all(&bytes(element))?;
        }
        file.flush()
    };
    written().map_err(|error: std::io::Error| format!("cannot write {}: {error}", path.display()))
}

struct Header {
    kind: String,
    rows: usize,
    columns: usize,
}

impl Header {
    fn matrix<T>(&self, path: &Path, elements: Vec<T>) -> Result<Matrix<T>, String> {
        if elements.len() != self.rows * self.columns {
            let (rows, columns) = (self.rows, self.columns);
            return Err(format!("{}: {} elements for {rows} x {columns}", path.display(), elements.len()));
        }
        Ok(Matrix { columns: self.columns, elements })
    }
}

fn words<const N: usize>(data: &[u8]) -> impl Iterator<Item = [u8; N]> {
    data.as_chunks::<N>().0.iter().copied()
}

fn read(path: &Path) -> Result<(Header, Vec<u8>), String> {
    let mut bytes =
        std::fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let (header, start) =
        parse(&bytes).ok_or_else(|| format!("{} is no two-dimensional .npy array", path.display()))?;
    bytes.drain(..start);
    Ok((header, bytes))
}

/// The header and where the data begin.
fn parse(bytes: &[u8]) -> Option<(Header, usize)> {
    let rest = bytes.strip_prefix(b"\x93NUMPY")?;
    let (length, from) = match rest.first()? {
        1 => (usize::from(u16::from_le_bytes(*rest.get(2..)?.first_chunk()?)), 10),
        2 | 3 => (u32::from_le_bytes(*rest.get(2..)?.first_chunk()?) as usize, 12),
        _ => return None,
    };
    let text = std::str::from_utf8(bytes.get(from..from + length)?).ok()?;
    let after = |key: &str| text.split_once(key).map(|(_, value)| value.trim_start_matches([':', ' ']));
    if !after("'fortran_order'")?.starts_with("False") {
        return None;
    }
    let kind = after("'descr'")?.split('\'').nth(1)?.to_owned();
    let shape = after("'shape'")?.strip_prefix('(')?.split(')').next()?;
    let mut sides = shape.split(',').map(|side| side.trim().parse().ok());
    let (rows, columns) = (sides.next()??, sides.next()??);
    Some((Header { kind, rows, columns }, from + length))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(kind: &str, shape: &str, data: &[u8]) -> tempfile::NamedTempFile {
        let header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}\n");
        let length = (header.len() as u16).to_le_bytes();
        let bytes = [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), data].concat();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        file
    }

    #[test]
    fn reads_what_numpy_writes() {
        let floats = file("<f4", "(2, 1)", &[0, 0, 128, 63, 0, 0, 0, 192]);
        assert_eq!(read_floats(floats.path()).unwrap(), Matrix { columns: 1, elements: vec![1.0, -2.0] });
        let halves = file("<f2", "(1, 2)", &[0x00, 0x3c, 0x01, 0x00]);
        assert_eq!(read_floats(halves.path()).unwrap().elements, [1.0, 2.0_f32.powi(-24)]);
        let ids = file("<u4", "(1, 2)", &[1, 0, 0, 0, 2, 1, 0, 0]);
        assert_eq!(read_ids(ids.path()).unwrap().row(0), [1, 258]);
    }

    #[test]
    fn what_is_written_is_read() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let floats = Matrix { columns: 3, elements: vec![1.0, -2.5, 0.1, 4.0, 0.0, 6.5] };
        write_floats(file.path(), &floats).unwrap();
        assert_eq!(read_floats(file.path()).unwrap(), floats);
        write_halves(file.path(), &floats).unwrap();
        let halves = read_floats(file.path()).unwrap();
        assert_eq!((halves.elements[1], halves.elements[2]), (-2.5, 0.099_975_586));
        let ids = Matrix { columns: 1, elements: vec![7, u32::MAX] };
        write_ids(file.path(), &ids).unwrap();
        assert_eq!(read_ids(file.path()).unwrap(), ids);
        let bytes = std::fs::read(file.path()).unwrap();
        assert_eq!((bytes.len() - 8) % 64, 0, "the data are aligned");
        assert!(write_ids(Path::new("absent/ids.npy"), &ids).unwrap_err().contains("absent"));
    }

    #[test]
    fn refuses_what_is_no_such_array() {
        for (kind, shape, data) in [("<f8", "(1, 1)", 8), ("<f4", "(2, 2)", 8), ("<f4", "(2,)", 8)] {
            let file = file(kind, shape, &vec![0; data]);
            assert!(read_floats(file.path()).is_err(), "{kind} {shape}");
        }
        let text = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(text.path(), "no array").unwrap();
        assert!(read_floats(text.path()).unwrap_err().contains(".npy"));
        assert!(read_floats(Path::new("absent.npy")).unwrap_err().contains("absent.npy"));
    }
}
