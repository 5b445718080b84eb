//! Progress on standard error: bars on a terminal, one line at the start and the end of a task elsewhere.

use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressStyle};
use ragstone_rag::progress::Progress;

use super::output;

/// Shows the progress of the task in hand.
pub(crate) struct Bars {
    quiet: bool,
    terminal: bool,
    // Tasks follow each other but report from worker threads.
    task: Mutex<Option<Task>>,
}

struct Task {
    bar: ProgressBar,
    what: String,
    unit: &'static str,
    started: Instant,
}

impl Bars {
    /// Bars, or nothing at all when `quiet`.
    pub(crate) fn new(quiet: bool) -> Self {
        Self { quiet, terminal: std::io::stderr().is_terminal(), task: Mutex::new(None) }
    }

    fn task(&self) -> std::sync::MutexGuard<'_, Option<Task>> {
        self.task.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Progress for Bars {
    fn begin(&self, what: &str, total: Option<u64>, unit: &'static str) {
        if self.quiet {
            return;
        }
        self.end();
        let bar = if self.terminal { ProgressBar::new(total.unwrap_or(0)) } else { ProgressBar::hidden() };
        if total.is_none() {
            bar.unset_length();
        }
        bar.set_style(style(total.is_some(), unit));
        bar.set_message(what.to_owned());
        bar.enable_steady_tick(Duration::from_millis(120));
        if !self.terminal {
            let size = total.map_or(String::new(), |total| format!(" ({})", amount(total, unit)));
            output::note(format_args!("{what}{size}"));
        }
        *self.task() = Some(Task { bar, what: what.to_owned(), unit, started: Instant::now() });
    }

    fn advance(&self, amount: u64) {
        if let Some(task) = self.task().as_ref() {
            task.bar.inc(amount);
        }
    }

    fn detail(&self, text: &str) {
        if let Some(task) = self.task().as_ref() {
            task.bar.set_message(format!("{}: {text}", task.what));
        }
    }

    fn end(&self) {
        let Some(task) = self.task().take() else { return };
        task.bar.finish_and_clear();
        let (done, seconds) = (task.bar.position(), task.started.elapsed().as_secs_f64());
        if done > 0 {
            output::note(format_args!("{}: {} in {seconds:.1} s", task.what, amount(done, task.unit)));
        }
    }

    fn note(&self, line: &str) {
        // Not how far the work is, but what it left out or met: whoever wants no progress is told that, too.
        match self.task().as_ref() {
            Some(task) if self.terminal => task.bar.suspend(|| output::note(line)),
            _ => output::note(line),
        }
    }
}

fn amount(count: u64, unit: &str) -> String {
    if unit == "B" { HumanBytes(count).to_string() } else { format!("{} {unit}", HumanCount(count)) }
}

fn style(sized: bool, unit: &str) -> ProgressStyle {
    let template = match (sized, unit) {
        (true, "B") => "{msg} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec} ETA {eta}",
        (false, "B") => "{msg} {spinner} {bytes} {bytes_per_sec}",
        (true, _) => "{msg} [{bar:30}] {human_pos}/{human_len} ETA {eta}",
        (false, _) => "{msg} {spinner} {human_pos}",
    };
    ProgressStyle::with_template(template).expect("the templates above are well-formed").progress_chars("=> ")
}
