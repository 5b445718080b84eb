//! The command line: arguments in, one command run, an exit code out.
//!
//! Every command works on a local directory (`--data`) or on a server (`--url`) through the one trait
//! [`backend::Backend`]; a command never asks which it has. Answers go to standard output, everything about the work
//! itself (progress, skipped files, errors) to standard error, so that `--json` output can be piped.
//!
//! Exit codes: 0 done, 1 failed (the reason is on standard error), 2 arguments that make no sense, 3 done but for a part that was left
//! out (documents that could not be read), 130 interrupted.

mod args;
mod backend;
mod command;
mod json;
mod moment;
mod output;
mod pdf;
mod progress;

use std::process::ExitCode;

/// Parses the arguments and runs the command.
pub(crate) fn main() -> ExitCode {
    // Before anything is looked at that a user says: what is asked for here, this program asks of itself.
    if std::env::args_os().nth(1).is_some_and(|first| first == pdf::COMMAND) {
        return pdf::read();
    }
    let arguments = args::Arguments::of_process();
    match command::run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if output::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let incomplete = error.downcast_ref::<output::Incomplete>().map(|incomplete| incomplete.code);
            // It may tell what others wrote: values, names, the words of a server.
            output::note(format_args!("ragstone: {}", output::harmless_lines(&output::causes(&error))));
            incomplete.map_or(ExitCode::FAILURE, ExitCode::from)
        }
    }
}
