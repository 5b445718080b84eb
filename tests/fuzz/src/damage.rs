//! From the bytes of an input to a damaged database.
//!
//! An input is a list of changes, each of a few bytes: which file, which part, where, what. Any bytes are an input, and
//! a small change to them is a small change to the damage, as a fuzzer likes it; missing bytes are zero.

use crate::input::{Input, edit};
use crate::{File, Sample};

/// Changes of one input at most.
const CHANGES_MAX: usize = 8;

/// A file while it is changed.
enum Changing {
    /// Its checksums are repaired in the end.
    Parts(File),
    /// As a bad disk does it: nobody repairs anything.
    Bytes(Vec<u8>),
}

impl Changing {
    fn join(&self) -> Vec<u8> {
        match self {
            Changing::Parts(file) => file.join(),
            Changing::Bytes(bytes) => bytes.clone(),
        }
    }
}

/// Damages a copy of the sample as an input says. Also says whether the database is to be written to afterwards.
pub fn damage(sample: &Sample, input: &[u8]) -> (Sample, bool) {
    let mut input = Input(input);
    let writes = input.byte() % 8 == 1;
    let split = |(name, bytes): &(String, Vec<u8>)| (name.clone(), Changing::Parts(File::split(name, bytes)));
    let mut files: Vec<(String, Changing)> = sample.files.iter().map(split).collect();
    for _ in 0..CHANGES_MAX {
        if input.0.is_empty() || files.is_empty() {
            break;
        }
        change(&mut files, &mut input);
    }
    let files = files.into_iter().map(|(name, file)| (name, file.join())).collect();
    (Sample { files }, writes)
}

/// Makes one change to one file, which may end it.
fn change(files: &mut Vec<(String, Changing)>, input: &mut Input<'_>) {
    let index = usize::from(input.byte()) % files.len();
    let how = input.byte() % 32;
    if how == 0 {
        files.remove(index);
        return;
    }
    if how == 1 {
        // Another file of the same kind: sound, but not the right one.
        let kind = |name: &str| name.split('-').next().map(str::to_owned);
        let same: Vec<usize> =
            (0..files.len()).filter(|at| kind(&files[*at].0) == kind(&files[index].0)).collect();
        let other = same[usize::from(input.byte()) % same.len()];
        files[index].1 = Changing::Bytes(files[other].1.join());
        return;
    }
    if how < 6 {
        files[index].1 = Changing::Bytes(files[index].1.join());
    }
    match &mut files[index].1 {
        Changing::Bytes(bytes) => edit(bytes, input),
        Changing::Parts(file) => {
            let part = usize::from(input.byte()) % file.parts.len();
            edit(&mut file.parts[part], input);
        }
    }
}
