//! The models that may be asked: a list that whoever runs the process makes, by name.
//!
//! A request names a model and never an address, so that nobody who may ask can make the process call what they choose
//! (server-side request forgery), and nobody but the operator knows addresses and keys.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use url::Url;

use crate::error::{Error, Result};
use crate::limits::{
    GENERATE_MODEL_NAME_BYTES_MAX, GENERATE_MODELS_MAX, GENERATE_REQUESTS_MAX, GENERATE_SECONDS_MAX,
};

/// How long each part of an answer may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Making the connection; 10 s by default.
    pub connect: Duration,
    /// From a request to the answer's first token; 300 s by default, since a large model on a CPU reads a prompt slowly.
    pub first_token: Duration,
    /// From one token to the next; 60 s by default.
    pub next_token: Duration,
    /// The whole, tries and pauses included; 1,800 s by default.
    pub total: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            connect: seconds(10),
            first_token: seconds(300),
            next_token: seconds(60),
            total: seconds(1_800),
        }
    }
}

/// The key of an endpoint; it is shown nowhere.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Key(pub(super) String);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

/// A model behind an OpenAI-compatible `POST …/chat/completions`.
///
/// ```
/// use ragstone_rag::generate::GenerateModel;
///
/// let model = GenerateModel::parse("small=http://127.0.0.1:11434/v1?first_token_s=30#llama3.2:3b")?;
/// assert_eq!((model.name(), model.upstream()), ("small", "llama3.2:3b"));
/// assert_eq!(model.patience().first_token.as_secs(), 30);
/// assert!(GenerateModel::parse("small=file:///etc/passwd").is_err());
/// # Ok::<(), ragstone_rag::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GenerateModel {
    name: String,
    url: String,
    upstream: String,
    pub(super) key: Option<Key>,
    patience: Patience,
    /// Counts the requests that are on their way.
    under_way: Arc<()>,
}

impl GenerateModel {
    /// Reads `NAME=URL`, the URL being the service's base, `https://host/v1`. The service's own name of the model stands behind `#`
    /// if it is another than NAME. Settings stand in the URL's query and are not sent: `key_env=VARIABLE`, the
    /// environment variable that holds the service's key, and `connect_s`, `first_token_s`, `next_token_s`, `total_s`, the
    /// seconds of [`Patience`].
    ///
    /// # Errors
    /// [`Error::Invalid`] and [`Error::Limit`], naming `generate_model`.
    pub fn parse(text: &str) -> Result<GenerateModel> {
        GenerateModel::parse_with(text, |variable| std::env::var(variable).ok())
    }

    fn parse_with(text: &str, variable: impl Fn(&str) -> Option<String>) -> Result<GenerateModel> {
        // The text itself is not repeated: who puts a key into it should not find it in a log.
        let (name, url) = text
            .split_once('=')
            .filter(|(name, _)| !name.contains("://"))
            .ok_or_else(|| invalid("", "is not NAME=URL, such as small=http://127.0.0.1:11434/v1"))?;
        check_name(name)?;
        let wrong = |reason: &str| invalid(name, reason);
        let mut url = Url::parse(url).map_err(|error| wrong(&format!("has no URL: {error}")))?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(wrong("has a URL that is neither http://HOST… nor https://HOST…"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong(
                "has a user or password in its URL; name the variable of a key with ?key_env=VARIABLE",
            ));
        }
        let upstream = url.fragment().filter(|upstream| !upstream.is_empty()).unwrap_or(name).to_owned();
        let (mut key, mut patience) = (None, Patience::default());
        for (setting, value) in url.query_pairs() {
            match &*setting {
                "key_env" => key = Some(key_of(name, &value, variable(&value))?),
                "connect_s" => patience.connect = seconds(name, &setting, &value)?,
                "first_token_s" => patience.first_token = seconds(name, &setting, &value)?,
                "next_token_s" => patience.next_token = seconds(name, &setting, &value)?,
                "total_s" => patience.total = seconds(name, &setting, &value)?,
                _ => {
                    return Err(wrong(&format!(
                        "has the unknown setting {setting}; known are key_env, connect_s, first_token_s, next_token_s, total_s"
                    )));
                }
            }
        }
        url.set_fragment(None);
        url.set_query(None);
        let url = format!("{}/chat/completions", url.as_str().trim_end_matches('/'));
        Ok(GenerateModel { name: name.to_owned(), url, upstream, key, patience, under_way: Arc::default() })
    }

    /// What requests call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where requests go.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What the service calls it.
    pub fn upstream(&self) -> &str {
        &self.upstream
    }

    /// How long each part of an answer may take.
    pub fn patience(&self) -> Patience {
        self.patience
    }

    /// Counts a request as being on its way while what it returns is there; none where [`GENERATE_REQUESTS_MAX`] are.
    pub(super) fn begin_request(&self) -> Option<Arc<()>> {
        // The model has one itself, and so has each copy of it. That two may pass at once here is no harm.
        (Arc::strong_count(&self.under_way) <= GENERATE_REQUESTS_MAX).then(|| Arc::clone(&self.under_way))
    }
}

fn invalid(name: &str, reason: &str) -> Error {
    let name = if name.is_empty() { "it".to_owned() } else { format!("model `{name}`") };
    Error::Invalid { field: "generate_model".to_owned(), reason: format!("{name} {reason}") }
}

/// Letters, digits and `._:/-`: in the OpenAI protocol a collection stands behind the name's `@`.
fn check_name(name: &str) -> Result<()> {
    crate::prompt::check_max(
        "generate_model.name",
        name.len(),
        "GENERATE_MODEL_NAME_BYTES_MAX",
        GENERATE_MODEL_NAME_BYTES_MAX,
    )?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | ':' | '/' | '-');
    if !name.starts_with(|c: char| c.is_ascii_alphanumeric()) || !name.chars().all(allowed) {
        return Err(invalid(
            "",
            "has a name that is not a letter or digit and then letters, digits, `.`, `_`, `:`, `/` and `-`",
        ));
    }
    Ok(())
}

fn key_of(name: &str, variable: &str, value: Option<String>) -> Result<Key> {
    // Who takes it for the place of the key itself should not find that in a log either. There are keys of capitals and digits, and few such names.
    let is_name = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    let is_of_words = variable.contains('_') || !variable.bytes().any(|byte| byte.is_ascii_digit());
    let shown = if variable.bytes().all(is_name) && is_of_words { variable } else { "a variable" };
    let value = value.map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
    match value {
        Some(key) if key.bytes().all(|byte| byte.is_ascii_graphic()) => Ok(Key(key)),
        Some(_) => {
            Err(invalid(name, &format!("has in {shown} a key with characters that no header can carry")))
        }
        None => Err(invalid(name, &format!("has its key in {shown}, which is not set (key_env)"))),
    }
}

fn seconds(name: &str, setting: &str, value: &str) -> Result<Duration> {
    match value.parse() {
        Ok(seconds @ 1..=GENERATE_SECONDS_MAX) => Ok(Duration::from_secs(seconds)),
        Ok(0) | Err(_) => {
            Err(invalid(name, &format!("has a {setting} that is no whole number of seconds from 1")))
        }
        Ok(seconds) => Err(Error::Limit {
            field: format!("generate_model.{setting}"),
            limit: "GENERATE_SECONDS_MAX",
            max: GENERATE_SECONDS_MAX,
            actual: seconds,
        }),
    }
}

/// The models that may be asked, by name; cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GenerateModels {
    /// In the order given; the first is the default.
    models: Arc<[Arc<GenerateModel>]>,
}

impl GenerateModels {
    /// These models, and no other; the first one is asked where a request names none.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a name that is there twice; [`Error::Limit`] beyond [`GENERATE_MODELS_MAX`].
    pub fn new(models: impl IntoIterator<Item = GenerateModel>) -> Result<GenerateModels> {
        let models: Arc<[_]> = models.into_iter().map(Arc::new).collect();
        crate::prompt::check_max(
            "generate_models",
            models.len(),
            "GENERATE_MODELS_MAX",
            GENERATE_MODELS_MAX,
        )?;
        for (at, model) in models.iter().enumerate() {
            if models[..at].iter().any(|other| other.name == model.name) {
                return Err(invalid(&model.name, "is there twice"));
            }
        }
        Ok(GenerateModels { models })
    }

    /// Their names, the default one first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.models.iter().map(|model| model.name())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.models.is_empty()
    }

    /// The model of a name; the first one for an empty name.
    ///
    /// # Errors
    /// [`Error::GenerateModelNotFound`], which says which there are.
    pub fn get(&self, name: &str) -> Result<Arc<GenerateModel>> {
        let found = self.models.iter().find(|model| name.is_empty() || model.name == name);
        found.cloned().ok_or_else(|| Error::GenerateModelNotFound {
            model: name.to_owned(),
            known: self.names().map(str::to_owned).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<GenerateModel> {
        GenerateModel::parse_with(text, |variable| (variable == "THE_KEY").then(|| " sk-secret\n".to_owned()))
    }

    #[test]
    fn names_addresses_and_settings_are_told_apart() {
        let model = parse("small=http://host:11434/v1").unwrap();
        assert_eq!((model.name(), model.upstream(), &model.key), ("small", "small", &None));
        assert_eq!(model.url(), "http://host:11434/v1/chat/completions");
        assert_eq!(model.patience(), Patience::default());
        let model = parse(
            "gpt=https://api.host/v1/?key_env=THE_KEY&connect_s=1&first_token_s=2&next_token_s=3&total_s=4#gpt-4.1",
        );
        let model = model.unwrap();
        assert_eq!((model.url(), model.upstream()), ("https://api.host/v1/chat/completions", "gpt-4.1"));
        let seconds = [1, 2, 3, 4].map(Duration::from_secs);
        let Patience { connect, first_token, next_token, total } = model.patience();
        assert_eq!([connect, first_token, next_token, total], seconds);
        assert_eq!(model.key, Some(Key("sk-secret".to_owned())));
        assert!(!format!("{model:?}").contains("secret"), "a key is never shown");
    }

    #[test]
    fn what_is_no_model_is_refused_and_not_repeated() {
        let refused = [
            ("http://host/v1?total_s=3", "is not NAME=URL"),
            ("small", "is not NAME=URL"),
            ("small=", "has no URL"),
            ("small=file:///etc/passwd", "neither http"),
            ("small=ftp://host/v1", "neither http"),
            ("small=unix:/run/socket", "neither http"),
            ("small=http://user:sk-secret@host/v1", "a user or password"),
            ("=http://host/v1", "has a name"),
            ("a@b=http://host/v1", "has a name"),
            ("small=http://host?key=sk-secret", "unknown setting key"),
            ("small=http://host?key_env=ABSENT", "ABSENT, which is not set"),
            // The key stood in the error, and so in the log.
            ("small=http://host?key_env=sk-secret", "in a variable, which is not set"),
            ("small=http://host?key_env=AKIA7SECRET", "in a variable, which is not set"),
            ("small=http://host?key_env=THE_KEY_2", "THE_KEY_2, which is not set"),
            ("small=http://host?total_s=0", "no whole number of seconds"),
            ("small=http://host?total_s=soon", "no whole number of seconds"),
            ("small=http://host?total_s=86401", "GENERATE_SECONDS_MAX = 86400"),
        ];
        for (text, words) in refused {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.starts_with("generate_model") && error.contains(words), "{text}: {error}");
            assert!(!error.contains("sk-secret"), "{error}");
        }
        let name = "n".repeat(GENERATE_MODEL_NAME_BYTES_MAX + 1);
        assert!(matches!(
            parse(&format!("{name}=http://h")),
            Err(Error::Limit { limit: "GENERATE_MODEL_NAME_BYTES_MAX", .. })
        ));
    }

    #[test]
    fn only_what_is_listed_is_there() {
        let models =
            GenerateModels::new([parse("a=http://h").unwrap(), parse("b=http://i").unwrap()]).unwrap();
        assert_eq!(models.names().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!((models.get("").unwrap().name(), models.get("b").unwrap().name()), ("a", "b"));
        let error = models.get("http://h").unwrap_err().to_string();
        assert!(error.contains("`http://h`") && error.contains("a, b"), "{error}");
        let none = GenerateModels::default().get("").unwrap_err().to_string();
        assert!(none.contains("--generate-model NAME=URL"), "{none}");
        let twice = GenerateModels::new([parse("a=http://h").unwrap(), parse("a=http://i").unwrap()]);
        assert!(twice.unwrap_err().to_string().contains("is there twice"));
        let many = (0..=GENERATE_MODELS_MAX).map(|number| parse(&format!("m{number}=http://h")).unwrap());
        assert!(matches!(GenerateModels::new(many), Err(Error::Limit { limit: "GENERATE_MODELS_MAX", .. })));
    }
}
