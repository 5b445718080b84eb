//! How much a PDF's compressed streams hold, before anything of it is parsed.
//!
//! Sixteen megabytes of deflate can hold sixteen gigabytes, and a stream inside a stream more still; a reader that unpacks what it needs
//! finds out too late. So everything that looks like a deflated stream is unpacked into the void first, and what it holds, by itself and
//! together, is bounded. Costs a pass over the unpacked bytes, about a gigabyte a second.

use std::io::{BufRead, BufReader};

use flate2::bufread::ZlibDecoder;

/// Bytes that the streams of a file may hold together.
const UNPACKED_BYTES_MAX: u64 = 512 << 20;
/// Deflated streams that may lie in one another.
const NESTED_MAX: usize = 3;

/// Refuses a file whose streams hold too much.
pub(super) fn check(content: &[u8]) -> Result<(), String> {
    check_within(content, UNPACKED_BYTES_MAX)
}

fn check_within(content: &[u8], max: u64) -> Result<(), String> {
    let mut left = max;
    let mut at = 0;
    while let Some(found) = find(&content[at..], b"stream") {
        at += found + b"stream".len();
        let mut start = at;
        while content.get(start).is_some_and(u8::is_ascii_whitespace) {
            start += 1;
        }
        if let Some(body) = content.get(start..).filter(|body| is_zlib(body)) {
            left = unpack(&|| Box::new(body), left, NESTED_MAX)
                .ok_or_else(|| format!("its streams hold more than {max} bytes, which is the limit"))?;
        }
    }
    Ok(())
}

/// What is left of an allowance after what a stream holds, and what a stream in it does; `None` if it does not suffice.
fn unpack<'a>(open: &dyn Fn() -> Box<dyn BufRead + 'a>, mut left: u64, nested: usize) -> Option<u64> {
    let unpacked = || BufReader::new(ZlibDecoder::new(open()));
    let mut stream = unpacked();
    let mut is_nested = None;
    // What is damaged ends where it is damaged, for the reader too.
    while let Ok(piece @ [_, ..]) = stream.fill_buf() {
        is_nested = is_nested.or(Some(is_zlib(piece)));
        let bytes = piece.len();
        left = left.checked_sub(bytes as u64)?;
        stream.consume(bytes);
    }
    match nested.checked_sub(1) {
        _ if is_nested != Some(true) => Some(left),
        // Unpacked once more instead of being kept.
        Some(nested) => unpack(&|| Box::new(unpacked()), left, nested),
        None => None,
    }
}

/// Whether bytes begin as zlib's do.
fn is_zlib(bytes: &[u8]) -> bool {
    matches!(bytes, [head, check, ..] if head & 0x0f == 8 && (u16::from(*head) << 8 | u16::from(*check)) % 31 == 0)
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::ZlibEncoder;

    use super::*;

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn file(streams: &[&[u8]]) -> Vec<u8> {
        let stream = |body: &&[u8]| [b"1 0 obj <<>> stream\r\n", *body, b"\nendstream endobj\n"].concat();
        streams.iter().flat_map(stream).collect()
    }

    #[test]
    fn streams_are_measured_together_and_within_one_another() {
        let large = packed(&vec![0; 1 << 20]);
        assert!(large.len() < 2_000);
        let check = |streams: &[&[u8]]| check_within(&file(streams), 3 << 20);
        assert_eq!(check(&[&large, b"plain", &large]), Ok(()));
        assert!(check(&[&large, &large, &large, &large]).unwrap_err().contains("limit"));
        let twice = packed(&packed(&vec![0; 8 << 20]));
        assert!(check(&[&twice]).unwrap_err().contains("limit"));
        let deep = (0..6).fold(b"x".to_vec(), |inner, _| packed(&inner));
        assert!(check(&[&deep]).unwrap_err().contains("limit"), "nobody nests so deep");
        assert_eq!(check(&[&large[..100], b"\x78\x9c", b""]), Ok(()), "damage is the reader's to tell");
    }
}
