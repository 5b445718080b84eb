//! `torture --minutes N --seed S [--dir DIR] [--mutant NAME]`: kills a store again and again, and compares what is left
//! with what was acknowledged.
//!
//! Prints one line of JSON. Exit status: 0 if nothing was lost, 1 if anything was or snapshots were hardly tried, 2 for
//! arguments that make no sense; with `--mutant`, 0 if the broken store was found out, 1 if not.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use ragstone_tests::torture::{Mistake, Torture, Writer};

const USAGE: &str = "usage: torture [--minutes N] [--seed S] [--dir DIR] [--mutant NAME]";

#[derive(Default)]
struct Arguments {
    minutes: Option<f64>,
    seed: u64,
    dir: Option<PathBuf>,
    mistake: Option<Mistake>,
}

impl Arguments {
    fn parse(words: &[String]) -> Result<Self, String> {
        let mut arguments = Self::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
            let wrong = |_| format!("{word} {value}: not a number");
            match word.as_str() {
                "--minutes" => {
                    let minutes = value.parse().map_err(|_| format!("{word} {value}: not a number"))?;
                    arguments.minutes = Some(minutes).filter(|minutes| (0.0..1e6).contains(minutes));
                }
                "--seed" => arguments.seed = value.parse().map_err(wrong)?,
                "--dir" => arguments.dir = Some(value.into()),
                "--mutant" => arguments.mistake = Some(mistake(value)?),
                _ => return Err(format!("there is no option {word}")),
            }
        }
        Ok(arguments)
    }
}

fn mistake(name: &str) -> Result<Mistake, String> {
    let known: Vec<&str> = Mistake::all().map(Mistake::name).collect();
    Mistake::named(name).ok_or_else(|| format!("--mutant {name}: none of {}", known.join(", ")))
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let Some((first, rest)) = words.split_first()
        && first == "writer"
    {
        return write(rest);
    }
    match Arguments::parse(&words).map_err(|reason| format!("{reason}\n{USAGE}")).and_then(torture) {
        Ok(code) => code,
        Err(reason) => {
            eprintln!("torture: {reason}");
            ExitCode::from(2)
        }
    }
}

fn write(words: &[String]) -> ExitCode {
    let Some(writer) = Writer::parse(words) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match writer.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn torture(arguments: Arguments) -> Result<ExitCode, String> {
    let own = tempfile::tempdir().map_err(|error| error.to_string())?;
    let torture = Torture {
        program: std::env::current_exe().map_err(|error| error.to_string())?,
        dir: arguments.dir.unwrap_or_else(|| own.path().to_path_buf()),
        seed: arguments.seed,
        time: Duration::from_secs_f64(60.0 * arguments.minutes.unwrap_or(1.0)),
        mistake: arguments.mistake,
    };
    let report = torture.run().map_err(|error| error.to_string())?;
    println!("{}", report.json());
    // Only a finding finds a mistake out.
    let untried = report.untried().filter(|_| torture.mistake.is_none());
    if let Some(reason) = &untried {
        eprintln!("torture: {reason}");
    }
    let is_as_it_should_be = report.findings.is_empty() == torture.mistake.is_none() && untried.is_none();
    if !is_as_it_should_be || torture.mistake.is_some() {
        // What was left is worth a look.
        eprintln!("the databases are in {}", torture.dir.display());
    }
    if !report.findings.is_empty() && torture.mistake.is_none() {
        let _ = own.keep();
    }
    Ok(if is_as_it_should_be { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
