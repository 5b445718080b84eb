//! Moments as text: RFC 3339, to and from microseconds since 1970 UTC.
//!
//! What microseconds do not hold is refused: a moment that is read is the one that was written, in a payload as in a filter.
//!
//! Days and dates by the algorithms of Howard Hinnant ("chrono-compatible low-level date algorithms"): years begin in March,
//! so that the day that is sometimes there comes last.

const DAY_US: i64 = 86_400_000_000;

/// The microseconds of `2024-05-01`, `2024-05-01T12:00:00Z`, `2024-05-01 12:00:00.25+02:00`; without an offset it is UTC.
pub(super) fn parse(text: &str) -> Option<i64> {
    let (date, time) = match text.find(['T', 't', ' ']) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    };
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let days = days_from_civil(year, month, day);
    if civil_from_days(days) != (year, month, day) {
        return None;
    }
    Some(days * DAY_US + time.map_or(Some(0), time_of_day)?)
}

/// The text of a moment in the years 0000 to 9999.
pub(super) fn format(microseconds: i64) -> Option<String> {
    let (days, rest) = (microseconds.div_euclid(DAY_US), microseconds.rem_euclid(DAY_US));
    let (year, month, day) = civil_from_days(days);
    if !(0..=9_999).contains(&year) {
        return None;
    }
    let (seconds, fraction) = (rest / 1_000_000, rest % 1_000_000);
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    let fraction = if fraction == 0 { String::new() } else { format!(".{fraction:06}") };
    Some(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z"))
}

/// Microseconds since midnight UTC, of a time with or without an offset.
fn time_of_day(text: &str) -> Option<i64> {
    let (clock, offset_minutes) = match text.find(['Z', 'z', '+', '-']) {
        None => (text, 0),
        Some(at) if text[at..].eq_ignore_ascii_case("z") => (&text[..at], 0),
        Some(at) => {
            let [hours, minutes] = numbers(text.get(at + 1..)?, ':', [2, 2])?;
            let sign = if text[at..].starts_with('-') { -1 } else { 1 };
            (hours < 24 && minutes < 60).then_some((&text[..at], sign * (hours * 60 + minutes)))?
        }
    };
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let [hour, minute, second] = numbers(clock, ':', [2, 2, 2])?;
    let is_number = !fraction.is_empty() && fraction.bytes().all(|byte| byte.is_ascii_digit());
    // Nanoseconds are often written out where there are none.
    let fraction = fraction.trim_end_matches('0');
    let is_fraction = is_number && fraction.len() <= 6;
    if hour > 23 || minute > 59 || second > 59 || !is_fraction {
        return None;
    }
    let fraction: i64 = format!("{fraction:0<6}").parse().ok()?;
    Some((hour * 3_600 + (minute - offset_minutes) * 60 + second) * 1_000_000 + fraction)
}

/// Numbers of so many digits each with a character between them.
fn numbers<const N: usize>(text: &str, between: char, digits: [usize; N]) -> Option<[i64; N]> {
    let mut numbers = [0; N];
    let mut parts = text.split(between);
    for (number, digits) in numbers.iter_mut().zip(digits) {
        let part = parts.next()?;
        let is_number = part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit());
        *number = is_number.then(|| part.parse().ok()).flatten()?;
    }
    parts.next().is_none().then_some(numbers)
}

/// Days since 1970-01-01.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Year, month and day.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_and_printed() {
        for (text, expected) in [
            ("1970-01-01", 0),
            ("2000-02-29T00:00:00Z", 951_782_400_000_000),
            ("2024-05-01T12:30:00.25+02:00", 1_714_559_400_250_000),
            ("2024-05-01 10:30:00.250000", 1_714_559_400_250_000),
            ("2024-05-01 10:30:00.250000000Z", 1_714_559_400_250_000),
            ("1970-01-01T00:00:00.000000000000Z", 0),
            ("1969-12-31T23:59:59.999999Z", -1),
            ("0000-01-01", -62_167_219_200_000_000),
        ] {
            assert_eq!(parse(text), Some(expected), "{text}");
            assert_eq!(parse(&format(expected).unwrap()), Some(expected), "{text}");
        }
        assert_eq!((format(i64::MAX), format(i64::MIN)), (None, None));
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for text in [
            "",
            "2024",
            "2024-13-01",
            "2023-02-29",
            "2024-00-10",
            "24-01-01",
            "2024-01-01T",
            "2024-01-01T24:00:00Z",
            "2024-01-01T00:00",
            "2024-01-01T00:00:00.Z",
            "2024-01-01T00:00:00.1234567Z",
            "2024-01-01T00:00:00.123456789Z",
            "2024-01-01T00:00:00.0000001Z",
            "2024-01-01T00:00:00.1234560x0Z",
            "2024-01-01T23:59:60Z",
            "2024-01-01T00:00:00+99:00",
            "2024-01-01T00:00:00+ä",
            "2024-01-01x",
            "+024-01-01",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
