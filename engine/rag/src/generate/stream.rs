//! One answer, from the first request to its last piece: tries and deadlines.
//!
//! **Problem.** A service may be busy, gone or silent, its answer takes minutes, and whoever waits for it may leave at any moment. A read that blocks
//! on a socket knows of none of this.
//! **Idea.** A [`Stream`] makes one [`Connection`] after the other (`connection.rs`), at most [`TRIES_MAX`], until a token has come. Another thread, the [`Watch`],
//! has the deadline of the phase that it is in, and ends the connection when that has passed or somebody stops it: so the read fails, and what is told is why
//! it was ended and not how it failed.
//!
//! ```text
//! request --> first token --> next token --> ... --> end        each with its deadline, and all with that of the whole
//!    ^            |               |
//!    +-- pause <--+ may pass      +--> error: an answer is not begun twice
//! ```

use std::sync::Arc;
use std::time::{Duration, Instant};

use ureq::Agent;

use super::connection::{Connection, Failure, Heard, Request};
use super::models::{GenerateModel, Patience};
use super::watch::{Over, Phase, Stopper, Watch};
use super::wire;
use crate::error::{Error, GenerateFailure, Result};
use crate::limits::GENERATE_REQUESTS_MAX;
use crate::waiting;

/// Times that a request is sent.
const TRIES_MAX: u32 = 3;
/// Pause before the second try; doubled for each further one.
const PAUSE_FIRST: Duration = Duration::from_millis(500);
/// A longer pause is not waited for, whatever the service asks.
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// How long the counts of tokens and the closing event are waited for behind the reason to finish: they come with it, or at once after it.
const CLOSING: Duration = if cfg!(test) { Duration::from_millis(50) } else { Duration::from_secs(2) };

/// An answer under way.
pub(super) struct Stream {
    request: Request,
    watch: Watch,
    /// When the answer is of no use to its caller any more, who is the one to end it then.
    deadline: Option<Instant>,
    tries: u32,
    /// The connection that is read; none before the first try and between two.
    connection: Option<Connection>,
    /// Whether a token has come: from then on nothing is tried again.
    begun: bool,
}

impl Stream {
    pub(super) fn new(model: Arc<GenerateModel>, body: Vec<u8>, deadline: Option<Instant>) -> Result<Stream> {
        let Patience { connect, first_token, total, .. } = model.patience();
        // Nothing interrupts a connection that is being made, though nobody may wait for it any more, so it takes no longer than what it
        // is part of.
        let connect = connect.min(first_token).min(total);
        // One client for each answer: shutting it down ends this answer and no other.
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_resolve(Some(connect))
            .timeout_connect(Some(connect))
            .build()
            .new_agent();
        let watch = Watch::start(agent.clone(), total).map_err(|error| Error::Generate {
            model: model.name().to_owned(),
            failure: GenerateFailure::Unavailable,
            reason: format!("no thread can be started: {error}"),
        })?;
        let request = Request { model, body: body.into(), agent };
        Ok(Stream { request, watch, deadline, tries: 0, connection: None, begun: false })
    }

    pub(super) fn model(&self) -> &GenerateModel {
        &self.request.model
    }

    pub(super) fn stopper(&self) -> Stopper {
        self.watch.stopper()
    }

    /// Waits for what comes next.
    pub(super) fn next(&mut self) -> Result<Heard> {
        loop {
            let patience = self.model().patience();
            match (self.begun, &self.connection) {
                (true, _) => self.watch.begin(Phase::NextToken, patience.next_token),
                (false, None) => self.watch.begin(Phase::FirstToken, patience.first_token),
                // The deadline of the first token goes on from the request.
                (false, Some(_)) => {}
            }
            let heard = self.try_next();
            if self.begun {
                self.watch.rest();
            }
            match heard {
                Ok(heard) => return Ok(heard),
                Err(failure) => self.again(failure)?,
            }
        }
    }

    /// Prepares another try after a failure, or makes an error of it.
    fn again(&mut self, failure: Failure) -> Result<()> {
        self.connection = None;
        if failure.refuses_usage
            && self.watch.over().is_none()
            && let Some(body) = wire::without_usage(&self.request.body)
        {
            // It is another request, and so no further try of the same one.
            self.request.body = body.into();
            self.tries = self.tries.saturating_sub(1);
            return Ok(());
        }
        let error =
            |failure, reason| Error::Generate { model: self.model().name().to_owned(), failure, reason };
        let Patience { first_token, next_token, total, .. } = self.model().patience();
        // Whoever ends the connection makes the read fail; what counts is why it was ended.
        match self.watch.over() {
            Some(Over::Stopped) => return Err(error(GenerateFailure::Stopped, "it was stopped".to_owned())),
            Some(Over::TimedOut(phase)) => {
                let (setting, limit) = match phase {
                    Phase::FirstToken => ("first_token_s", first_token),
                    Phase::NextToken => ("next_token_s", next_token),
                    Phase::Whole => ("total_s", total),
                };
                let reason = format!("took longer than {setting} = {}", limit.as_secs());
                return Err(error(GenerateFailure::TimedOut, reason));
            }
            None => {}
        }
        let pause = failure.pause.unwrap_or_else(|| PAUSE_FIRST.saturating_mul(1 << (self.tries.max(1) - 1)));
        let may = failure.again && !self.begun && self.tries < TRIES_MAX && pause <= PAUSE_MAX;
        if !may || !self.has_time_for(pause) {
            // What the operator has to look after; the service's words may be of the question.
            tracing::warn!(
                model = self.model().name(),
                failure = ?failure.failure,
                status = failure.status,
                tries = self.tries,
                "a model gave no answer"
            );
            let tries = if self.tries > 1 { format!(" ({} tries)", self.tries) } else { String::new() };
            return Err(error(failure.failure, self.request.redact(failure.reason) + &tries));
        }
        tracing::warn!(model = self.model().name(), try = self.tries, ?pause, "the request for an answer is sent again");
        self.watch.rest();
        self.watch.pause(pause);
        Ok(())
    }

    /// Whether so long a pause would end before the deadlines of the whole.
    fn has_time_for(&self, pause: Duration) -> bool {
        let left = self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        left.is_none_or(|left| pause < left) && self.watch.has_time_for(pause)
    }

    fn try_next(&mut self) -> Result<Heard, Failure> {
        if self.watch.over().is_some() {
            return Err(Failure::new(GenerateFailure::Stopped, "it is over"));
        }
        if self.connection.is_none() {
            let Some(counted) = self.model().begin_request() else {
                let busy = GenerateFailure::Busy { retry_after: None };
                let reason =
                    format!("GENERATE_REQUESTS_MAX = {GENERATE_REQUESTS_MAX} requests are under way");
                return Err(Failure::new(busy, reason));
            };
            self.tries += 1;
            let request = self.request.clone();
            let connect = move || {
                let _counted = counted;
                request.connect()
            };
            // On another thread, as nothing interrupts a name that is being resolved or a connection that is being made.
            let connected = waiting::wait_for(connect, || self.watch.over());
            let connected = connected.map_err(|error| {
                Failure::new(GenerateFailure::Unavailable, format!("no thread can be started: {error}"))
            })?;
            let over = |_| Failure::new(GenerateFailure::Stopped, "it is over");
            self.connection = Some(connected.map_err(over)??);
        }
        let Some(connection) = &mut self.connection else { unreachable!("it was made just now") };
        loop {
            let was_whole = connection.is_whole();
            if let Some(said) = connection.next_said()? {
                // What a model thinks is a token too, and the next one has its own deadline.
                if said.token && (!self.begun || said.text.is_none()) {
                    self.begun = true;
                    self.watch.begin(Phase::NextToken, self.request.model.patience().next_token);
                }
                if let Some(text) = said.text {
                    return Ok(Heard::Text(text));
                }
                // Some services give a reason with each token: it is the end where it first comes by itself, behind all tokens.
                if self.begun && !said.token && !was_whole && connection.is_whole() {
                    let patience = self.request.model.patience().next_token.min(CLOSING);
                    self.watch.begin(Phase::NextToken, patience);
                }
            } else if connection.ended {
                return connection.end();
            } else if let Err(failure) = connection.read() {
                // Behind the reason to finish nothing of the answer comes any more: however the connection ends then, it is whole.
                let is_stopped = self.watch.over() == Some(Over::Stopped);
                return if connection.is_whole() && !is_stopped { connection.end() } else { Err(failure) };
            }
        }
    }
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
