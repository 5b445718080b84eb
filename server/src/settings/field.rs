//! The types of settings: how each is written, read and shown.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Settings;

/// The largest number of a setting that counts: what it counts takes memory.
const NUMBER_MAX: u64 = 1_000_000;
/// The largest count that takes no memory.
const COUNT_MAX: u64 = u32::MAX as u64;
/// The largest number of bytes: more memory than most machines have.
const BYTES_MAX: u64 = 1 << 40;
/// The longest time: ten years, which every clock can add to now.
const TIME_MAX: Duration = Duration::from_secs(10 * 365 * 86_400);

/// Units of bytes, the largest first.
const BYTE_UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
/// Units of time in milliseconds, the largest first.
const TIME_UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// What a setting is, and where it lies.
#[derive(Clone, Copy, Debug)]
pub enum Field {
    /// A text, which must not be empty.
    Text(fn(&mut Settings) -> &mut String),
    /// A text, or none if it is empty.
    TextIf(fn(&mut Settings) -> &mut Option<String>),
    /// Texts; separated by spaces in the environment.
    Texts(fn(&mut Settings) -> &mut Vec<String>),
    /// Texts that are read further and have spaces; separated by line breaks in the environment.
    Lines {
        /// They, as they are written.
        get: fn(&Settings) -> Vec<String>,
        /// Reads others, or says what is wrong with one.
        set: fn(&mut Settings, &[&str]) -> Result<(), String>,
    },
    /// A path, which must not be empty.
    Path(fn(&mut Settings) -> &mut PathBuf),
    /// A path, or none if it is empty.
    PathIf(fn(&mut Settings) -> &mut Option<PathBuf>),
    /// `true` or `false`.
    Switch(fn(&mut Settings) -> &mut bool),
    /// A count.
    Number(fn(&mut Settings) -> &mut usize),
    /// A part of all: a number from 0 to 1.
    Share(fn(&mut Settings) -> &mut f64),
    /// A number above 0, or none if it is 0.
    RateIf(fn(&mut Settings) -> &mut Option<f64>),
    /// A count, or none if it is 0.
    CountIf {
        /// It.
        get: fn(&Settings) -> Option<u64>,
        /// Makes it another.
        set: fn(&mut Settings, Option<u64>),
    },
    /// Bytes: a number, or a text such as `32MiB`.
    Bytes(fn(&mut Settings) -> &mut usize),
    /// A time: a text such as `30s`.
    Time(fn(&mut Settings) -> &mut Duration),
    /// One of a few words.
    Choice {
        /// The words.
        words: &'static [&'static str],
        /// Which of them it is, by its place.
        get: fn(&Settings) -> usize,
        /// Makes it another.
        set: fn(&mut Settings, usize),
    },
}

impl Field {
    /// The type as the documentation calls it.
    pub fn kind(self) -> &'static str {
        match self {
            Field::Text(_) | Field::TextIf(_) => "text",
            Field::Texts(_) | Field::Lines { .. } => "list of texts",
            Field::Path(_) | Field::PathIf(_) => "path",
            Field::Switch(_) => "true or false",
            Field::Number(_) | Field::RateIf(_) | Field::CountIf { .. } => "number",
            Field::Share(_) => "share",
            Field::Bytes(_) => "bytes",
            Field::Time(_) => "time",
            Field::Choice { .. } => "word",
        }
    }

    /// Whether there may be several.
    pub fn is_list(self) -> bool {
        matches!(self, Field::Texts(_) | Field::Lines { .. })
    }

    /// What the items of a list are in the variable that has them all.
    pub(super) fn items(self, variable: &str) -> Vec<OsString> {
        match self {
            Field::Lines { .. } => {
                let lines = variable.lines().map(str::trim).filter(|line| !line.is_empty());
                lines.map(OsString::from).collect()
            }
            _ => variable.split_whitespace().map(OsString::from).collect(),
        }
    }

    /// Whether it may be given without a value, which means yes.
    pub fn is_switch(self) -> bool {
        matches!(self, Field::Switch(_))
    }

    /// Sets it to what is written; the last one counts unless there may be several.
    pub(super) fn set(self, settings: &mut Settings, written: &[OsString]) -> Result<(), String> {
        if let Field::Texts(at) = self {
            *at(settings) =
                written.iter().map(|text| utf8(text).map(str::to_owned)).collect::<Result<_, _>>()?;
            return Ok(());
        }
        if let Field::Lines { set, .. } = self {
            let texts = written.iter().map(|text| utf8(text)).collect::<Result<Vec<&str>, _>>()?;
            return set(settings, &texts);
        }
        let Some(written) = written.last() else {
            return Err("has no value".to_owned());
        };
        let path = Path::new(written);
        match self {
            Field::Path(at) if !written.is_empty() => *at(settings) = path.to_owned(),
            Field::PathIf(at) => *at(settings) = (!written.is_empty()).then(|| path.to_owned()),
            _ => return self.set_text(settings, utf8(written)?),
        }
        Ok(())
    }

    fn set_text(self, settings: &mut Settings, text: &str) -> Result<(), String> {
        match self {
            Field::TextIf(at) => *at(settings) = (!text.is_empty()).then(|| text.to_owned()),
            _ if text.is_empty() => return Err("is empty".to_owned()),
            Field::Text(at) => *at(settings) = text.to_owned(),
            Field::Switch(at) => *at(settings) = switch(text)?,
            Field::Number(at) => *at(settings) = number(text)?,
            Field::Share(at) => *at(settings) = share(text)?,
            Field::RateIf(at) => *at(settings) = rate(text)?,
            Field::CountIf { set, .. } => set(settings, count(text)?),
            Field::Bytes(at) => *at(settings) = bytes(text)?,
            Field::Time(at) => *at(settings) = time(text)?,
            Field::Choice { words, set, .. } => match words.iter().position(|word| *word == text) {
                Some(place) => set(settings, place),
                None => return Err(format!("`{text}` is not one of {}", words.join(", "))),
            },
            Field::Texts(_) | Field::Lines { .. } | Field::Path(_) | Field::PathIf(_) => {
                return self.set(settings, &[text.into()]);
            }
        }
        Ok(())
    }

    /// What it is, as a file would have it; none if it is unset.
    pub(super) fn shown(self, settings: &Settings) -> Option<String> {
        // Whoever can change a setting can also tell what it is; a copy is changed by nobody.
        let copy = &mut settings.clone();
        Some(match self {
            Field::Text(at) => quoted(at(copy)),
            Field::TextIf(at) => quoted(at(copy).as_ref()?),
            Field::Texts(at) => quoted_list(at(copy)),
            Field::Lines { get, .. } => quoted_list(&get(settings)),
            Field::Path(at) => quoted(&at(copy).to_string_lossy()),
            Field::PathIf(at) => quoted(&at(copy).as_ref()?.to_string_lossy()),
            Field::Switch(at) => at(copy).to_string(),
            Field::Number(at) => at(copy).to_string(),
            Field::Share(at) => at(copy).to_string(),
            Field::RateIf(at) => (*at(copy))?.to_string(),
            Field::CountIf { get, .. } => get(settings)?.to_string(),
            Field::Bytes(at) => shown_bytes(*at(copy) as u64),
            Field::Time(at) => quoted(&shown_time(*at(copy))),
            Field::Choice { words, get, .. } => quoted(words.get(get(settings)).copied().unwrap_or_default()),
        })
    }
}

fn utf8(text: &OsStr) -> Result<&str, String> {
    text.to_str().ok_or_else(|| format!("`{}` is not UTF-8", text.to_string_lossy()))
}

/// A text as TOML writes it. Backslashes, quotes and control characters are the only ones that need it.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            other if other.is_control() => quoted.push_str(&format!("\\u{:04X}", other as u32)),
            other => quoted.push(other),
        }
    }
    quoted + "\""
}

fn quoted_list(texts: &[String]) -> String {
    let texts: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
    format!("[{}]", texts.join(", "))
}

fn switch(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Ok(true),
        "false" | "no" | "off" | "0" => Ok(false),
        _ => Err(format!("`{text}` is neither true nor false")),
    }
}

fn number(text: &str) -> Result<usize, String> {
    let wrong = || format!("`{text}` is no number from 0 to {NUMBER_MAX}");
    let number = text.parse::<u64>().ok().filter(|number| *number <= NUMBER_MAX);
    number.and_then(|number| usize::try_from(number).ok()).ok_or_else(wrong)
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse::<f64>().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| format!("`{text}` is no number from 0 to 1"))
}

fn rate(text: &str) -> Result<Option<f64>, String> {
    let rate = text.parse::<f64>().ok().filter(|rate| (0.0..=NUMBER_MAX as f64).contains(rate));
    let rate = rate.ok_or_else(|| format!("`{text}` is no number from 0 to {NUMBER_MAX}"))?;
    Ok(Some(rate).filter(|rate| *rate > 0.0))
}

fn count(text: &str) -> Result<Option<u64>, String> {
    let count = text.parse::<u64>().ok().filter(|count| *count <= COUNT_MAX);
    let count = count.ok_or_else(|| format!("`{text}` is no whole number from 0 to {COUNT_MAX}"))?;
    Ok(Some(count).filter(|count| *count > 0))
}

fn bytes(text: &str) -> Result<usize, String> {
    let wrong = || {
        format!(
            "`{text}` is no number of bytes up to {BYTES_MAX}; write 33554432, or with KiB, MiB or GiB: 32MiB"
        )
    };
    let unit = BYTE_UNITS.iter().find_map(|(unit, bytes)| Some((text.strip_suffix(unit)?, *bytes)));
    let (count, unit) = unit.unwrap_or((text, 1));
    let count = count.trim_end().parse::<u64>().map_err(|_| wrong())?;
    let bytes = count.checked_mul(unit).filter(|bytes| *bytes <= BYTES_MAX);
    bytes.and_then(|bytes| usize::try_from(bytes).ok()).ok_or_else(wrong)
}

fn shown_bytes(bytes: u64) -> String {
    let unit = BYTE_UNITS.iter().find(|(_, unit)| bytes > 0 && bytes.is_multiple_of(*unit));
    unit.map_or_else(|| bytes.to_string(), |(name, unit)| quoted(&format!("{}{name}", bytes / unit)))
}

fn time(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no time up to 3650d; write a number with ms, s, m, h or d: 30s");
    let digits = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    let (count, unit) = text.split_at(digits);
    let unit = TIME_UNITS.iter().find(|(name, _)| *name == unit.trim_start()).ok_or_else(wrong)?;
    let count = count.parse::<u64>().map_err(|_| wrong())?;
    let time = count.checked_mul(unit.1).map(Duration::from_millis);
    time.filter(|time| *time <= TIME_MAX).ok_or_else(wrong)
}

fn shown_time(time: Duration) -> String {
    let ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    // Whole days are left to those who think in days: a day is told as 24 hours.
    let unit = TIME_UNITS.iter().skip(1).find(|(_, unit)| ms > 0 && ms.is_multiple_of(*unit));
    unit.map_or_else(|| "0s".to_owned(), |(name, unit)| format!("{}{name}", ms / unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_times_are_read_as_they_are_shown() {
        for (text, count) in [
            ("1", 1),
            ("32MiB", 32 << 20),
            ("2 GiB", 2 << 30),
            ("7KiB", 7 << 10),
            ("64GiB", 64 << 30),
            ("0", 0),
        ] {
            assert_eq!(bytes(text), Ok(count), "{text}");
            assert_eq!(bytes(shown_bytes(count as u64).trim_matches('"')), Ok(count), "{text}");
        }
        for text in ["", "MiB", "-1", "1.5MiB", "32MB", "1025GiB", "99999999999999999999"] {
            assert!(bytes(text).is_err(), "{text}");
        }
        for (text, ms) in
            [("30s", 30_000), ("1500ms", 1_500), ("2 m", 120_000), ("24h", 86_400_000), ("0s", 0)]
        {
            let expected = Duration::from_millis(ms);
            assert_eq!(time(text), Ok(expected), "{text}");
            assert_eq!(time(&shown_time(expected)), Ok(expected), "{text}");
        }
        assert_eq!((time("3650d"), shown_time(Duration::from_secs(86_400)).as_str()), (Ok(TIME_MAX), "24h"));
        for text in ["", "30", "s", "-1s", "1.5s", "3651d", "1w", "99999999999999999999s", "30 sec"] {
            assert!(time(text).is_err(), "{text}");
        }
        assert!(number("1000001").is_err() && number("x").is_err());
        assert_eq!((number("1000000"), switch("Off"), switch("1")), (Ok(1_000_000), Ok(false), Ok(true)));
        assert!(switch("maybe").is_err());
        assert_eq!((share("0.001"), share("1"), share("0")), (Ok(0.001), Ok(1.0), Ok(0.0)));
        for text in ["", "-0.1", "1.1", "NaN", "inf", "half"] {
            assert!(share(text).is_err(), "{text}");
            assert!(rate(text).is_err() || text == "1.1", "{text}");
        }
        assert_eq!((rate("0.5"), rate("0"), rate("1000001").is_err()), (Ok(Some(0.5)), Ok(None), true));
        assert_eq!((count("4000000000"), count("0")), (Ok(Some(4_000_000_000)), Ok(None)));
        assert!(count("4294967296").is_err() && count("-1").is_err() && count("0.5").is_err());
    }

    #[test]
    fn texts_are_shown_as_toml_reads_them() {
        for text in ["plain", "a \"b\" \\c", "line\nfeed\u{1}", "ü €"] {
            let parsed =
                toml::de::DeValue::parse(&quoted(text)).unwrap().get_ref().as_str().map(str::to_owned);
            assert_eq!(parsed.as_deref(), Some(text));
        }
    }
}
