//! How callers are told apart, if they are.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use http::Uri;

use super::grant::Grant;
use super::limiter::Limits;

/// How long the keys of an identity provider are taken for what they are.
const REFRESH: Duration = Duration::from_secs(300);

/// How a server tells its callers apart. By default it does not: everybody who reaches it may do everything, so that it listens on the loopback interface
/// alone unless [`insecure_listen`](Self::insecure_listen) says otherwise, or clients must show certificates.
#[derive(Clone, Debug, Default)]
pub struct AccessConfig {
    /// Whether every call needs an API key or a token; where [tokens are taken](JwtConfig::keys) it does in any case.
    pub required: bool,
    /// Whose tokens are taken, beside API keys; nobody's by default.
    pub jwt: JwtConfig,
    /// Whether the server may listen beyond the loopback interface though nobody is asked who they are.
    pub insecure_listen: bool,
}

/// Whose tokens are taken, and what they allow.
#[derive(Clone, Debug)]
pub struct JwtConfig {
    /// Where the public keys of the identity provider are: a file or a URL of a JSON Web Key Set. Without it no tokens are taken. A URL is https, or http of
    /// this machine, which is asked for without a proxy: whoever could put keys there on the way could make tokens.
    pub keys: Option<String>,
    /// What tokens name as their issuer (`iss`).
    pub issuer: Option<String>,
    /// What they name among their audience (`aud`).
    pub audience: Option<String>,
    /// The claim that has their roles, as a list or as one text; `a.b` is the claim `b` within the claim `a`.
    pub roles_claim: String,
    /// What each role is granted; a role that is not here allows nothing.
    pub roles: BTreeMap<String, Vec<Grant>>,
    /// What each subject may ask for in some time.
    pub limits: Limits,
    /// After how long the keys are read again.
    pub refresh: Duration,
}

impl AccessConfig {
    /// Whether callers are told apart.
    pub fn is_on(&self) -> bool {
        self.required || self.jwt.keys.is_some()
    }

    /// The first part that is not acceptable, and why.
    pub(crate) fn problem(&self) -> Option<(&'static str, &'static str)> {
        self.jwt.problem()
    }
}

impl Default for JwtConfig {
    fn default() -> Self {
        JwtConfig {
            keys: None,
            issuer: None,
            audience: None,
            roles_claim: "roles".to_owned(),
            roles: BTreeMap::new(),
            limits: Limits::default(),
            refresh: REFRESH,
        }
    }
}

impl JwtConfig {
    /// Tokens of an issuer for an audience, by keys in a file or at a URL. No role is granted anything yet.
    pub fn new(keys: impl Into<String>, issuer: impl Into<String>, audience: impl Into<String>) -> JwtConfig {
        let [keys, issuer, audience] = [keys.into(), issuer.into(), audience.into()].map(Some);
        JwtConfig { keys, issuer, audience, ..JwtConfig::default() }
    }

    /// What roles are granted, each as `ROLE=GRANT`.
    pub(crate) fn role_texts(&self) -> Vec<String> {
        let texts = |(role, grants): (&String, &Vec<Grant>)| -> Vec<String> {
            grants.iter().map(|grant| format!("{role}={grant}")).collect()
        };
        self.roles.iter().flat_map(texts).collect()
    }

    /// Reads what roles are granted, in the place of what they were. A role may be named more than once.
    ///
    /// # Errors
    /// What is wrong with the first text that is not `ROLE=GRANT`.
    pub(crate) fn set_role_texts(&mut self, texts: &[&str]) -> Result<(), String> {
        let mut roles: BTreeMap<String, Vec<Grant>> = BTreeMap::new();
        for text in texts {
            let parts = text.split_once('=').map(|(role, grant)| (role.trim(), grant));
            let Some((role, grant)) = parts.filter(|(role, _)| !role.is_empty()) else {
                return Err(format!("`{text}` is not written as ROLE=GRANT"));
            };
            let grant = grant.parse::<Grant>().map_err(|error| error.to_string())?;
            roles.entry(role.to_owned()).or_default().push(grant);
        }
        self.roles = roles;
        Ok(())
    }

    /// The first part that is not acceptable, and why.
    pub(super) fn problem(&self) -> Option<(&'static str, &'static str)> {
        let given = [("jwt.issuer", &self.issuer), ("jwt.audience", &self.audience)];
        let is_empty = |text: &Option<String>| text.as_ref().is_none_or(String::is_empty);
        match &self.keys {
            None if self.issuer.is_some() => return Some(("jwt.keys", "is needed beside jwt.issuer")),
            None if self.audience.is_some() => return Some(("jwt.keys", "is needed beside jwt.audience")),
            None if !self.roles.is_empty() => return Some(("jwt.keys", "is needed beside jwt.roles")),
            None => {}
            Some(keys) if keys.is_empty() => return Some(("jwt.keys", "is empty")),
            Some(keys) if is_in_the_clear(keys) => {
                return Some(("jwt.keys", "is a URL of another machine without TLS: take https"));
            }
            Some(_) => {
                if let Some((field, _)) = given.into_iter().find(|(_, text)| is_empty(text)) {
                    return Some((field, "is needed beside jwt.keys"));
                }
            }
        }
        if self.roles_claim.is_empty() {
            return Some(("jwt.roles_claim", "is empty"));
        }
        if self.refresh.is_zero() {
            return Some(("jwt.refresh", "is 0 and must be above it"));
        }
        match self.limits.check() {
            Ok(()) => None,
            Err(("limits.per_second", _)) => Some(("jwt.per_second", "is no number above 0")),
            Err(_) => Some(("jwt.burst", "is 0, or stands there without jwt.per_second")),
        }
    }
}

/// Whether it is a URL that others than this machine can answer for.
fn is_in_the_clear(keys: &str) -> bool {
    if !keys.starts_with("http://") {
        return false;
    }
    let url = keys.parse::<Uri>();
    let host = url.as_ref().ok().and_then(Uri::host).unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host != "localhost" && !address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_read_as_they_are_shown() {
        let mut jwt = JwtConfig::default();
        let texts = ["reader=read on a", "writer = write on *", "reader=read on b where c = '='"];
        jwt.set_role_texts(&texts).unwrap();
        assert_eq!((jwt.roles["reader"].len(), jwt.roles["writer"].len()), (2, 1));
        let shown = jwt.role_texts();
        assert_eq!(shown, [texts[0], texts[2], "writer=write on *"]);
        let mut again = JwtConfig::default();
        again.set_role_texts(&shown.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
        assert_eq!(again.roles, jwt.roles);
        for wrong in ["reader", "=read on a", "reader=fly", "reader="] {
            assert!(jwt.set_role_texts(&["x=admin", wrong]).is_err(), "{wrong}");
        }
        assert_eq!(again.roles, jwt.roles, "what is refused changes nothing");
    }

    #[test]
    fn keys_come_from_nowhere_that_others_can_answer_for() {
        let problem = |keys: &str| JwtConfig::new(keys, "i", "a").problem().map(|(field, _)| field);
        for sound in [
            "keys.json",
            "/etc/keys.json",
            "https://id.example/keys",
            "http://127.0.0.1:8080/keys",
            "http://[::1]/keys",
            "http://localhost/keys",
        ] {
            assert_eq!(problem(sound), None, "{sound}");
        }
        for wrong in
            ["http://id.example/keys", "http://10.0.0.1/keys", "http://localhost.example/keys", "http://"]
        {
            assert_eq!(problem(wrong), Some("jwt.keys"), "{wrong}");
        }
    }

    #[test]
    fn what_is_not_acceptable_is_named() {
        let named = |change: fn(&mut JwtConfig)| {
            let mut jwt = JwtConfig::new("k.json", "i", "a");
            change(&mut jwt);
            jwt.problem().map(|(field, _)| field)
        };
        assert_eq!(JwtConfig::default().problem(), None);
        assert_eq!(named(|_| ()), None);
        assert_eq!(named(|jwt| jwt.keys = None), Some("jwt.keys"));
        assert_eq!(named(|jwt| jwt.keys = Some(String::new())), Some("jwt.keys"));
        assert_eq!(named(|jwt| jwt.issuer = None), Some("jwt.issuer"));
        assert_eq!(named(|jwt| jwt.audience = Some(String::new())), Some("jwt.audience"));
        assert_eq!(named(|jwt| jwt.roles_claim.clear()), Some("jwt.roles_claim"));
        assert_eq!(named(|jwt| jwt.refresh = Duration::ZERO), Some("jwt.refresh"));
        assert_eq!(named(|jwt| jwt.limits.per_second = Some(-1.0)), Some("jwt.per_second"));
        assert_eq!(named(|jwt| jwt.limits.burst = Some(1)), Some("jwt.burst"));
        let on = |jwt| AccessConfig { jwt, ..AccessConfig::default() }.is_on();
        assert!(on(JwtConfig::new("k.json", "i", "a")) && !on(JwtConfig::default()));
    }
}
