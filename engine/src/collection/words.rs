//! Words of fields that came to be searched by word when their segments were there already: written to files beside these.
//!
//! That a field is searched by word is a write like any other (`add_field.rs`), and true for every view from then on: words that no file
//! has are made in memory when they are asked for (`segment/view.rs`). Writing them (`segment/words.rs`) is maintenance. Whoever added the field
//! does it; what a crash, a full disk or a seal that was under way left undone, the next merge does, first of all, and the background looks for one
//! when a database is opened.

use super::state::CollectionCore;
use crate::db::Store;
use crate::error::Result;
use crate::faults;
use crate::segment::{Check, WordsRequest, write_words};
use crate::text::BUILDER_BYTES_MAX;
use crate::threads::Work;

impl CollectionCore {
    /// Writes the words that no file has, until asked to stop. The caller holds `merging`, so no segment goes meanwhile unless the
    /// collection does.
    pub(super) fn write_words(&self, store: &Store, work: Work) -> Result<()> {
        let view = self.view();
        'segments: for segment in &*view.segments {
            for (field, analyzer) in view.fields.texts() {
                let Some(sealed) = segment.as_sealed().filter(|_| segment.lacks_words(field, analyzer))
                else {
                    continue;
                };
                if store.is_stopping() || self.is_deleted() {
                    break 'segments;
                }
                faults::point("merge.lacking");
                let stop = store.signal.closing();
                let builder_bytes = BUILDER_BYTES_MAX;
                let request = WordsRequest { view: segment, field, analyzer, builder_bytes, stop };
                store.pools.run(work, || write_words(&*store.dir, &request))??;
                sealed.open_words(&*store.dir, field, (store.options.storage, Check::Written))?;
            }
        }
        if self.is_deleted() {
            // Whoever deleted it may have looked before.
            view.sealed().for_each(|sealed| sealed.remove_words(&*store.dir));
        }
        Ok(())
    }
}
