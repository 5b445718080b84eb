//! Server-sent events out of bytes that come in any pieces.
//!
//! The grammar is that of the HTML standard, "Interpreting an event stream" (section 9.2.6): lines end with LF, CR LF or CR; a
//! line `data: …` adds a line to the event's data, an empty line ends the event; comments and all other fields are skipped,
//! since the OpenAI protocol uses none of them.
//!
//! Invariants: what is given out depends on the bytes alone, never on where they were cut; no more than
//! [`STREAM_EVENT_BYTES_MAX`] bytes of one event are kept.

use crate::limits::STREAM_EVENT_BYTES_MAX;

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// An event is larger than [`STREAM_EVENT_BYTES_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLarge;

/// Takes bytes, gives the data of events.
#[derive(Debug, Default)]
pub(super) struct Parser {
    /// The line so far, without its end.
    line: Vec<u8>,
    /// The data of the event so far; none before its first `data` line.
    data: Option<Vec<u8>>,
    /// The last byte was a CR, which ended a line: a LF behind it belongs to the same end.
    after_cr: bool,
    /// Whether the first line, which may begin with a byte order mark, has ended.
    begun: bool,
}

impl Parser {
    /// Takes the next bytes, and gives the data of each event that they complete to `event`.
    pub(super) fn feed(&mut self, bytes: &[u8], mut event: impl FnMut(String)) -> Result<(), TooLarge> {
        for &byte in bytes {
            let after_cr = std::mem::replace(&mut self.after_cr, byte == b'\r');
            match byte {
                b'\n' if after_cr => {}
                b'\n' | b'\r' => event_of(self.end_line(), &mut event),
                byte => {
                    self.line.push(byte);
                    if self.line.len() + self.data.as_ref().map_or(0, Vec::len) > STREAM_EVENT_BYTES_MAX {
                        return Err(TooLarge);
                    }
                }
            }
        }
        Ok(())
    }

    /// The stream has ended. An event of whole lines counts, though the empty line behind it is missing: some servers close
    /// without it.
    pub(super) fn finish(&mut self, mut event: impl FnMut(String)) {
        event_of(self.data.take(), &mut event);
    }

    /// A line is whole; what it completes.
    fn end_line(&mut self) -> Option<Vec<u8>> {
        let line = std::mem::take(&mut self.line);
        let mut line = line.as_slice();
        if !std::mem::replace(&mut self.begun, true) {
            line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
        }
        if line.is_empty() {
            return self.data.take();
        }
        let value = match line.strip_prefix(b"data") {
            Some(b"") => b"".as_slice(),
            Some([b':', value @ ..]) => value.strip_prefix(b" ").unwrap_or(value),
            _ => return None,
        };
        match &mut self.data {
            Some(data) => {
                data.push(b'\n');
                data.extend_from_slice(value);
            }
            none => *none = Some(value.to_vec()),
        }
        None
    }
}

/// What is not UTF-8 is replaced, as the standard has it; the JSON inside is then refused where it matters.
fn event_of(data: Option<Vec<u8>>, event: &mut impl FnMut(String)) {
    if let Some(data) = data {
        event(
            String::from_utf8(data)
                .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()),
        );
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(pieces: &[&[u8]]) -> Result<Vec<String>, TooLarge> {
        let (mut parser, mut events) = (Parser::default(), Vec::new());
        for piece in pieces {
            parser.feed(piece, |event| events.push(event))?;
        }
        parser.finish(|event| events.push(event));
        Ok(events)
    }

    /// The standard, read naively over the whole text.
    fn oracle(text: &str) -> Vec<String> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n").replace('\r', "\n");
        // What stands behind the last line's end is no line.
        let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
        let (mut events, mut data): (Vec<String>, Vec<&str>) = (Vec::new(), Vec::new());
        for line in whole.split_terminator('\n').chain([""]) {
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            if line.is_empty() && !data.is_empty() {
                events.push(std::mem::take(&mut data).join("\n"));
            } else if field == "data" {
                data.push(value.strip_prefix(' ').unwrap_or(value));
            }
        }
        events
    }

    #[test]
    fn lines_are_read_as_the_standard_has_them() {
        let cases: &[(&str, &[&str])] = &[
            ("data: a\n\n", &["a"]),
            ("data:a\r\n\r\ndata: b\r\rdata\n\n", &["a", "b", ""]),
            ("data:  two\ndata: lines\n\n", &[" two\nlines"]),
            (": a comment\nevent: x\nid: 1\nretry: 5\ndatum: no\ndata: yes\n\n", &["yes"]),
            ("\u{feff}data: marked\n\n", &["marked"]),
            ("\n\n\ndata: [DONE]\n", &["[DONE]"]),
            ("data: whole\n\ndata: cut", &["whole"]),
            ("", &[]),
        ];
        for (text, events) in cases {
            assert_eq!(parse(&[text.as_bytes()]).unwrap(), *events, "{text:?}");
            assert_eq!(oracle(text), *events, "{text:?}");
        }
        assert_eq!(parse(&[b"data: \xff\n\n"]).unwrap(), ["\u{fffd}"]);
    }

    #[test]
    fn an_event_without_an_end_is_given_up_at_the_limit() {
        let most = "x".repeat(STREAM_EVENT_BYTES_MAX - "data:".len());
        assert_eq!(parse(&[format!("data:{most}\n\n").as_bytes()]).unwrap().len(), 1);
        assert_eq!(parse(&[format!("data:{most}x").as_bytes()]), Err(TooLarge));
        let lines = format!("data:{}\n", "x".repeat(1_000)).repeat(STREAM_EVENT_BYTES_MAX / 1_000);
        assert_eq!(parse(&[lines.as_bytes(), b"data: and more\n"]), Err(TooLarge));
    }

    proptest! {
        #[test]
        fn any_cut_of_the_bytes_gives_the_same_events(
            parts in prop::collection::vec(
                prop::sample::select(vec![
                    "data", ":", " ", "\n", "\r", "\r\n", "\n\n", "x", "é", "[DONE]", "\u{feff}", "data: y\n\n", ": z\n", "{\"a\":1}",
                ]),
                0..40,
            ),
            cuts in prop::collection::vec(0usize..200, 0..8),
        ) {
            let text = parts.concat();
            let bytes = text.as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).chain([0, bytes.len()]).collect();
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|ends| &bytes[ends[0]..ends[1]]).collect();
            let events = parse(&pieces).unwrap();
            prop_assert_eq!(&events, &parse(&[bytes]).unwrap());
            prop_assert_eq!(&events, &parse(&bytes.chunks(1).collect::<Vec<_>>()).unwrap());
            prop_assert_eq!(events, oracle(&text));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            prop_assert!(parse(&[&bytes]).is_ok());
        }
    }
}
