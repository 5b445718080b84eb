//! Write tokens: where in the log of which database a write is, for reads that must find it.
//!
//! A token is opaque to its holder: a version, the database's lineage and a position of its log, in hex. A position means
//! nothing in another lineage, so a token of one is refused rather than answered with what it does not stand for.
//!
//! A position that is still to come is waited for before a read takes its turn, and without a thread ([`reached`]): a caller may ask for one that
//! nobody ever writes, as often as there are places, and whoever works meanwhile is not to notice. One that the log cannot come to in time is not
//! waited for at all.

use std::time::Duration;

use ragstone::{Collection, Db, Lineage};
use ragstone_rag::Rag;
use tokio::time::Instant;
use tonic::Status;

use crate::status;

/// The form of tokens, which begins each.
const VERSION: char = '1';
/// Between two looks at a log that is not there yet: at first, and at most. A look costs a lock that is held for three numbers.
const LOOK: Duration = Duration::from_millis(1);
const LOOK_MAX: Duration = Duration::from_millis(20);
/// More positions a second than any log takes.
const POSITIONS_PER_SECOND_MAX: u64 = 1_000_000;

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

/// The position that a token stands for, once the log has come there; none if it is empty.
///
/// # Errors
/// INVALID_ARGUMENT or FAILED_PRECONDITION for a token that is none, or none of this database; UNAVAILABLE if the log does not come so far within
/// `patience`, at once where it cannot.
pub(crate) async fn reached(db: &Db, at_least: &str, patience: Duration) -> Result<Option<u64>, Status> {
    let Some(position) = position(db, at_least)? else { return Ok(None) };
    let end = Instant::now().checked_add(patience);
    let mut pause = LOOK;
    loop {
        let reached = db.log_position();
        let missing = position.saturating_sub(reached);
        if missing == 0 {
            return Ok(Some(position));
        }
        let left = end.map_or(Duration::MAX, |end| end.saturating_duration_since(Instant::now()));
        if left.is_zero() || missing / POSITIONS_PER_SECOND_MAX > left.as_secs() {
            return Err(status::not_caught_up(position, reached));
        }
        tokio::time::sleep(pause.min(left)).await;
        pause = (2 * pause).min(LOOK_MAX);
    }
}

/// A collection that shows every write up to a position that the log [has reached](reached); any state of it if there is none. What is still to be
/// applied of it is waited for here: somebody is about to.
///
/// # Errors
/// Beside those of [`Db::collection`]: UNAVAILABLE if it is not applied within `patience`.
pub(crate) fn collection(
    db: &Db,
    name: &str,
    reached: Option<u64>,
    patience: Duration,
) -> Result<Collection, Status> {
    let collection = db.collection(name).map_err(status::engine)?;
    if let Some(position) = reached
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

    #[tokio::test(start_paused = true)]
    async fn a_position_that_nobody_wrote_yet_is_not_there() {
        let db = Db::in_memory().unwrap();
        db.create_collection("c", Schema::new(2).unwrap()).unwrap();
        let position = db.log_position();
        assert_eq!(reached(&db, "", Duration::ZERO).await.unwrap(), None);
        let there = reached(&db, &at(&db, position), Duration::ZERO).await.unwrap();
        assert_eq!(there, Some(position));
        assert!(collection(&db, "c", there, Duration::ZERO).is_ok());
        assert_eq!(collection(&db, "d", there, Duration::ZERO).unwrap_err().code(), Code::NotFound);
        let (patience, began) = (Duration::from_secs(5), Instant::now());
        let later = reached(&db, &at(&db, position + 1), patience).await.unwrap_err();
        assert_eq!(later.code(), Code::Unavailable);
        assert!(began.elapsed() >= patience, "it may yet come");
        let (never, began) = (at(&db, u64::MAX), Instant::now());
        assert_eq!(reached(&db, &never, patience).await.unwrap_err().code(), Code::Unavailable);
        assert_eq!(began.elapsed(), Duration::ZERO, "it cannot come in time");
    }

    #[tokio::test]
    async fn a_write_ends_the_waiting_for_it() {
        let db = Db::in_memory().unwrap();
        let next = at(&db, db.log_position() + 1);
        let waiting = tokio::spawn({
            let db = db.clone();
            async move { reached(&db, &next, Duration::from_secs(600)).await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        db.create_collection("c", Schema::new(2).unwrap()).unwrap();
        assert!(waiting.await.unwrap().unwrap().is_some());
    }
}
