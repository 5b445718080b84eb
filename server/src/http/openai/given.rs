//! A parameter whose error names it.
//!
//! **Problem.** One value of a wrong type fails the whole body, with a line and a column and no field: programs that put -1 for "as many as
//! there may be", or a number between quotes, are not told what to change.
//! **Idea.** The value is read where it stands, and what is wrong with it is told when its field is known. It costs a copy of its bytes,
//! which the limit of the body bounds.

use serde::de::{Deserialize, DeserializeOwned, Deserializer};
use serde_json::value::RawValue;

use crate::http::answer::ApiError;

/// A parameter as it came; null is as good as none.
#[derive(Debug)]
pub(super) struct Given<T>(Result<Option<T>, Wrong>);

/// That a parameter is of another type.
#[derive(Debug)]
struct Wrong;

impl<T> Default for Given<T> {
    fn default() -> Self {
        Given(Ok(None))
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Given<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Box::<RawValue>::deserialize(deserializer)?;
        Ok(Given(serde_json::from_str(value.get()).map_err(|_| Wrong)))
    }
}

/// A type that has words for what it takes.
pub(super) trait Worded {
    const WORDS: &'static str;
}

impl Worded for u32 {
    const WORDS: &'static str = "a whole number from 0 to 4294967295";
}

impl Worded for usize {
    const WORDS: &'static str = "a whole number from 0";
}

impl Worded for i64 {
    const WORDS: &'static str = "a whole number of 64 bits";
}

impl Worded for f32 {
    const WORDS: &'static str = "a number";
}

impl Worded for bool {
    const WORDS: &'static str = "true or false";
}

impl Worded for String {
    const WORDS: &'static str = "a text";
}

impl<T: Worded> Given<T> {
    /// The value of the field of this name, if there is one.
    pub(super) fn of(self, field: &str) -> Result<Option<T>, ApiError> {
        self.0.map_err(|Wrong| ApiError::invalid(field, &format!("it must be {}", T::WORDS)))
    }
}
