//! Tokens that are taken and tokens that are not.

mod provider;

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};

use super::super::action::Action;
use super::super::keys::now_us;
use super::*;

struct Signer {
    id: &'static str,
    pair: Ed25519KeyPair,
}

impl Signer {
    fn new(id: &'static str) -> Signer {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Signer { id, pair: Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap() }
    }

    fn jwk(&self) -> Value {
        let x = URL_SAFE_NO_PAD.encode(self.pair.public_key().as_ref());
        json!({"kty": "OKP", "crv": "Ed25519", "kid": self.id, "use": "sig", "alg": "EdDSA", "x": x})
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", part(header), part(claims));
        let signature = URL_SAFE_NO_PAD.encode(self.pair.sign(message.as_bytes()).as_ref());
        format!("{message}.{signature}")
    }

    fn token(&self, claims: &Value) -> String {
        self.sign(&json!({"alg": "EdDSA", "typ": "JWT", "kid": self.id}), claims)
    }
}

fn now_s() -> u64 {
    now_us() / 1_000_000
}

fn claims() -> Value {
    json!({
        "iss": "https://issuer", "aud": ["ragstone", "other"], "sub": "somebody",
        "exp": now_s() + 600, "roles": ["reader", "unknown"], "tenant": "a",
    })
}

fn with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[name] = value;
    claims
}

fn set(keys: &[&Signer]) -> String {
    let keys: Vec<Value> = keys.iter().map(|key| key.jwk()).collect();
    json!({"keys": keys}).to_string()
}

fn jwt(directory: &tempfile::TempDir, keys: &[&Signer]) -> Jwt {
    let file = directory.path().join("keys.json");
    std::fs::write(&file, set(keys)).unwrap();
    jwt_of(file.to_str().unwrap(), Duration::from_secs(300))
}

fn jwt_of(keys: &str, refresh: Duration) -> Jwt {
    let reader = vec!["read on notes where tenant = $claims.tenant".parse().unwrap()];
    let mut config = JwtConfig::new(keys, "https://issuer", "ragstone");
    config.refresh = refresh;
    config.roles = BTreeMap::from([("reader".to_owned(), reader)]);
    assert_eq!(config.problem(), None);
    Jwt::new(&config).unwrap()
}

#[tokio::test]
async fn a_token_is_taken_for_what_its_roles_are_granted() {
    let (directory, signer) = (tempfile::tempdir().unwrap(), Signer::new("first"));
    let jwt = jwt(&directory, &[&signer]);
    let caller = jwt.verify(&signer.token(&claims())).await.unwrap();
    assert_eq!((&*caller.name, caller.grants.len()), ("jwt:somebody", 1));
    assert_eq!(caller.grants[0].action, Action::Read);
    assert_eq!(caller.grants[0].rows.as_ref().unwrap().filter().to_string(), r#"tenant = "a""#);
    // Without the claim, the role allows nothing.
    let mut lacking = claims();
    lacking.as_object_mut().unwrap().remove("tenant");
    assert!(jwt.verify(&signer.token(&lacking)).await.unwrap().grants.is_empty());
    let none = jwt.verify(&signer.token(&with("roles", json!("unknown")))).await.unwrap();
    assert!(none.grants.is_empty());
}

#[tokio::test]
async fn what_is_wrong_with_a_token_is_found() {
    let directory = tempfile::tempdir().unwrap();
    let (signer, stranger) = (Signer::new("first"), Signer::new("first"));
    let jwt = jwt(&directory, &[&signer]);
    let good = signer.token(&claims());
    let (message, signature) = good.rsplit_once('.').unwrap();
    let other = if signature.starts_with('A') { 'B' } else { 'A' };
    let header = |header: Value| signer.sign(&header, &claims());
    let unsigned = URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#);
    let cases = [
        ("no token", "a.b".to_owned()),
        ("no token", format!("{unsigned}.{}.", message.split_once('.').unwrap().1)),
        ("signature wrong", stranger.token(&claims())),
        ("signature wrong", format!("{message}.{other}{}", &signature[1..])),
        ("token ended", signer.token(&with("exp", json!(now_s() - 60)))),
        ("token not begun", signer.token(&with("nbf", json!(now_s() + 60)))),
        ("token not readable", signer.token(&with("nbf", json!("soon")))),
        ("issuer wrong", signer.token(&with("iss", json!("https://other")))),
        ("audience wrong", signer.token(&with("aud", json!("other")))),
        ("claim missing", signer.token(&with("exp", Value::Null))),
        ("claim missing", signer.token(&with("sub", Value::Null))),
        ("claim missing", signer.token(&with("aud", Value::Null))),
        // Cut, or without what is not shown, it would be that of somebody else.
        ("subject not usable", signer.token(&with("sub", json!("x".repeat(256))))),
        ("subject not usable", signer.token(&with("sub", json!("some\u{7}body")))),
        ("subject not usable", signer.token(&with("sub", json!("")))),
        ("algorithm not taken", header(json!({"alg": "HS256", "kid": "first"}))),
        ("algorithm not taken", header(json!({"alg": "EdDSA", "kid": "first", "crit": ["x"]}))),
        ("signing key not known", header(json!({"alg": "ES256", "kid": "first"}))),
        ("signing key not known", header(json!({"alg": "EdDSA", "kid": "second"}))),
        ("token too long", "x".repeat(TOKEN_BYTES_MAX + 1)),
    ];
    for (expected, token) in cases {
        assert_eq!(jwt.verify(&token).await.map(|caller| caller.name).unwrap_err(), expected, "{token}");
    }
    assert!(jwt.verify(&good).await.is_ok());
    // A key is meant without being named where there is one.
    assert!(jwt.verify(&header(json!({"alg": "EdDSA"}))).await.is_ok());
}

#[tokio::test]
async fn another_key_is_found_when_the_set_has_it() {
    let directory = tempfile::tempdir().unwrap();
    let (first, second) = (Signer::new("first"), Signer::new("second"));
    let jwt = jwt(&directory, &[&first]);
    assert!(jwt.verify(&first.token(&claims())).await.is_ok());
    let keys = json!({"keys": [second.jwk()]}).to_string();
    std::fs::write(directory.path().join("keys.json"), keys).unwrap();
    // It was read a moment ago, and is not read again for whoever names a key.
    assert_eq!(jwt.verify(&second.token(&claims())).await.map(drop), Err("signing key not known"));
    jwt.keys.forget_the_pause();
    assert!(jwt.verify(&second.token(&claims())).await.is_ok());
    assert!(jwt.verify(&first.token(&claims())).await.is_err(), "the provider has taken it back");
}

#[test]
fn roles_are_where_providers_put_them() {
    let claims = json!({
        "roles": ["a", 7, "b"], "scope": "c d", "realm_access": {"roles": ["e"]}, "https://x.y/roles": ["f"],
    });
    let claims = claims.as_object().unwrap();
    assert_eq!(role_names(claims, "roles"), ["a", "b"]);
    assert_eq!(role_names(claims, "scope"), ["c", "d"]);
    assert_eq!(role_names(claims, "realm_access.roles"), ["e"]);
    assert_eq!(role_names(claims, "https://x.y/roles"), ["f"]);
    assert!(role_names(claims, "none").is_empty() && role_names(claims, "roles.a").is_empty());
}

/// Both come from elsewhere: keys from the provider, tokens from anybody.
#[tokio::test]
async fn no_bytes_of_keys_or_tokens_are_a_panic() {
    const RUNS: usize = 400;
    let (directory, signer) = (tempfile::tempdir().unwrap(), Signer::new("first"));
    let others = [
        json!({"kty": "EC", "crv": "P-256", "kid": "first", "x": "AAAA", "y": "AAAA"}),
        json!({"kty": "RSA", "kid": "first", "n": "AQAB", "e": "AQAB", "alg": "RS256"}),
        json!({"kty": "oct", "kid": "first", "k": "AAAA"}),
    ];
    let set = json!({"keys": [signer.jwk(), others[0], others[1], others[2]]}).to_string();
    let token = signer.token(&claims());
    let algorithms = ["EdDSA", "ES256", "RS256", "PS512"];
    let mut state = 5_u64;
    // A linear congruential generator (Knuth 1981), its upper bits.
    let mut below = |bound: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % bound
    };
    let mut taken = 0;
    for _ in 0..RUNS {
        let mut keys = set.clone().into_bytes();
        for _ in 0..below(4) {
            let at = below(keys.len());
            keys[at] = [b'"', b'0', b'[', b'A', 0xff, b'}'][below(6)];
        }
        let jwt = jwt(&directory, &[]);
        std::fs::write(directory.path().join("keys.json"), &keys).unwrap();
        let sent = match below(3) {
            0 => signer.sign(&json!({"alg": algorithms[below(4)], "kid": "first"}), &claims()),
            1 => {
                let mut changed = token.clone().into_bytes();
                let at = below(changed.len());
                changed[at] = [b'.', b'-', b'A', b' '][below(4)];
                String::from_utf8(changed).unwrap()
            }
            _ => token.clone(),
        };
        taken += usize::from(jwt.verify(&sent).await.is_ok());
    }
    assert!((1..RUNS).contains(&taken), "{taken} of {RUNS} were taken");
}
