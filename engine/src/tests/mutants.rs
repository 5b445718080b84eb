//! Tests of the tests: a store that is wrong on purpose is found out by the machine that dies at every call.

use super::crash::{calls_of_scenario, run};
use super::{contents, open};
use crate::dir::memory::MemoryDir;
use crate::faults::{Mutant, with};

/// Whether after some death something acknowledged was missing, or the store did not open.
fn is_found_out() -> bool {
    (0..=calls_of_scenario()).any(|call| {
        let dir = MemoryDir::new();
        dir.crash_at(call);
        let (acknowledged, after) = run(&dir, call);
        (0..4).any(|seed| {
            let found = open(&dir.recovered(seed)).map(|db| contents(&db));
            !found.is_ok_and(|found| found == acknowledged || found == after)
        })
    })
}

#[test]
fn acknowledging_before_the_sync_is_found_out() {
    assert!(with(Mutant::AcknowledgeBeforeSync, is_found_out));
}

#[test]
fn a_manifest_whose_name_is_not_synced_is_found_out() {
    assert!(with(Mutant::ManifestWithoutDirectorySync, is_found_out));
}

#[test]
fn cutting_the_log_before_the_manifest_is_found_out() {
    assert!(with(Mutant::CutLogBeforeManifest, is_found_out));
}

#[test]
fn cutting_the_log_before_patches_are_stored_is_found_out() {
    assert!(with(Mutant::CutLogBeforePatches, is_found_out));
}

#[test]
fn dropping_the_last_frame_is_found_out() {
    assert!(with(Mutant::DropLastFrame, is_found_out));
}
