//! Write tokens: where in the log of which database a write is, for reads that must find it.
//!
//! A token is opaque to its holder: a version, the database's lineage and a position of its log, in hex. A position means
//! nothing in another lineage, so a token of one is refused rather than answered with what it does not stand for.

use std::time::Duration;

use ragstone::{Collection, Db, Lineage};
use ragstone_rag::Rag;
use tonic::Status;

use crate::status;

/// The form of tokens, which begins each.
const VERSION: char = '1';

/// The token of a write at a position.
pub(crate) fn at(db: &Db, position: u64) -> String {
    format!("{VERSION}{}{position:016x}", db.lineage())
}

/// A token of everything that is written by now.
pub(crate) fn of_now(rag: &Rag) -> String {
    at(rag.db(), rag.db().log_position())
}

/// The position that a token stands for; none if it is empty.
fn position(db: &Db, token: &str) -> Result<Option<u64>, Status> {
    if token.is_empty() {
        return Ok(None);
    }
    let (lineage, position) = parse(token).ok_or_else(|| {
        status::invalid("at_least", "it is no write token; take `write_token` of a write's answer")
    })?;
    if lineage != db.lineage() {
        return Err(status::foreign_write_token());
    }
    Ok(Some(position))
}

fn parse(token: &str) -> Option<(Lineage, u64)> {
    let rest = token.strip_prefix(VERSION)?;
    let (lineage, position) = rest.split_at_checked(rest.len().checked_sub(16)?)?;
    let is_hex = position.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    let position = u64::from_str_radix(position, 16).ok().filter(|_| is_hex)?;
    Some((lineage.parse().ok()?, position))
}

/// A collection that shows what the token stands for; any state of it if the token is empty.
///
/// # Errors
/// Beside those of [`Db::collection`]: INVALID_ARGUMENT or FAILED_PRECONDITION for a token that is none, or none of this
/// database; UNAVAILABLE if the database does not come so far within `patience`.
pub(crate) fn collection(
    db: &Db,
    name: &str,
    at_least: &str,
    patience: Duration,
) -> Result<Collection, Status> {
    let wanted = position(db, at_least)?;
    let collection = db.collection(name).map_err(status::engine)?;
    if let Some(position) = wanted
        && !collection.wait_for_position(position, patience).map_err(status::engine)?
    {
        return Err(status::not_caught_up(position, db.log_position()));
    }
    Ok(collection)
}

#[cfg(test)]
mod tests {
    use ragstone::Schema;
    use tonic::Code;

    use super::*;

    #[test]
    fn tokens_come_back_as_what_they_stand_for_in_their_own_database_alone() {
        let (db, other) = (Db::in_memory().unwrap(), Db::in_memory().unwrap());
        for number in [0, 1, 0xdead_beef, u64::MAX] {
            let token = at(&db, number);
            assert_eq!(position(&db, &token).unwrap(), Some(number));
            assert_eq!(position(&other, &token).unwrap_err().code(), Code::FailedPrecondition);
        }
        assert_eq!(position(&db, "").unwrap(), None);
        let token = at(&db, 7);
        let upper = token.to_uppercase() + "F";
        for wrong in ["1", "x", &token[1..], &token[..token.len() - 1], &upper, &token.replace('1', "ü")] {
            assert_eq!(position(&db, wrong).unwrap_err().code(), Code::InvalidArgument, "{wrong}");
        }
        let signed = format!("{}+{}", &token[..33], &token[34..]);
        assert_eq!(position(&db, &signed).unwrap_err().code(), Code::InvalidArgument, "{signed}");
    }

    #[test]
    fn a_position_that_nobody_wrote_yet_is_not_there() {
        let db = Db::in_memory().unwrap();
        db.create_collection("c", Schema::new(2).unwrap()).unwrap();
        let now = at(&db, db.log_position());
        assert!(collection(&db, "c", &now, Duration::ZERO).is_ok());
        let later = at(&db, db.log_position() + 1);
        let status = collection(&db, "c", &later, Duration::ZERO).unwrap_err();
        assert_eq!(status.code(), Code::Unavailable);
        assert_eq!(collection(&db, "d", &now, Duration::ZERO).unwrap_err().code(), Code::NotFound);
    }
}
