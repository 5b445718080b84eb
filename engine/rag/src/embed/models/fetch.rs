//! What the sources of models have in common.

use std::path::Path;

use crate::progress::Progress;

/// A place that models are fetched from.
pub(super) trait Source {
    /// The place in words, for whoever asks where the model came from.
    fn label(&self) -> String;

    /// The place and what is asked of it, for errors.
    fn describe(&self, repository: &str) -> String;

    /// Puts a model's files into an empty directory; an error says why not, and the directory is thrown away.
    fn fetch(&self, repository: &str, into: &Path, progress: &dyn Progress) -> Result<(), String>;
}

/// Ends the task that it stands for, however the work is left.
pub(super) struct Task<'a>(pub(super) &'a dyn Progress);

impl<'a> Task<'a> {
    pub(super) fn begin(progress: &'a dyn Progress, what: &str, total: Option<u64>) -> Task<'a> {
        progress.begin(what, total, "B");
        Task(progress)
    }
}

impl Drop for Task<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}
