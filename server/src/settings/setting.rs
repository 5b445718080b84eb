//! One setting, and what it is called where.

use super::field::Field;
use super::{CONFIG_VARIABLE, Settings};

/// What stands where a secret would be shown.
const REDACTED: &str = "(redacted)";

/// The definition of a setting. Its names are made from its key: [`flag`](Self::flag), [`variable`](Self::variable).
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    key: &'static str,
    value_name: &'static str,
    field: Field,
    help: &'static str,
    default: Option<&'static str>,
    variable_too: Option<&'static str>,
    is_global: bool,
    is_secret: bool,
}

impl Setting {
    /// A setting: its key in the file, with its section (`tls.cert`); what stands for its value in help texts; its type; its help.
    pub const fn new(
        key: &'static str,
        value_name: &'static str,
        field: Field,
        help: &'static str,
    ) -> Setting {
        Setting {
            key,
            value_name,
            field,
            help,
            default: None,
            variable_too: None,
            is_global: false,
            is_secret: false,
        }
    }

    /// Says in words what the default is, where it depends on the machine.
    #[must_use]
    pub const fn default_is(self, default: &'static str) -> Setting {
        Setting { default: Some(default), ..self }
    }

    /// A second name in the environment, which other programs read too; the first one wins over it.
    #[must_use]
    pub const fn variable_too(self, name: &'static str) -> Setting {
        Setting { variable_too: Some(name), ..self }
    }

    /// Its flag is one that every command has, for its own purposes.
    #[must_use]
    pub const fn global(self) -> Setting {
        Setting { is_global: true, ..self }
    }

    /// Its value is shown to nobody.
    #[must_use]
    pub const fn secret(self) -> Setting {
        Setting { is_secret: true, ..self }
    }

    /// What it is called in the file, with its section.
    pub fn key(&self) -> &'static str {
        self.key
    }

    /// What stands for its value in help texts.
    pub fn value_name(&self) -> &'static str {
        self.value_name
    }

    /// Its type.
    pub fn field(&self) -> Field {
        self.field
    }

    /// What it is for.
    pub fn help(&self) -> &'static str {
        self.help
    }

    /// Whether its flag is one that every command has.
    pub fn is_global(&self) -> bool {
        self.is_global
    }

    /// Its flag, without the dashes in front: of a list, in the singular.
    pub fn flag(&self) -> String {
        let flag = self.key.replace(['.', '_'], "-");
        match flag.strip_suffix('s') {
            Some(singular) if self.field.is_list() => singular.to_owned(),
            _ => flag,
        }
    }

    /// Its own name in the environment.
    pub fn variable(&self) -> String {
        format!("RAGSTONE_{}", self.key.replace('.', "_").to_ascii_uppercase())
    }

    /// All its names in the environment: each wins over those behind it.
    pub fn variables(&self) -> impl DoubleEndedIterator<Item = String> {
        std::iter::once(self.variable()).chain(self.variable_too.map(str::to_owned))
    }

    /// What it is, as a file would have it, without secrets; none if it is unset.
    pub fn shown(&self, settings: &Settings) -> Option<String> {
        let shown = self.field.shown(settings)?;
        Some(if self.is_secret { REDACTED.to_owned() } else { without_secrets(&shown) })
    }

    /// What it is by default, for the documentation.
    pub fn default_shown(&self) -> String {
        let shown = || self.shown(&Settings::default()).unwrap_or_else(|| "unset".to_owned());
        self.default.map_or_else(shown, str::to_owned)
    }
}

/// URLs without the user and the password that they may have before their host, and without the values of their queries, which may be tokens.
pub(crate) fn without_secrets(text: &str) -> String {
    let mut parts = text.split("://");
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| matches!(c, '/' | '?' | '#' | '"') || c.is_whitespace());
        let (authority, rest) = part.split_at(end.unwrap_or(part.len()));
        let host = authority.rsplit_once('@').map(|(_, host)| format!("{REDACTED}@{host}"));
        shown.push_str("://");
        shown.push_str(host.as_deref().unwrap_or(authority));
        shown.push_str(&without_query_values(rest));
    }
    shown
}

/// What stands behind a URL's host, and behind the URL, without the values of its query.
fn without_query_values(text: &str) -> String {
    let ends = |c: char| matches!(c, '#' | '"') || c.is_whitespace();
    let Some((path, query)) = text.split_once('?').filter(|(path, _)| !path.contains(ends)) else {
        return text.to_owned();
    };
    let (query, rest) = query.split_at(query.find(ends).unwrap_or(query.len()));
    let hidden = |part: &str| match part.split_once('=') {
        Some((name, value)) if !value.is_empty() => format!("{name}={REDACTED}"),
        None if !part.is_empty() => REDACTED.to_owned(),
        _ => part.to_owned(),
    };
    let query: Vec<String> = query.split('&').map(hidden).collect();
    format!("{path}?{}{rest}", query.join("&"))
}

/// What is read from the environment alone.
#[derive(Clone, Copy, Debug)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// What it is for.
    pub help: &'static str,
    is_secret: bool,
}

impl Variable {
    /// What it is, unless that is a secret.
    pub fn shown(&self, value: &str) -> String {
        match value.rsplit_once('@') {
            _ if self.is_secret => REDACTED.to_owned(),
            // A proxy may be written without a scheme.
            Some((_, host)) if !value.contains("://") => format!("{REDACTED}@{host}"),
            _ => without_secrets(value),
        }
    }
}

/// What is read from the environment alone: secrets, which belong into no file that is shared, and what other programs read too.
pub const VARIABLES: &[Variable] = &[
    Variable {
        name: CONFIG_VARIABLE,
        help: "The configuration file, where `--config` names none.",
        is_secret: false,
    },
    Variable {
        name: "RAGSTONE_EMBED_API_KEY",
        help: "The key of the embeddings service at RAGSTONE_EMBED_API_URL. It is sent to no other.",
        is_secret: true,
    },
    Variable {
        name: "RAGSTONE_EMBED_API_URL",
        help: "The base of the embeddings service that RAGSTONE_EMBED_API_KEY is for; OpenAI's by default.",
        is_secret: false,
    },
    Variable {
        name: "RAGSTONE_CACHE",
        help: "The folder in which `models` keeps fetched models; by default `$XDG_CACHE_HOME/ragstone`, or `~/.cache/ragstone`.",
        is_secret: false,
    },
    Variable {
        name: "HF_ENDPOINT",
        help: "The hub that models are fetched from; Hugging Face's by default.",
        is_secret: false,
    },
    Variable { name: "HF_TOKEN", help: "The token for that hub.", is_secret: true },
    Variable {
        name: "HTTPS_PROXY",
        help: "The proxy for fetching models, and for asking services of models, with their keys. ALL_PROXY wins over it. Where neither is set, HTTP_PROXY is taken.",
        is_secret: false,
    },
    Variable {
        name: "NO_PROXY",
        help: "Hosts that are asked without the proxy, with commas between them.",
        is_secret: false,
    },
    Variable {
        name: "OTEL_EXPORTER_OTLP_HEADERS",
        help: "Headers that the collector of `otlp_endpoint` wants, such as its key.",
        is_secret: true,
    },
    Variable {
        name: "OTEL_EXPORTER_OTLP_COMPRESSION",
        help: "`gzip` compresses what is sent to the collector; nothing does by default.",
        is_secret: false,
    },
    Variable {
        name: "OTEL_EXPORTER_OTLP_TIMEOUT",
        help: "How many milliseconds the collector has for what is sent at a time; 10,000 by default.",
        is_secret: false,
    },
    Variable {
        name: "OTEL_BSP_MAX_QUEUE_SIZE",
        help: "How many spans may wait for the collector; 2,048 by default. More are dropped.",
        is_secret: false,
    },
    Variable {
        name: "OTEL_SERVICE_NAME",
        help: "What the server is called in traces; `ragstone` by default.",
        is_secret: false,
    },
    Variable {
        name: "OTEL_RESOURCE_ATTRIBUTES",
        help: "What else traces say about the server: `key=value,…`.",
        is_secret: false,
    },
    Variable {
        name: "RAGSTONE_ISA",
        help: "Compute with fewer of the processor's instructions than it has: `scalar`, `avx2`, `avx512`, `avx512vnni` or `amx`. What \
               is none of these is refused when the database is opened.",
        is_secret: false,
    },
    Variable {
        name: "RUST_LOG",
        help: "What is logged, in the syntax of `tracing`: `info` by default, `ragstone_server=debug` for more of the server. The level `trace` of other crates, which shows what goes over the wire, is never logged.",
        is_secret: false,
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_has_no_secret() {
        let at: fn(&mut Settings) -> &mut String = |settings| &mut settings.listen;
        let setting = Setting::new("listen", "ADDR", Field::Text(at), "");
        let settings = Settings { listen: "hunter2".to_owned(), ..Settings::default() };
        assert_eq!(setting.shown(&settings).as_deref(), Some("\"hunter2\""));
        assert_eq!(setting.secret().shown(&settings).as_deref(), Some(REDACTED));
        for (text, shown) in [
            ("a=https://u:pw@h:1/v1#m b=http://h/x@y", "a=https://(redacted)@h:1/v1#m b=http://h/x@y"),
            ("[\"s3://key:a@b@bucket\", \"dir\"]", "[\"s3://(redacted)@bucket\", \"dir\"]"),
            ("no url: a@b", "no url: a@b"),
            (
                "\"https://u:pw@h/jwks?token=a=b&v=&c#m\" why?x=y",
                "\"https://(redacted)@h/jwks?token=(redacted)&v=&(redacted)#m\" why?x=y",
            ),
            ("http://h?a=b c", "http://h?a=(redacted) c"),
            ("http://h/a is this?b=c", "http://h/a is this?b=c"),
        ] {
            assert_eq!(without_secrets(text), shown);
        }
        let shown = |name: &str, value: &str| {
            VARIABLES
                .iter()
                .find(|variable| variable.name == name)
                .map(|variable| variable.shown(value))
                .unwrap()
        };
        assert_eq!(shown("RAGSTONE_EMBED_API_KEY", "sk-1"), REDACTED);
        assert_eq!(shown("HTTPS_PROXY", "http://me:pw@proxy:3128"), "http://(redacted)@proxy:3128");
        assert_eq!(shown("HTTPS_PROXY", "me:pw@proxy:3128"), "(redacted)@proxy:3128");
        assert_eq!(shown("HTTPS_PROXY", "proxy:3128"), "proxy:3128");
    }
}
