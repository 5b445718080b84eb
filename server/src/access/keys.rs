//! The API keys of a database: made, listed, changed for others, taken back.
//!
//! Each is an attribute of the database, so that it is as durable as the rows that it leads to and is part of snapshots: a hash, what it allows, until
//! when. What is looked up is what the database has now, so that a key that is taken back ends with the answer of that call. What was read of a
//! key is kept by the attribute's revision, and read anew where that is another.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ragstone::{Db, Expect};
use serde::{Deserialize, Serialize};

use super::caller::Credentials;
use super::claims::Claims;
use super::grant::{Bound, Grant, InvalidGrant};
use super::key::{Key, KeyError, NewKey};
use super::limiter::Limits;
use super::secret;
use crate::limits::{CLAIMS_BYTES_MAX, GRANTS_MAX, KEY_NAME_BYTES_MAX, KEYS_MAX};

/// What the keys of the attributes begin with.
const PREFIX: &str = "ragstone.key/";

/// As an attribute has it.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Record {
    name: String,
    hash: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    previous: Option<Previous>,
    grants: Vec<String>,
    #[serde(default, skip_serializing_if = "Claims::is_empty")]
    claims: Claims,
    #[serde(default)]
    limits: Limits,
    created_us: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_us: Option<u64>,
}

/// The key before the last rotation.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Previous {
    hash: String,
    until_us: u64,
}

/// A key as calls are measured by it.
#[derive(Debug)]
pub(super) struct Known {
    id: Arc<str>,
    /// What logs and limits name.
    pub(super) caller: Arc<str>,
    revision: u64,
    record: Record,
    pub(super) grants: Arc<[Bound]>,
}

impl Known {
    pub(super) fn limits(&self) -> Limits {
        self.record.limits
    }
}

/// Why a text is no key that is good now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoKey {
    Unknown,
    Expired,
}

impl NoKey {
    /// For the log.
    pub(super) fn reason(self) -> &'static str {
        match self {
            NoKey::Unknown => "key not known",
            NoKey::Expired => "key ended",
        }
    }
}

/// The keys of a database; cheap to clone.
#[derive(Clone)]
pub struct Keys {
    db: Db,
    known: Arc<Mutex<HashMap<String, Arc<Known>>>>,
    /// Held by who makes a key, so that there are no more than may be.
    making: Arc<Mutex<()>>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").finish_non_exhaustive()
    }
}

impl Keys {
    /// Those of a database.
    pub fn new(db: Db) -> Keys {
        Keys { db, known: Arc::default(), making: Arc::default() }
    }

    /// Makes a key; the text that comes second is the key itself, which nobody can be told again. Durable when it returns.
    ///
    /// # Errors
    /// [`KeyError`]: the part that is not acceptable, a limit, or what the database refuses.
    pub fn create(&self, new: NewKey) -> Result<(Key, String), KeyError> {
        check_name(&new.name)?;
        check_limit("grants", "GRANTS_MAX", (GRANTS_MAX, new.grants.len()))?;
        if new.grants.is_empty() {
            return Err(invalid("grants", "a key without any allows nothing"));
        }
        for (index, grant) in new.grants.iter().enumerate() {
            grant.parse::<Grant>().map_err(|error: InvalidGrant| KeyError::Invalid {
                field: format!("grants[{index}]"),
                reason: error.to_string(),
            })?;
        }
        let claims = serde_json::to_string(&new.claims).map_or(usize::MAX, |text| text.len());
        check_limit("claims", "CLAIMS_BYTES_MAX", (CLAIMS_BYTES_MAX, claims))?;
        // Its claims are what they are for good.
        let is_void =
            |grant: &String| grant.parse::<Grant>().is_ok_and(|grant| grant.bind(&new.claims).is_none());
        if let Some(index) = new.grants.iter().position(is_void) {
            let reason = "it would allow nothing: a claim that it needs is not among the key's, or cannot stand in its filter";
            return Err(invalid(&format!("grants[{index}]"), reason));
        }
        new.limits.check().map_err(|(field, reason)| invalid(field, reason))?;
        let now = now_us();
        if new.expires_us.is_some_and(|expires| expires <= now) {
            return Err(invalid("expire_time", "it has passed"));
        }
        let _making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        check_limit("keys", "KEYS_MAX", (KEYS_MAX, self.db.attributes(PREFIX).len() + 1))?;
        let id = secret::new_id()?;
        let key = secret::new_key(&id)?;
        let NewKey { name, grants, claims, limits, expires_us } = new;
        let hash = secret::hash(&key);
        let record =
            Record { name, hash, previous: None, grants, claims, limits, created_us: now, expires_us };
        self.store(&id, &record, Expect::Absent)?;
        Ok((shown(&id, record), key))
    }

    /// Every key, by id.
    pub fn list(&self) -> Vec<Key> {
        let records = self.db.attributes(PREFIX).into_iter();
        records
            .filter_map(|(name, attribute)| {
                let record = serde_json::from_slice(&attribute.value).ok()?;
                Some(shown(name.strip_prefix(PREFIX)?, record))
            })
            .collect()
    }

    /// Takes a key back. Calls that come from then on are refused, and streams end with their next message; other calls that are under way come to
    /// their end.
    ///
    /// # Errors
    /// [`KeyError::NotFound`]; what the database refuses.
    pub fn revoke(&self, id: &str) -> Result<(), KeyError> {
        let (name, _, revision) = self.stored(id)?;
        self.db.set_attribute_if(&name, Expect::Etag(revision), None)?;
        self.known().remove(id);
        Ok(())
    }

    /// Gives a key another secret, which comes second and which nobody can be told again. The one before is taken for so long as well.
    ///
    /// # Errors
    /// [`KeyError::NotFound`]; what the database refuses.
    pub fn rotate(&self, id: &str, grace: Duration) -> Result<(Key, String), KeyError> {
        let (_, mut record, revision) = self.stored(id)?;
        let key = secret::new_key(id)?;
        let hash = std::mem::replace(&mut record.hash, secret::hash(&key));
        let until_us = now_us().saturating_add(u64::try_from(grace.as_micros()).unwrap_or(u64::MAX));
        record.previous = (!grace.is_zero()).then_some(Previous { hash, until_us });
        self.store(id, &record, Expect::Etag(revision))?;
        Ok((shown(id, record), key))
    }

    /// The key that a text is, if it is good now; and what is kept of its secret.
    pub(super) fn find(&self, key: &str, now_us: u64) -> Result<(Credentials, Arc<Known>), NoKey> {
        // Of a key that there is not, as much is computed.
        let hash = secret::hash(key);
        let id = secret::id_of(key).ok_or(NoKey::Unknown)?;
        let known = self.find_by(id, &hash, now_us)?;
        Ok((Credentials::Key { id: Arc::clone(&known.id), hash: hash.into() }, known))
    }

    /// The key of an id, if what is kept of its secret is this and it is good now.
    pub(super) fn find_by(&self, id: &str, hash: &str, now_us: u64) -> Result<Arc<Known>, NoKey> {
        let known = self.look_up(id).ok_or(NoKey::Unknown)?;
        let record = &known.record;
        let previous = record.previous.as_ref().filter(|previous| previous.until_us > now_us);
        let is_current = secret::is_same(&record.hash, hash);
        if !is_current && !previous.is_some_and(|previous| secret::is_same(&previous.hash, hash)) {
            return Err(NoKey::Unknown);
        }
        match record.expires_us {
            Some(expires) if expires <= now_us => Err(NoKey::Expired),
            _ => Ok(known),
        }
    }

    /// What there is of an id.
    fn look_up(&self, id: &str) -> Option<Arc<Known>> {
        let attribute = self.db.attribute(&format!("{PREFIX}{id}"))?;
        let revision = attribute.revision;
        if let Some(known) = self.known().get(id).filter(|known| known.revision == revision) {
            return Some(Arc::clone(known));
        }
        let record: Record = match serde_json::from_slice(&attribute.value) {
            Ok(record) => record,
            Err(error) => {
                tracing::error!(id, %error, "a key that cannot be read allows nothing");
                return None;
            }
        };
        // A grant that an earlier or later version wrote and this one does not understand allows nothing.
        let grants = record.grants.iter().filter_map(|grant| grant.parse::<Grant>().ok());
        let grants: Arc<[Bound]> = grants.filter_map(|grant| grant.bind(&record.claims)).collect();
        let caller = format!("key:{id}").into();
        let known = Arc::new(Known { id: id.into(), caller, revision, record, grants });
        self.known().insert(id.to_owned(), Arc::clone(&known));
        Some(known)
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<Known>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The name of a key's attribute, what that has, and its revision.
    fn stored(&self, id: &str) -> Result<(String, Record, u64), KeyError> {
        let not_found = || KeyError::NotFound { id: id.to_owned() };
        let name = format!("{PREFIX}{id}");
        let attribute = self.db.attribute(&name).ok_or_else(not_found)?;
        let record = serde_json::from_slice(&attribute.value).map_err(|error| KeyError::Invalid {
            field: format!("attribute `{name}`"),
            reason: error.to_string(),
        })?;
        Ok((name, record, attribute.revision))
    }

    fn store(&self, id: &str, record: &Record, expect: Expect) -> Result<(), KeyError> {
        let bytes = serde_json::to_vec(record)
            .map_err(|error| KeyError::Invalid { field: "key".to_owned(), reason: error.to_string() })?;
        self.db.set_attribute_if(&format!("{PREFIX}{id}"), expect, Some(&bytes))?;
        Ok(())
    }
}

fn shown(id: &str, record: Record) -> Key {
    Key {
        id: id.to_owned(),
        name: record.name,
        grants: record.grants,
        claims: record.claims,
        limits: record.limits,
        created_us: record.created_us,
        expires_us: record.expires_us,
        previous_until_us: record.previous.map(|previous| previous.until_us),
    }
}

fn check_name(name: &str) -> Result<(), KeyError> {
    check_limit("name", "KEY_NAME_BYTES_MAX", (KEY_NAME_BYTES_MAX, name.len()))?;
    if name.is_empty() || name.chars().any(char::is_control) {
        return Err(invalid("name", "it says what the key is for, without control characters"));
    }
    Ok(())
}

fn check_limit(
    field: &'static str,
    limit: &'static str,
    (max, actual): (usize, usize),
) -> Result<(), KeyError> {
    if actual > max {
        return Err(KeyError::Limit { field, limit, max: max as u64, actual: actual as u64 });
    }
    Ok(())
}

fn invalid(field: &str, reason: &str) -> KeyError {
    KeyError::Invalid { field: field.to_owned(), reason: reason.to_owned() }
}

/// Microseconds since 1970 (UTC).
pub(super) fn now_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> Keys {
        Keys::new(Db::in_memory().unwrap())
    }

    fn new() -> NewKey {
        NewKey { name: "web".to_owned(), grants: vec!["read on *".to_owned()], ..NewKey::default() }
    }

    #[test]
    fn a_key_is_good_until_it_is_taken_back() {
        let keys = keys();
        let (made, key) = keys.create(new()).unwrap();
        let (_, other) = keys.create(new()).unwrap();
        let (credentials, known) = keys.find(&key, now_us()).unwrap();
        let Credentials::Key { id, hash } = credentials else { panic!("it is a key") };
        assert_eq!((&*id, known.grants.len()), (made.id.as_str(), 1));
        assert!(keys.find_by(&id, &hash, now_us()).is_ok());
        let swapped = format!("rsk_{id}_{}", other.splitn(3, '_').last().unwrap());
        for wrong in ["", "rsk_", &key[..key.len() - 1], &format!("{key}x"), &swapped] {
            assert_eq!(keys.find(wrong, now_us()).map(drop), Err(NoKey::Unknown), "{wrong}");
        }
        assert_eq!(keys.list().len(), 2);
        keys.revoke(&id).unwrap();
        assert_eq!(keys.find(&key, now_us()).map(drop), Err(NoKey::Unknown));
        assert_eq!(keys.find_by(&id, &hash, now_us()).map(drop), Err(NoKey::Unknown));
        assert!(matches!(keys.revoke(&id), Err(KeyError::NotFound { .. })));
        assert!(keys.find(&other, now_us()).is_ok());
    }

    #[test]
    fn the_key_before_is_taken_for_a_while() {
        let keys = keys();
        let (made, first) = keys.create(new()).unwrap();
        let (rotated, second) = keys.rotate(&made.id, Duration::from_secs(60)).unwrap();
        let until = rotated.previous_until_us.unwrap();
        assert!(keys.find(&first, until - 1).is_ok() && keys.find(&second, until - 1).is_ok());
        assert_eq!(keys.find(&first, until).map(drop), Err(NoKey::Unknown));
        assert!(keys.find(&second, until).is_ok());
        let (_, third) = keys.rotate(&made.id, Duration::ZERO).unwrap();
        assert!(keys.find(&second, now_us()).is_err() && keys.find(&third, now_us()).is_ok());
    }

    #[test]
    fn a_key_ends_when_it_is_to() {
        let keys = keys();
        let expires = now_us() + 60_000_000;
        let (_, key) = keys.create(NewKey { expires_us: Some(expires), ..new() }).unwrap();
        assert!(keys.find(&key, expires - 1).is_ok());
        assert_eq!(keys.find(&key, expires).map(drop), Err(NoKey::Expired));
    }

    #[test]
    fn the_secret_is_nowhere_in_the_database() {
        let keys = keys();
        let (made, key) = keys.create(new()).unwrap();
        // It may have `_` in it, as ids have not.
        let secret = key.splitn(3, '_').last().unwrap();
        let stored = keys.db.attributes("");
        assert_eq!(stored.len(), 1);
        for (name, attribute) in stored {
            let text = String::from_utf8_lossy(&attribute.value).into_owned();
            assert!(!name.contains(secret) && !text.contains(secret), "{text}");
        }
        assert!(!format!("{made:?} {keys:?}").contains(secret));
    }

    #[test]
    fn keys_are_checked() {
        let keys = keys();
        let refused = |key: NewKey| keys.create(key).unwrap_err().to_string();
        assert!(refused(NewKey { name: String::new(), ..new() }).starts_with("name:"));
        assert!(refused(NewKey { grants: Vec::new(), ..new() }).starts_with("grants:"));
        let grants = vec!["read on *".to_owned(), "fly".to_owned()];
        assert!(refused(NewKey { grants, ..new() }).starts_with("grants[1]:"));
        // A key that was made with a claim misspelt was made, and allowed nothing.
        let grants = vec!["read on *".to_owned(), "write on a where t = $claims.tenant".to_owned()];
        let of = |name: &str, value: serde_json::Value| NewKey {
            grants: grants.clone(),
            claims: Claims::from_iter([(name.to_owned(), value)]),
            ..new()
        };
        for (name, value) in [("tennant", "a".into()), ("tenant", serde_json::Value::Null)] {
            assert!(refused(of(name, value)).starts_with("grants[1]: it would allow nothing"), "{name}");
        }
        assert!(keys.create(of("tenant", "a".into())).is_ok());
        assert!(refused(NewKey { expires_us: Some(1), ..new() }).starts_with("expire_time:"));
        let name = "x".repeat(KEY_NAME_BYTES_MAX + 1);
        assert!(refused(NewKey { name, ..new() }).contains("KEY_NAME_BYTES_MAX"));
    }
}
