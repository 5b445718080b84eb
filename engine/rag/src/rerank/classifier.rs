//! What stands behind the encoder of a cross-encoder: the first token's state, a dense layer, one logit or two.
//!
//! | family | tensors |
//! |---|---|
//! | BERT | `bert.pooler.dense` and tanh, `classifier` |
//! | RoBERTa, XLM-RoBERTa, CamemBERT, MPNet | `classifier.dense` and tanh, `classifier.out_proj` |
//! | DistilBERT | `pre_classifier` and relu, `classifier` |
//!
//! With two labels, *not relevant* and *relevant*, the second logit minus the first is the logit of the second (their softmax is its
//! sigmoid): that is what counts as the one.

use std::path::Path;

use ragstone_kernels::matrix::{Activation, Kernels, Packed, Precision, Product, Rows, RowsMut};
use serde::Deserialize;

use super::ScoreScale;
use crate::embed::local::{Architecture, Family, Head, Tokens, Weights, activation, invalid, read_json};
use crate::error::Result;

/// What `config.json` says of the classifier.
pub(super) struct Settings {
    labels: usize,
    pub(super) scale: ScoreScale,
    /// Whether the file says itself that this is a sequence classifier.
    pub(super) is_stated: bool,
}

#[derive(Deserialize)]
struct Raw {
    architectures: Option<Vec<String>>,
    id2label: Option<serde_json::Map<String, serde_json::Value>>,
    num_labels: Option<usize>,
    sentence_transformers: Option<SentenceTransformers>,
    /// As sentence-transformers wrote it before version 4.
    sbert_ce_default_activation_function: Option<String>,
}

#[derive(Deserialize)]
struct SentenceTransformers {
    activation_fn: Option<String>,
}

impl Settings {
    pub(super) fn read(directory: &Path) -> Result<Settings> {
        let path = directory.join("config.json");
        Settings::resolve(read_json(&path)?).map_err(|reason| invalid(&path, reason))
    }

    fn resolve(raw: Raw) -> Result<Settings, String> {
        let classifies = |name: &String| name.ends_with("ForSequenceClassification");
        let is_stated = raw.architectures.is_some();
        if let Some(names) = raw.architectures.filter(|names| !names.iter().any(classifies)) {
            let names = names.join(", ");
            return Err(format!(
                "architectures is {names}; a re-ranker is a model `…ForSequenceClassification`"
            ));
        }
        // Two where nothing is said, as the reference has it.
        let labels = raw.id2label.map(|labels| labels.len()).or(raw.num_labels).unwrap_or(2);
        if !(1..=2).contains(&labels) {
            return Err(format!(
                "has {labels} labels; a re-ranker has one, or two of which the second is relevant"
            ));
        }
        let stated = raw.sentence_transformers.and_then(|settings| settings.activation_fn);
        let scale = match stated.or(raw.sbert_ce_default_activation_function) {
            None if labels == 1 => ScoreScale::Probability,
            None => ScoreScale::Logit,
            Some(name) if name.ends_with("Sigmoid") => ScoreScale::Probability,
            Some(name) => match activation(&name) {
                Ok(Activation::Identity) => ScoreScale::Logit,
                _ => {
                    return Err(format!(
                        "activation_fn `{name}` is not supported, only Identity and Sigmoid"
                    ));
                }
            },
        };
        Ok(Settings { labels, scale, is_stated })
    }
}

/// The layers behind the encoder.
pub(super) struct Classifier {
    kernels: Kernels,
    hidden: usize,
    dense: Packed,
    activation: Activation,
    out: Packed,
    scale: ScoreScale,
}

impl Classifier {
    pub(super) fn load(
        architecture: &Architecture,
        weights: &Weights,
        kernels: Kernels,
        settings: &Settings,
    ) -> Result<Classifier> {
        let (dense, activation, out) = match architecture.family {
            Family::Bert if weights.has("bert.pooler.dense.weight") => {
                ("bert.pooler.dense", Activation::Tanh, "classifier")
            }
            Family::Bert => ("pooler.dense", Activation::Tanh, "classifier"),
            Family::Roberta | Family::Mpnet => ("classifier.dense", Activation::Tanh, "classifier.out_proj"),
            Family::DistilBert => ("pre_classifier", Activation::Relu, "classifier"),
        };
        let hidden = architecture.hidden;
        let linear = |name: &str, outputs: usize| -> Result<Packed> {
            let weight = weights.tensor(&format!("{name}.weight"), &[outputs, hidden])?.to_vec();
            let bias = weights.tensor(&format!("{name}.bias"), &[outputs])?.to_vec();
            Ok(kernels.linear(Rows::new(&weight, outputs, hidden, hidden), &bias, Precision::Single))
        };
        let (dense, out) = (linear(dense, hidden)?, linear(out, settings.labels)?);
        Ok(Classifier { kernels, hidden, dense, activation, out, scale: settings.scale })
    }

    fn layer(&self, weights: &Packed, activation: Activation, input: &[f32]) -> Vec<f32> {
        let mut output = vec![0.0; weights.outputs()];
        let outputs = output.len();
        let into = RowsMut::new(&mut output, 1, outputs, outputs);
        let product = Product { activation, ..Product::new(weights) };
        self.kernels.multiply(Rows::new(input, 1, input.len(), input.len()), &product, into);
        output
    }
}

impl Head for Classifier {
    type Output = f32;

    fn output(&self, _tokens: &Tokens, states: &[f32]) -> Option<f32> {
        let pooled = self.layer(&self.dense, self.activation, states.get(..self.hidden)?);
        let logit = match self.layer(&self.out, Activation::Identity, &pooled)[..] {
            [one] => one,
            [first, second] => second - first,
            _ => return None,
        };
        let score = match self.scale {
            ScoreScale::Logit => logit,
            ScoreScale::Probability => 1.0 / (1.0 + (-logit).exp()),
        };
        score.is_finite().then_some(score)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(json: &str) -> Result<Settings, String> {
        Settings::resolve(serde_json::from_str(json).unwrap())
    }

    #[test]
    fn a_configuration_says_what_scores_are() {
        let one = r#""id2label":{"0":"LABEL_0"}"#;
        let cases = [
            (format!("{{{one}}}"), 1, ScoreScale::Probability),
            ("{}".to_owned(), 2, ScoreScale::Logit),
            (r#"{"num_labels":1}"#.to_owned(), 1, ScoreScale::Probability),
            (
                format!(
                    r#"{{{one},"sbert_ce_default_activation_function":"torch.nn.modules.linear.Identity"}}"#
                ),
                1,
                ScoreScale::Logit,
            ),
            (
                r#"{"sentence_transformers":{"activation_fn":"torch.nn.modules.activation.Sigmoid"}}"#
                    .to_owned(),
                2,
                ScoreScale::Probability,
            ),
        ];
        for (json, labels, scale) in cases {
            let settings = resolve(&json).unwrap_or_else(|error| panic!("{json}: {error}"));
            assert_eq!((settings.labels, settings.scale), (labels, scale), "{json}");
        }
    }

    #[test]
    fn what_is_no_reranker_is_named() {
        let refused = [
            (r#"{"architectures":["BertModel"]}"#, "architectures is BertModel;"),
            (r#"{"id2label":{"0":"a","1":"b","2":"c"}}"#, "has 3 labels"),
            (r#"{"num_labels":0}"#, "has 0 labels"),
            (r#"{"sentence_transformers":{"activation_fn":"torch.nn.modules.activation.Tanh"}}"#, "Tanh"),
        ];
        for (json, reason) in refused {
            let error = resolve(json).err().unwrap_or_default();
            assert!(error.contains(reason), "{json}: {error}");
        }
    }
}
