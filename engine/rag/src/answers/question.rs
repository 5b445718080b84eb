//! When two questions are taken for one.
//!
//! **Problem.** Two vectors that are near do not make two questions one. A question and its negation have nearly the same words and so nearly the same
//! vector, and what a model's vocabulary lacks, as whole scripts may be, is the same unknown token to it: then even the cosine of 1 says nothing.
//!
//! **Idea.** The same text is the same question, whatever is done about others. Beyond that the vectors decide, if whoever runs the process
//! wants it, but never between questions with other numbers: years, amounts and versions are what vectors tell apart the least.
//!
//! **What it does not find out.** Negations, names that differ in a letter, numbers in words: no rule for these holds in every language.

/// A question, as it is looked for.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    /// Without white space around it.
    text: String,
    /// By which it is near others; without, it is the same as itself alone.
    vector: Option<Vec<f32>>,
}

impl Question {
    pub(crate) fn new(text: &str, vector: Option<Vec<f32>>) -> Question {
        Question { text: text.trim().to_owned(), vector }
    }

    /// Whether it has the same words, letter by letter.
    pub(super) fn is_same(&self, other: &Question) -> bool {
        self.text == other.text
    }

    /// How near another is, if both have a vector and the same numbers.
    pub(super) fn nearness(&self, other: &Question) -> Option<f64> {
        let (one, another) = (self.vector.as_ref()?, other.vector.as_ref()?);
        if numbers(&self.text).eq(numbers(&other.text)) { cosine(one, another) } else { None }
    }

    /// Bytes that it takes beside itself.
    pub(super) fn bytes(&self) -> usize {
        self.text.len() + self.vector.as_ref().map_or(0, |vector| size_of_val(vector.as_slice()))
    }
}

/// What has a digit, in order, with all that stands at it but the marks at its end.
fn numbers(text: &str) -> impl Iterator<Item = &str> {
    let runs = text.split_whitespace().filter(|run| run.chars().any(char::is_numeric));
    runs.map(|run| run.trim_end_matches(['.', ',', ';', ':', '?', '!']))
}

/// Of two vectors of the same length, none of which is zero.
pub(super) fn cosine(one: &[f32], other: &[f32]) -> Option<f64> {
    if one.len() != other.len() {
        return None;
    }
    let dot = |one: &[f32], other: &[f32]| {
        one.iter().zip(other).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>()
    };
    let cosine = dot(one, other) / (dot(one, one) * dot(other, other)).sqrt();
    cosine.is_finite().then_some(cosine)
}
