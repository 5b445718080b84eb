//! The arguments of `ragstone key`.

use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use ragstone_server::access::{Claims, Limits};

const KEY_EXAMPLES: &str = "\
Examples:
  ragstone key create operator --grant admin
  ragstone key create shop --grant 'read on products-*' --expires 90d --per-second 50
  ragstone key create acme --grant 'write on notes where tenant = $claims.tenant' --claim tenant=acme
  ragstone key create team --grant 'manage on team-* max 20'
  ragstone key rotate 0123456789abcdef --keep 1d

A grant is ACTION on COLLECTIONS [where FILTER]: read, write or manage; `*` in a name stands for anything, manage has no filter.
manage may end with `max N`: then it makes no further collection or alias while N have names that match.
admin is everything; observe is metrics and what the database holds in numbers.
The key is printed once; only a hash of it is kept. Make the first key on the directory, before `serve --auth` opens it; further ones
through the server.";

#[derive(Debug, Subcommand)]
#[command(after_help = KEY_EXAMPLES)]
pub(crate) enum KeyCommand {
    /// Make an API key, and print it.
    Create(CreateKeyArgs),
    /// List the API keys, without their secrets.
    List,
    /// Revoke an API key.
    Revoke {
        /// Its id.
        id: String,
    },
    /// Give an API key another secret, and print it.
    Rotate {
        /// Its id.
        id: String,
        /// How long the old secret stays valid, too: a number with s, m, h or d.
        #[arg(long, value_name = "TIME", default_value = "0s", value_parser = time)]
        keep: Duration,
    },
}

#[derive(Debug, Args)]
#[command(after_help = KEY_EXAMPLES)]
pub(crate) struct CreateKeyArgs {
    /// A name that says what the key is for.
    pub(crate) name: String,
    /// What it allows; may be repeated.
    #[arg(long = "grant", value_name = "GRANT", required = true)]
    pub(crate) grants: Vec<String>,
    /// What `$claims.NAME` stands for in its grants: true, false, a number or a text, which a number is, too, if it is quoted twice
    /// ('tenant="42"'); several values of one name are a list. May be repeated.
    #[arg(long = "claim", value_name = "NAME=VALUE")]
    pub(crate) claims: Vec<String>,
    /// The key expires after this time: a number with s, m, h or d.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) expires: Option<Duration>,
    /// Calls a second that the key may make, on average.
    #[arg(long, value_name = "N")]
    pub(crate) per_second: Option<f64>,
    /// Calls that the key may make at once.
    #[arg(long, value_name = "N", requires = "per_second")]
    pub(crate) burst: Option<u32>,
    /// Calls a day that the key may make.
    #[arg(long, value_name = "N")]
    pub(crate) per_day: Option<u64>,
}

impl CreateKeyArgs {
    /// The claims, by name.
    pub(crate) fn claims(&self) -> Result<Claims> {
        let mut claims = Claims::new();
        for text in &self.claims {
            let (name, value) =
                text.split_once('=').with_context(|| format!("--claim {text}: write it as NAME=VALUE"))?;
            let quoted = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
            let value: serde_json::Value = match (value, value.parse::<i64>(), value.parse::<f64>()) {
                _ if quoted.is_some() => quoted.into(),
                ("true", ..) => true.into(),
                ("false", ..) => false.into(),
                (_, Ok(number), _) => number.into(),
                (_, _, Ok(number)) if number.is_finite() => number.into(),
                (text, ..) => text.into(),
            };
            match claims.get_mut(name) {
                None => drop(claims.insert(name.to_owned(), value)),
                Some(serde_json::Value::Array(values)) => values.push(value),
                Some(first) => *first = serde_json::Value::Array(vec![first.take(), value]),
            }
        }
        Ok(claims)
    }

    /// What it may be used for in some time.
    pub(crate) fn limits(&self) -> Limits {
        Limits { per_second: self.per_second, burst: self.burst, per_day: self.per_day }
    }
}

/// `90d`, `12h`, `30m`, `10s`.
pub(super) fn time(text: &str) -> Result<Duration, String> {
    let wrong = || "write it as a number with s, m, h or d, such as 90d".to_owned();
    let unit = text.chars().last().ok_or_else(wrong)?;
    let seconds: u64 = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    let count: u64 = text[..text.len() - unit.len_utf8()].parse().map_err(|_| wrong())?;
    count.checked_mul(seconds).map(Duration::from_secs).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn times_have_a_unit() {
        assert_eq!(time("90d"), Ok(Duration::from_secs(90 * 86_400)));
        assert_eq!(time("0s"), Ok(Duration::ZERO));
        for wrong in ["", "d", "90", "-1s", "1.5h", "9w", "99999999999999999999d", "9ü"] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
    }

    /// A tenant whose name is a number in a string field could have no key: quotes were a part of the claim.
    #[test]
    fn claims_are_typed_as_they_look() {
        let claims =
            ["a=x", "n=3", "f=0.5", "b=true", "l=x", "l=3", "l=y", "e=", "s=a=b", "q=\"042\"", "o=\""];
        let args = CreateKeyArgs {
            name: String::new(),
            grants: Vec::new(),
            claims: claims.map(str::to_owned).to_vec(),
            expires: None,
            per_second: None,
            burst: None,
            per_day: None,
        };
        let expected = json!({
            "a": "x", "n": 3, "f": 0.5, "b": true, "l": ["x", 3, "y"], "e": "", "s": "a=b", "q": "042", "o": "\"",
        });
        assert_eq!(serde_json::Value::from(args.claims().unwrap()), expected);
    }
}
