//! Removing a collection once, however often it is asked for.
//!
//! **Problem.** Who asked for a removal and heard no answer asks again, and is told that there is no such collection; or, if another was
//! made under its name meanwhile, removes that. **Idea.** A request has a name. Before the collection is removed, an attribute of the
//! database says which collection the request was about, by the number that no other has: asked again, the request removes that
//! one if it is still there, and nothing else.
//!
//! The same name of a request is another request where it is about another name of a collection: who asks for that one removed must not be told that it
//! was because somebody chose the same word. The attributes of the last [`REMOVALS_REMEMBERED`] requests are kept, of all collections together.

use ragstone::limits::REQUEST_ID_BYTES_MAX;
use ragstone::{Collection, Error as EngineError};
use sha2::{Digest as _, Sha256};

use super::Rag;
use crate::embed::hex;
use crate::error::{Error, Result};
use crate::limits::REMOVALS_REMEMBERED;
use crate::prompt::check_max;
use crate::reserved::DEFINITION_TURN;

/// What the keys of the attributes begin with.
const KEYS: &str = "ragstone.removal/";
/// Characters of the hash that stands for a collection's name: with the name itself, a key would be longer than one may be.
const NAME_HASH_CHARACTERS: usize = 16;

/// The key of the attribute of a request about this name.
fn key_of(name: &str, request_id: &str) -> String {
    let hash = hex(&Sha256::digest(name));
    format!("{KEYS}{}/{request_id}", &hash[..NAME_HASH_CHARACTERS])
}

impl Rag {
    /// Removes a collection and all that it holds, if `check` agrees; durable when it returns. With the id of a request, 1 to
    /// [`REQUEST_ID_BYTES_MAX`] bytes, it is done once: again under the same id and name nothing is removed that was not meant.
    ///
    /// ```
    /// use ragstone_rag::{CollectionSpec, Error, Rag};
    ///
    /// let rag = Rag::in_memory()?;
    /// rag.create_collection("notes", CollectionSpec::with_dimension(2))?;
    /// rag.delete_collection::<Error>("notes", Some("monday"), |_| Ok(()))?;
    /// rag.create_collection("notes", CollectionSpec::with_dimension(2))?;
    /// rag.delete_collection::<Error>("notes", Some("monday"), |_| Ok(()))?;
    /// assert!(rag.db().collection("notes").is_ok(), "that is another one");
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// What `check` refuses with; [`Error::Limit`], naming `request_id`; the engine's errors, such as an unknown collection.
    pub fn delete_collection<E: From<Error>>(
        &self,
        name: &str,
        request_id: Option<&str>,
        check: impl FnOnce(&Collection) -> Result<(), E>,
    ) -> Result<(), E> {
        let Some(request_id) = request_id else {
            return match self.db().collection(name) {
                // It can be removed, and nothing else.
                Err(EngineError::Corrupt { .. }) => Ok(self.db().delete_collection(name).map_err(engine)?),
                found => {
                    let collection = found.map_err(engine)?;
                    let _turn = collection.exclusive(DEFINITION_TURN);
                    check(&collection)?;
                    Ok(self.db().delete_this_collection(&collection).map_err(engine)?)
                }
            };
        };
        check_max("request_id", request_id.len(), "REQUEST_ID_BYTES_MAX", REQUEST_ID_BYTES_MAX)?;
        let key = key_of(name, request_id);
        if let Some(meant) = self.db().attribute(&key) {
            let meant = meant.value.first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
            return match self.db().collection(name) {
                Ok(there) if Some(there.id()) == meant => {
                    Ok(self.db().delete_this_collection(&there).map_err(engine)?)
                }
                // Who may not know of the collection is not told either that it was removed once, by whoever chose the same word.
                Err(error @ EngineError::OutOfScope { .. }) => Err(engine(error).into()),
                Err(error) if !self.db().shows(name) => Err(engine(error).into()),
                // Which one that is cannot be told.
                Err(error @ EngineError::Corrupt { .. }) => Err(engine(error).into()),
                _ => Ok(()),
            };
        }
        let collection = self.db().collection(name).map_err(engine)?;
        let _turn = collection.exclusive(DEFINITION_TURN);
        check(&collection)?;
        self.db().set_attribute(&key, Some(&collection.id().to_le_bytes())).map_err(engine)?;
        if let Err(error) = self.db().delete_this_collection(&collection) {
            // It was refused, and may be asked for again when nothing stands against it.
            self.db().set_attribute(&key, None).map_err(engine)?;
            return Err(engine(error).into());
        }
        Ok(self.forget_old_removals()?)
    }

    fn forget_old_removals(&self) -> Result<()> {
        let mut remembered = self.db().attributes(KEYS);
        remembered.sort_unstable_by_key(|(_, attribute)| attribute.revision);
        let too_many = remembered.len().saturating_sub(REMOVALS_REMEMBERED);
        for (key, _) in remembered.drain(..too_many) {
            self.db().set_attribute(&key, None)?;
        }
        Ok(())
    }
}

fn engine(error: EngineError) -> Error {
    error.into()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Arc;

    use ragstone::{Point, Scope, Sight};

    use super::*;
    use crate::CollectionSpec;

    fn with_a_collection() -> Rag {
        let rag = Rag::in_memory().unwrap();
        rag.create_collection("c", CollectionSpec::with_dimension(2)).unwrap();
        rag
    }

    fn delete(rag: &Rag, request_id: &str) -> Result<()> {
        rag.delete_collection("c", Some(request_id), |_| Ok(()))
    }

    #[test]
    fn a_request_removes_what_it_meant_and_nothing_else() {
        let rag = with_a_collection();
        delete(&rag, "first").unwrap();
        delete(&rag, "first").unwrap();
        assert!(matches!(delete(&rag, "second"), Err(Error::Engine(EngineError::CollectionNotFound { .. }))));
        rag.create_collection("c", CollectionSpec::with_dimension(2)).unwrap();
        delete(&rag, "first").unwrap();
        assert!(rag.db().collection("c").is_ok());
        delete(&rag, "second").unwrap();
        assert!(rag.db().collection("c").is_err());
    }

    /// Whoever else had chosen the same id was told that their collection was removed, and it was there.
    #[test]
    fn the_same_id_for_another_name_is_another_request() {
        let rag = with_a_collection();
        rag.create_collection("d", CollectionSpec::with_dimension(2)).unwrap();
        delete(&rag, "first").unwrap();
        rag.delete_collection::<Error>("d", Some("first"), |_| Ok(())).unwrap();
        assert!(rag.db().collection("d").is_err());
        // Both are remembered, and the longest key is one.
        rag.create_collection("d", CollectionSpec::with_dimension(2)).unwrap();
        rag.delete_collection::<Error>("d", Some("first"), |_| Ok(())).unwrap();
        assert!(rag.db().collection("d").is_ok());
        let (name, id) = ("n".repeat(128), "x".repeat(REQUEST_ID_BYTES_MAX));
        rag.create_collection(&name, CollectionSpec::with_dimension(2)).unwrap();
        rag.delete_collection::<Error>(&name, Some(&id), |_| Ok(())).unwrap();
    }

    /// Who may not know of a collection was told that it had been removed, if they guessed by what id.
    #[test]
    fn what_another_asked_for_is_told_to_who_sees_the_collection() {
        struct Only(Sight);
        impl Scope for Only {
            fn sight(&self, _: &str) -> Sight {
                self.0.clone()
            }
        }
        let rag = with_a_collection();
        delete(&rag, "first").unwrap();
        let again = |sight: Sight| delete(&rag.within(Arc::new(Only(sight))), "first");
        again(Sight::Whole).unwrap();
        // While there is none, and of another one.
        for is_another_there in [false, true] {
            if is_another_there {
                rag.create_collection("c", CollectionSpec::with_dimension(2)).unwrap();
            }
            let hidden = again(Sight::Hidden);
            assert!(
                matches!(hidden, Err(Error::Engine(EngineError::CollectionNotFound { .. }))),
                "{hidden:?}"
            );
            let refused = again(Sight::Refused);
            assert!(matches!(refused, Err(Error::Engine(EngineError::OutOfScope { .. }))), "{refused:?}");
        }
        assert!(rag.db().collection("c").is_ok());
    }

    /// It stopped between the two writes, as a process that is killed there does: what was meant is there.
    #[test]
    fn what_was_begun_is_completed() {
        let rag = with_a_collection();
        let id = rag.db().collection("c").unwrap().id();
        rag.db().set_attribute(&key_of("c", "first"), Some(&id.to_le_bytes())).unwrap();
        delete(&rag, "first").unwrap();
        assert!(rag.db().collection("c").is_err());
    }

    /// It was said to be removed, and was there for a repair to make good.
    #[test]
    fn what_was_begun_and_is_damaged_is_not_said_to_be_removed() {
        let directory = tempfile::tempdir().unwrap();
        let rag = Rag::open(directory.path()).unwrap();
        rag.create_collection("c", CollectionSpec::with_dimension(2)).unwrap();
        let collection = rag.db().collection("c").unwrap();
        collection.upsert(vec![Point::new(1, [1.0, 0.0])]).unwrap();
        rag.db().set_attribute(&key_of("c", "first"), Some(&collection.id().to_le_bytes())).unwrap();
        rag.db().flush().unwrap();
        drop((collection, rag));
        let mut files = std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().path());
        let name = |file: &PathBuf| file.file_name().unwrap().to_string_lossy().into_owned();
        let segment = files.find(|file| name(file).starts_with("segment-")).unwrap();
        let mut bytes = std::fs::read(&segment).unwrap();
        // In its header, which opening looks at.
        bytes[3] ^= 1;
        std::fs::write(&segment, bytes).unwrap();
        let rag = Rag::open(directory.path()).unwrap();
        let again = delete(&rag, "first");
        assert!(matches!(again, Err(Error::Engine(EngineError::Corrupt { .. }))), "{again:?}");
        // Without an id it is whatever has the name.
        rag.delete_collection::<Error>("c", None, |_| Ok(())).unwrap();
        delete(&rag, "first").unwrap();
    }

    #[test]
    fn what_is_refused_may_be_asked_for_again() {
        let rag = with_a_collection();
        rag.db().set_alias("other", "c").unwrap();
        assert!(delete(&rag, "first").is_err());
        rag.db().delete_alias("other").unwrap();
        delete(&rag, "first").unwrap();
        assert!(rag.db().collection("c").is_err());
        let refused: Result<()> = with_a_collection().delete_collection("c", None, |_| {
            Err(Error::Invalid { field: "etag".into(), reason: "another".into() })
        });
        assert!(matches!(refused, Err(Error::Invalid { .. })));
        assert!(matches!(delete(&rag, &"x".repeat(129)), Err(Error::Limit { .. })));
    }

    #[test]
    fn only_the_last_removals_are_remembered() {
        let rag = Rag::in_memory().unwrap();
        for number in 0..REMOVALS_REMEMBERED + 3 {
            rag.create_collection("c", CollectionSpec::with_dimension(2)).unwrap();
            delete(&rag, &format!("{number}")).unwrap();
        }
        assert_eq!(rag.db().attributes(KEYS).len(), REMOVALS_REMEMBERED);
        assert!(rag.db().attribute(&key_of("c", "2")).is_none());
        assert!(rag.db().attribute(&key_of("c", "3")).is_some());
    }
}
