//! This program anew, in a process beside this one: it tells in lines of JSON on standard output, and ends when its standard input does.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use ragstone_benches::Failure;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

/// What starts a program so that it has of the processors what nobody else wants, and is interrupted whenever somebody does.
#[cfg(target_os = "linux")]
const LOWLY: [&str; 3] = ["chrt", "--idle", "0"];
/// The nearest that others have.
#[cfg(not(target_os = "linux"))]
const LOWLY: [&str; 3] = ["nice", "-n", "19"];

/// Ticks of a second in what Linux says of processes, whatever its own are.
const TICKS_PER_S: f64 = 100.0;

/// The process; it is killed if it is dropped.
pub(crate) struct Process {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Process {
    /// Starts one, and waits until it tells something. A lowly one competes with nobody for the processors.
    pub(crate) async fn start(arguments: &[String], is_lowly: bool) -> Result<(Process, Value), Failure> {
        let program = std::env::current_exe()?;
        let mut command = match is_lowly {
            true => {
                let [lower, as_arguments @ ..] = LOWLY;
                let mut command = Command::new(lower);
                command.args(as_arguments).arg(program);
                command
            }
            false => Command::new(program),
        };
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let started = command.spawn();
        let mut child = started.map_err(|error| match is_lowly {
            true => format!("a process is started by `{}`: {error}", LOWLY.join(" ")),
            false => format!("a process is not started: {error}"),
        })?;
        let output = child.stdout.take().ok_or("a process has no output")?;
        let mut process = Process { child, lines: BufReader::new(output).lines() };
        let told = process.lines.next_line().await?.ok_or("a process ended before it was ready")?;
        Ok((process, serde_json::from_str(&told)?))
    }

    /// Asks it to end, and waits for it; what it tells last, if it does.
    pub(crate) async fn end(mut self) -> Result<Option<Value>, Failure> {
        drop(self.child.stdin.take());
        let told = self.lines.next_line().await?;
        let status = self.child.wait().await?;
        if !status.success() {
            return Err(format!("a process ended with {status}").into());
        }
        Ok(told.map(|line| serde_json::from_str(&line)).transpose()?)
    }

    /// What the system has of it (Linux; none elsewhere).
    fn folder(&self) -> Option<PathBuf> {
        Some(PathBuf::from(format!("/proc/{}", self.child.id()?)))
    }

    /// The most memory that it had so far, in bytes (Linux; zero elsewhere).
    pub(crate) fn peak_bytes(&self) -> u64 {
        let status = self.folder().and_then(|folder| std::fs::read_to_string(folder.join("status")).ok());
        let status = status.unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kibibytes = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
        kibibytes.unwrap_or(0) * 1024
    }

    /// For how long its threads have computed so far (Linux; zero elsewhere).
    pub(crate) fn computed(&self) -> Duration {
        let stat = self.folder().and_then(|folder| std::fs::read_to_string(folder.join("stat")).ok());
        ticks(&stat.unwrap_or_default())
            .map_or(Duration::ZERO, |ticks| Duration::from_secs_f64(ticks as f64 / TICKS_PER_S))
    }

    /// For how long the threads that it has now were ready to compute and had no processor (Linux; zero elsewhere).
    pub(crate) fn kept_waiting(&self) -> Duration {
        let tasks = self.folder().and_then(|folder| std::fs::read_dir(folder.join("task")).ok());
        let of_task = |task: std::fs::DirEntry| {
            let stat = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
            stat.split_whitespace().nth(1)?.parse::<u64>().ok()
        };
        Duration::from_nanos(tasks.into_iter().flatten().flatten().filter_map(of_task).sum())
    }
}

/// Of a line of `/proc/PID/stat`: the ticks in which the process computed, by itself and in the system.
fn ticks(stat: &str) -> Option<u64> {
    // The program's name stands in parentheses, and may have any character.
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split_whitespace().skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_found_whatever_the_program_is_called() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 1 0 0 0 120 34 0 0 20 0 9 0 100 1 1";
        assert_eq!(ticks(stat), Some(154));
        assert_eq!(ticks(""), None);
    }
}
