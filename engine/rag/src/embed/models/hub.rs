//! Models from the Hugging Face hub, or from whatever serves the same paths.
//!
//! Files are asked for one by one at `{endpoint}/{repository}/resolve/{revision}/{file}`; which ones there are follows
//! from the files themselves, so that a plain mirror without the hub's listing will do. The first answer says which
//! commit `main` is, and everything else is asked for at that commit.
//!
//! A download that breaks off is resumed where it stopped. A hub that cannot be reached is not tried again: there may
//! be none, and another source comes next.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Component, Path};
use std::time::Duration;

use serde::Deserialize;
use ureq::Agent;

use super::fetch::{Source, Task};
use crate::embed::local::ENCODER_FILES;
use crate::progress::Progress;

/// Times that a file is asked for.
const TRIES_MAX: u32 = 4;
/// Waiting before the second try; doubled for each further one.
const WAIT_FIRST: Duration = Duration::from_millis(500);
/// Shards of one model.
const SHARDS_MAX: usize = 1_000;
/// Settings that a model may do without, beside those of the encoder ([`ENCODER_FILES`]).
const OPTIONAL: [&str; 3] =
    ["config_sentence_transformers.json", "tokenizer_config.json", "special_tokens_map.json"];

/// The hub.
pub(super) struct Hub {
    endpoint: String,
    token: Option<String>,
    agent: Agent,
}

impl Hub {
    /// `HF_ENDPOINT`, else the public hub; `HF_TOKEN`, if there is one.
    pub(super) fn from_environment() -> Hub {
        let variable = |name| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
        let endpoint = variable("HF_ENDPOINT").unwrap_or_else(|| "https://huggingface.co".to_owned());
        Hub::new(&endpoint, variable("HF_TOKEN"))
    }

    pub(super) fn new(endpoint: &str, token: Option<String>) -> Hub {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_resolve(Some(Duration::from_secs(5)))
            .timeout_connect(Some(Duration::from_secs(10)))
            .timeout_recv_response(Some(Duration::from_secs(30)))
            .timeout_per_read(Some(Duration::from_secs(30)))
            .build()
            .new_agent();
        Hub { endpoint: endpoint.trim().trim_end_matches('/').to_owned(), token, agent }
    }

    /// Fetches a model's tokenizer and nothing else.
    pub(super) fn fetch_tokenizer(
        &self,
        repository: &str,
        into: &Path,
        progress: &dyn Progress,
    ) -> Result<(), String> {
        let mut pull = Pull { hub: self, repository, revision: "main".to_owned(), into, progress };
        pull.needed("tokenizer.json")
    }
}

impl Source for Hub {
    fn label(&self) -> String {
        "Hugging Face hub".to_owned()
    }

    fn describe(&self, repository: &str) -> String {
        format!("Hugging Face hub {}/{repository}", self.endpoint)
    }

    fn fetch(&self, repository: &str, into: &Path, progress: &dyn Progress) -> Result<(), String> {
        let mut pull = Pull { hub: self, repository, revision: "main".to_owned(), into, progress };
        let modules: Vec<Module> = match pull.file("modules.json", false)? {
            true => pull.json("modules.json")?,
            false => Vec::new(),
        };
        let mut encoder = String::new();
        for module in &modules {
            let path = module.path.trim_end_matches('/');
            if !Path::new(path).components().all(|part| matches!(part, Component::Normal(_))) {
                return Err(format!("modules.json names the path `{path}`, which leaves the model"));
            }
            match module.kind.rsplit('.').next() {
                Some("Transformer") => encoder = path.to_owned(),
                Some("Normalize" | "Dropout") => {}
                kind => {
                    pull.needed(&join(path, "config.json"))?;
                    if kind != Some("Pooling") {
                        pull.needed(&join(path, "model.safetensors"))?;
                    }
                }
            }
        }
        if modules.is_empty() {
            pull.file("1_Pooling/config.json", false)?;
        }
        pull.needed(&join(&encoder, "config.json"))?;
        pull.needed(&join(&encoder, "tokenizer.json"))?;
        for name in OPTIONAL {
            let folder = if name.starts_with("config_") { "" } else { encoder.as_str() };
            pull.file(&join(folder, name), false)?;
        }
        for name in ENCODER_FILES {
            if pull.file(&join(&encoder, name), false)? {
                break;
            }
        }
        pull.weights(&encoder)
    }
}

fn join(folder: &str, file: &str) -> String {
    if folder.is_empty() { file.to_owned() } else { format!("{folder}/{file}") }
}

#[derive(Deserialize)]
struct Module {
    path: String,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct Index {
    weight_map: std::collections::BTreeMap<String, String>,
}

/// One model on its way.
struct Pull<'a> {
    hub: &'a Hub,
    repository: &'a str,
    /// `main`, until an answer names the commit.
    revision: String,
    into: &'a Path,
    progress: &'a dyn Progress,
}

impl Pull<'_> {
    /// `model.safetensors`, else its shards.
    fn weights(&mut self, folder: &str) -> Result<(), String> {
        let single = join(folder, "model.safetensors");
        if self.file(&single, true)? {
            return Ok(());
        }
        let index = join(folder, "model.safetensors.index.json");
        if !self.file(&index, false)? {
            return Err(format!("has no {single}"));
        }
        let index: Index = self.json(&index)?;
        let mut shards: Vec<String> = index.weight_map.into_values().collect();
        shards.sort();
        shards.dedup();
        if shards.len() > SHARDS_MAX {
            return Err(format!("names {} shards, more than {SHARDS_MAX}", shards.len()));
        }
        for shard in &shards {
            if shard.contains(['/', '\\']) || !shard.ends_with(".safetensors") {
                return Err(format!("`{shard}` is no name of a shard"));
            }
            let path = join(folder, shard);
            if !self.file(&path, true)? {
                return Err(format!("has no {path}"));
            }
        }
        Ok(())
    }

    fn json<T: serde::de::DeserializeOwned>(&self, file: &str) -> Result<T, String> {
        let bytes = fs::read(self.into.join(file)).map_err(|error| format!("{file}: {error}"))?;
        serde_json::from_slice(&bytes).map_err(|error| format!("{file} is not as expected: {error}"))
    }

    fn needed(&mut self, file: &str) -> Result<(), String> {
        if self.file(file, false)? { Ok(()) } else { Err(format!("has no {file}")) }
    }

    /// Fetches a file; whether there is one. Large ones report their progress.
    fn file(&mut self, file: &str, large: bool) -> Result<bool, String> {
        let path = self.into.join(file);
        let cannot = |error: std::io::Error| format!("cannot write {}: {error}", path.display());
        let (mut to, mut task, mut wait) = (None::<File>, None::<Task<'_>>, WAIT_FIRST);
        let mut done = 0;
        for tried in 1.. {
            let failure = match self.try_file(file, done) {
                Ok(None) => return Ok(false),
                Ok(Some(mut answer)) => {
                    if large && task.is_none() {
                        let what = format!("{} {file}", self.repository);
                        task = Some(Task::begin(self.progress, &what, answer.total));
                    }
                    if to.is_none() || answer.from != done {
                        fs::create_dir_all(path.parent().unwrap_or(self.into)).map_err(cannot)?;
                        to = Some(File::create(&path).map_err(cannot)?);
                        done = 0;
                    }
                    let Some(to) = &mut to else { return Err(format!("{file}: no file to write to")) };
                    match self.copy(&mut answer.body, to, &mut done, large) {
                        Ok(()) => return Ok(true),
                        Err(failure) => failure,
                    }
                }
                Err(failure) => failure,
            };
            if !failure.again || tried >= TRIES_MAX {
                return Err(format!("{file}: {}", failure.reason));
            }
            self.progress.note(&format!("{file}: {}; trying again", failure.reason));
            std::thread::sleep(wait);
            wait *= 2;
        }
        unreachable!("the loop ends by returning")
    }

    fn copy(&self, from: &mut dyn Read, to: &mut File, done: &mut u64, large: bool) -> Result<(), Failure> {
        let mut buffer = vec![0; 1 << 16];
        loop {
            let read = match from.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) => return Err(Failure { reason: error.to_string(), again: true }),
            };
            let lasting = |error: std::io::Error| Failure { reason: error.to_string(), again: false };
            to.write_all(&buffer[..read]).map_err(lasting)?;
            *done += read as u64;
            if large {
                self.progress.advance(read as u64);
            }
        }
        to.sync_all().map_err(|error| Failure { reason: error.to_string(), again: false })
    }

    /// Asks for a file from a place on; nothing if there is none.
    fn try_file(&mut self, file: &str, from: u64) -> Result<Option<Answer>, Failure> {
        let url = format!("{}/{}/resolve/{}/{file}", self.hub.endpoint, self.repository, self.revision);
        let mut request = self.hub.agent.get(&url);
        if let Some(token) = &self.hub.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if from > 0 {
            request = request.header("range", format!("bytes={from}-"));
        }
        let response =
            request.call().map_err(|error| Failure { reason: error.to_string(), again: from > 0 })?;
        let status = response.status().as_u16();
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
        if let Some(commit) = header("x-repo-commit")
            && self.revision == "main"
            && commit.len() == 40
            && commit.bytes().all(|byte| byte.is_ascii_hexdigit())
        {
            self.revision = commit.to_owned();
        }
        match status {
            404 => Ok(None),
            200 | 206 => {
                let from = if status == 206 { from } else { 0 };
                let total = response.body().content_length().map(|length| length + from);
                let body = response.into_body().into_with_config().limit(u64::MAX).reader();
                Ok(Some(Answer { from, total, body: Box::new(body) }))
            }
            401 | 403 => Err(Failure {
                reason: format!("HTTP {status}: no such model, or HF_TOKEN does not admit to it"),
                again: false,
            }),
            _ => {
                Err(Failure { reason: format!("HTTP {status}"), again: matches!(status, 408 | 429 | 500..) })
            }
        }
    }
}

/// A file on its way.
struct Answer {
    /// Where in the file the body begins.
    from: u64,
    /// Bytes of the whole file, if the hub says.
    total: Option<u64>,
    body: Box<dyn Read>,
}

/// Why a try failed, and whether another may succeed.
struct Failure {
    reason: String,
    again: bool,
}
