//! Tokens of an identity provider (JWT), as credentials.
//!
//! - `key_set.rs`: the provider's public keys, which change while the server runs;
//! - `signature.rs`: what checks signatures.
//!
//! A token must be signed by a key of the set, with an algorithm of public keys that is the key's own; name the issuer and the audience that are configured; and
//! have begun and not ended. What it may do is what its roles are granted, with its claims in their row filters.
//!
//! Deliberately absent: signatures by a shared secret (HMAC), for which whoever checks could sign as well; tokens that name the address of their key
//! (`jku`, `x5u`), which the caller would choose; looking tokens up at the provider, so one is good until it ends: keep them short-lived.

mod key_set;
mod signature;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};

use self::key_set::{KeySet, NotRead};
use super::caller::{Caller, Credentials};
use super::claims::Claims;
use super::config::JwtConfig;
use super::grant::Grant;
use crate::limits::TOKEN_BYTES_MAX;

/// How far clocks may be apart, in seconds.
const LEEWAY_S: u64 = 30;
/// Bytes of a subject: what OpenID Connect allows.
const SUBJECT_BYTES_MAX: usize = 255;
/// What tokens may be signed with.
const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// Why a token is not taken, for the log.
pub(super) type Reason = &'static str;
/// Nothing is known of its key: the one reason for which it may be taken a little later.
pub(super) const NOT_READ: Reason = "keys of the provider not read";

/// What checks tokens.
#[derive(Debug)]
pub(super) struct Jwt {
    issuer: String,
    audience: String,
    roles_claim: String,
    roles: BTreeMap<String, Vec<Grant>>,
    keys: KeySet,
}

impl Jwt {
    /// By a configuration that was checked; none if no tokens are taken.
    pub(super) fn new(config: &JwtConfig) -> Option<Jwt> {
        let JwtConfig { keys: Some(keys), issuer: Some(issuer), audience: Some(audience), .. } = config
        else {
            return None;
        };
        signature::install();
        Some(Jwt {
            issuer: issuer.clone(),
            audience: audience.clone(),
            roles_claim: config.roles_claim.clone(),
            roles: config.roles.clone(),
            keys: KeySet::new(keys.clone(), config.refresh),
        })
    }

    /// Who a token stands for.
    ///
    /// # Errors
    /// What is wrong with it. Nothing of this is for the caller, who may be anybody.
    pub(super) async fn verify(&self, token: &str) -> Result<Caller, Reason> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err("token too long");
        }
        let header = decode_header(token).map_err(|_| "no token")?;
        // Extensions that must be understood are not.
        if header.crit.is_some() || !ALGORITHMS.contains(&header.alg) {
            return Err("algorithm not taken");
        }
        let jwk =
            self.keys.find(&header).await.map_err(|NotRead| NOT_READ)?.ok_or("signing key not known")?;
        let key = DecodingKey::from_jwk(&jwk).map_err(|_| "signing key not usable")?;
        let mut validation = Validation::new(header.alg);
        validation.leeway = LEEWAY_S;
        validation.validate_nbf = true;
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.set_issuer(&[&self.issuer]);
        validation.set_audience(&[&self.audience]);
        let claims = decode::<Claims>(token, &key, &validation).map_err(|error| reason(error.kind()))?.claims;
        self.caller(&claims)
    }

    fn caller(&self, claims: &Claims) -> Result<Caller, Reason> {
        let subject = claims.get("sub").and_then(|subject| subject.as_str()).ok_or("claim missing")?;
        // It names a caller among others, whom limits and kept answers tell apart by it, so nothing of it is left out; and it stands in the log.
        let is_long = subject.len() > SUBJECT_BYTES_MAX;
        if subject.is_empty() || is_long || subject.chars().any(char::is_control) {
            return Err("subject not usable");
        }
        let roles = role_names(claims, &self.roles_claim);
        let granted = roles.into_iter().filter_map(|role| self.roles.get(role)).flatten();
        let grants = granted.filter_map(|grant| grant.bind(claims)).collect();
        // It was found to be a number that has not passed.
        let exp = claims.get("exp").and_then(serde_json::Value::as_f64).unwrap_or_default();
        let until_us = ((exp + LEEWAY_S as f64) * 1e6) as u64;
        let (name, credentials) = (format!("jwt:{subject}").into(), Credentials::Token { until_us });
        Ok(Caller { name, grants, credentials })
    }
}

/// The roles of a token: a list of names, or names in one text, apart by spaces. A claim within another is written with dots
/// (`realm_access.roles`).
fn role_names<'a>(claims: &'a Claims, path: &str) -> Vec<&'a str> {
    let mut parts = path.split('.');
    let first = parts.next().and_then(|name| claims.get(name));
    // A name may have dots itself, as those that are URLs do.
    let whole = claims.get(path);
    match whole.or_else(|| parts.try_fold(first?, |value, name| value.get(name))) {
        Some(serde_json::Value::Array(names)) => names.iter().filter_map(serde_json::Value::as_str).collect(),
        Some(serde_json::Value::String(names)) => names.split_whitespace().collect(),
        _ => Vec::new(),
    }
}

fn reason(kind: &ErrorKind) -> Reason {
    match kind {
        ErrorKind::InvalidSignature => "signature wrong",
        ErrorKind::ExpiredSignature => "token ended",
        ErrorKind::ImmatureSignature => "token not begun",
        ErrorKind::InvalidIssuer => "issuer wrong",
        ErrorKind::InvalidAudience => "audience wrong",
        ErrorKind::MissingRequiredClaim(_) => "claim missing",
        ErrorKind::InvalidAlgorithm => "algorithm not taken",
        _ => "token not readable",
    }
}
