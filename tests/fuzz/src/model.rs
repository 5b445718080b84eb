//! Directories of models: whatever their settings and weights say, each is an error that says what is wrong, or a model that computes.
//!
//! Settings and the heads of weights are JSON with many numbers, so most changes are of these, and a head that has changed is put together with its
//! length. Deliberately absent: the tokenizer's file, whose reader is not ours.

use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use ragstone_rag::embed::{Embedder as _, LoadOptions, LocalEmbedder, Overflow, Role};
use ragstone_rag::rerank::{LocalReranker, Reranker as _};

use crate::input::{Input, edit};
use crate::snapshot::collect;

/// Changes of one input at most.
const CHANGES_MAX: usize = 4;
const TEXTS: [&str; 2] = ["tea", "Green tea is steeped briefly."];

/// Files of a directory, by their paths in it.
type Files = Vec<(PathBuf, Vec<u8>)>;

/// Small models of every family, and whether they are re-rankers.
static MODELS: LazyLock<Vec<(bool, Files)>> = LazyLock::new(|| {
    let embedders = directories("tiny-models").into_iter().map(|files| (false, files));
    embedders.chain(directories("tiny-rerankers").into_iter().map(|files| (true, files))).collect()
});

fn directories(kind: &str) -> Vec<Files> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../engine/rag/tests/data").join(kind);
    let entries = std::fs::read_dir(data).expect("there are models");
    let mut roots: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    roots.sort();
    let files = |root: &PathBuf| {
        let mut files = Vec::new();
        collect(root, root, &mut files);
        files.retain(|(path, _)| path != Path::new("expected.json"));
        files.sort();
        files
    };
    roots.iter().map(files).collect()
}

/// Changes one of the models as `input` says, loads it, and has it compute; whether it does.
///
/// # Panics
/// If loading or computing does, if an error says nothing, or if a vector is not as long as the model says.
pub fn exercise_model(input: &[u8]) -> bool {
    let _named = crate::NamedOnPanic(input);
    let mut input = Input(input);
    let (is_reranker, files) = &MODELS[usize::from(input.byte()) % MODELS.len()];
    let mut files = files.clone();
    for _ in 0..CHANGES_MAX {
        if input.is_empty() {
            break;
        }
        let at = usize::from(input.byte()) % files.len();
        let (path, bytes) = &mut files[at];
        if path != Path::new("tokenizer.json") {
            change(path, bytes, &mut input);
        }
    }
    let folder = tempfile::tempdir().expect("a scratch directory");
    for (path, bytes) in &files {
        let path = folder.path().join(path);
        path.parent().map(std::fs::create_dir_all).transpose().expect("a folder can be made");
        std::fs::write(path, bytes).expect("a file can be written");
    }
    let options = LoadOptions { threads: Some(NonZero::<usize>::MIN), ..LoadOptions::default() };
    let computed = if *is_reranker { score(folder.path(), options) } else { embed(folder.path(), options) };
    match computed {
        Ok(()) => true,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            false
        }
    }
}

fn embed(directory: &Path, options: LoadOptions) -> ragstone_rag::Result<()> {
    let model = LocalEmbedder::load(directory, "fuzz", options)?;
    let vectors = model.embed(&TEXTS, Role::Passage, Overflow::Truncate)?.vectors;
    assert_eq!(vectors.len(), TEXTS.len());
    assert!(vectors.iter().all(|vector| vector.len() == model.info().dimension));
    Ok(())
}

fn score(directory: &Path, options: LoadOptions) -> ragstone_rag::Result<()> {
    let model = LocalReranker::load(directory, "fuzz", options)?;
    assert_eq!(model.score("Which tea?", &TEXTS)?.len(), TEXTS.len());
    Ok(())
}

/// Changes a file.
fn change(path: &Path, bytes: &mut Vec<u8>, input: &mut Input<'_>) {
    let how = input.byte() % 4;
    if path.extension().is_none_or(|extension| extension != "safetensors") {
        change_text(bytes, how, input);
        return;
    }
    // Weights are `length u64 | head | tensors`.
    let parts = bytes.split_first_chunk::<8>().and_then(|(length, rest)| {
        let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
        Some((rest.get(..length)?.to_vec(), rest.get(length..)?.to_vec()))
    });
    match parts {
        Some((mut head, tensors)) if how > 0 => {
            change_text(&mut head, how, input);
            *bytes = [&(head.len() as u64).to_le_bytes()[..], &head, &tensors].concat();
        }
        _ => edit(bytes, input),
    }
}

/// Changes a text: mostly a number in it.
fn change_text(text: &mut Vec<u8>, how: u8, input: &mut Input<'_>) {
    if how < 2 {
        edit(text, input);
        return;
    }
    let is_digit = |at: usize| text.get(at).is_some_and(u8::is_ascii_digit);
    let is_first = |at: &usize| is_digit(*at) && !at.checked_sub(1).is_some_and(is_digit);
    let starts: Vec<usize> = (0..text.len()).filter(is_first).collect();
    let which = usize::from(input.u16()) % starts.len().max(1);
    let Some(start) = starts.get(which).copied() else { return };
    let end = (start..text.len()).find(|at| !is_digit(*at)).unwrap_or(text.len());
    let there: u64 = String::from_utf8_lossy(&text[start..end]).parse().unwrap_or_default();
    let number = match input.byte() % 8 {
        0 => 0,
        1 => 1,
        2 => there.wrapping_add(1),
        3 => there.wrapping_sub(1),
        4 => there.wrapping_mul(2),
        5 => there / 2,
        6 => 1 << (input.byte() % 64),
        _ => u64::MAX,
    };
    text.splice(start..end, number.to_string().into_bytes());
}
