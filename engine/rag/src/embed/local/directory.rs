//! A sentence-transformers directory resolved: which steps lead from text to vector, and with which settings.
//!
//! `modules.json` lists the steps, each with a folder of its own. Without it the directory is taken for a plain
//! encoder, as sentence-transformers does: the mean over the tokens (or what `1_Pooling/config.json` says), and
//! vectors of any length.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use ragstone_kernels::matrix::{Activation, Kernels, Packed, Precision, Rows};
use serde::Deserialize;

use super::config::activation;
use super::files::{invalid, read_json, read_json_optional};
use super::weights::Weights;
use crate::embed::Pooling;
use crate::error::Result;

/// What the directory says, all of it read and checked.
pub(super) struct Recipe {
    /// Where the encoder's files are.
    pub(super) encoder: PathBuf,
    pub(super) pooling: Pooling,
    /// Whether the tokens of a role's prefix count in the pooling.
    pub(super) pool_prefix: bool,
    /// What the encoder's states must be as long as, if the pooling says.
    pub(super) pooled: Option<usize>,
    /// The steps after the pooling.
    pub(super) steps: Vec<StepSettings>,
    /// `max_seq_length`.
    pub(super) max_tokens: Option<usize>,
    /// Lower-case the text before the tokenizer sees it.
    pub(super) lower_case: bool,
    pub(super) query_prefix: String,
    pub(super) passage_prefix: String,
}

/// A step after the pooling, not yet loaded.
pub(super) enum StepSettings {
    /// To unit length.
    Normalize,
    /// A linear layer and an activation.
    Dense { folder: PathBuf, inputs: usize, outputs: usize, bias: bool, activation: Activation },
}

#[derive(Deserialize)]
struct Module {
    path: String,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct PoolingFile {
    word_embedding_dimension: Option<usize>,
    #[serde(default)]
    pooling_mode: Option<String>,
    #[serde(default)]
    pooling_mode_cls_token: bool,
    #[serde(default)]
    pooling_mode_mean_tokens: bool,
    #[serde(default)]
    pooling_mode_max_tokens: bool,
    #[serde(default)]
    pooling_mode_mean_sqrt_len_tokens: bool,
    #[serde(default)]
    pooling_mode_weightedmean_tokens: bool,
    #[serde(default)]
    pooling_mode_lasttoken: bool,
    include_prompt: Option<bool>,
}

#[derive(Deserialize)]
struct DenseFile {
    in_features: usize,
    out_features: usize,
    #[serde(default = "yes")]
    bias: bool,
    activation_function: Option<String>,
}

fn yes() -> bool {
    true
}

#[derive(Default, Deserialize)]
struct EncoderFile {
    max_seq_length: Option<usize>,
    #[serde(default)]
    do_lower_case: bool,
}

#[derive(Default, Deserialize)]
struct PromptsFile {
    #[serde(default)]
    prompts: BTreeMap<String, Option<String>>,
    default_prompt_name: Option<String>,
}

/// The names that sentence-transformers has given the encoder's settings over time; the first that is there counts.
pub(crate) const ENCODER_FILES: [&str; 7] = [
    "sentence_bert_config.json",
    "sentence_roberta_config.json",
    "sentence_distilbert_config.json",
    "sentence_camembert_config.json",
    "sentence_albert_config.json",
    "sentence_xlm-roberta_config.json",
    "sentence_xlnet_config.json",
];

/// Reads the settings of a directory.
pub(super) fn read(directory: &Path) -> Result<Recipe> {
    let modules_path = directory.join("modules.json");
    let modules: Option<Vec<Module>> = read_json_optional(&modules_path)?;
    let (encoder, pooling, steps) = match modules {
        Some(modules) => steps(directory, &modules_path, &modules)?,
        None if directory.join("config_sentence_transformers.json").exists() => {
            let reason =
                "modules.json is missing, though config_sentence_transformers.json says that there is one";
            return Err(invalid(directory, reason.to_owned()));
        }
        None => {
            let pooling = read_json_optional(&directory.join("1_Pooling/config.json"))?;
            (directory.to_owned(), pooling, Vec::new())
        }
    };
    let mut settings = EncoderFile::default();
    for name in ENCODER_FILES {
        if let Some(found) = read_json_optional(&encoder.join(name))? {
            settings = found;
            break;
        }
    }
    let prompts_path = directory.join("config_sentence_transformers.json");
    let prompts: PromptsFile = read_json_optional(&prompts_path)?.unwrap_or_default();
    let mode = match &pooling {
        Some(file) => pooling_mode(file).map_err(|reason| invalid(directory, reason))?,
        None => Pooling::Mean,
    };
    Ok(Recipe {
        encoder,
        pooling: mode,
        pool_prefix: pooling.as_ref().and_then(|file| file.include_prompt).unwrap_or(true),
        pooled: pooling.and_then(|file| file.word_embedding_dimension),
        steps,
        max_tokens: settings.max_seq_length.filter(|max| *max > 0),
        lower_case: settings.do_lower_case,
        query_prefix: prompts.prefix(&["query"]),
        passage_prefix: prompts.prefix(&["passage", "document"]),
    })
}

impl PromptsFile {
    /// The first of these prompts that there is, else the default one, else nothing.
    fn prefix(&self, names: &[&str]) -> String {
        let named = names.iter().find_map(|name| self.prompts.get(*name));
        let default = || self.prompts.get(self.default_prompt_name.as_ref()?);
        named.or_else(default).cloned().flatten().unwrap_or_default()
    }
}

type Steps = (PathBuf, Option<PoolingFile>, Vec<StepSettings>);

/// Transformer, then Pooling, then what follows.
fn steps(directory: &Path, modules_path: &Path, modules: &[Module]) -> Result<Steps> {
    let (mut encoder, mut pooling, mut steps) = (None, None, Vec::new());
    for (index, module) in modules.iter().enumerate() {
        let wrong =
            |reason: &str| invalid(modules_path, format!("module {index} ({}) {reason}", module.kind));
        let inside = Path::new(&module.path).components().all(|part| matches!(part, Component::Normal(_)));
        if !inside {
            return Err(wrong("has a path that leaves the directory"));
        }
        let folder = directory.join(&module.path);
        match module.kind.rsplit('.').next().unwrap_or_default() {
            "Transformer" if encoder.is_none() => encoder = Some(folder),
            "Pooling" if encoder.is_some() && pooling.is_none() => {
                pooling = Some(read_json(&folder.join("config.json"))?);
            }
            "Transformer" | "Pooling" => return Err(wrong("is out of order")),
            _ if pooling.is_none() => return Err(wrong("is not supported before the pooling")),
            "Normalize" => steps.push(StepSettings::Normalize),
            "Dropout" => {}
            "Dense" => {
                let path = folder.join("config.json");
                let file: DenseFile = read_json(&path)?;
                let name = file.activation_function.as_deref().unwrap_or("torch.nn.modules.activation.Tanh");
                let activation = activation(name)
                    .map_err(|reason| invalid(&path, format!("activation_function {reason}")))?;
                let (inputs, outputs) = (file.in_features, file.out_features);
                if inputs == 0 || outputs == 0 {
                    return Err(invalid(&path, "in_features and out_features must be positive"));
                }
                steps.push(StepSettings::Dense { folder, inputs, outputs, bias: file.bias, activation });
            }
            _ => {
                return Err(wrong(
                    "is not supported; supported are Transformer, Pooling, Dense, Dropout, Normalize",
                ));
            }
        }
    }
    let encoder = encoder.ok_or_else(|| invalid(modules_path, "has no Transformer module"))?;
    let pooling = pooling.ok_or_else(|| invalid(modules_path, "has no Pooling module"))?;
    Ok((encoder, Some(pooling), steps))
}

fn pooling_mode(file: &PoolingFile) -> Result<Pooling, String> {
    let flags = [
        (file.pooling_mode_cls_token, "cls", Pooling::Cls),
        (file.pooling_mode_mean_tokens, "mean", Pooling::Mean),
        (file.pooling_mode_max_tokens, "max", Pooling::Max),
        (file.pooling_mode_mean_sqrt_len_tokens, "mean_sqrt_len_tokens", Pooling::MeanSqrtLen),
        (file.pooling_mode_weightedmean_tokens, "weightedmean", Pooling::WeightedMean),
        (file.pooling_mode_lasttoken, "lasttoken", Pooling::LastToken),
    ];
    if let Some(name) = &file.pooling_mode {
        let found = flags.iter().find(|(_, known, _)| known == name);
        return found
            .map(|(.., mode)| *mode)
            .ok_or_else(|| format!("pooling mode `{name}` is not supported"));
    }
    let mut set = flags.iter().filter(|(set, ..)| *set);
    match (set.next(), set.next()) {
        (Some((.., mode)), None) => Ok(*mode),
        (None, _) => Err("the pooling's config.json sets no pooling_mode_*".to_owned()),
        (Some((_, first, _)), Some((_, second, _))) => {
            Err(format!("the pooling concatenates `{first}` and `{second}`; one mode is supported"))
        }
    }
}

/// A step after the pooling, loaded.
pub(super) enum Step {
    /// To unit length.
    Normalize,
    /// A linear layer and an activation.
    Dense(Packed, Activation),
}

impl StepSettings {
    /// Loads the step, which gets vectors of `dimension`.
    pub(super) fn load(&self, kernels: Kernels, dimension: usize) -> Result<Step> {
        match self {
            StepSettings::Normalize => Ok(Step::Normalize),
            StepSettings::Dense { folder, inputs, outputs, bias, activation } => {
                if *inputs != dimension {
                    let reason = format!("in_features is {inputs}, but vectors have {dimension} components");
                    return Err(invalid(&folder.join("config.json"), reason));
                }
                let weights = Weights::read(folder)?;
                let matrix = weights.tensor("linear.weight", &[*outputs, *inputs])?.to_vec();
                let bias =
                    if *bias { weights.tensor("linear.bias", &[*outputs])?.to_vec() } else { Vec::new() };
                let rows = Rows::new(&matrix, *outputs, *inputs, *inputs);
                Ok(Step::Dense(kernels.linear(rows, &bias, Precision::Single), *activation))
            }
        }
    }

    /// Components of the vectors that leave the step.
    pub(super) fn outputs(&self, dimension: usize) -> usize {
        match self {
            StepSettings::Normalize => dimension,
            StepSettings::Dense { outputs, .. } => *outputs,
        }
    }
}
