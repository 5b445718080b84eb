//! The cycles: start a writer, kill it where the turn says, perhaps kill its recovery too, open, verify, compare; and
//! compare what is in the archive.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use ragstone::{Db, Verify};

use super::compare::{Findings, compare, make_shared};
use super::copies::Answers;
use super::mistake::Mistake;
use super::model::{Answer, Model};
use super::restored::Archive;
use super::rows::Random;
use super::workload::{Workload, options};
use super::writer::{Stop, Writer};

/// What a process is killed in.
const KINDS: [&str; 5] = ["write", "seal", "merge", "snapshot", "recovery"];
/// The kinds that a writer is killed in, in turn; its recovery may be killed after each.
const IN_TURN: [&str; 4] = ["write", "seal", "merge", SNAPSHOT];
const SNAPSHOT: &str = "snapshot";
const RECOVERY: &str = "recovery";
/// A writer that says nothing for so long hangs.
const PATIENCE: Duration = Duration::from_secs(30);
/// A fail point that is not come to for so long is not waited for.
const POINT_PATIENCE: Duration = Duration::from_secs(4);

/// What to run.
#[derive(Clone, Debug)]
pub struct Torture {
    /// This program, which the writers run.
    pub program: PathBuf,
    /// Where the database is made.
    pub dir: PathBuf,
    /// Of everything that is left to chance.
    pub seed: u64,
    /// For how long.
    pub time: Duration,
    /// How the store is wrong; then the first finding is enough.
    pub mistake: Option<Mistake>,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Databases that were killed, opened and compared.
    pub cycles: u64,
    /// Operations that were acknowledged.
    pub acknowledged: u64,
    /// What was wrong.
    pub findings: Findings,
    kills: BTreeMap<&'static str, u64>,
    snapshots: Answers,
}

impl Report {
    /// Why it says nothing of snapshots that nothing is wrong, if so.
    pub fn untried(&self) -> Option<String> {
        let Answers { taken, gave_way } = self.snapshots;
        self.snapshots
            .are_mostly_refusals()
            .then(|| format!("{gave_way} snapshots gave way to a collection, and only {taken} were taken"))
    }

    /// One line of JSON.
    pub fn json(&self) -> String {
        let kills: Vec<String> = KINDS
            .iter()
            .map(|kind| format!("\"{kind}\":{}", self.kills.get(kind).copied().unwrap_or_default()))
            .collect();
        let Findings { lost, phantom, corrupt, .. } = self.findings;
        format!(
            "{{\"cycles\":{},\"acknowledged\":{},\"lost\":{lost},\"phantom\":{phantom},\"corrupt\":{corrupt},\
             \"kills_in\":{{{}}}}}",
            self.cycles,
            self.acknowledged,
            kills.join(",")
        )
    }
}

/// One database, from its making to its first fault.
struct Life<'a> {
    torture: &'a Torture,
    dir: PathBuf,
    seed: u64,
    archive: Archive,
    model: Model,
    random: Random,
}

impl Torture {
    /// Runs until the time is over.
    ///
    /// # Errors
    /// What keeps the torture itself from running.
    pub fn run(&self) -> Result<Report, Box<dyn std::error::Error>> {
        if let Some(mistake) = self.mistake {
            mistake.make();
        }
        let end = Instant::now() + self.time;
        let mut report = Report::default();
        for number in 0.. {
            let mut life = Life::begin(self, number)?;
            while Instant::now() < end && life.cycle(&mut report) {}
            report.acknowledged += life.model.acknowledged;
            report.snapshots.add(life.model.copies.answers);
            let is_over = Instant::now() >= end || (self.mistake.is_some() && !report.findings.is_empty());
            if is_over {
                break;
            }
        }
        Ok(report)
    }
}

impl<'a> Life<'a> {
    /// After a fault the next database is another one: what it was is kept, to be looked at.
    fn begin(torture: &'a Torture, number: u64) -> Result<Self, Box<dyn std::error::Error>> {
        let dir = torture.dir.join(format!("torture-{number}"));
        let archive = Archive::begin(&dir)?;
        let seed = torture.seed.wrapping_add(number << 32);
        let model = Model::new(Workload::new(seed));
        let db = Db::open_with(&dir, options(model.clock))?;
        make_shared(&db)?;
        Ok(Self { torture, dir, seed, archive, model, random: Random(seed) })
    }

    /// Kills, opens, compares. Says whether all is well.
    fn cycle(&mut self, report: &mut Report) -> bool {
        let mut findings = Findings::default();
        self.model.go_on();
        let kind = IN_TURN[report.cycles as usize % IN_TURN.len()];
        // Half of the writes are killed where they happen to be.
        let stop = (kind != "write" || self.random.below(2) == 0).then_some(kind);
        let (count, acknowledgements) = (1 + self.random.below(60), 1 + self.random.below(400));
        // Of those in a snapshot some are killed on the way to the next point.
        let waits = kind != SNAPSHOT || self.random.below(3) > 0;
        let stop = stop.map(|kind| Stop { work: kind.into(), count: count as i64, waits });
        let mut killed = vec![self.kill(stop.map(|stop| (kind, stop)), acknowledgements, &mut findings)];
        while self.random.below(2) == 0 && findings.is_empty() {
            let count = 1 + self.random.below(30);
            let stop = Stop { work: RECOVERY.into(), count: count as i64, waits: true };
            killed.push(self.kill(Some((RECOVERY, stop)), 0, &mut findings));
        }
        killed.iter().flatten().for_each(|kind| *report.kills.entry(kind).or_default() += 1);
        self.model.stop();
        findings.add(self.compare());
        if findings.is_empty() {
            let was_snapshot = killed.contains(&Some(SNAPSHOT));
            findings.add(self.archive.compare(&mut self.model, &mut self.random, was_snapshot));
        }
        report.cycles += 1;
        let is_well = findings.is_empty();
        for story in findings.stories.iter().take(20) {
            eprintln!("{}, cycle {}, killed in {killed:?}: {story}", self.dir.display(), report.cycles);
        }
        report.findings.add(findings);
        is_well
    }

    /// Lets a writer write until it stops where it is to, or acknowledged so much; kills it; says what it was killed in,
    /// if that counts: one that is to be killed while it recovers and has too little to recover is ended and counts for
    /// nothing.
    fn kill(
        &mut self,
        stop: Option<(&'static str, Stop)>,
        acknowledgements: u64,
        findings: &mut Findings,
    ) -> Option<&'static str> {
        let first: Vec<u64> = self.model.threads.iter().map(|thread| thread.next).collect();
        let writer = Writer {
            dir: self.dir.clone(),
            seed: self.seed,
            clock: self.model.clock,
            unanswered: self.model.workload.unanswered_near(&first),
            first,
            stop: stop.as_ref().map(|(_, stop)| stop.clone()),
            mistake: self.torture.mistake,
        };
        let (mut child, lines) = match start(&self.torture.program, &writer) {
            Ok(started) => started,
            Err(error) => {
                findings.corrupt(format!("cannot start a writer: {error}"));
                return None;
            }
        };
        let kind = stop.map(|(kind, _)| kind);
        let is_recovery = kind == Some(RECOVERY);
        let mut killed = (!is_recovery).then_some("write");
        let (mut acknowledged, begun) = (0, Instant::now());
        loop {
            let line = match lines.recv_timeout(PATIENCE) {
                Ok(line) => line,
                Err(RecvTimeoutError::Timeout) => {
                    findings.corrupt("the writer hangs".into());
                    break;
                }
                Err(RecvTimeoutError::Disconnected) => {
                    findings.corrupt("the writer ended by itself; its last words are above".into());
                    break;
                }
            };
            if line.starts_with("p ") {
                killed = kind;
                break;
            }
            acknowledged += self.hear(&line, findings);
            let is_late = kind.is_none() || begun.elapsed() > POINT_PATIENCE;
            if (is_recovery && line == "open") || (is_late && acknowledged >= acknowledgements) {
                break;
            }
        }
        // SIGKILL. What it said before is still in the pipe.
        let _ = child.kill();
        let _ = child.wait();
        for line in lines {
            self.hear(&line, findings);
        }
        killed
    }

    /// Takes in what the writer says; how many operations it acknowledged.
    fn hear(&mut self, line: &str, findings: &mut Findings) -> u64 {
        let mut words = line.split(' ');
        let (kind, thread, number) = (words.next(), words.next(), words.next());
        let numbers =
            thread.and_then(|word| word.parse().ok()).zip(number.and_then(|word| word.parse().ok()));
        match (kind, numbers) {
            (Some("s"), Some((thread, number))) => self.model.submit(thread, number),
            (Some("a"), Some((thread, number))) => {
                let mut answer = words.map(|word| word.parse::<u64>().ok());
                let (seq, deleted) = (answer.next().flatten(), answer.next().flatten());
                let answer = Answer { seq, deleted: deleted.unwrap_or_default() };
                if let Err(reason) = self.model.acknowledge(thread, number, answer) {
                    findings.corrupt(format!("{line}: {reason}"));
                }
                return 1;
            }
            (Some("t"), _) => findings.phantom(line.to_owned()),
            (Some("b"), Some((thread, number))) => self.model.give_way(thread, number),
            (Some("m"), Some((thread, position))) => self.model.copies.reach(thread, position),
            (Some("d"), _) => self.model.copies.delete(number.unwrap_or_default()),
            (Some("l"), _) => findings.lost(line.to_owned()),
            (Some("x"), _) => findings.corrupt(line.to_owned()),
            _ => {}
        }
        0
    }

    /// Opens, verifies and compares.
    fn compare(&mut self) -> Findings {
        let mut options = options(self.model.clock);
        options.verify = Verify::OnOpen;
        options.background = self.random.below(2) == 0;
        let compared = catch_unwind(AssertUnwindSafe(|| match Db::open_with(&self.dir, options) {
            Ok(db) => compare(&db, &mut self.model, &mut self.random),
            Err(error) => {
                let mut findings = Findings::default();
                findings.corrupt(format!("opening: {error}"));
                findings.lost_rows(self.model.live_rows());
                findings
            }
        }));
        compared.unwrap_or_else(|_| {
            let mut findings = Findings::default();
            findings.corrupt("reading panicked".into());
            findings
        })
    }
}

/// Starts a writer; what it says comes line by line, whole lines only: a cut one promises nothing.
fn start(program: &Path, writer: &Writer) -> std::io::Result<(Child, Receiver<String>)> {
    let mut child = Command::new(program).args(writer.arguments()).stdout(Stdio::piped()).spawn()?;
    let (sender, receiver) = channel();
    let mut out = BufReader::new(child.stdout.take().ok_or_else(|| std::io::Error::other("no pipe"))?);
    std::thread::spawn(move || {
        let mut line = String::new();
        while out.read_line(&mut line).is_ok_and(|bytes| bytes > 0) && line.ends_with('\n') {
            if sender.send(line.trim_end().to_owned()).is_err() {
                return;
            }
            line.clear();
        }
    });
    Ok((child, receiver))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_took_hardly_any_snapshot_says_so() {
        let report = |taken, gave_way| Report { snapshots: Answers { taken, gave_way }, ..Report::default() };
        assert_eq!(report(40, 9).untried(), None);
        assert!(report(9, 40).untried().unwrap().contains("40 snapshots gave way"));
        assert_eq!(report(9, 40).json(), report(40, 9).json(), "the line is read by programs");
    }
}
