//! From the bytes of an input to a damaged database.
//!
//! An input is a list of changes, each of a few bytes: which file, which part, where, what. Any bytes are an input, and
//! a small change to them is a small change to the damage, as a fuzzer likes it; missing bytes are zero.

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

/// Changes some bytes of a part.
fn edit(part: &mut Vec<u8>, input: &mut Input<'_>) {
    let how = input.byte();
    let mut at = usize::from(input.u16()) % (part.len() + 1);
    if how & 0x80 != 0 {
        // Numbers lie at multiples of their size.
        at &= !7;
    }
    match how % 8 {
        0 => overwrite(part, at, &[input.byte()]),
        1 => {
            let mask = 1 << (input.byte() % 8);
            let flipped = part.get(at).map(|byte| byte ^ mask);
            overwrite(part, at, flipped.as_slice());
        }
        2 => {
            let number = input.number(part, at) as u32;
            overwrite(part, at, &number.to_le_bytes());
        }
        3 => {
            let number = input.number(part, at);
            overwrite(part, at, &number.to_le_bytes());
        }
        4 => {
            let from = usize::from(input.u16()) % (part.len() + 1);
            let end = part.len().min(from + usize::from(input.byte()));
            let copied = part[from..end].to_vec();
            overwrite(part, at, &copied);
        }
        5 => part.truncate(at),
        6 => {
            let end = part.len().min(at + usize::from(input.byte()));
            part.drain(at..end);
        }
        _ => {
            let added = vec![input.byte(); usize::from(input.byte())];
            part.splice(at..at, added);
        }
    }
}

/// Writes over what is there; what goes beyond the end is lost.
fn overwrite(part: &mut [u8], at: usize, bytes: &[u8]) {
    let room = part.len().saturating_sub(at).min(bytes.len());
    part[at..at + room].copy_from_slice(&bytes[..room]);
}

/// What is left of an input.
struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn u16(&mut self) -> u16 {
        u16::from_le_bytes([self.byte(), self.byte()])
    }

    /// A number that readers stumble over: at the ends of a type, or near what stands there.
    fn number(&mut self, part: &[u8], at: usize) -> u64 {
        let how = self.byte();
        let mut there = [0; 8];
        let rest = part.get(at..).unwrap_or_default();
        let known = rest.len().min(8);
        there[..known].copy_from_slice(&rest[..known]);
        let (there, step) = (u64::from_le_bytes(there), u64::from(how >> 4) + 1);
        match how % 8 {
            0 => u64::from(how >> 4),
            1 => u64::MAX - u64::from(how >> 4),
            2 => there.wrapping_add(step),
            3 => there.wrapping_sub(step),
            4 => part.len() as u64 + step,
            5 => u64::from(u32::MAX) - step,
            6 => 1 << (u32::from(self.byte()) % 64),
            _ => u64::from(self.u16()),
        }
    }
}
