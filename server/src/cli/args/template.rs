//! The arguments of `ragstone template`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use ragstone_rag::prompt::{DataMarking, TemplateName};

const EXAMPLES: &str = "\
A template has two parts, each begun by a line of its own: {% system %}, what the model is told, and {% user %}, what the user is taken to say, with the
question and the passages. `ragstone template show` prints the built-in one, as a beginning.
Examples:
  ragstone template show > answer.jinja
  ragstone template register answer answer.jinja
  ragstone ask --template answer 'When does the lease end?'";

#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(crate) enum TemplateCommand {
    /// Register a file as the next version of a name, unless the newest version says the same.
    Register {
        /// The name: letters, digits, `_`, `-` and `.`.
        name: String,
        /// The file.
        file: PathBuf,
    },
    /// List versions.
    List {
        /// Only those of this name.
        name: Option<String>,
    },
    /// Print a template.
    Show {
        /// The newest version unless one is named; the built-in template if left out.
        #[arg(value_name = "NAME[@VERSION]")]
        template: Option<TemplateName>,
    },
    /// Render a template with sample passages.
    Preview(PreviewArgs),
    /// Remove a version, or all of a name.
    Delete {
        /// All versions unless one is named.
        #[arg(value_name = "NAME[@VERSION]")]
        template: TemplateName,
    },
}

#[derive(Debug, Args)]
pub(crate) struct PreviewArgs {
    /// A registered template; the built-in one if neither this nor a file is named.
    #[arg(value_name = "NAME[@VERSION]", conflicts_with = "file")]
    pub(crate) template: Option<TemplateName>,
    /// The template in this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// The question; "When does the lease end?" where there is no conversation either.
    #[arg(long, value_name = "QUESTION")]
    pub(crate) question: Option<String>,
    /// Ask at the end of this conversation, as `ask --messages` has it; with a question, that comes last.
    #[arg(long, value_name = "FILE")]
    pub(crate) messages: Option<String>,
    /// A passage: a text, or {"document": "…", "heading": "…", "text": "…"}; may be repeated.
    #[arg(long = "passage", value_name = "TEXT", default_value = "The lease ends on 31 May 2027.")]
    pub(crate) passages: Vec<String>,
    /// How passages are marked as quoted: off, lines or words.
    #[arg(long, default_value_t, value_name = "MARKING")]
    pub(crate) data_marking: DataMarking,
}
