//! Every family, pooling and type of weights against PyTorch, on the tiny random models of `make_tiny_models.py`; and
//! directories that are no models.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use ragstone_kernels::Isa;
use ragstone_kernels::matrix::Precision;
use ragstone_rag::Error;
use ragstone_rag::embed::{Embedder, LoadOptions, LocalEmbedder, Overflow, Pooling, Role};
use serde::Deserialize;

#[derive(Deserialize)]
struct Expected {
    role: String,
    text: String,
    tokens: usize,
    vector: Vec<f32>,
}

fn tiny(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tiny-models").join(name)
}

fn load(directory: &Path) -> Result<LocalEmbedder, ragstone_rag::Error> {
    LocalEmbedder::load(directory, "tiny", LoadOptions::default())
}

fn check(name: &str, pooling: Pooling, isa: Isa) {
    let directory = tiny(name);
    let options = LoadOptions { precision: Precision::Single, isa, ..LoadOptions::default() };
    let embedder = LocalEmbedder::load(&directory, name, options).unwrap();
    assert_eq!(embedder.info().pooling, pooling);
    let expected = fs::read(directory.join("expected.json")).unwrap();
    let expected: Vec<Expected> = serde_json::from_slice(&expected).unwrap();
    assert!(expected.len() >= 7, "{name}");
    for role in [Role::Query, Role::Passage, Role::Plain] {
        let role_name = format!("{role:?}").to_lowercase();
        let of_role: Vec<&Expected> = expected.iter().filter(|case| case.role == role_name).collect();
        let texts: Vec<&str> = of_role.iter().map(|case| case.text.as_str()).collect();
        let made = embedder.embed(&texts, role, Overflow::Truncate).unwrap();
        for (index, case) in of_role.iter().enumerate() {
            let place = format!("{name} {isa:?} {role:?} {:?}", case.text);
            assert_eq!(made.token_counts[index], case.tokens, "{place}");
            assert_eq!(made.vectors[index].len(), case.vector.len(), "{place}");
            let scale = case.vector.iter().fold(1.0_f32, |most, x| most.max(x.abs()));
            for (ours, theirs) in made.vectors[index].iter().zip(&case.vector) {
                assert!((ours - theirs).abs() < 2e-5 * scale, "{place}: {ours} for {theirs}");
            }
        }
    }
}

#[test]
fn every_family_agrees_with_its_reference() {
    for isa in Isa::available() {
        check("bert-cls-dense", Pooling::Cls, isa);
        check("distilbert-max-f16", Pooling::Max, isa);
        check("mpnet-sqrt-bf16", Pooling::MeanSqrtLen, isa);
        check("roberta-last", Pooling::LastToken, isa);
        check("xlm-roberta-prompts", Pooling::WeightedMean, isa);
        check("xlm-roberta-bare-prompts", Pooling::Mean, isa);
    }
}

#[test]
fn texts_may_be_given_as_tokens() {
    let embedder = load(&tiny("bert-cls-dense")).unwrap();
    let texts: [&[u32]; 3] = [&[2, 5, 3], &[2, 6, 7, 8, 3], &[2, 3]];
    let together = embedder.embed_ids(&texts).unwrap();
    for (text, vector) in texts.iter().zip(&together) {
        assert_eq!(vector.len(), 10);
        assert_eq!(&embedder.embed_ids(&[text]).unwrap(), std::slice::from_ref(vector));
    }
    assert_ne!(together[0], together[1]);
    let error = |text: &[u32]| embedder.embed_ids(&[&[2, 3], text]).unwrap_err();
    assert!(
        matches!(error(&[5; 21]), Error::TokenLimit { field, tokens: 21, max: 20, .. } if field == "ids[1]")
    );
    assert!(matches!(error(&[]), Error::Invalid { field, .. } if field == "ids[1]"));
    let unknown = error(&[2, 1_000_000, 3]);
    assert!(
        matches!(unknown, Error::ModelInvalid { .. }) && unknown.to_string().contains("1000000"),
        "{unknown}"
    );
    assert_eq!(embedder.embed_ids(&[]).unwrap(), Vec::<Vec<f32>>::new());
}

#[test]
fn the_contract_is_read_from_the_directory() {
    let dense = load(&tiny("bert-cls-dense")).unwrap();
    let info = dense.info();
    assert_eq!((info.dimension, info.max_tokens, info.normalize), (10, 20, true));
    assert_eq!(info.sha256.as_ref().map(String::len), Some(64));
    let prompts = load(&tiny("xlm-roberta-prompts")).unwrap();
    assert_eq!(prompts.info().query_prefix, "question: ");
    assert_eq!(prompts.info().passage_prefix, "text: ");
    assert!(prompts.overhead_tokens(Role::Query) > prompts.overhead_tokens(Role::Plain));
    let mpnet = load(&tiny("mpnet-sqrt-bf16")).unwrap();
    assert_eq!((mpnet.info().max_tokens, mpnet.info().normalize), (38, false));
}

/// A copy of a tiny model, to be damaged.
fn copy(name: &str) -> tempfile::TempDir {
    fn copy_tree(from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let to = to.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                copy_tree(&entry.path(), &to);
            } else {
                fs::copy(entry.path(), to).unwrap();
            }
        }
    }
    let directory = tempfile::tempdir().unwrap();
    copy_tree(&tiny(name), directory.path());
    directory
}

fn refusal(directory: &Path) -> String {
    match load(directory) {
        Ok(_) => panic!("a damaged model was accepted"),
        Err(error @ ragstone_rag::Error::ModelInvalid { .. }) => error.to_string(),
        Err(error) => panic!("not ModelInvalid: {error}"),
    }
}

#[test]
fn a_missing_file_is_named() {
    for file in ["config.json", "tokenizer.json", "model.safetensors"] {
        let model = copy("bert-cls-dense");
        fs::remove_file(model.path().join(file)).unwrap();
        let error = refusal(model.path());
        assert!(error.contains(&format!("{file} is missing")), "{error}");
    }
    for file in ["1_Pooling/config.json", "2_Dense/config.json", "2_Dense/model.safetensors"] {
        let model = copy("bert-cls-dense");
        fs::remove_file(model.path().join(file)).unwrap();
        let (folder, name) = file.split_once('/').unwrap();
        let error = refusal(model.path());
        assert!(error.contains(folder) && error.contains(&format!("{name} is missing")), "{error}");
    }
}

#[test]
fn a_wrong_setting_is_named() {
    let cases = [
        (
            "config.json",
            "\"intermediate_size\": 40",
            "\"intermediate_size\": 41",
            "has the shape [40, 24], expected is [41, 24]",
        ),
        ("config.json", "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3", "encoder.layer.2."),
        (
            "config.json",
            "\"model_type\": \"bert\"",
            "\"model_type\": \"gpt2\"",
            "supported are bert, camembert",
        ),
        ("config.json", "\"hidden_size\": 24", "\"hidden_size\": \"x\"", "is not as expected"),
        ("config.json", "\"hidden_act\": \"gelu_new\"", "\"hidden_act\": \"mish\"", "hidden_act `mish`"),
        ("modules.json", "models.Dense", "models.LSTM", "models.LSTM) is not supported"),
        ("modules.json", "2_Dense", "../elsewhere", "leaves the directory"),
        ("modules.json", "models.Transformer", "models.CLIPModel", "not supported before the pooling"),
        ("1_Pooling/config.json", "pooling_mode_cls_token", "pooling_mode_unknown", "sets no pooling_mode_*"),
        (
            "1_Pooling/config.json",
            "\"word_embedding_dimension\": 24",
            "\"word_embedding_dimension\": 25",
            "is 25",
        ),
        ("2_Dense/config.json", "\"in_features\": 24", "\"in_features\": 23", "in_features is 23"),
        ("2_Dense/config.json", "activation.Tanh", "activation.Mish", "activation_function `"),
        ("tokenizer.json", "\"WordPiece\"", "\"Nothing\"", "is no tokenizer"),
        ("sentence_bert_config.json", ": 20", ": 2", "adds 2 special tokens, but the model reads 2"),
    ];
    for (file, from, to, reason) in cases {
        let model = copy("bert-cls-dense");
        let path = model.path().join(file);
        let text = fs::read_to_string(&path).unwrap();
        // JSON with and without spaces.
        let (from, to) = match text.contains(from) {
            true => (from.to_owned(), to.to_owned()),
            false => (from.replace(": ", ":"), to.replace(": ", ":")),
        };
        assert!(text.contains(&from), "{file} holds no {from}");
        fs::write(&path, text.replacen(&from, &to, 1)).unwrap();
        let error = refusal(model.path());
        assert!(error.contains(reason), "{file}: {from} -> {to}: {error}");
    }
}

#[test]
fn garbage_is_refused_without_a_panic() {
    let files =
        ["config.json", "modules.json", "tokenizer.json", "model.safetensors", "1_Pooling/config.json"];
    for file in files {
        for garbage in
            [&b""[..], b"{", b"[]", b"\xff\xfe\0", b"null", b"{\"vocab_size\":18446744073709551615}"]
        {
            let model = copy("bert-cls-dense");
            fs::write(model.path().join(file), garbage).unwrap();
            // An empty list of modules is none; everything else is not a model.
            refusal(model.path());
        }
    }
    // Every truncation of the weights, and sizes beyond all memory.
    let model = copy("bert-cls-dense");
    let weights = fs::read(model.path().join("model.safetensors")).unwrap();
    for len in (0..weights.len()).step_by(weights.len() / 40) {
        fs::write(model.path().join("model.safetensors"), &weights[..len]).unwrap();
        refusal(model.path());
    }
    for (name, size) in
        [("vocab_size", "104"), ("max_position_embeddings", "40"), ("intermediate_size", "40")]
    {
        for model in [copy("bert-cls-dense"), copy("mpnet-sqrt-bf16")] {
            let path = model.path().join("config.json");
            let config = fs::read_to_string(&path).unwrap();
            let from = format!("\"{name}\": {size}");
            assert!(config.contains(&from));
            fs::write(&path, config.replace(&from, &format!("\"{name}\": 9007199254740993"))).unwrap();
            fs::remove_file(model.path().join("sentence_bert_config.json")).unwrap();
            refusal(model.path());
        }
    }
}

#[test]
fn a_plain_encoder_is_pooled_by_the_mean() {
    let model = copy("mpnet-sqrt-bf16");
    fs::remove_file(model.path().join("modules.json")).unwrap();
    fs::remove_dir_all(model.path().join("1_Pooling")).unwrap();
    fs::remove_file(model.path().join("sentence_bert_config.json")).unwrap();
    let embedder = load(model.path()).unwrap();
    let info = embedder.info();
    assert_eq!((info.pooling, info.normalize, info.max_tokens), (Pooling::Mean, false, 38));
}

#[test]
fn a_token_without_an_embedding_is_an_error() {
    let model = copy("bert-cls-dense");
    let path = model.path().join("tokenizer.json");
    let tokenizer = fs::read_to_string(&path).unwrap();
    let changed = tokenizer.replace("\"quick\": 6", "\"quick\": 4000");
    assert_ne!(changed, tokenizer);
    fs::write(&path, changed).unwrap();
    let error = load(model.path()).unwrap().embed(&["quick"], Role::Plain, Overflow::Error).unwrap_err();
    assert!(error.to_string().contains("token 4000"), "{error}");
}
