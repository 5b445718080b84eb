//! An answer that is sent: a call is over with its trailers, behind its last message, not with the answer's headers.
//!
//! **Problem.** Once a handler has returned, its answer is still to be sent, for as long as the caller takes. Until then the call holds its place, may panic,
//! has a deadline and waits for its log line. And a caller who takes nothing (whose flow-control window is shut) stops the transport from asking for more, so that
//! nothing in the body itself would ever run.
//!
//! **Idea.** The body is wrapped as [`Answering`], and what makes it lies in a [`State`] that a task of its own can end from outside, wherever the answer is:
//!
//! ```text
//! Live --asked for a frame---------------------------------------> Live
//!  |-----trailers, the end, or a panic of what makes it------------> Over      the log line has the code
//!  |-----deadline, shutdown, or nothing was taken for too long----> Ended     place and handler's stream are gone
//!                                                                    |--asked----> Over     the caller is told why
//!                                                                    |--dropped--> Over     who never asks is told nothing; the log has it
//! ```
//!
//! **When a caller is too slow.** An answer that has nothing to say yet is asked all the while, so it may rest. The one message of an answer must not be taken
//! byte by byte either ([`Patience`]). A stream may have something to do between two messages, which shuts the window within one: so each piece that is
//! taken of it is waited for as long. Answers share a connection, and what that takes of the others counts for one that waits meanwhile: a hundred large
//! ones over a slow network have each a hundredth of it.
//!
//! **Pieces.** A message goes out in pieces, as copies. The transport keeps what it was given until the caller takes it or the connection ends, and it asks as
//! soon as the window is open for a byte: given a large message whole, or slices of it, it would have all of it for as long as the caller likes, whatever
//! became of the answer here.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body as HttpBody, Frame};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use tonic::body::Body;
use tonic::{Code, Status};

use super::giving_way::give_way;
use super::headers::{STATUS, code_in};
use super::line::Line;
use super::{later, with_details};
use crate::connections::Working;
use crate::patience::Patience;
use crate::status;
use crate::work::Place;

/// Answers that are sent within this time are watched by nobody: most are. Others are from then on, or from twice this time at the latest.
const SENT_AT_ONCE: Duration = Duration::from_millis(20);
/// Answers that are looked at together; what of an answer is kept until then is some hundred bytes. Where there are as many, no time is taken over it.
const LOOK: usize = 1_024;

/// Bytes that the transport is given at a time: as many as the window of a stream has by default.
const PIECE_BYTES: usize = 64 << 10;

/// What ends an answer from outside.
#[derive(Debug)]
pub(super) struct Ends {
    pub(super) deadline: Instant,
    /// What the deadline was set to, for who is told of it.
    pub(super) timeout: Duration,
    /// For how long the caller may take nothing of what there is, at the beginning.
    pub(super) patience: Patience,
}

/// The body of such an answer.
pub(super) struct Answering {
    shared: Arc<Mutex<State>>,
    /// Gone when the trailers are out.
    line: Option<Line>,
    /// Whether a handler makes it while it is sent, and may log: one message was made before.
    is_stream: bool,
}

#[derive(Debug)]
enum State {
    /// Made by a handler's stream, or by the codec of its one message.
    Live(Live),
    /// Ended from outside, which the caller is to be told.
    Ended(Status),
    /// Nothing more comes.
    Over,
}

#[derive(Debug)]
struct Live {
    inner: Body,
    /// What the transport was not given yet of the last frame.
    rest: Bytes,
    place: Option<Place>,
    /// At its connection, if it has one.
    working: Option<Working>,
    waker: Option<Waker>,
    /// Its end is the watching task's, if there is one.
    watched: Option<oneshot::Sender<()>>,
    given: Option<Given>,
    patience: Patience,
}

/// What the transport was given, if it has asked for nothing since.
#[derive(Clone, Copy, Debug)]
struct Given {
    at: Instant,
    bytes: u64,
    /// What the connection had taken by then.
    taken: u64,
}

impl Live {
    /// Bytes that the connection has taken so far, of all its answers.
    fn taken(&self) -> u64 {
        self.working.as_ref().map_or(0, Working::taken)
    }

    /// The transport was given so many bytes.
    fn give(&mut self, bytes: usize) {
        self.given = Some(Given { at: Instant::now(), bytes: bytes as u64, taken: self.taken() });
    }

    /// The transport asks for more.
    fn ask(&mut self) {
        if let Some(given) = self.given.take() {
            let meanwhile = self.taken().saturating_sub(given.taken);
            self.patience.taken(meanwhile.max(given.bytes), given.at.elapsed());
        }
    }
}

/// Has those answers watched that are not sent at once: a task and its timers for each cost more than sending most of them takes. Clones are one, which
/// ends with the last.
#[derive(Clone, Debug)]
pub(crate) struct Watching {
    begun: mpsc::UnboundedSender<Begun>,
    /// Becomes true when calls under way are to be given up.
    give_up: watch::Receiver<bool>,
}

/// An answer that is being sent.
#[derive(Debug)]
struct Begun {
    shared: Arc<Mutex<State>>,
    ends: Ends,
}

impl Watching {
    /// To be called on a thread of the runtime.
    pub(crate) fn start(give_up: watch::Receiver<bool>) -> Watching {
        let (send, mut begun) = mpsc::unbounded_channel::<Begun>();
        let watching = Watching { begun: send, give_up: give_up.clone() };
        tokio::spawn(async move {
            let mut answers = Vec::new();
            while begun.recv_many(&mut answers, LOOK).await > 0 {
                if answers.len() < LOOK {
                    tokio::time::sleep(SENT_AT_ONCE).await;
                }
                answers.drain(..).for_each(|begun| begun.watch(&give_up));
            }
        });
        watching
    }

    fn watch(&self, begun: Begun) {
        // It may come to those that are looked at next just after they were taken, and then waits for them, too.
        let is_due_soon = begun.ends.deadline.saturating_duration_since(Instant::now()) <= 2 * SENT_AT_ONCE;
        match is_due_soon {
            true => begun.watch(&self.give_up),
            // The task ends with the runtime, and so do all answers.
            false => drop(self.begun.send(begun)),
        }
    }
}

impl Begun {
    /// Has it watched, unless it is over.
    fn watch(self, give_up: &watch::Receiver<bool>) {
        let over = match &mut *lock(&self.shared) {
            State::Live(live) => {
                let (watched, over) = oneshot::channel();
                live.watched = Some(watched);
                over
            }
            State::Ended(_) | State::Over => return,
        };
        tokio::spawn(watch_over(self, give_up.clone(), over));
    }
}

impl Answering {
    pub(super) fn new(
        inner: Body,
        (place, working): (Option<Place>, Option<Working>),
        line: Line,
        (ends, watching): (Ends, &Watching),
    ) -> Answering {
        let (rest, is_stream) = (Bytes::new(), place.as_ref().is_none_or(Place::streams));
        let patience = ends.patience;
        let live = Live { inner, rest, place, working, waker: None, watched: None, given: None, patience };
        let shared = Arc::new(Mutex::new(State::Live(live)));
        watching.watch(Begun { shared: Arc::clone(&shared), ends });
        Answering { shared, line: Some(line), is_stream }
    }

    /// The last frame: the trailers, which say how the call ended.
    fn last(&mut self, trailers: HeaderMap) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        self.over();
        if let Some(line) = self.line.take() {
            line.end_with(code_in(&trailers).unwrap_or(Code::Unknown), &trailers);
        }
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }

    fn end(&mut self, code: Code) {
        self.over();
        if let Some(line) = self.line.take() {
            line.end(code);
        }
    }

    /// Nothing more comes. How it ended from outside, if it did and its caller was not told yet.
    fn over(&self) -> Option<Status> {
        let _entered = self.line.as_ref().filter(|_| self.is_stream).map(|line| line.span().enter());
        // Dropped once the lock is free, and in the span of the call: a handler's stream may do anything when it ends, and log.
        let ended = std::mem::replace(&mut *lock(&self.shared), State::Over);
        match ended {
            State::Ended(status) => Some(status),
            State::Live(_) | State::Over => None,
        }
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        // Its caller never asked how it ended.
        if let Some(status) = self.over()
            && let Some(line) = self.line.take()
        {
            line.end(status.code());
        }
    }
}

/// Ends the answer when its time has come.
async fn watch_over(
    Begun { shared, ends }: Begun,
    mut give_up: watch::Receiver<bool>,
    over: oneshot::Receiver<()>,
) {
    let mut over = std::pin::pin!(over);
    let status = loop {
        // What its connection takes of other answers puts it off, for a moment or two each time.
        let stalls = stalls_at(&shared, ends.patience).max(Instant::now() + SENT_AT_ONCE);
        tokio::select! {
            _ = &mut over => return,
            () = tokio::time::sleep_until(ends.deadline) => break status::deadline_exceeded(ends.timeout),
            _ = give_up.wait_for(|give_up| *give_up) => break status::shutting_down(),
            () = tokio::time::sleep_until(stalls) => {
                if stalls_at(&shared, ends.patience) <= Instant::now() {
                    break status::answer_stalled(ends.patience.whole());
                }
            }
        }
    };
    let ended = {
        let mut state = lock(&shared);
        match &*state {
            State::Live(_) => std::mem::replace(&mut *state, State::Ended(status)),
            State::Ended(_) | State::Over => return,
        }
    };
    if let State::Live(Live { waker: Some(waker), .. }) = &ended {
        waker.wake_by_ref();
    }
}

/// When the caller will have taken nothing for too long, as far as can be said now; with so much patience where nothing is known of them.
fn stalls_at(shared: &Mutex<State>, patience: Patience) -> Instant {
    let now = Instant::now();
    let (since, lasts) = match &*lock(shared) {
        State::Live(live) => match live.given {
            Some(given) => (given.at, live.patience.lasts(live.taken().saturating_sub(given.taken))),
            // Who has it asked for now has taken all there was, and may begin to stall right now.
            None => (now, live.patience.lasts(0)),
        },
        State::Ended(_) | State::Over => (now, patience.lasts(0)),
    };
    // That is not yet, however little patience is left.
    later(since, lasts.max(SENT_AT_ONCE))
}

fn lock(shared: &Mutex<State>) -> MutexGuard<'_, State> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn trailers_of(status: &Status) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    if status.add_header(&mut trailers).is_err() {
        trailers.insert(STATUS.clone(), (Code::Unknown as i32).into());
    }
    trailers
}

/// What a body gives when it is asked for a frame.
type Polled = Poll<Option<Result<Frame<Bytes>, Status>>>;

/// The next frame of the handler's stream, with its place known to what it runs.
fn poll_live(live: &mut Live, context: &mut Context<'_>) -> std::thread::Result<Polled> {
    let Live { inner, rest, place, .. } = live;
    if !rest.is_empty() {
        return Ok(Poll::Ready(Some(Ok(Frame::data(piece(rest))))));
    }
    let (place, poll) = (place.as_ref(), || Pin::new(inner).poll_frame(context));
    // One message was made before, and its codec asks for no place.
    let poll = || match place {
        Some(place) if place.streams() => place.within(poll),
        _ => poll(),
    };
    // The stream is not polled again after a panic, so no broken state of it is ever seen.
    let polled = catch_unwind(AssertUnwindSafe(|| match place {
        Some(place) if place.answers_long() => give_way(poll),
        _ => poll(),
    }))?;
    Ok(polled.map(|frame| {
        frame.map(|frame| {
            frame.map(|frame| match frame.into_data() {
                Ok(data) if data.len() <= PIECE_BYTES => Frame::data(data),
                Ok(data) => {
                    *rest = data;
                    Frame::data(piece(rest))
                }
                Err(trailers) => trailers,
            })
        })
    }))
}

/// The next piece of what is left of a large message.
fn piece(rest: &mut Bytes) -> Bytes {
    Bytes::copy_from_slice(&rest.split_to(rest.len().min(PIECE_BYTES)))
}

impl HttpBody for Answering {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        let Some(line) = &this.line else { return Poll::Ready(None) };
        let entered = this.is_stream.then(|| line.span().enter());
        let mut state = lock(&this.shared);
        let polled = match &mut *state {
            State::Over => return Poll::Ready(None),
            State::Ended(status) => Ok(Poll::Ready(Some(Err(status.clone())))),
            State::Live(live) => {
                live.ask();
                let polled = poll_live(live, context);
                match &polled {
                    Ok(Poll::Pending) => live.waker = Some(context.waker().clone()),
                    Ok(Poll::Ready(Some(Ok(frame)))) => {
                        if let Some(data) = frame.data_ref() {
                            live.give(data.len());
                        }
                    }
                    // It is over, as it is with trailers: nothing is waited for.
                    _ => {}
                }
                polled
            }
        };
        drop(state);
        drop(entered);
        match polled {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(Some(Ok(frame)))) => match frame.into_trailers() {
                Ok(trailers) => this.last(with_details(trailers)),
                Err(frame) => Poll::Ready(Some(Ok(frame))),
            },
            Ok(Poll::Ready(Some(Err(status)))) => this.last(trailers_of(&status)),
            Ok(Poll::Ready(None)) => {
                this.end(Code::Unknown);
                Poll::Ready(None)
            }
            Err(_) => this.last(trailers_of(&status::fault())),
        }
    }
}
