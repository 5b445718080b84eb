//! An encoder at work, with what stands behind it: passes over the texts of many calls, by threads of the model's own.
//!
//! What makes a result of a text's token states is a [`Head`]: pooling for an embedder, a classifier for a re-ranker. All else
//! is the same for both: texts of calls that come together are computed together ([`Batcher`]), a pass is shared among the
//! threads in groups of equal work, and the memory of a pass is kept for the next.

use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ragstone::limits::THREADS_MAX;
use ragstone_kernels::Workers;
use rayon::prelude::*;

use super::batching::Batcher;
use super::encoder::{Encoder, Scratch};
use super::files::invalid;
use super::groups::{TASK_TOKENS_MAX, groups};
use super::text::Tokens;
use crate::error::{Error, Result};

/// Tokens of a pass for each thread: long enough to be shared well. A question that comes while others are computed waits for the rest of
/// a pass and is part of the next, which is some tenth of a second each for small models.
const PASS_TOKENS_A_THREAD: usize = 2 * TASK_TOKENS_MAX;

/// What makes a result of a text's token states.
pub(crate) trait Head: Send + Sync {
    /// The result of a text.
    type Output: Send;

    /// The result, of rows of states, one a token; none if it is not finite.
    fn output(&self, tokens: &Tokens, states: &[f32]) -> Option<Self::Output>;
}

/// An encoder, its head and its threads.
pub(crate) struct Network<H: Head> {
    directory: PathBuf,
    encoder: Encoder,
    head: H,
    /// Memory of passes that are over. The lock is held to take or give back one, never during a pass.
    scratch: Mutex<Vec<Scratch>>,
    batcher: Batcher<Tokens, H::Output>,
    workers: Workers,
}

impl<H: Head> Network<H> {
    /// Starts `threads` threads, or as many as there are processors, and reads a directory on them: large matrices are put in
    /// order by all. What else `read` gives comes first.
    pub(crate) fn start<R: Send>(
        directory: &Path,
        threads: Option<NonZero<usize>>,
        read: impl FnOnce() -> Result<(R, Encoder, H)> + Send,
    ) -> Result<(R, Network<H>)> {
        check_threads(threads)?;
        let threads = threads.or_else(|| std::thread::available_parallelism().ok());
        let workers = Workers::new("ragstone-embed", threads.unwrap_or(NonZero::<usize>::MIN));
        let workers = workers.map_err(|source| no_threads(directory, source))?;
        let (rest, encoder, head) = workers.run(read).map_err(|source| no_threads(directory, source))??;
        let network = Network {
            directory: directory.to_owned(),
            encoder,
            head,
            scratch: Mutex::new(Vec::new()),
            batcher: Batcher::new(workers.threads() * PASS_TOKENS_A_THREAD, |tokens| tokens.ids.len()),
            workers,
        };
        Ok((rest, network))
    }

    /// Runs something on the model's threads: one hop, from there on tasks are cheap.
    pub(crate) fn in_pool<R: Send>(&self, job: impl FnOnce() -> R + Send) -> Result<R> {
        self.workers.run(job).map_err(|source| no_threads(&self.directory, source))
    }

    /// One result a text, in order, in passes with those of other calls.
    pub(crate) fn compute(&self, tokens: &Arc<[Tokens]>) -> Result<Vec<H::Output>> {
        // Whose text it is that fails is found out by computing each call's alone.
        let pass = |texts: &[&Tokens]| self.in_pool(|| self.pass(texts)).ok()?.ok();
        match self.batcher.run(tokens, pass) {
            Some(outputs) => Ok(outputs),
            None => self.in_pool(|| self.pass(&tokens.iter().collect::<Vec<_>>()))?,
        }
    }

    /// One result a text, by the threads of the pool that this is called in.
    fn pass(&self, texts: &[&Tokens]) -> Result<Vec<H::Output>> {
        let lengths: Vec<usize> = texts.iter().map(|tokens| tokens.ids.len()).collect();
        let threads = rayon::current_num_threads();
        let groups = groups(&lengths, threads);
        // With work for all, a group is one task; with less, its products are shared as well.
        let tasks = if groups.len() < 2 * threads { threads } else { 1 };
        let run = |group: &Vec<usize>| {
            let texts: Vec<&Tokens> = group.iter().map(|index| texts[*index]).collect();
            self.run(&texts, tasks)
        };
        let computed: Vec<Vec<H::Output>> = groups.par_iter().map(run).collect::<Result<_>>()?;
        let mut placed: Vec<(usize, H::Output)> =
            groups.into_iter().flatten().zip(computed.into_iter().flatten()).collect();
        placed.sort_by_key(|(index, _)| *index);
        Ok(placed.into_iter().map(|(_, output)| output).collect())
    }

    /// The results of some texts, computed together.
    fn run(&self, texts: &[&Tokens], tasks: usize) -> Result<Vec<H::Output>> {
        let lock = || self.scratch.lock().unwrap_or_else(PoisonError::into_inner);
        let mut scratch = lock().pop().unwrap_or_default();
        let width = self.encoder.hidden();
        let states = self.encoder.run(texts, tasks, &mut scratch).map_err(|id| {
            let reason = format!("the tokenizer gives token {id}, which the model has no embedding for");
            invalid(&self.directory, reason)
        })?;
        let (mut rest, mut outputs) = (states, Vec::with_capacity(texts.len()));
        for text in texts {
            let (own, behind) = rest.split_at(text.ids.len() * width);
            rest = behind;
            let output = self.head.output(text, own);
            outputs.push(output.ok_or_else(|| invalid(&self.directory, "the model's output is not finite"))?);
        }
        lock().push(scratch);
        Ok(outputs)
    }
}

/// Refuses more threads than a pool may have.
pub(crate) fn check_threads(threads: Option<NonZero<usize>>) -> Result<()> {
    match threads.map_or(1, NonZero::get) {
        threads if threads > THREADS_MAX => Err(Error::Limit {
            field: "threads".to_owned(),
            limit: "THREADS_MAX",
            max: THREADS_MAX as u64,
            actual: threads as u64,
        }),
        _ => Ok(()),
    }
}

fn no_threads(directory: &Path, source: std::io::Error) -> Error {
    Error::Io { operation: "start threads for", path: directory.to_owned(), source }
}
