//! `ragstone points update` and `delete`, and what they have in common with `upsert`.

use std::io::Write;

use anyhow::{Context, Result, bail};
use ragstone::{Batch, Expect, Op, PointId, Precondition, Update};
use serde_json::Value as Json;

use crate::cli::args::{DeleteArgs, UpdateArgs, WriteArgs};
use crate::cli::backend::WriteView;
use crate::cli::command::{Session, lines};
use crate::cli::json::{self, Types};

pub(super) fn update(session: &Session, args: &UpdateArgs) -> Result<()> {
    let collection = args.collection.collection.as_str();
    let types = types(session, collection)?;
    let mut ops = Vec::new();
    match &args.file {
        Some(file) => {
            for line in lines(file)? {
                let (place, raw) = line?;
                ops.push(Op::Update(json::update(&raw, &types).context(place)?));
            }
        }
        None => {
            let mut change = Update::new(0);
            for text in &args.set {
                let (name, value) =
                    text.split_once('=').with_context(|| format!("--set {text}: write it as NAME=VALUE"))?;
                let value = json::typed(value, types.get(name).copied(), &format!("--set {name}"))?;
                change = change.set(name, value);
            }
            change.unset.clone_from(&args.unset);
            change.expires_at = match args.expires_at.as_deref() {
                None => None,
                Some("never") => Some(None),
                Some(time) => Some(Some(json::moment(&typed_moment(time), "--expires-at")?)),
            };
            let each = |id: &String| Op::Update(Update { id: json::parse_id(id), ..change.clone() });
            ops.extend(args.ids.iter().map(each));
        }
    }
    told(session, &session.backend.write(collection, args.write.batch(ops)?)?, "changed")
}

/// Digits are microseconds.
fn typed_moment(text: &str) -> Json {
    text.parse::<i64>().map_or_else(|_| Json::from(text), Json::from)
}

pub(super) fn delete(session: &Session, args: &DeleteArgs) -> Result<()> {
    let collection = args.collection.collection.as_str();
    let written = match (args.conditions.filter(session, collection)?, args.ids.is_empty()) {
        (None, true) => bail!("nothing to remove: give ids or a condition"),
        (Some(_), false) => bail!("give ids or a condition, not both"),
        (Some(_), true) if args.write.is_conditional() || args.write.request_id.is_some() => {
            bail!("--if-etag, --if-absent, --if-present and --request-id go with ids")
        }
        (Some(filter), true) => session.backend.delete_where(collection, filter)?,
        (None, false) => {
            let ops = args.ids.iter().map(|id| Op::Delete(json::parse_id(id))).collect();
            session.backend.write(collection, args.write.batch(ops)?)?
        }
    };
    told(session, &written, "removed")
}

/// The types of the collection's fields.
pub(super) fn types(session: &Session, collection: &str) -> Result<Types> {
    let found = session.backend.collection(collection)?;
    Ok(json::types(&found.with_context(|| format!("collection `{collection}` does not exist"))?.fields))
}

impl WriteArgs {
    pub(super) fn is_conditional(&self) -> bool {
        self.if_etag.is_some() || self.if_absent || self.if_present
    }

    /// The batch of these changes, under the conditions.
    pub(super) fn batch(&self, ops: Vec<Op>) -> Result<Batch> {
        let expect = match (self.if_etag, self.if_absent, self.if_present) {
            (Some(_), ..) if ops.len() != 1 => {
                bail!("--if-etag: an etag is of one point, this is about {}", ops.len())
            }
            (Some(etag), ..) => Some(Expect::Etag(etag)),
            (None, true, _) => Some(Expect::Absent),
            (None, false, true) => Some(Expect::Present),
            (None, false, false) => None,
        };
        let mut batch = Batch::of(ops);
        if let Some(expect) = expect {
            let id = |op: &Op| match op {
                Op::Upsert(point) => point.id.clone(),
                Op::Update(update) => update.id.clone(),
                Op::Delete(id) => id.clone(),
            };
            let ids: Vec<PointId> = batch.ops.iter().map(id).collect();
            batch.preconditions = ids.into_iter().map(|id| Precondition { id, expect }).collect();
        }
        batch.request_id.clone_from(&self.request_id);
        Ok(batch)
    }
}

impl WriteView {
    /// What was written before, and this.
    pub(super) fn add(&mut self, next: WriteView) {
        self.seq = next.seq;
        self.points += next.points;
        self.missing += next.missing;
        self.repeated = next.repeated;
    }
}

pub(super) fn told(session: &Session, written: &WriteView, what: &str) -> Result<()> {
    if session.json {
        return session.acknowledge(written);
    }
    let mut out = std::io::stdout().lock();
    write!(out, "{} points {what}", written.points)?;
    if written.missing > 0 {
        write!(out, ", {} are not there", written.missing)?;
    }
    if written.repeated {
        write!(out, " (by this request before)")?;
    }
    writeln!(out)?;
    Ok(())
}
