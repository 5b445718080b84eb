//! The words that lie beside segments. They are made of the rows, so nothing is lost with them: damaged ones go, and all where something
//! else is not as it was, as they may be of rows that are no more like that. They are made again when the database is opened.

use super::files::{self, Kind};
use super::repair::Repair;
use crate::dir::{Dir, FailingDir};
use crate::error::Result;
use crate::verify::Damage;

/// The damaged places of the files with words among these.
pub(super) fn check(dir: &FailingDir, names: &[String]) -> Result<Vec<Damage>> {
    let mut damaged = Vec::new();
    for name in names.iter().filter(|name| Kind::of(name) == Some(Kind::Words)) {
        damaged.extend(files::damaged_blocks(dir, name)?);
    }
    Ok(damaged)
}

impl Repair {
    /// Removes words that are damaged, or all of them. Before the manifest is replaced: without them it is right as well.
    pub(super) fn words(&mut self, are_stale: bool) -> Result<()> {
        let names = self.dir.list()?;
        let damaged = check(&self.dir, &names)?;
        self.keep(&damaged)?;
        let is_damaged = |name: &String| damaged.iter().any(|damage| damage.file == self.dir.file_path(name));
        let is_useless =
            |name: &&String| Kind::of(name) == Some(Kind::Words) && (are_stale || is_damaged(name));
        let useless: Vec<&String> = names.iter().filter(is_useless).collect();
        if useless.is_empty() {
            return Ok(());
        }
        self.report.actions.push(format!(
            "{} files with words of fields are removed; they are made anew when the database is opened",
            useless.len()
        ));
        if self.is_dry_run {
            return Ok(());
        }
        useless.into_iter().try_for_each(|name| self.dir.remove(name))?;
        self.dir.sync()
    }
}
