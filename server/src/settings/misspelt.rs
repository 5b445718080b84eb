//! Variables of the environment that were meant for a setting and are none.
//!
//! A file has our keys alone, so that one that nobody knows is refused. The environment has everybody's: Kubernetes sets `RAGSTONE_PORT` in whatever runs beside a
//! service of this name. So what only begins like ours is left alone, and what is a slip or two away from a name that is read is told.

use super::{VARIABLES, all};

/// Variables of this project that a server does not read.
const OF_OTHERS: [&str; 3] = ["RAGSTONE_URL", "RAGSTONE_API_KEY", "RAGSTONE_TLS_CA"];
/// Changes of a character that are taken for a slip.
const SLIPS_MAX: usize = 2;

/// Those of some variables that are not read, but nearly, each with the one that is.
pub fn misspelt(names: impl IntoIterator<Item = String>) -> Vec<(String, String)> {
    let mut known: Vec<String> = all().flat_map(|setting| setting.variables()).collect();
    known.extend(VARIABLES.iter().map(|variable| variable.name.to_owned()));
    let nearest = |name: &str| {
        let far = |other: &&String| strsim::damerau_levenshtein(other, name);
        known.iter().min_by_key(far).filter(|other| far(other) <= SLIPS_MAX).cloned()
    };
    let ours = names.into_iter().filter(|name| name.starts_with("RAGSTONE_"));
    let unknown = ours.filter(|name| !known.contains(name) && !OF_OTHERS.contains(&name.as_str()));
    unknown.filter_map(|name| nearest(&name).map(|nearest| (name, nearest))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The flag of a list is in the singular and its variable is not: `--generate-model` and `RAGSTONE_GENERATE_MODEL` go together for whoever has not
    /// read the table, and the server ran without a language model.
    #[test]
    fn what_is_nearly_a_variable_is_told_and_what_is_another_is_not() {
        let told = |name: &str| misspelt([name.to_owned()]).pop().map(|(_, nearest)| nearest);
        for (name, nearest) in [
            ("RAGSTONE_GENERATE_MODEL", "RAGSTONE_GENERATE_MODELS"),
            ("RAGSTONE_JWT_ROLE", "RAGSTONE_JWT_ROLES"),
            ("RAGSTONE_LISTN", "RAGSTONE_LISTEN"),
            ("RAGSTONE_CONFG", "RAGSTONE_CONFIG"),
        ] {
            assert_eq!(told(name).as_deref(), Some(nearest), "{name}");
        }
        for name in [
            "RAGSTONE_LISTEN",
            "RAGSTONE_CACHE",
            "RAGSTONE_URL",
            "RAGSTONE_API_KEY",
            "RAGSTONE_TLS_CA",
            "RAGSTONE_PORT",
            "RAGSTONE_PORT_6733_TCP_ADDR",
            "RAGSTONE_SERVICE_HOST",
            "LISTEN",
        ] {
            assert_eq!(told(name), None, "{name}");
        }
    }
}
