//! A process and all that it starts, which end together.
//!
//! A program may be a script, or start others. Killed alone, it leaves them, and they hold its pipes, which are read until all their ends are closed: who
//! waited for its text waited for them. So it leads a group of processes, and the group is killed. One that leaves the group is not reached.
//!
//! A group has the number of its leader, which the system may give to another process once the leader was waited for. So the group is killed before
//! that, also where the leader has ended by itself, which is asked here without waiting for it.
//!
//! Where there are no groups of processes, it is killed alone.

use std::process::{Child, Command};

#[cfg(unix)]
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

/// Has a process lead a group of its own.
#[cfg(unix)]
pub(super) fn of_its_own(command: &mut Command) {
    std::os::unix::process::CommandExt::process_group(command, 0);
}

#[cfg(not(unix))]
pub(super) fn of_its_own(_: &mut Command) {}

/// Ends a process that was not waited for yet, and its group.
#[cfg(unix)]
pub(super) fn kill(child: &mut Child) {
    // Refused where there is nobody left to kill.
    let _ = kill_process_group(Pid::from_child(child), Signal::KILL);
}

#[cfg(not(unix))]
pub(super) fn kill(child: &mut Child) {
    let _ = child.kill();
}

/// Whether a process has not ended yet. One that has is still to be waited for.
#[cfg(unix)]
pub(super) fn is_running(child: &mut Child) -> bool {
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    matches!(waitid(WaitId::Pid(Pid::from_child(child)), look), Ok(None))
}

#[cfg(not(unix))]
pub(super) fn is_running(child: &mut Child) -> bool {
    matches!(child.try_wait(), Ok(None))
}
