//! The network: embeddings, then layers of attention and feed-forward blocks, each followed by a layer norm.
//!
//! All families here are the same function under different names; [`Family`] says where each tensor is. Texts are
//! concatenated, not padded: a product does not see where one text ends, and attention goes text by text.
//!
//! Weights are packed once. The three products that begin a layer are one; the scale of the attention scores is
//! multiplied into the query's weights; what is added behind a block is what the block's last product starts from.

use ragstone_kernels::matrix::{Kernels, Norm, Packed, Precision, Product, Rows, RowsMut};
use rayon::prelude::*;

use super::attention::{self, Distances, HeadScratch, Shape};
use super::config::{Architecture, Family};
use super::text::Tokens;
use super::weights::{Table, Weights};
use crate::error::Result;

/// Rows that pass a feed-forward block together, so that what is between its products stays in the cache.
const FEED_FORWARD_ROWS: usize = 240;

/// Names of a layer's tensors, behind the layer's own prefix; each stands for a weight and a bias.
struct Names {
    layer: &'static str,
    query: &'static str,
    key: &'static str,
    value: &'static str,
    attention_output: &'static str,
    attention_norm: &'static str,
    intermediate: &'static str,
    output: &'static str,
    output_norm: &'static str,
}

const BERT: Names = Names {
    layer: "encoder.layer",
    query: "attention.self.query",
    key: "attention.self.key",
    value: "attention.self.value",
    attention_output: "attention.output.dense",
    attention_norm: "attention.output.LayerNorm",
    intermediate: "intermediate.dense",
    output: "output.dense",
    output_norm: "output.LayerNorm",
};

const DISTILBERT: Names = Names {
    layer: "transformer.layer",
    query: "attention.q_lin",
    key: "attention.k_lin",
    value: "attention.v_lin",
    attention_output: "attention.out_lin",
    attention_norm: "sa_layer_norm",
    intermediate: "ffn.lin1",
    output: "ffn.lin2",
    output_norm: "output_layer_norm",
};

const MPNET: Names = Names {
    query: "attention.attn.q",
    key: "attention.attn.k",
    value: "attention.attn.v",
    attention_output: "attention.attn.o",
    attention_norm: "attention.LayerNorm",
    ..BERT
};

/// A linear layer as it is in the file.
struct Linear {
    weight: Vec<f32>,
    bias: Vec<f32>,
}

struct LayerNorm {
    weight: Vec<f32>,
    bias: Vec<f32>,
    epsilon: f32,
}

impl LayerNorm {
    fn load(weights: &Weights, name: &str, architecture: &Architecture) -> Result<LayerNorm> {
        let shape = [architecture.hidden];
        Ok(LayerNorm {
            weight: weights.tensor(&format!("{name}.weight"), &shape)?.to_vec(),
            bias: weights.tensor(&format!("{name}.bias"), &shape)?.to_vec(),
            epsilon: architecture.epsilon,
        })
    }

    fn apply(&self, kernels: Kernels, rows: &mut [f32]) {
        kernels.layer_norm(&Norm { weight: &self.weight, bias: &self.bias, epsilon: self.epsilon }, rows);
    }
}

struct Layer {
    /// Queries, keys and values side by side.
    attention: Packed,
    attention_output: Packed,
    attention_norm: LayerNorm,
    intermediate: Packed,
    output: Packed,
    output_norm: LayerNorm,
}

/// A loaded network.
pub(crate) struct Encoder {
    architecture: Architecture,
    kernels: Kernels,
    words: Table,
    places: Table,
    segments: Option<Table>,
    norm: LayerNorm,
    distances: Option<Distances>,
    layers: Vec<Layer>,
}

/// Memory of a pass, kept from call to call.
#[derive(Default)]
pub(super) struct Scratch {
    hidden: Vec<f32>,
    attention: Vec<f32>,
    by_head: Vec<f32>,
    context: Vec<f32>,
    intermediate: Vec<f32>,
    heads: Vec<HeadScratch>,
}

impl Encoder {
    /// Loads the network; `tokens_max` is the longest text that it will be given.
    pub(crate) fn load(
        architecture: Architecture,
        mut weights: Weights,
        kernels: Kernels,
        tokens_max: usize,
        precision: Precision,
    ) -> Result<Encoder> {
        let words = "embeddings.word_embeddings.weight";
        weights.find_prefix(&["", "bert.", "roberta.", "distilbert.", "mpnet.", "model."], words)?;
        let (weights, hidden) = (&weights, architecture.hidden);
        let table = |name: &str, rows: usize| -> Result<Table> {
            let name = format!("embeddings.{name}_embeddings.weight");
            Ok(weights.tensor(&name, &[rows, hidden])?.to_table(hidden))
        };
        let segments = (architecture.segments > 0).then(|| table("token_type", architecture.segments));
        let words = table("word", architecture.vocabulary)?;
        // Behind this, `tokens_max` is known to be the number of rows of a table that there is.
        let places = table("position", architecture.places)?;
        let distances = match (architecture.distance_buckets, architecture.heads) {
            (0, _) => None,
            (buckets, heads) => {
                let tensor = weights.tensor("encoder.relative_attention_bias.weight", &[buckets, heads])?;
                Some(Distances::new(&tensor.to_vec(), buckets, heads, tokens_max))
            }
        };
        let loader = Loader { architecture: &architecture, weights, kernels, precision };
        Ok(Encoder {
            words,
            places,
            segments: segments.transpose()?,
            norm: LayerNorm::load(weights, "embeddings.LayerNorm", &architecture)?,
            distances,
            layers: (0..architecture.layers)
                .into_par_iter()
                .map(|index| loader.layer(index))
                .collect::<Result<_>>()?,
            kernels,
            architecture,
        })
    }

    /// Numbers of a token's state.
    pub(crate) fn hidden(&self) -> usize {
        self.architecture.hidden
    }

    /// The state of every token, text after text. Products are shared among up to `tasks` rayon tasks.
    ///
    /// # Errors
    /// The token that is in no table.
    pub(super) fn run<'s>(
        &self,
        texts: &[&Tokens],
        tasks: usize,
        scratch: &'s mut Scratch,
    ) -> Result<&'s [f32], u32> {
        let mut starts = vec![0];
        starts.extend(texts.iter().scan(0, |end, text| {
            *end += text.ids.len();
            Some(*end)
        }));
        let rows = starts[texts.len()];
        let Architecture { hidden, heads, intermediate, .. } = self.architecture;
        scratch.hidden.clear();
        scratch.hidden.resize(rows * hidden, 0.0);
        scratch.attention.resize(rows * 3 * hidden, 0.0);
        scratch.by_head.resize(rows * hidden, 0.0);
        scratch.context.resize(rows * hidden, 0.0);
        scratch.intermediate.resize(rows.min(FEED_FORWARD_ROWS) * intermediate, 0.0);
        while scratch.heads.len() < tasks.max(1) {
            scratch.heads.push(HeadScratch::new(self.kernels));
        }
        self.embed(texts, &mut scratch.hidden)?;
        let shape = Shape { starts: &starts, heads, hidden, distances: self.distances.as_ref() };
        for layer in &self.layers {
            self.attend(layer, &shape, tasks, scratch);
            self.feed_forward(layer, tasks, scratch);
        }
        Ok(&scratch.hidden[..rows * hidden])
    }

    fn embed(&self, texts: &[&Tokens], states: &mut [f32]) -> Result<(), u32> {
        let mut rows = states.chunks_exact_mut(self.architecture.hidden);
        for text in texts {
            let padding = self.architecture.padding;
            let mut place = padding.map_or(0, |padding| padding + 1);
            for ((&id, &segment), state) in text.ids.iter().zip(&text.segments).zip(&mut rows) {
                // Where places are counted from behind the padding token, that token itself has no place of its own.
                let here = padding.filter(|padding| *padding == id as usize).unwrap_or_else(|| {
                    place += 1;
                    place - 1
                });
                let known = self.words.add_row(id as usize, state) && self.places.add_row(here, state);
                // A family with one segment has a tokenizer that numbers two.
                let segment = (segment as usize).min(self.architecture.segments.saturating_sub(1));
                let known = known && self.segments.as_ref().is_none_or(|table| table.add_row(segment, state));
                if !known {
                    return Err(id);
                }
            }
        }
        self.norm.apply(self.kernels, states);
        Ok(())
    }

    /// `hidden = norm(hidden + output(attention(hidden)))`.
    fn attend(&self, layer: &Layer, shape: &Shape<'_>, tasks: usize, scratch: &mut Scratch) {
        let (kernels, hidden) = (self.kernels, self.architecture.hidden);
        let rows = scratch.hidden.len() / hidden;
        let input = Rows::new(&scratch.hidden, rows, hidden, hidden);
        let into = RowsMut::new(&mut scratch.attention, rows, 3 * hidden, 3 * hidden);
        kernels.multiply(input, &Product { tasks, ..Product::new(&layer.attention) }, into);
        let heads = &mut scratch.heads[..tasks.max(1)];
        attention::attend(kernels, shape, &scratch.attention, &mut scratch.by_head, heads);
        attention::gather(shape, &scratch.by_head, &mut scratch.context);
        let input = Rows::new(&scratch.context, rows, hidden, hidden);
        let into = RowsMut::new(&mut scratch.hidden, rows, hidden, hidden);
        let product = Product { accumulate: true, tasks, ..Product::new(&layer.attention_output) };
        kernels.multiply(input, &product, into);
        layer.attention_norm.apply(kernels, &mut scratch.hidden);
    }

    /// `hidden = norm(hidden + output(activation(intermediate(hidden))))`, some rows at a time.
    fn feed_forward(&self, layer: &Layer, tasks: usize, scratch: &mut Scratch) {
        let Architecture { hidden, intermediate, activation, .. } = self.architecture;
        let kernels = self.kernels;
        let first = Product { activation, tasks, ..Product::new(&layer.intermediate) };
        let second = Product { accumulate: true, tasks, ..Product::new(&layer.output) };
        for states in scratch.hidden.chunks_mut(FEED_FORWARD_ROWS * hidden) {
            let rows = states.len() / hidden;
            let between = &mut scratch.intermediate;
            let input = Rows::new(states, rows, hidden, hidden);
            kernels.multiply(input, &first, RowsMut::new(between, rows, intermediate, intermediate));
            let input = Rows::new(between, rows, intermediate, intermediate);
            kernels.multiply(input, &second, RowsMut::new(states, rows, hidden, hidden));
            layer.output_norm.apply(kernels, states);
        }
    }
}

/// What loading a layer takes.
struct Loader<'a> {
    architecture: &'a Architecture,
    weights: &'a Weights,
    kernels: Kernels,
    precision: Precision,
}

impl Loader<'_> {
    fn layer(&self, index: usize) -> Result<Layer> {
        let names = match self.architecture.family {
            Family::Bert | Family::Roberta => &BERT,
            Family::DistilBert => &DISTILBERT,
            Family::Mpnet => &MPNET,
        };
        let name = |part: &str| format!("{}.{index}.{part}", names.layer);
        let Architecture { hidden, heads, intermediate, .. } = *self.architecture;
        let mut attention = self.linear(&name(names.query), hidden, hidden)?;
        let scale = 1.0 / ((hidden / heads) as f32).sqrt();
        attention.weight.iter_mut().chain(&mut attention.bias).for_each(|weight| *weight *= scale);
        for part in [names.key, names.value] {
            let part = self.linear(&name(part), hidden, hidden)?;
            attention.weight.extend(part.weight);
            attention.bias.extend(part.bias);
        }
        let norm = |part| LayerNorm::load(self.weights, &name(part), self.architecture);
        let packed = |part, inputs, outputs| -> Result<Packed> {
            Ok(self.pack(&self.linear(&name(part), inputs, outputs)?, inputs))
        };
        Ok(Layer {
            attention: self.pack(&attention, hidden),
            attention_output: packed(names.attention_output, hidden, hidden)?,
            attention_norm: norm(names.attention_norm)?,
            intermediate: packed(names.intermediate, hidden, intermediate)?,
            output: packed(names.output, intermediate, hidden)?,
            output_norm: norm(names.output_norm)?,
        })
    }

    fn linear(&self, name: &str, inputs: usize, outputs: usize) -> Result<Linear> {
        Ok(Linear {
            weight: self.weights.tensor(&format!("{name}.weight"), &[outputs, inputs])?.to_vec(),
            bias: self.weights.tensor(&format!("{name}.bias"), &[outputs])?.to_vec(),
        })
    }

    fn pack(&self, linear: &Linear, inputs: usize) -> Packed {
        let rows = Rows::new(&linear.weight, linear.bias.len(), inputs, inputs);
        self.kernels.linear(rows, &linear.bias, self.precision)
    }
}
