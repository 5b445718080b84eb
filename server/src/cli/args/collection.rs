//! The arguments of `ragstone collection`.

use clap::{Args, Subcommand, ValueEnum};
use ragstone::Metric;

#[derive(Debug, Subcommand)]
pub(crate) enum CollectionCommand {
    /// List the collections.
    List,
    /// Make a collection.
    Create(CreateArgs),
    /// Delete a collection with everything in it.
    Delete {
        /// Its name.
        name: String,
    },
    /// Describe a collection.
    Info {
        /// Its name.
        #[arg(default_value = "default")]
        name: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// Its name.
    pub(crate) name: String,
    /// The embedding model; the default one, unless --dimension is given.
    #[arg(long, value_name = "MODEL", conflicts_with = "dimension")]
    pub(crate) model: Option<String>,
    /// Components of the vectors that you supply yourself; such a collection has no model.
    #[arg(long)]
    pub(crate) dimension: Option<usize>,
    /// How near two vectors are.
    #[arg(long, value_enum, default_value = "cosine")]
    pub(crate) metric: MetricName,
    /// A payload field, as NAME=bool|int|float|string; may be repeated.
    #[arg(long = "field", value_name = "NAME=TYPE")]
    pub(crate) fields: Vec<String>,
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
