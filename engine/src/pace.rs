//! Long work at somebody's pace: after every short piece of it, it asks whether to go on.
//!
//! Verifying reads files for minutes, and who wants it differs: one shows how far it is and may cancel, a thread in the
//! background rests between two pieces until the database is closed, a merge just waits. So what reads is given a
//! [`Pace`] and calls it at least every few milliseconds of a slow disk. Asking costs some tens of nanoseconds.

use std::ops::ControlFlow;

/// Called after each piece of work with the bytes that it was the first to read, zero if it looked again at what was
/// read before. It returns when the next piece may begin, or ends the work.
pub(crate) type Pace<'a> = dyn FnMut(usize) -> ControlFlow<()> + 'a;

/// Why paced work was not done to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Halt<E> {
    /// Its pace ended it.
    Ended,
    /// It found this.
    Found(E),
}

impl<E> Halt<E> {
    pub(crate) fn map<F>(self, change: impl FnOnce(E) -> F) -> Halt<F> {
        match self {
            Halt::Ended => Halt::Ended,
            Halt::Found(error) => Halt::Found(change(error)),
        }
    }
}

/// A pace ended the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended;

impl<E> From<Ended> for Halt<E> {
    fn from(_: Ended) -> Self {
        Halt::Ended
    }
}

/// Work of many small items on bytes that were read before: asks a pace after every so many.
pub(crate) struct Steps<'a, 'b> {
    pace: &'a mut Pace<'b>,
    items_per_step: usize,
    items: usize,
}

impl<'a, 'b> Steps<'a, 'b> {
    pub(crate) fn new(pace: &'a mut Pace<'b>, items_per_step: usize) -> Self {
        Self { pace, items_per_step, items: 0 }
    }

    /// Counts an item.
    #[inline]
    pub(crate) fn one(&mut self) -> Result<(), Ended> {
        self.items += 1;
        if self.items < self.items_per_step {
            return Ok(());
        }
        self.items = 0;
        if (self.pace)(0).is_break() { Err(Ended) } else { Ok(()) }
    }
}

/// Does paced work without a rest.
pub(crate) fn at_once<T, E>(work: impl FnOnce(&mut Pace<'_>) -> Result<T, Halt<E>>) -> Result<T, E> {
    work(&mut |_| ControlFlow::Continue(())).map_err(|halt| match halt {
        Halt::Found(error) => error,
        Halt::Ended => unreachable!("this pace ends nothing"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_is_asked_after_every_so_many_items() {
        let mut asked = 0;
        let mut pace = |bytes| {
            assert_eq!(bytes, 0);
            asked += 1;
            if asked < 3 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        let mut steps = Steps::new(&mut pace, 4);
        let done = (0..100).take_while(|_| steps.one().is_ok()).count();
        assert_eq!((done, asked), (11, 3), "the twelfth item ended it");
    }

    #[test]
    fn work_at_once_comes_to_its_end() {
        let count = |pace: &mut Pace<'_>| {
            let mut steps = Steps::new(pace, 1);
            (0..10).try_for_each(|_| steps.one())?;
            Err::<(), _>(Halt::Found(7))
        };
        assert_eq!(at_once(count), Err(7));
    }
}
