//! `config.json` resolved: what the network is, whichever family's names it is written in.

use std::path::Path;

use ragstone_kernels::matrix::Activation;
use serde::Deserialize;

use super::files::{invalid, read_json};
use crate::error::Result;

/// Families of encoders, which differ in the names of their tensors and in how a token's place enters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// BERT: places count from 0; segments.
    Bert,
    /// RoBERTa and its multilingual kin: places count from behind the padding token's id; segments.
    Roberta,
    /// DistilBERT: places count from 0.
    DistilBert,
    /// MPNet: as RoBERTa without segments; the distance of two tokens is learnt as well.
    Mpnet,
}

const MODEL_TYPES: [(&str, Family); 6] = [
    ("bert", Family::Bert),
    ("camembert", Family::Roberta),
    ("distilbert", Family::DistilBert),
    ("mpnet", Family::Mpnet),
    ("roberta", Family::Roberta),
    ("xlm-roberta", Family::Roberta),
];

/// What the network is.
#[derive(Clone, Debug)]
pub(crate) struct Architecture {
    pub(crate) family: Family,
    /// Numbers of a token's state.
    pub(crate) hidden: usize,
    pub(super) layers: usize,
    pub(super) heads: usize,
    /// Numbers between the two products of a feed-forward block.
    pub(super) intermediate: usize,
    pub(super) activation: Activation,
    /// Epsilon of every layer norm.
    pub(super) epsilon: f32,
    /// Rows of the table of places.
    pub(super) places: usize,
    pub(super) vocabulary: usize,
    /// Rows of the table of segments; 0 in families without one.
    pub(super) segments: usize,
    /// The padding token, where places are counted from behind it.
    pub(super) padding: Option<usize>,
    /// Rows of the table of distances; 0 in families without one.
    pub(super) distance_buckets: usize,
}

impl Architecture {
    /// Tokens that there are places for.
    pub(crate) fn tokens_max(&self) -> usize {
        self.places.saturating_sub(self.padding.map_or(0, |padding| padding.saturating_add(1)))
    }
}

/// The file as it stands. DistilBERT has names of its own.
#[derive(Deserialize)]
struct Raw {
    model_type: Option<String>,
    #[serde(alias = "dim")]
    hidden_size: Option<usize>,
    #[serde(alias = "n_layers")]
    num_hidden_layers: Option<usize>,
    #[serde(alias = "n_heads")]
    num_attention_heads: Option<usize>,
    #[serde(alias = "hidden_dim")]
    intermediate_size: Option<usize>,
    #[serde(alias = "activation")]
    hidden_act: Option<String>,
    layer_norm_eps: Option<f32>,
    max_position_embeddings: Option<usize>,
    vocab_size: Option<usize>,
    type_vocab_size: Option<usize>,
    pad_token_id: Option<usize>,
    position_embedding_type: Option<String>,
    relative_attention_num_buckets: Option<usize>,
    is_decoder: Option<bool>,
}

/// Reads `config.json` of a directory.
pub(crate) fn read(directory: &Path) -> Result<Architecture> {
    let path = directory.join("config.json");
    resolve(&read_json(&path)?).map_err(|reason| invalid(&path, reason))
}

fn resolve(raw: &Raw) -> Result<Architecture, String> {
    let family = family(raw.model_type.as_deref())?;
    if raw.is_decoder == Some(true) {
        return Err("is_decoder is true; only encoders are supported".to_owned());
    }
    if let Some(kind) = raw.position_embedding_type.as_deref().filter(|kind| *kind != "absolute") {
        return Err(format!("position_embedding_type `{kind}` is not supported, only `absolute`"));
    }
    let positive = |name: &str, value: Option<usize>| match value {
        None => Err(format!("{name} is missing")),
        Some(0) => Err(format!("{name} is 0")),
        Some(value) => Ok(value),
    };
    let hidden = positive("hidden_size", raw.hidden_size)?;
    let heads = positive("num_attention_heads", raw.num_attention_heads)?;
    if !hidden.is_multiple_of(heads) {
        return Err(format!("hidden_size {hidden} is no multiple of num_attention_heads {heads}"));
    }
    let segmented = matches!(family, Family::Bert | Family::Roberta);
    let padded = matches!(family, Family::Roberta | Family::Mpnet);
    let architecture = Architecture {
        family,
        hidden,
        layers: positive("num_hidden_layers", raw.num_hidden_layers)?,
        heads,
        intermediate: positive("intermediate_size", raw.intermediate_size)?,
        activation: activation(raw.hidden_act.as_deref().unwrap_or("gelu"))
            .map_err(|reason| format!("hidden_act {reason}"))?,
        epsilon: if family == Family::DistilBert { 1e-12 } else { raw.layer_norm_eps.unwrap_or(1e-12) },
        places: positive("max_position_embeddings", raw.max_position_embeddings)?,
        vocabulary: positive("vocab_size", raw.vocab_size)?,
        segments: if segmented { raw.type_vocab_size.unwrap_or(2) } else { 0 },
        padding: padded.then(|| raw.pad_token_id.unwrap_or(1)),
        distance_buckets: if family == Family::Mpnet {
            raw.relative_attention_num_buckets.unwrap_or(32)
        } else {
            0
        },
    };
    if architecture.tokens_max() == 0 {
        return Err(format!("max_position_embeddings {} leaves no place for a token", architecture.places));
    }
    if ![0, 32].contains(&architecture.distance_buckets) {
        let buckets = architecture.distance_buckets;
        return Err(format!("relative_attention_num_buckets {buckets} is not supported, only 32"));
    }
    if !(architecture.epsilon.is_finite() && architecture.epsilon >= 0.0) {
        return Err(format!("layer_norm_eps {} is not acceptable", architecture.epsilon));
    }
    Ok(architecture)
}

fn family(model_type: Option<&str>) -> Result<Family, String> {
    let known = || MODEL_TYPES.map(|(name, _)| name).join(", ");
    let Some(model_type) = model_type else {
        return Err(format!("model_type is missing; supported are {}", known()));
    };
    let found = MODEL_TYPES.iter().find(|(name, _)| *name == model_type);
    found
        .map(|(_, family)| *family)
        .ok_or_else(|| format!("model_type `{model_type}` is not supported; supported are {}", known()))
}

/// An activation by the name that configurations or modules (`torch.nn.modules.activation.Tanh`) give it.
pub(crate) fn activation(name: &str) -> Result<Activation, String> {
    match name.rsplit('.').next().unwrap_or(name) {
        "gelu" | "gelu_python" | "GELU" => Ok(Activation::Gelu),
        "gelu_new" | "gelu_fast" | "gelu_pytorch_tanh" => Ok(Activation::GeluTanh),
        "quick_gelu" => Ok(Activation::QuickGelu),
        "relu" | "ReLU" => Ok(Activation::Relu),
        "silu" | "swish" | "SiLU" => Ok(Activation::Silu),
        "tanh" | "Tanh" => Ok(Activation::Tanh),
        "linear" | "Identity" => Ok(Activation::Identity),
        _ => Err(format!(
            "`{name}` is not supported; supported are gelu, gelu_new, quick_gelu, relu, silu, tanh"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(json: &str) -> Result<Architecture, String> {
        resolve(&serde_json::from_str(json).unwrap())
    }

    #[test]
    fn what_is_not_supported_is_named() {
        let sizes = r#""hidden_size":8,"num_hidden_layers":1,"num_attention_heads":2,"intermediate_size":16,
            "max_position_embeddings":4,"vocab_size":9"#;
        let refused = [
            (
                "{}",
                "model_type is missing; supported are bert, camembert, distilbert, mpnet, roberta, xlm-roberta",
            ),
            (r#"{"model_type":"t5"}"#, "model_type `t5` is not supported; supported are bert,"),
            (r#"{"model_type":"bert"}"#, "hidden_size is missing"),
            (r#"{"model_type":"bert","hidden_size":9,"num_attention_heads":2}"#, "no multiple of"),
            (&format!(r#"{{"model_type":"bert",{sizes},"hidden_act":"selu"}}"#), "hidden_act `selu`"),
            (&format!(r#"{{"model_type":"bert",{sizes},"position_embedding_type":"rotary"}}"#), "`rotary`"),
            (&format!(r#"{{"model_type":"roberta",{sizes},"pad_token_id":7}}"#), "no place for a token"),
            (
                &format!(r#"{{"model_type":"roberta",{sizes},"pad_token_id":18446744073709551615}}"#),
                "no place for a token",
            ),
        ];
        for (json, reason) in refused {
            let error = from(json).unwrap_err();
            assert!(error.contains(reason), "{json}: {error}");
        }
        let roberta = from(&format!(r#"{{"model_type":"xlm-roberta",{sizes}}}"#)).unwrap();
        assert_eq!((roberta.tokens_max(), roberta.padding), (2, Some(1)));
    }
}
