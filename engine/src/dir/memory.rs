//! A directory in memory that crashes where a test wants it to.
//!
//! It counts the calls that change something (write, sync, create, rename, remove, truncate). A test gives the number
//! of the call at which the machine dies: that call and all later ones fail. [`MemoryDir::recovered`] then gives the
//! directory as a disk may have it after the power came back: what was synced, and of the rest an arbitrary part,
//! chosen by a seed. An error can be injected too, once, with the system's own number (EIO, ENOSPC), into changing
//! calls and into reading ones; and from a call on the disk can be full until there is room again.
//!
//! It is as unkind as a real one may be: a write that fails has written the first half of its bytes, and what a failed sync
//! did not make durable no later sync of that file does.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Access, Blob, Dir, DirFile, DirLock, io_error};
use crate::error::{Error, LockHolder, Result};
use crate::random::SplitMix64;

/// A file's bytes: those that survive a crash, and all of them.
#[derive(Clone, Debug, Default)]
struct Node {
    synced: Vec<u8>,
    bytes: Vec<u8>,
    /// A sync failed: the system took the bytes for written, and forgot them.
    is_forgotten: bool,
}

type NodeId = u64;

/// A change of names that is not synced yet.
#[derive(Clone, Debug)]
enum NameChange {
    Set(String, NodeId),
    Remove(String),
    /// In one step: what has the name before has the other after, whose own target is never missing.
    Rename(String, String, NodeId),
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<String, NodeId>) {
        match self {
            NameChange::Set(name, node) => drop(names.insert(name.clone(), *node)),
            NameChange::Remove(name) => drop(names.remove(name)),
            NameChange::Rename(from, to, node) => {
                names.remove(from);
                names.insert(to.clone(), *node);
            }
        }
    }
}

#[derive(Debug, Default)]
struct State {
    nodes: BTreeMap<NodeId, Node>,
    names: BTreeMap<String, NodeId>,
    synced_names: BTreeMap<String, NodeId>,
    /// Since the last sync of the directory, oldest first.
    pending: Vec<NameChange>,
    next_node: NodeId,
    calls: u64,
    crash_at: Option<u64>,
    fail_at: Option<(u64, i32)>,
    /// From this call on the disk takes no more bytes.
    full_from: Option<u64>,
    reads: u64,
    fail_read_at: Option<(u64, i32)>,
}

/// The directory.
#[derive(Clone, Debug)]
pub(crate) struct MemoryDir {
    path: PathBuf,
    state: Arc<Mutex<State>>,
    locked: Arc<AtomicBool>,
}

impl MemoryDir {
    pub(crate) fn new() -> Self {
        Self { path: "/memory".into(), state: Arc::default(), locked: Arc::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changing calls so far.
    pub(crate) fn calls(&self) -> u64 {
        self.state().calls
    }

    /// The machine dies at the changing call with this number.
    pub(crate) fn crash_at(&self, call: u64) {
        self.state().crash_at = Some(call);
    }

    /// The directory after the crash: synced names and bytes, and an arbitrary part of the others.
    pub(crate) fn recovered(&self, seed: u64) -> Self {
        let mut random = SplitMix64(seed);
        let state = self.state();
        let mut names = state.synced_names.clone();
        if seed.is_multiple_of(2) {
            // Names change in order: a journal is cut somewhere.
            let kept = random.below(state.pending.len() + 1);
            state.pending[..kept].iter().for_each(|change| change.apply(&mut names));
        } else {
            // Nobody promised an order.
            state.pending.iter().filter(|_| random.below(2) == 0).for_each(|change| change.apply(&mut names));
        }
        let mut nodes = BTreeMap::new();
        for node in names.values() {
            let bytes = torn(&state.nodes[node], &mut random);
            nodes.insert(*node, Node { synced: bytes.clone(), bytes, is_forgotten: false });
        }
        let next_node = state.next_node;
        let recovered = State { nodes, synced_names: names.clone(), names, next_node, ..State::default() };
        Self { path: self.path.clone(), state: Arc::new(Mutex::new(recovered)), locked: Arc::default() }
    }

    /// Counts a changing call; fails if it is the one to fail, or the machine is dead.
    fn change(&self, operation: &'static str, name: &str) -> Result<MutexGuard<'_, State>> {
        let mut state = self.state();
        let call = state.calls;
        state.calls += 1;
        let failure =
            |errno| io_error(operation, &self.path.join(name), std::io::Error::from_raw_os_error(errno));
        if state.crash_at.is_some_and(|crash| call >= crash) {
            return Err(failure(5));
        }
        let takes_room = matches!(operation, "create" | "write");
        if takes_room && state.full_from.is_some_and(|full| call >= full) {
            return Err(failure(28));
        }
        match state.fail_at {
            Some((fail, errno)) if fail == call => Err(failure(errno)),
            _ => Ok(state),
        }
    }

    /// Counts a reading call; fails if it is the one to fail.
    fn look(&self, operation: &'static str, name: &str) -> Result<MutexGuard<'_, State>> {
        let mut state = self.state();
        let call = state.reads;
        state.reads += 1;
        match state.fail_read_at {
            Some((fail, errno)) if fail == call => {
                Err(io_error(operation, &self.path.join(name), std::io::Error::from_raw_os_error(errno)))
            }
            _ => Ok(state),
        }
    }

    fn missing(&self, operation: &'static str, name: &str) -> Error {
        io_error(operation, &self.path.join(name), std::io::Error::from_raw_os_error(2))
    }
}

/// What only the tests of the engine do with it.
#[cfg(test)]
impl MemoryDir {
    /// The changing call with this number fails with a system error, once.
    pub(crate) fn fail_at(&self, call: u64, errno: i32) {
        self.state().fail_at = Some((call, errno));
    }

    /// From the changing call with this number on there is no room for new files and bytes.
    pub(crate) fn full_from(&self, call: u64) {
        self.state().full_from = Some(call);
    }

    /// There is room again.
    pub(crate) fn make_room(&self) {
        self.state().full_from = None;
    }

    /// Reading calls so far.
    pub(crate) fn reads(&self) -> u64 {
        self.state().reads
    }

    /// The reading call with this number fails with a system error, once.
    pub(crate) fn fail_read_at(&self, call: u64, errno: i32) {
        self.state().fail_read_at = Some((call, errno));
    }

    /// Changes one byte of a file, as a bad disk does.
    pub(crate) fn flip(&self, name: &str, offset: usize) {
        let mut state = self.state();
        let node = state.names[name];
        state.nodes.entry(node).or_default().bytes[offset] ^= 0x40;
    }

    /// Length of a file.
    pub(crate) fn length(&self, name: &str) -> usize {
        let state = self.state();
        state.nodes[&state.names[name]].bytes.len()
    }

    /// A copy that shares nothing.
    pub(crate) fn copied(&self) -> Self {
        let state = self.state();
        let nodes = state.nodes.clone();
        let copy = State {
            synced_names: state.names.clone(),
            names: state.names.clone(),
            nodes,
            next_node: state.next_node,
            ..State::default()
        };
        Self { path: self.path.clone(), state: Arc::new(Mutex::new(copy)), locked: Arc::default() }
    }
}

/// What a crash leaves of a file: blocks that were not synced are there, missing (the file ends before), or zero.
fn torn(node: &Node, random: &mut SplitMix64) -> Vec<u8> {
    let synced = node.synced.len();
    let mut bytes = node.bytes.clone();
    if bytes.len() <= synced {
        return node.synced.clone();
    }
    bytes[..synced].copy_from_slice(&node.synced);
    bytes.truncate(synced + random.below(bytes.len() - synced + 1));
    for block in bytes[synced..].chunks_mut(16) {
        if random.below(4) == 0 {
            block.fill(0);
        }
    }
    bytes
}

impl Dir for MemoryDir {
    fn path(&self) -> &Path {
        &self.path
    }

    fn lock(&self) -> Result<Box<dyn DirLock>> {
        if self.locked.swap(true, Ordering::SeqCst) {
            return Err(Error::Locked { path: self.path.clone(), holder: LockHolder::Writer });
        }
        Ok(Box::new(MemoryLock(self.locked.clone())))
    }

    fn list(&self) -> Result<Vec<String>> {
        Ok(self.look("list", "")?.names.keys().cloned().collect())
    }

    fn read(&self, name: &str) -> Result<Vec<u8>> {
        let state = self.look("read", name)?;
        let node = state.names.get(name).ok_or_else(|| self.missing("read", name))?;
        Ok(state.nodes[node].bytes.clone())
    }

    fn map(&self, name: &str, _: Access) -> Result<Blob> {
        Ok(Arc::new(self.read(name)?))
    }

    fn load(&self, name: &str) -> Result<Blob> {
        self.map(name, Access::Near)
    }

    fn create(&self, name: &str) -> Result<Box<dyn DirFile>> {
        let mut state = self.change("create", name)?;
        let node = state.next_node;
        state.next_node += 1;
        state.nodes.insert(node, Node::default());
        state.names.insert(name.to_owned(), node);
        state.pending.push(NameChange::Set(name.to_owned(), node));
        Ok(Box::new(MemoryFile { dir: self.clone(), name: name.to_owned(), node }))
    }

    fn truncate(&self, name: &str, length_bytes: u64) -> Result<()> {
        let mut state = self.change("truncate", name)?;
        let node = *state.names.get(name).ok_or_else(|| self.missing("truncate", name))?;
        if let Some(node) = state.nodes.get_mut(&node) {
            node.bytes.truncate(length_bytes as usize);
            node.synced = node.bytes.clone();
        }
        Ok(())
    }

    fn sync_file(&self, name: &str) -> Result<()> {
        let mut state = self.change("sync", name)?;
        let node = *state.names.get(name).ok_or_else(|| self.missing("sync", name))?;
        if let Some(node) = state.nodes.get_mut(&node).filter(|node| !node.is_forgotten) {
            node.synced = node.bytes.clone();
        }
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        let mut state = self.change("rename", from)?;
        let node = state.names.remove(from).ok_or_else(|| self.missing("rename", from))?;
        state.names.insert(to.to_owned(), node);
        state.pending.push(NameChange::Rename(from.to_owned(), to.to_owned(), node));
        Ok(())
    }

    fn remove(&self, name: &str) -> Result<()> {
        let mut state = self.change("remove", name)?;
        state.names.remove(name).ok_or_else(|| self.missing("remove", name))?;
        state.pending.push(NameChange::Remove(name.to_owned()));
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        let mut state = self.change("sync", "")?;
        state.synced_names = state.names.clone();
        state.pending.clear();
        Ok(())
    }
}

struct MemoryLock(Arc<AtomicBool>);

impl DirLock for MemoryLock {}

impl Drop for MemoryLock {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

struct MemoryFile {
    dir: MemoryDir,
    name: String,
    node: NodeId,
}

impl DirFile for MemoryFile {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let failed = match self.dir.change("write", &self.name) {
            Ok(mut state) => {
                state.nodes.entry(self.node).or_default().bytes.extend_from_slice(bytes);
                return Ok(());
            }
            Err(error) => error,
        };
        let mut state = self.dir.state();
        state.nodes.entry(self.node).or_default().bytes.extend_from_slice(&bytes[..bytes.len() / 2]);
        Err(failed)
    }

    fn sync(&mut self) -> Result<()> {
        let failed = match self.dir.change("sync", &self.name) {
            Ok(mut state) => {
                let node = state.nodes.entry(self.node).or_default();
                if !node.is_forgotten {
                    node.synced = node.bytes.clone();
                }
                return Ok(());
            }
            Err(error) => error,
        };
        self.dir.state().nodes.entry(self.node).or_default().is_forgotten = true;
        Err(failed)
    }
}
