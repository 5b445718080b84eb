//! Tests of the tests: a store that is wrong on purpose is found out by the machine that dies at every call.

use super::crash::{calls_of_scenario, run};
use super::{contents, open};
use crate::dir::memory::MemoryDir;
use crate::faults::{Mutant, with};

/// Deaths after which something acknowledged was missing, or the store did not open.
fn losses() -> u64 {
    let mut losses = 0;
    for call in 0..=calls_of_scenario() {
        for seed in 0..4 {
            let dir = MemoryDir::new();
            dir.crash_at(call);
            let (acknowledged, after) = run(&dir);
            let found = open(&dir.recovered(seed)).map(|db| contents(&db));
            losses += u64::from(!found.is_ok_and(|found| found == acknowledged || found == after));
        }
    }
    losses
}

#[test]
fn acknowledging_before_the_sync_is_found_out() {
    assert!(with(Mutant::AcknowledgeBeforeSync, losses) > 0);
}

#[test]
fn a_manifest_whose_name_is_not_synced_is_found_out() {
    assert!(with(Mutant::ManifestWithoutDirectorySync, losses) > 0);
}

#[test]
fn cutting_the_log_before_the_manifest_is_found_out() {
    assert!(with(Mutant::CutLogBeforeManifest, losses) > 0);
}

#[test]
fn cutting_the_log_before_patches_are_stored_is_found_out() {
    assert!(with(Mutant::CutLogBeforePatches, losses) > 0);
}

#[test]
fn dropping_the_last_frame_is_found_out() {
    assert!(with(Mutant::DropLastFrame, losses) > 0);
}
