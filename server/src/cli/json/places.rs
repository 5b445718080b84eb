//! Where the parts of a file stand that errors name by their numbers.

use std::collections::BTreeMap;

/// The places of lists, by the names that errors have for these: `operations[3]` is the fourth of its list.
#[derive(Debug, Default)]
pub(crate) struct Places(BTreeMap<&'static str, Vec<String>>);

impl Places {
    /// Adds the place of the next of a list.
    pub(crate) fn push(&mut self, list: &'static str, place: String) {
        self.0.entry(list).or_default().push(place);
    }

    /// All places of a list.
    pub(crate) fn all(&self, list: &str) -> &[String] {
        self.0.get(list).map(Vec::as_slice).unwrap_or_default()
    }

    /// Puts the place of what an error is about before it.
    pub(crate) fn of(&self, error: anyhow::Error) -> anyhow::Error {
        let place = error.chain().find_map(|cause| self.named(&cause.to_string()));
        match place {
            Some(place) => error.context(place),
            None => error,
        }
    }

    /// The place of what a text begins with the name of.
    fn named(&self, said: &str) -> Option<String> {
        let (list, rest) = said.split_once('[')?;
        let (index, _) = rest.split_once(']')?;
        // To the engine the operations of a batch are all points.
        let list = if list == "points" { "operations" } else { list };
        self.all(list).get(index.parse::<usize>().ok()?).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_get_the_place_of_what_they_are_about() {
        let mut places = Places::default();
        for (list, line) in [("preconditions", 1), ("operations", 2), ("operations", 4)] {
            places.push(list, format!("f, line {line}"));
        }
        let placed = |error: &'static str| format!("{:#}", places.of(anyhow::anyhow!(error)));
        assert_eq!(placed("operations[1].update.set.a: x"), "f, line 4: operations[1].update.set.a: x");
        assert_eq!(placed("points[0].vector: x"), "f, line 2: points[0].vector: x");
        assert_eq!(placed("preconditions[0]: x"), "f, line 1: preconditions[0]: x");
        for other in
            ["points[9].id: x", "points: x", "collection `a` does not exist", "points[x]: y", "k[0]: z"]
        {
            assert_eq!(placed(other), other);
        }
        let within = anyhow::anyhow!("operations[0]: x").context("http://127.0.0.1:1");
        assert!(format!("{:#}", places.of(within)).starts_with("f, line 2: "));
    }
}
