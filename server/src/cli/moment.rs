//! A moment to which a database is restored, as it is typed.

use chrono::DateTime;
use ragstone_snapshot::Until;

/// A position, `COLLECTION:NUMBER`, a time, or `end`.
pub(crate) fn parse(text: &str) -> Result<Until, String> {
    if text == "end" {
        return Ok(Until::End);
    }
    if let Ok(position) = text.parse() {
        return Ok(Until::Position(position));
    }
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        let time_us = u64::try_from(time.timestamp_micros());
        return time_us.map(Until::TimeUs).map_err(|_| "nothing was written before 1970".into());
    }
    match text.rsplit_once(':').map(|(collection, seq)| (collection, seq.parse())) {
        Some((collection, Ok(seq))) if !collection.is_empty() && !collection.contains(':') => {
            Ok(Until::Write { collection: collection.to_owned(), seq })
        }
        _ => Err("write it as 1234, COLLECTION:12, 2026-11-22T10:30:00Z or end".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_what_they_look_like() {
        assert_eq!(parse("end"), Ok(Until::End));
        assert_eq!(parse("12"), Ok(Until::Position(12)));
        assert_eq!(parse("notes:12"), Ok(Until::Write { collection: "notes".into(), seq: 12 }));
        assert_eq!(parse("1970-01-01T00:00:01.5Z"), Ok(Until::TimeUs(1_500_000)));
        assert_eq!(parse("1970-01-01T01:00:01+01:00"), Ok(Until::TimeUs(1_000_000)));
        for wrong in
            ["", "-1", "notes", "notes:", ":1", "2026-11-22", "1969-12-31T23:59:59Z", "2026-11-22T10:30:61:5"]
        {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
