//! The requests that a collection remembers: made good by turning a bit back, or given up.

use super::repair::Repair;
use super::{Loss, files};
use crate::collection::{decode_requests, request_file};
use crate::dir::Dir;
use crate::error::Result;
use crate::manifest::CollectionEntry;

impl Repair {
    /// Sees to a damaged file of requests.
    pub(super) fn requests(&mut self, id: u64, collection: &mut CollectionEntry) -> Result<()> {
        let Some(damage) = files::requests(&self.dir, id, collection)? else { return Ok(()) };
        self.keep(&[damage])?;
        let name = request_file(id, collection.requests);
        self.obsolete.push(name.clone());
        let mended = self.dir.read(&name).ok().and_then(|mut bytes| {
            super::bits::correct(&mut bytes)?;
            decode_requests(&bytes, id).is_ok().then_some(bytes)
        });
        let Some(bytes) = mended else {
            let what = "ids of requests: a write that is sent again by who heard no answer is done again";
            self.report.actions.push(format!("{name} cannot be read: requests that were done are not known"));
            self.report.lost.push(Loss::of(&collection.name, what.to_owned()));
            collection.requests = 0;
            return Ok(());
        };
        self.report.actions.push(format!("a flipped bit of {name} is turned back"));
        collection.requests += 1;
        if !self.is_dry_run {
            let mut file = self.dir.create(&request_file(id, collection.requests))?;
            file.write(&bytes)?;
            file.sync()?;
        }
        Ok(())
    }
}
