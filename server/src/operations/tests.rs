//! Operations begin, end once, survive a restart, and are bounded in number.

use std::sync::mpsc;

use ragstone::{CancelToken, Db};
use tonic::{Code, Status};

use super::tally::Tally;
use super::{Asked, Kind, Operation, Operations, Outcome, State};
use crate::limits::{OPERATIONS_KEPT_MAX, OPERATIONS_RUNNING_MAX};
use crate::logs::lines::{Lines, Written};
use crate::status;

fn asked(kind: Kind, target: &str) -> Asked {
    Asked { kind, target: target.to_owned(), arguments: [("model".to_owned(), "m".to_owned())].into() }
}

/// How those of a kind ended, as metrics tell it; every kind is there.
fn tally(operations: &Operations, kind: Kind) -> Tally {
    let tallies = operations.tallies();
    let tally = tallies.by_kind().find_map(|(of, tally)| (of == kind).then_some(tally));
    tally.unwrap_or_else(|| panic!("{kind:?}"))
}

async fn end(operations: &Operations, id: &str) -> Operation {
    let mut watch = operations.watch(id).unwrap();
    watch.wait_for(Operation::has_ended).await.unwrap().clone()
}

/// A job that goes on until it is told to end, by its token or by the sender's end.
fn waiting() -> (mpsc::Sender<()>, impl FnOnce(&super::Report, &CancelToken) -> Result<Outcome, Status> + Send)
{
    let (release, released) = mpsc::channel::<()>();
    let job = move |_: &super::Report, cancel: &CancelToken| {
        while released.try_recv() == Err(mpsc::TryRecvError::Empty) {
            if cancel.is_cancelled() {
                return Err(status::operation_cancelled());
            }
            std::thread::yield_now();
        }
        Ok(Outcome::from([("name".to_owned(), "s1".to_owned())]))
    };
    (release, job)
}

#[tokio::test]
async fn each_ends_once_and_is_kept_over_a_restart() {
    use ragstone_rag::progress::Progress as _;
    let db = Db::in_memory().unwrap();
    let (operations, interrupted) = Operations::open(db.clone());
    assert!(interrupted.is_empty());
    let succeeds = operations
        .begin(asked(Kind::TakeSnapshot, "a"), |report, _| {
            report.begin("snapshot", Some(3), "B");
            report.advance(2);
            Ok(Outcome::from([("name".to_owned(), "s1".to_owned())]))
        })
        .unwrap();
    assert_eq!(succeeds.state, State::Running);
    let done = end(&operations, &succeeds.id).await;
    assert_eq!((done.state, done.progress.done, done.progress.total), (State::Succeeded, 2, Some(3)));
    assert_eq!((done.result["name"].as_str(), done.progress.stage.as_str()), ("s1", "snapshot"));

    let fails = operations
        .begin(asked(Kind::VerifySnapshot, "a"), |_, _| Err(status::snapshot_damaged("broken".into())))
        .unwrap();
    let failed = end(&operations, &fails.id).await;
    let problem = failed.error.clone().unwrap();
    assert_eq!(
        (failed.state, problem.code, problem.message.as_str()),
        (State::Failed, Code::DataLoss as i32, "broken")
    );
    assert!(!problem.details.is_empty());

    let panics = operations.begin(asked(Kind::VerifySnapshot, "b"), |_, _| panic!("deliberate")).unwrap();
    let panicked = end(&operations, &panics.id).await;
    let last_failure_us = Some(panicked.updated_us);
    assert_eq!(panicked.error.unwrap().code, Code::Internal as i32);

    let (_held, job) = waiting();
    let cancelled = operations.begin(asked(Kind::TakeSnapshot, "a"), job).unwrap();
    operations.cancel(&cancelled.id).unwrap();
    assert_eq!(end(&operations, &cancelled.id).await.state, State::Cancelled);
    // What has ended stays as it is.
    assert_eq!(operations.cancel(&succeeds.id).unwrap(), done);
    assert!(succeeds.id < fails.id && fails.id < cancelled.id, "later ids are higher");
    let last_success_us = Some(done.updated_us);
    let taken = Tally { succeeded: 1, cancelled: 1, last_success_us, ..Tally::default() };
    assert_eq!(tally(&operations, Kind::TakeSnapshot), taken);
    let verified = Tally { failed: 2, last_failure_us, ..Tally::default() };
    assert_eq!(tally(&operations, Kind::VerifySnapshot), verified);
    assert_eq!(tally(&operations, Kind::Export), Tally::default());

    operations.delete(&fails.id).unwrap();
    assert_eq!(operations.delete(&fails.id).unwrap_err().code(), Code::NotFound);
    let before = operations.list();
    let (again, interrupted) = Operations::open(db);
    assert_eq!(again.list(), before);
    assert!(interrupted.is_empty());
    // Counts begin anew; how old the last snapshot is stays known, and when one failed.
    let taken = Tally { last_success_us, ..Tally::default() };
    assert_eq!(tally(&again, Kind::TakeSnapshot), taken);
    let verified = Tally { last_failure_us, ..Tally::default() };
    assert_eq!(tally(&again, Kind::VerifySnapshot), verified);
}

#[tokio::test]
async fn what_ran_when_the_server_stopped_goes_on_or_was_cut_off() {
    let db = Db::in_memory().unwrap();
    let (operations, _) = Operations::open(db.clone());
    let (_held, job) = waiting();
    let reembed = operations.begin(asked(Kind::Reembed, "a"), job).unwrap();
    let (_held, job) = waiting();
    let snapshot = operations.begin(asked(Kind::TakeSnapshot, "a"), job).unwrap();
    let mut watch = operations.watch(&reembed.id).unwrap();
    operations.stop().await;
    assert!(watch.wait_for(Operation::has_ended).await.is_err(), "nobody waits for what goes on later");
    let refused = operations.begin(asked(Kind::TakeSnapshot, "b"), |_, _| Ok(Outcome::new())).unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);

    let (operations, interrupted) = Operations::open(db.clone());
    assert_eq!(interrupted.iter().map(|of| &of.id).collect::<Vec<_>>(), [&reembed.id]);
    assert_eq!(interrupted[0].asked, reembed.asked);
    let cut_off = operations.get(&snapshot.id).unwrap();
    // Who ended with it counted it, and was asked no more.
    let cut = Tally { last_failure_us: Some(cut_off.updated_us), ..Tally::default() };
    assert_eq!(tally(&operations, Kind::TakeSnapshot), cut);
    assert_eq!((cut_off.state, cut_off.error.unwrap().code), (State::Failed, Code::Aborted as i32));
    operations.resume(&reembed.id, |_, _| Ok(Outcome::new()));
    assert_eq!(end(&operations, &reembed.id).await.state, State::Succeeded);

    // A process that dies ends nothing: what it left says that it runs.
    let kinds =
        [Kind::TakeSnapshot, Kind::VerifySnapshot, Kind::Export, Kind::Import, Kind::RestoreCollection];
    for kind in kinds {
        let (_held, job) = waiting();
        let dies = operations.begin(asked(kind, "c"), job).unwrap();
        let lines = Lines::begin();
        let (later, interrupted) = Operations::open(db.clone());
        assert!(interrupted.is_empty());
        let cut_off = later.get(&dies.id).unwrap();
        let cut = Tally { failed: 1, last_failure_us: Some(cut_off.updated_us), ..Tally::default() };
        assert_eq!(tally(&later, kind), cut, "{kind:?}");
        let text = lines.text();
        let line = text.lines().find(|line| line.contains(&dies.id));
        assert!(line.is_some_and(|line| line.contains("WARN") && line.contains("code=Aborted")), "{text}");
        let problem = cut_off.error.unwrap();
        assert_eq!((cut_off.state, problem.code), (State::Failed, Code::Aborted as i32), "{kind:?}");
        assert!(problem.message.starts_with("the server stopped while"), "{}", problem.message);
        operations.cancel(&dies.id).unwrap();
        end(&operations, &dies.id).await;
    }
}

/// The line had two `target`s as JSON, and a reader of it found the module's name where the snapshot or the collection was to be.
#[tokio::test]
async fn a_line_of_json_says_what_an_operation_was_about() {
    // The process logs, so that the subscriber of this thread is not the only one: see [`Lines`].
    let _lines = Lines::begin();
    let (operations, _) = Operations::open(Db::in_memory().unwrap());
    let begun = operations.begin(asked(Kind::Export, "notes"), |_, _| Ok(Outcome::new())).unwrap();
    let succeeded = end(&operations, &begun.id).await;
    let broken = |_: &super::Report, _: &CancelToken| Err(status::snapshot_damaged("broken".into()));
    let begun = operations.begin(asked(Kind::VerifySnapshot, "notes"), broken).unwrap();
    let failed = end(&operations, &begun.id).await;
    let written = Written::default();
    let writer = written.clone();
    let json = tracing_subscriber::fmt().json().flatten_event(true).with_writer(move || writer.clone());
    tracing::subscriber::with_default(json.finish(), || [succeeded, failed].iter().for_each(super::tell));
    let text = written.text();
    assert_eq!(text.lines().count(), 2, "{text}");
    for line in text.lines() {
        assert_eq!(line.matches(r#""target":"#).count(), 1, "{line}");
        assert!(line.contains(r#""operation_target":"notes""#), "{line}");
    }
}

/// A snapshot has the operation that takes it as one that runs. A server that was restored from it once began with a failure, and woke
/// somebody for an hour.
#[tokio::test]
async fn what_came_with_a_copy_is_shown_and_wakes_nobody() {
    use ragstone_snapshot::{Repository, RestoreRequest, quietly};
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (store, data) = (place("snapshots"), place("restored"));
    let db = Db::open(place("data")).unwrap();
    let (operations, _) = Operations::open(db.clone());
    let broken = |_: &super::Report, _: &CancelToken| Err(status::snapshot_damaged("broken".into()));
    let fails = operations.begin(asked(Kind::VerifySnapshot, "a"), broken).unwrap();
    end(&operations, &fails.id).await;
    let (_held, job) = waiting();
    let reembed = operations.begin(asked(Kind::Reembed, "a"), job).unwrap();
    let (to, from) = (store.clone(), db.clone());
    let takes = operations.begin(asked(Kind::TakeSnapshot, &store), move |_, _| {
        let repository = Repository::open_or_make(&to).map_err(status::snapshot)?;
        repository.take(&from, None, quietly).map_err(status::snapshot)?;
        Ok(Outcome::new())
    });
    let takes = takes.unwrap();
    assert_eq!(end(&operations, &takes.id).await.state, State::Succeeded);
    operations.cancel(&reembed.id).unwrap();

    let restoring = tokio::task::spawn_blocking(move || {
        Repository::open(&store).unwrap().restore(&RestoreRequest::newest(), &data, quietly).unwrap();
        Db::open(&data).unwrap()
    });
    let restored = restoring.await.unwrap();
    // A restart finds the same.
    for _ in 0..2 {
        let lines = Lines::begin();
        let (copy, resumable) = Operations::open(restored.clone());
        let cut_off = copy.get(&takes.id).unwrap();
        let problem = cut_off.error.unwrap();
        assert_eq!((cut_off.state, problem.code), (State::Failed, Code::Aborted as i32));
        assert!(problem.message.contains("when the copy was made"), "{}", problem.message);
        assert_eq!(copy.get(&fails.id).unwrap().state, State::Failed);
        for kind in [Kind::TakeSnapshot, Kind::VerifySnapshot] {
            assert_eq!(tally(&copy, kind), Tally::default(), "{kind:?}");
        }
        assert!(!lines.text().contains("WARN"), "{}", lines.text());
        assert_eq!(resumable.iter().map(|of| &of.id).collect::<Vec<_>>(), [&reembed.id]);
    }
    // What goes on here, or is begun, is told of as ever.
    let (copy, _) = Operations::open(restored.clone());
    copy.resume(&reembed.id, |_, _| Err(status::snapshot_damaged("broken".into())));
    let failed = end(&copy, &reembed.id).await;
    let (_held, job) = waiting();
    let dies = copy.begin(asked(Kind::Import, "c"), job).unwrap();
    let (later, _) = Operations::open(restored);
    let reembedded = Tally { last_failure_us: Some(failed.updated_us), ..Tally::default() };
    assert_eq!(tally(&later, Kind::Reembed), reembedded);
    let cut_off = later.get(&dies.id).unwrap();
    let imported = Tally { failed: 1, last_failure_us: Some(cut_off.updated_us), ..Tally::default() };
    assert_eq!(tally(&later, Kind::Import), imported);
    copy.cancel(&dies.id).unwrap();
    end(&copy, &dies.id).await;
}

/// Whoever opened a database to look at what a process left that died went on with its re-embedding: texts were embedded, and then nothing could
/// be written.
#[test]
fn who_only_reads_goes_on_with_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let db = Db::open(folder.path()).unwrap();
    let left = Operation::begun("1".to_owned(), asked(Kind::Reembed, "a"), db.lineage().to_string(), 1);
    db.set_attribute(&super::key(&left.id), Some(&left.write())).unwrap();
    drop(db);
    let (operations, interrupted) = Operations::open(Db::open_read_only(folder.path()).unwrap());
    assert!(interrupted.is_empty());
    assert!(operations.get(&left.id).unwrap().has_ended(), "nobody waits for it");
    drop(operations);
    let (operations, interrupted) = Operations::open(Db::open(folder.path()).unwrap());
    assert_eq!(interrupted, [left]);
    assert_eq!(operations.list(), interrupted);
}

/// An answer that it is being cancelled was once forgotten by a server that stopped at that moment, and the collection moved after all.
#[tokio::test]
async fn a_cancellation_that_was_answered_survives_a_stop_and_a_crash() {
    let db = Db::in_memory().unwrap();
    let (operations, _) = Operations::open(db.clone());
    let (_held, job) = waiting();
    let stopped = operations.begin(asked(Kind::Reembed, "a"), job).unwrap();
    operations.cancel(&stopped.id).unwrap();
    operations.stop().await;
    let (operations, interrupted) = Operations::open(db.clone());
    assert!(interrupted.is_empty());
    assert_eq!(operations.get(&stopped.id).unwrap().state, State::Cancelled);

    // A process that dies before the job has seen it.
    let (release, released) = mpsc::channel::<()>();
    let job = move |_: &super::Report, _: &CancelToken| {
        let _ = released.recv();
        Err(status::operation_cancelled())
    };
    let dies = operations.begin(asked(Kind::Reembed, "b"), job).unwrap();
    assert!(operations.cancel(&dies.id).unwrap().cancel_requested);
    let (later, interrupted) = Operations::open(db);
    assert_eq!(interrupted.iter().map(|of| &of.id).collect::<Vec<_>>(), [&dies.id]);
    later.resume(&dies.id, |_, cancel| match cancel.is_cancelled() {
        true => Err(status::operation_cancelled()),
        false => Ok(Outcome::new()),
    });
    assert_eq!(end(&later, &dies.id).await.state, State::Cancelled);
    drop(release);
    end(&operations, &dies.id).await;
}

#[tokio::test]
async fn there_is_one_of_a_kind_on_a_target_and_few_in_all() {
    let (operations, _) = Operations::open(Db::in_memory().unwrap());
    let mut held = Vec::new();
    for number in 0..OPERATIONS_RUNNING_MAX {
        let (release, job) = waiting();
        held.push((operations.begin(asked(Kind::Reembed, &number.to_string()), job).unwrap(), release));
    }
    let again = operations.begin(asked(Kind::Reembed, "0"), |_, _| Ok(Outcome::new())).unwrap_err();
    assert_eq!(again.code(), Code::AlreadyExists);
    let beyond = operations.begin(asked(Kind::TakeSnapshot, "0"), |_, _| Ok(Outcome::new())).unwrap_err();
    assert_eq!(beyond.code(), Code::ResourceExhausted);
    assert!(beyond.message().contains("OPERATIONS_RUNNING_MAX = 8"), "{}", beyond.message());
    assert_eq!(operations.delete(&held[0].0.id).unwrap_err().code(), Code::FailedPrecondition);
    for (operation, release) in held {
        drop(release);
        end(&operations, &operation.id).await;
    }
    for number in 0..OPERATIONS_KEPT_MAX {
        let begun = operations
            .begin(asked(Kind::TakeSnapshot, &number.to_string()), |_, _| Ok(Outcome::new()))
            .unwrap();
        end(&operations, &begun.id).await;
    }
    let last = operations.begin(asked(Kind::TakeSnapshot, "last"), |_, _| Ok(Outcome::new())).unwrap();
    end(&operations, &last.id).await;
    let kept = operations.list();
    assert!(kept.len() <= OPERATIONS_KEPT_MAX + 1, "{}", kept.len());
    assert_eq!(kept.last().unwrap().id, last.id);
    for unknown in ["", "x", "0000000000000000"] {
        assert_eq!(operations.get(unknown).unwrap_err().code(), Code::NotFound);
    }
}

/// Whoever stops once found no job while one was being begun, which then ran beside the closing of the database.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_runs_and_nothing_is_known_once_it_has_stopped() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    let accepted = Arc::new(AtomicUsize::new(0));
    for round in 0..200_usize {
        let (operations, _) = Operations::open(Db::in_memory().unwrap());
        let (has_stopped, ran_late) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let begins: Vec<_> = (0..4)
            .map(|number: usize| {
                let (operations, accepted) = (operations.clone(), Arc::clone(&accepted));
                let (has_stopped, ran_late) = (Arc::clone(&has_stopped), Arc::clone(&ran_late));
                tokio::task::spawn_blocking(move || {
                    let job = move |_: &super::Report, cancel: &CancelToken| {
                        ran_late.fetch_or(has_stopped.load(Ordering::SeqCst), Ordering::SeqCst);
                        while !cancel.is_cancelled() {
                            std::thread::yield_now();
                        }
                        ran_late.fetch_or(has_stopped.load(Ordering::SeqCst), Ordering::SeqCst);
                        Err(status::operation_cancelled())
                    };
                    match operations.begin(asked(Kind::TakeSnapshot, &number.to_string()), job) {
                        Ok(_) => {
                            accepted.fetch_add(1, Ordering::SeqCst);
                        }
                        Err(refused) => assert_eq!(refused.code(), Code::Unavailable),
                    }
                })
            })
            .collect();
        for _ in 0..round % 20 {
            tokio::task::yield_now().await;
        }
        operations.stop().await;
        has_stopped.store(true, Ordering::SeqCst);
        for begin in begins {
            begin.await.unwrap();
        }
        assert!(!ran_late.load(Ordering::SeqCst), "round {round}");
        assert!(operations.list().is_empty(), "round {round}");
    }
    assert!(accepted.load(Ordering::SeqCst) > 0, "some were begun before");
}

/// The work that a failed operation left may be a newer one's by now.
#[tokio::test]
async fn only_the_newest_on_a_target_has_a_say_in_what_is_left() {
    let (operations, _) = Operations::open(Db::in_memory().unwrap());
    let fails = || {
        let job = |_: &super::Report, _: &CancelToken| Err(status::snapshot_damaged("broken".into()));
        operations.begin(asked(Kind::Reembed, "a"), job).unwrap()
    };
    let first = fails();
    let first = end(&operations, &first.id).await;
    assert_eq!(operations.if_newest(&first, || 1), Some(1));
    let (release, job) = waiting();
    let others = [asked(Kind::Reembed, "b"), asked(Kind::TakeSnapshot, "a")];
    for other in others {
        let other = operations.begin(other, |_, _| Ok(Outcome::new())).unwrap();
        end(&operations, &other.id).await;
    }
    assert_eq!(operations.if_newest(&first, || 1), Some(1), "of other targets and kinds");
    let second = operations.begin(asked(Kind::Reembed, "a"), job).unwrap();
    assert_eq!(operations.if_newest(&first, || 1), None);
    drop(release);
    let second = end(&operations, &second.id).await;
    assert_eq!(operations.if_newest(&first, || 1), None, "it has ended, and what is left is its own");
    assert_eq!(operations.if_newest(&second, || 1), Some(1));
}
