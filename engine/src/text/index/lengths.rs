//! How many terms each row's text has: exact, in one, two or four bytes a row.

/// The lengths of texts where they lie. A row that is not there has length 0.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Lengths<'a> {
    One(&'a [u8]),
    Two(&'a [[u8; 2]]),
    Four(&'a [[u8; 4]]),
}

impl<'a> Lengths<'a> {
    /// `None` if there is no such width.
    pub(super) fn new(bytes: &'a [u8], width: u8) -> Option<Self> {
        match width {
            1 => Some(Lengths::One(bytes)),
            2 => Some(Lengths::Two(bytes.as_chunks().0)),
            4 => Some(Lengths::Four(bytes.as_chunks().0)),
            _ => None,
        }
    }

    /// Of one row.
    #[inline]
    pub(in crate::text) fn get(&self, slot: u32) -> u32 {
        let slot = slot as usize;
        match self {
            Lengths::One(bytes) => bytes.get(slot).map_or(0, |byte| u32::from(*byte)),
            Lengths::Two(pairs) => pairs.get(slot).map_or(0, |pair| u32::from(u16::from_le_bytes(*pair))),
            Lengths::Four(words) => words.get(slot).map_or(0, |word| u32::from_le_bytes(*word)),
        }
    }
}

impl Lengths<'_> {
    /// Appends something made of the length of each row.
    #[inline]
    pub(in crate::text) fn map_into(&self, slots: &[u32], out: &mut Vec<f32>, map: impl Fn(u32) -> f32) {
        // The width is looked at once, not for each row.
        match *self {
            Lengths::One(bytes) => out.extend(slots.iter().map(|slot| map(Lengths::One(bytes).get(*slot)))),
            Lengths::Two(pairs) => out.extend(slots.iter().map(|slot| map(Lengths::Two(pairs).get(*slot)))),
            Lengths::Four(words) => out.extend(slots.iter().map(|slot| map(Lengths::Four(words).get(*slot)))),
        }
    }
}

/// The bytes of lengths, and how many each takes.
pub(super) fn encode(lengths: &[u32]) -> (u8, Vec<u8>) {
    match lengths.iter().copied().max().unwrap_or_default() {
        0..=0xFF => (1, lengths.iter().map(|length| *length as u8).collect()),
        0x100..=0xFFFF => (2, lengths.iter().flat_map(|length| (*length as u16).to_le_bytes()).collect()),
        _ => (4, lengths.iter().flat_map(|length| length.to_le_bytes()).collect()),
    }
}
