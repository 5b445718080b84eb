//! How much a PDF's compressed streams hold, before anything of it is parsed.
//!
//! Sixteen megabytes of deflate can hold sixteen gigabytes, and a stream inside a stream more still; a reader that unpacks what it needs
//! finds out too late. So everything that looks like a deflated stream is unpacked into the void first, and what it holds, by itself and
//! together, is bounded. Costs a pass over the unpacked bytes, about a gigabyte a second; since a stream may be made to hold nothing, and others
//! begin within it, time is bounded too.
//!
//! This is no proof: what is encrypted, packed otherwise or named where it is not looked for stays unmeasured. Filters that unpack
//! one another are refused as far as a stream's own dictionary names them; the rest is left to the process that reads.

use std::io::{BufRead, BufReader};
use std::time::{Duration, Instant};

use flate2::bufread::{DeflateDecoder, ZlibDecoder};

use super::READ_TIME_MAX;

/// Bytes that the streams of a file may hold together.
const UNPACKED_BYTES_MAX: u64 = 512 << 20;
/// Deflated streams that may lie in one another.
const NESTED_MAX: usize = 3;
/// Bytes before a stream that its dictionary is looked for in.
const DICTIONARY_BYTES: usize = 2 << 10;

/// Refuses a file whose streams hold too much.
pub(super) fn check(content: &[u8]) -> Result<(), String> {
    check_within(content, UNPACKED_BYTES_MAX, READ_TIME_MAX)
}

fn check_within(content: &[u8], max: u64, time_max: Duration) -> Result<(), String> {
    let began = Instant::now();
    let mut left = max;
    let mut at = 0;
    while let Some(found) = find(&content[at..], b"stream") {
        if began.elapsed() > time_max {
            return Err(format!("reading it takes more than {} s", time_max.as_secs()));
        }
        let before = &content[..at + found];
        // Before the end of a stream stands what it holds, such as small pictures with filters of their own.
        if !before.ends_with(b"end") && is_packed_repeatedly(dictionary(before)) {
            return Err("it has a stream that is packed several times over, as only files made to exhaust their readers are"
                .to_owned());
        }
        at += found + b"stream".len();
        let mut start = at;
        while content.get(start).is_some_and(u8::is_ascii_whitespace) {
            start += 1;
        }
        let body = content.get(start..).unwrap_or_default();
        let unpacked = if is_zlib(body) {
            unpack(&|| Box::new(body), left, NESTED_MAX)
        } else {
            // What begins otherwise, readers take for deflate without zlib's head; if it is not, that ends within bytes.
            measure(BufReader::new(DeflateDecoder::new(body)), left)
        };
        left =
            unpacked.ok_or_else(|| format!("its streams hold more than {max} bytes, which is the limit"))?;
    }
    Ok(())
}

/// What is left of an allowance after what a stream holds.
fn measure(mut stream: impl BufRead, mut left: u64) -> Option<u64> {
    while let Ok(piece @ [_, ..]) = stream.fill_buf() {
        let bytes = piece.len();
        left = left.checked_sub(bytes as u64)?;
        stream.consume(bytes);
    }
    Some(left)
}

/// What stands before a stream from the beginning of its object, or a part of it.
fn dictionary(before: &[u8]) -> &[u8] {
    let near = &before[before.len().saturating_sub(DICTIONARY_BYTES)..];
    let begin = near.windows(3).rposition(|window| window == b"obj").map_or(0, |at| at + 3);
    &near[begin..]
}

/// Whether a dictionary names several filters that unpack, one of them other than deflate: each multiplies what the one before did.
fn is_packed_repeatedly(dictionary: &[u8]) -> bool {
    let (mut unpacking, mut others) = (0, 0);
    for name in dictionary.split(|byte| *byte == b'/').skip(1) {
        let end = name.iter().position(|byte| byte.is_ascii_whitespace() || b"()<>[]{}%".contains(byte));
        let name = plain(&name[..end.unwrap_or(name.len())]);
        let is_other = matches!(&*name, b"RunLengthDecode" | b"RL" | b"LZWDecode" | b"LZW");
        unpacking += u32::from(is_other || matches!(&*name, b"FlateDecode" | b"Fl"));
        others += u32::from(is_other);
    }
    others > 0 && unpacking > 1
}

/// A name without the escapes that it may be written with, two digits behind a `#`.
fn plain(name: &[u8]) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let (mut plain, mut rest) = (Vec::with_capacity(name.len()), name);
    loop {
        match rest {
            [b'#', high, low, after @ ..] if digit(*high).is_some() && digit(*low).is_some() => {
                let value = digit(*high).unwrap_or_default() << 4 | digit(*low).unwrap_or_default();
                plain.push(value as u8);
                rest = after;
            }
            [byte, after @ ..] => {
                plain.push(*byte);
                rest = after;
            }
            [] => return plain,
        }
    }
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
    use flate2::write::{DeflateEncoder, ZlibEncoder};

    use super::*;

    fn check_within(content: &[u8], max: u64) -> Result<(), String> {
        super::check_within(content, max, READ_TIME_MAX)
    }

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

    #[test]
    fn streams_without_a_head_are_measured_too() {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&vec![0; 2 << 20]).unwrap();
        let raw = encoder.finish().unwrap();
        assert_eq!(check_within(&file(&[&raw]), 3 << 20), Ok(()));
        assert!(check_within(&file(&[&raw, &raw]), 3 << 20).unwrap_err().contains("limit"));
    }

    /// Blocks that hold nothing are unpacked by every stream that begins before them, and cost the allowance nothing.
    #[test]
    fn time_is_bounded_where_nothing_is_unpacked() {
        let empty = b"\0\0\0\xff\xff".repeat(2_000);
        let file = file(&[empty.as_slice(); 100]);
        assert_eq!(check_within(&file, 3 << 20), Ok(()));
        let reason = super::check_within(&file, 3 << 20, Duration::ZERO).unwrap_err();
        assert!(reason.contains("takes more than"), "{reason}");
    }

    /// 528 bytes took 460 MiB: runs of runs of runs of runs.
    #[test]
    fn filters_that_unpack_one_another_are_refused() {
        let checked = |dictionary: &str| {
            check(format!("endobj 1 0 obj << {dictionary} >>\nstream\nx\nendstream endobj").as_bytes())
        };
        for refused in [
            "/Filter [/RunLengthDecode /RunLengthDecode /RunLengthDecode /RunLengthDecode]",
            "/Filter[/RL/RL]",
            "/Filter [ /ASCII85Decode /LZWDecode /FlateDecode ]",
            "/Filter [ /FlateDecode/LZW ]",
            "/Filter [/Run#4cengthDecode/#52L]",
        ] {
            assert!(checked(refused).unwrap_err().contains("several times"), "{refused}");
        }
        for usual in [
            "/Length 1",
            "/Filter /LZWDecode",
            "/Filter [/ASCII85Decode /RunLengthDecode] /DecodeParms [null null]",
            "/Filter [/FlateDecode /DCTDecode]",
            "/Filter [/FlateDecode /FlateDecode]",
            "/Filter [/Run#4 /RLX /#4] /Name /L#",
        ] {
            assert_eq!(checked(usual), Ok(()), "{usual}");
        }
        let picture = "q BI /W 8 /H 1 /IM true /F /RL ID \u{7f}xxxxxxxx EI Q\n".repeat(2);
        let drawn = format!("1 0 obj <</Length {}>>\nstream\n{picture}endstream endobj", picture.len());
        assert_eq!(check(drawn.as_bytes()), Ok(()), "pictures within a page's content");
        let two =
            "1 0 obj <</Filter/RL>> stream\nx\nendstream endobj 2 0 obj <</Filter/RL>> stream\nx\nendstream";
        assert_eq!(check(two.as_bytes()), Ok(()), "each by itself");
    }
}
