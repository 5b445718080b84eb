//! The bytes of an input, and what they change.

/// Changes some bytes of a part.
pub(crate) fn edit(part: &mut Vec<u8>, input: &mut Input<'_>) {
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
pub(crate) struct Input<'a>(pub(crate) &'a [u8]);

impl Input<'_> {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    pub(crate) fn u16(&mut self) -> u16 {
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
