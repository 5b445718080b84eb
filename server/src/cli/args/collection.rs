//! The arguments of `ragstone collection`.

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand, ValueEnum};
use ragstone::{Analyzer, Metric};
use ragstone_rag::ingest::ChunkOptions;

#[derive(Debug, Subcommand)]
pub(crate) enum CollectionCommand {
    /// List the collections.
    List,
    /// Make a collection.
    Create(CreateArgs),
    /// Add fields, or make fields searchable by word, without rewriting any point.
    AddField {
        /// The collection.
        name: String,
        /// The field, as NAME=bool|int|float|string|timestamp|strings|geo|json; several are several fields.
        #[arg(required_unless_present = "texts", value_name = "NAME=TYPE")]
        fields: Vec<String>,
        /// A string field, a new one or one that points have, to be searched by word; may be repeated. ANALYSER as for `create`.
        #[arg(long = "text", value_name = "FIELD[=ANALYSER]")]
        texts: Vec<String>,
        /// Only if the collection still has this etag, which `info` shows.
        #[arg(long, value_name = "ETAG", value_parser = NonEmptyStringValueParser::new())]
        if_etag: Option<String>,
    },
    /// Move a collection to another model while it serves: its texts are embedded again, then the new vectors replace the old ones from
    /// one moment to the next. After an interruption, the same command goes on from where it was.
    Reembed(super::ReembedArgs),
    /// Restore a collection of a snapshot while the others serve; it appears when all of it is there.
    Restore(super::RestoreCollectionArgs),
    /// Delete a collection with everything in it.
    Delete {
        /// Its name.
        name: String,
        /// Only if the collection still has this etag, which `info` shows.
        #[arg(long, value_name = "ETAG", value_parser = NonEmptyStringValueParser::new())]
        if_etag: Option<String>,
    },
    /// Describe a collection.
    Info {
        /// Its name.
        #[arg(default_value = "default")]
        name: String,
    },
}

const EXAMPLES: &str = "\
Examples:
  ragstone collection create notes                                    for documents, with the default model
  ragstone collection create code --chunk 400/40 --analyzer code      documents that are source code, in larger chunks
  ragstone collection create papers --text title --text body=german --strict
  ragstone collection create images --dimension 512 --metric dot --options encoding=int8,degree=48
  ragstone collection create papers --dimension 384 --vector title=384:cosine --sparse words --multi tokens=128
  ragstone collection create chats --tenant customer                  a filter names the customer: --where customer=acme
  ragstone collection create events --no-vector --field at=timestamp --field where=geo --strict";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CreateArgs {
    /// Its name.
    pub(crate) name: String,
    /// The embedding model; the default one, unless --dimension is given.
    #[arg(long, value_name = "MODEL", conflicts_with = "dimension")]
    pub(crate) model: Option<String>,
    /// Components of the vectors that you supply yourself; such a collection has no model.
    #[arg(long)]
    pub(crate) dimension: Option<usize>,
    /// Neither model nor vectors of a default name: points have named vectors, or fields alone.
    #[arg(long, conflicts_with_all = ["model", "dimension"])]
    pub(crate) no_vector: bool,
    /// How near two vectors are.
    #[arg(long, value_enum, default_value = "cosine")]
    pub(crate) metric: MetricName,
    /// How the default vector is stored and walked: element=f16, encoding=int8, walk=128, degree=48, ef=200; by commas.
    #[arg(long, value_name = "OPTIONS", default_value = "", hide_default_value = true)]
    pub(crate) options: String,
    /// A further vector of DIM components; may be repeated. METRIC is cosine, dot or l2; options as with --options.
    #[arg(long = "vector", value_name = "NAME=DIM[:METRIC][:OPTIONS]")]
    pub(crate) vectors: Vec<String>,
    /// A sparse vector, as of SPLADE; may be repeated.
    #[arg(long, value_name = "NAME")]
    pub(crate) sparse: Vec<String>,
    /// Many vectors for each point, as of ColBERT; may be repeated. METRIC is cosine or dot.
    #[arg(long, value_name = "NAME=DIM[:METRIC][:element=f16]")]
    pub(crate) multi: Vec<String>,
    /// A payload field, as NAME=bool|int|float|string|timestamp|strings|geo|json; may be repeated.
    #[arg(long = "field", value_name = "NAME=TYPE")]
    pub(crate) fields: Vec<String>,
    /// A string field that is searched by word; may be repeated. ANALYSER is standard, code, or a language: english, german …
    #[arg(long = "text", value_name = "FIELD[=ANALYSER]")]
    pub(crate) texts: Vec<String>,
    /// How documents are split: tokens of a chunk at most and, of one long text, tokens that neighbours share; 240/30 by default.
    #[arg(long, visible_alias = "chunk-tokens", value_name = "TOKENS[/OVERLAP]")]
    pub(crate) chunk: Option<ChunkOptions>,
    /// How documents become words: standard, code, or a language: english (the default), german …
    #[arg(long, value_name = "ANALYSER")]
    pub(crate) analyzer: Option<Analyzer>,
    /// The field whose value is a point's tenant: each read names one in its filter, and costs little more than its points cost.
    #[arg(long, value_name = "FIELD")]
    pub(crate) tenant: Option<String>,
    /// Refuse fields that are not declared.
    #[arg(long)]
    pub(crate) strict: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum MetricName {
    /// The cosine of the angle.
    Cosine,
    /// The inner product.
    Dot,
    /// The Euclidean distance.
    L2,
}

impl From<MetricName> for Metric {
    fn from(value: MetricName) -> Self {
        match value {
            MetricName::Cosine => Metric::Cosine,
            MetricName::Dot => Metric::Dot,
            MetricName::L2 => Metric::L2,
        }
    }
}
